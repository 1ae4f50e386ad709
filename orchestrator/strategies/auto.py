"""The strategy that is chosen for each problem: what a config says of it.

Carried out by ``orchestrator.optimal``: pilots, a difficulty predicted from them, and the best arm
of the measured profile for the budget at hand (paper §3.2).
"""

import math
from dataclasses import dataclass
from typing import Literal

from orchestrator.core.node import Node
from orchestrator.core.ports import Models, Need
from orchestrator.errors import ConfigError
from orchestrator.strategies.traits import Traits


@dataclass(frozen=True, slots=True, kw_only=True)
class Auto:
    """Choose the strategy for each problem by a measured profile (paper, §3.2).

    - A problem uses ``budget`` of ``unit`` on average, or at most with ``spread="each"``. Tokens
      are those of policy and PRM, pilots included.
    - 0 is a budget of ``cost`` alone, for models without a price.
    - With ``pool`` the ``budget`` is one for all problems of the cell, and the next batch goes to
      the problem it helps most. In seconds it is wall-clock time.
    - By a profile across models, which cells of several policies or PRMs need and others may take,
      there is no pool, and tokens are a unit within one policy alone. A budget between two plans of
      the profile mixes them.
    - ``profile`` is the file of the profile; once read, its digest. Without one, ``auto`` follows
      the rule that the paper's authors published, at ``fallback_n``, with four ``pilots`` by
      default.
    """

    profile: str | None = None
    budget: float | None = None
    unit: Literal["tokens", "flops", "cost", "seconds"] = "tokens"
    spread: Literal["average", "each"] = "average"
    pool: bool = False
    pilots: int | None = None
    fallback_n: int = 16

    def __post_init__(self) -> None:
        if self.profile is not None and self.budget is None:
            raise ConfigError("auto needs a `budget`, such as `budget: 2000` (tokens a problem)")
        if self.budget is not None and not (0 < self.budget < math.inf or self._is_free):
            raise ConfigError(
                f"budget = {self.budget} must be above 0, and a finite number", ("budget",)
            )
        if self.profile is None and (self.budget is not None or self.pool):
            raise ConfigError(
                "a budget can only be routed by a measured `profile` (`orchard profile CONFIG`); "
                "without one leave `budget` and `pool` out"
            )
        if self.pool and self.spread == "each":
            raise ConfigError("a pool is spread over all problems: leave `spread: each` out")
        if self.pilots is not None and self.pilots < 2:
            raise ConfigError(f"pilots = {self.pilots} must be at least 2", ("pilots",))

    @property
    def _is_free(self) -> bool:
        return self.budget == 0 and self.unit == "cost" and not self.pool

    def check_across(self) -> None:
        """Raises ``ConfigError`` for settings that a profile across models does not go by."""
        if self.pool:
            raise ConfigError("auto across models shares no pool: leave `pool` out", ("pool",))
        if self.spread == "each":
            raise ConfigError(
                "auto across models keeps its budget on average: leave `spread: each` out",
                ("spread",),
            )
        if self.pilots is not None:
            raise ConfigError("auto goes by the pilots of its profile: leave `pilots` out")

    @property
    def needs(self) -> frozenset[Need]:
        """Answers. The published rule needs a PRM; a profile says itself whether it has one."""
        return frozenset({"answers"} if self.profile else {"answers", "prm"})

    @property
    def n(self) -> int:
        """0: ``auto`` has no fixed N."""
        return 0

    @property
    def cap(self) -> float | None:
        """What its problems may use together, where they share a pool."""
        return self.budget if self.pool else None

    @property
    def traits(self) -> Traits:
        return Traits(auto=self)

    async def __call__(self, root: Node, models: Models) -> list[Node]:
        """A run routes each problem to another strategy; ``Auto`` by itself has no search.

        Raises ``ConfigError``.
        """
        raise ConfigError(
            "auto chooses a strategy for each problem of a run: name it in the cells of a run"
        )
