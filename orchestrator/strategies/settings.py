"""What the strategies share: how they sample (paper, appendix; `paper.md`'s table of samplings)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from orchestrator.core.expansion_rules import RULES, ExpansionRules, RulesName
from orchestrator.core.ports import Sampling
from orchestrator.core.rewards import Reward
from orchestrator.core.stopping import VoteRule
from orchestrator.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Sampling goes on by ``batch`` until ``rule`` says that the vote is settled, with this
    ``confidence`` where the rule is a posterior (see ``core.stopping``).

    Raises ``ConfigError`` where ``confidence`` is no probability above one half.
    """

    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    rule: VoteRule
    confidence: float = 0.95
    batch: int = 4

    def __post_init__(self) -> None:
        if not 0.5 < self.confidence < 1:
            raise ConfigError(f"confidence = {self.confidence} must lie between 0.5 and 1")
        if self.batch < 1:
            raise ConfigError(f"batch = {self.batch} must be at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeSolutions:
    """Samples run to the end of the solution; with ``logprobs`` they tell how likely they were."""

    temperature: float = 0.7
    top_p: float = 1.0
    max_tokens: int = 8192
    logprobs: bool | None = None

    @property
    def reads_answers(self) -> bool:
        return False

    @property
    def first_draw(self) -> int:
        """How many solutions it samples at once, before it looks at any."""
        return 1

    @property
    def sampling(self) -> Sampling:
        return Sampling(
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=self.max_tokens,
            until="end",
            logprobs=bool(self.logprobs),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stepwise:
    """Samples run to the end of a step; ``width`` is the paper's M, ``reward`` the node's value,
    and ``rules`` say what becomes of samples that are no ordinary step.

    Raises ``ConfigError`` where ``width`` does not divide ``n``.
    """

    n: int = 16
    width: int = 4
    max_depth: int = 40
    reward: Reward = "last"
    rules: RulesName = "paper"
    temperature: float = 0.7
    top_p: float = 1.0
    max_tokens: int = 2048

    @property
    def reads_answers(self) -> bool:
        return False

    @property
    def expansion(self) -> ExpansionRules:
        return RULES[self.rules]

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ConfigError(f"width = {self.width} must be at least 1")
        if self.n < self.width or self.n % self.width:
            nearest = max(1, round(self.n / self.width)) * self.width
            raise ConfigError(
                f"n = {self.n} is not a multiple of width = {self.width}; try n = {nearest}"
            )

    @property
    def sampling(self) -> Sampling:
        return Sampling(
            temperature=self.temperature, top_p=self.top_p, max_tokens=self.max_tokens, until="step"
        )
