"""An experiment: a config resolved to problems, cells and prices, before the first request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from orchestrator.config.run import RunConfig
from orchestrator.core.budget import Price
from orchestrator.core.problem import Problem
from orchestrator.report.data.headline import HeadlineSpec
from orchestrator.runs.plan import Cell, Plan
from orchestrator.wiring.auto_cells import routed
from orchestrator.wiring.prices import priced, prices, unpriced
from orchestrator.wiring.problem_sets import problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A config with its problems loaded, its cells built and routed, and its prices looked up.
    All of it happens once, in ``of``; nothing is read from files afterwards.

    ``plan`` is the scheduler's part: problems, cells, seed, limits and trees in flight. ``prices``
    holds the price of each policy and PRM that has one, by name.
    """

    config: RunConfig
    plan: Plan
    prices: Mapping[str, Price]

    @classmethod
    def of(cls, config: RunConfig) -> Self:
        """Resolve ``config``. Raises ``ConfigError``, ``TaskError`` or ``ProfileError``."""
        found, charged = problems(config.task), prices(config)
        plan = Plan(
            problems=found,
            cells=routed(priced(config.all_cells, charged), found),
            seed=config.seed,
            trees=config.trees,
            limits=config.budget.limits(),
            problem_limits=config.problem_budget.limits(),
            on_failed_branch=config.on_failed_branch,  # type: ignore[arg-type]
        )
        return cls(config=config, plan=plan, prices=charged)

    @property
    def problems(self) -> Sequence[Problem]:
        return self.plan.problems

    @property
    def cells(self) -> Sequence[Cell]:
        return self.plan.cells

    @property
    def headline(self) -> HeadlineSpec | None:
        return self.config.headline_spec

    @property
    def identity(self) -> dict[str, Any]:
        """Everything the results depend on: a run directory holds results of one identity."""
        return self.config.identity()

    @property
    def unpriced(self) -> list[str]:
        """The hosted models without a known price; their cost counts as 0."""
        return unpriced(self.config, self.prices)
