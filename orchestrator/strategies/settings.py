"""What the strategies share: how they sample (paper, appendix)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from orchestrator.core.expansion_rules import RULES, ExpansionRules, RulesName
from orchestrator.core.ports import Need, Sampling
from orchestrator.core.rewards import Reward
from orchestrator.core.stopping import VoteRule
from orchestrator.errors import ConfigError
from orchestrator.strategies.traits import FirstDraw, Traits


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Sampling goes on by ``batch`` until ``rule`` says that the vote is settled, with this
    ``confidence`` where the rule is a posterior (see ``core.stopping``). ``vote`` names the vote it
    looks at; without one it is the strategy's own.

    Raises ``ConfigError`` where ``confidence`` is no probability above one half.
    """

    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    rule: VoteRule
    confidence: float = 0.95
    batch: int = 4
    vote: str | None = None

    def __post_init__(self) -> None:
        if not 0.5 < self.confidence < 1:
            raise ConfigError(
                f"confidence = {self.confidence:g} must lie between 0.5 and 1",
                ("stop", "confidence"),
            )
        if self.batch < 1:
            raise ConfigError(f"batch = {self.batch} must be at least 1", ("stop", "batch"))


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeSolutions:
    """Samples run to the end of the solution; with ``logprobs`` they tell how likely they were.
    With ``question_logprob`` the first request also tells how likely the question is.

    Raises ``ConfigError`` for a sampling that no model can follow.
    """

    temperature: float = 0.7
    top_p: float = 1.0
    max_tokens: int = 8192
    logprobs: bool | None = None
    question_logprob: bool | None = None

    def __post_init__(self) -> None:
        check_sampling(self.temperature, self.top_p, self.max_tokens)

    @property
    def needs(self) -> frozenset[Need]:
        return frozenset({"logprobs"} if self.logprobs else ())

    @property
    def traits(self) -> Traits:
        return Traits(max_tokens=self.max_tokens, first_draw=FirstDraw(self.sampling, 1))

    @property
    def sampling(self) -> Sampling:
        return Sampling(
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=self.max_tokens,
            until="end",
            logprobs=bool(self.logprobs),
            question_logprob=bool(self.question_logprob),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stepwise:
    """Samples run to the end of a step; ``width`` is the paper's M, ``reward`` the node's value,
    and ``rules`` say what becomes of samples that are no ordinary step.

    Raises ``ConfigError`` where ``width`` does not divide ``n``, the depth is not positive, or the
    sampling makes no sense.
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
    def needs(self) -> frozenset[Need]:
        return frozenset({"prm", "continuation"})

    @property
    def traits(self) -> Traits:
        return Traits(max_tokens=self.max_tokens, max_depth=self.max_depth, reward=self.reward)

    @property
    def expansion(self) -> ExpansionRules:
        return replace(RULES[self.rules], max_depth=self.max_depth)

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ConfigError(f"width = {self.width} must be at least 1", ("width",))
        if self.n < self.width or self.n % self.width:
            nearest = max(1, round(self.n / self.width)) * self.width
            raise ConfigError(
                f"n = {self.n} is not a multiple of width = {self.width}; try n = {nearest}",
                ("n",),
            )
        if self.max_depth < 1:
            raise ConfigError(f"max_depth = {self.max_depth} must be at least 1", ("max_depth",))
        check_sampling(self.temperature, self.top_p, self.max_tokens)
        check_samples_can_differ(self.n, self.temperature)

    @property
    def sampling(self) -> Sampling:
        return Sampling(
            temperature=self.temperature, top_p=self.top_p, max_tokens=self.max_tokens, until="step"
        )


HIGHEST_TEMPERATURE = 2.0
"""What OpenAI's API takes; far below it every model writes noise."""


def check_sampling(temperature: float, top_p: float, max_tokens: int) -> None:
    """Raises ``ConfigError``, with the range, for a setting outside of it."""
    if not 0 <= temperature <= HIGHEST_TEMPERATURE:
        raise ConfigError(
            f"temperature = {temperature:g} must lie between 0 and 2", ("temperature",)
        )
    if not 0 < top_p <= 1:
        raise ConfigError(
            f"top_p = {top_p:g} must be above 0 and at most 1: it is a share of the probability",
            ("top_p",),
        )
    if max_tokens < 1:
        raise ConfigError(f"max_tokens = {max_tokens} must be at least 1", ("max_tokens",))


def check_samples_can_differ(n: int, temperature: float) -> None:
    """Raises ``ConfigError`` for several samples at temperature 0, which are all the same."""
    if n > 1 and temperature == 0:
        raise ConfigError(
            f"n = {n} samples at temperature = 0 are all the same: raise the temperature (the "
            "paper has 0.7), or use cot",
            ("temperature",),
        )
