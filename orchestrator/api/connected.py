"""Open models: what ``solve`` and ``evaluate`` are given."""

import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count

from orchestrator.config.run import RunConfig
from orchestrator.core.budget import Limits, Price
from orchestrator.core.ports import PRM, Models, Policy, Strategy
from orchestrator.core.problem import Problem
from orchestrator.core.task import Task, opened
from orchestrator.errors import ConfigError
from orchestrator.runs.plan import Cell, NamedModel, Substitutes
from orchestrator.runs.ports.sharing import Demand
from orchestrator.runs.ports.stack import RunWide, Terms, stack, stack_prm
from orchestrator.runs.ports.trees import AcrossModels
from orchestrator.runs.ports.unscored import Unscored
from orchestrator.strategies.traits import traits
from orchestrator.wiring.auto_cells import models_measured, routed
from orchestrator.wiring.connect import Connections
from orchestrator.wiring.needs import check_able, remarks, substitutes
from orchestrator.wiring.prices import unpriced

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """Open models by name: see ``connect``. ``config`` is how a config would describe them, and
    ``task`` says what is asked and reads the answers. ``numbers`` counts the questions, ``warned``
    holds what was said of the models, which is said once."""

    connections: Connections
    config: RunConfig
    prices: Mapping[str, Price]
    task: Task
    numbers: Iterator[int] = field(default_factory=count)
    warned: set[str] = field(default_factory=set)

    @property
    def policies(self) -> Mapping[str, Policy]:
        return self.connections.policies

    @property
    def prms(self) -> Mapping[str, PRM]:
        return self.connections.prms

    @asynccontextmanager
    async def asking(self, task: Task | None) -> AsyncIterator["Connected"]:
        """The same models, asked in the words of ``task`` while the block lasts; of the one they
        are connected for, unless given."""
        if task is None:
            yield self
            return
        async with opened(task) as entered:
            asked = {
                name: each.policy_for(entered)
                for name, each in self.connections.endpoints.items()
                if each.policy is not None
            }
            connections = replace(self.connections, policies={**self.policies, **asked})
            yield replace(self, task=entered, connections=connections)

    def cell(
        self,
        question: Problem,
        strategy: Strategy,
        policy: str | None,
        prm: str | None,
        limits: Limits,
    ) -> Cell:
        """One strategy under one policy and PRM, named where there are several, for one question;
        ``auto`` takes all that its profile was measured with.

        Raises ``ConfigError`` where the models cannot do what it needs.
        """
        policies, prms = self.measured(strategy)
        if policy or not policies:
            policies = [_chosen("policy", policy, list(self.policies))]
        if prm or (not prms and "prm" in strategy.needs):
            prms = [_chosen("prm", prm, list(self.prms))]
        ours, judges = (
            tuple(NamedModel(name=name, price=self.prices.get(name)) for name in names)
            for names in (policies, prms)
        )
        if limits.cost is not None:
            self._check_priced([*ours, *judges])
        cell = Cell(
            task="question",
            policies=ours,
            prms=judges,
            strategy_name=type(strategy).__name__,
            strategy=strategy,
        )
        (cell,) = routed([cell], [question])
        self.check([cell])
        return cell

    def measured(self, strategy: Strategy) -> tuple[list[str], list[str]]:
        """Those of the policies and PRMs that the profile of ``auto`` was measured with; none for
        any other strategy, and without a profile."""
        auto = traits(strategy).auto
        if auto is None or auto.profile is None:
            return [], []
        policies, prms = models_measured(auto.profile)
        return [n for n in policies if n in self.policies], [n for n in prms if n in self.prms]

    def _check_priced(self, models: Sequence[NamedModel]) -> None:
        names = {model.name for model in models}
        unknown = [name for name in unpriced(self.config, self.prices) if name in names]
        if unknown or not any(model.price for model in models):
            name = unknown[0] if unknown else models[0].name
            raise ConfigError(
                f"a limit of the cost cannot be kept: {name} has no price; give it one: "
                "price=orchard.Price(input=…, output=…) (USD per million tokens)"
            )

    def check(self, cells: Sequence[Cell]) -> None:
        """Raises ``ConfigError`` where the models cannot do what ``cells`` need, and logs what is
        to be known of them."""
        check_able(cells, self.config.policies, self.connections.found)
        for name in dict.fromkeys(each.name for cell in cells for each in cell.policies):
            for remark in remarks(name, cells, self.connections.found):
                if (line := f"{name}: {remark}") not in self.warned:
                    self.warned.add(line)
                    LOG.warning("%s", line)

    def substitutes(self, cell: Cell) -> Substitutes:
        return substitutes(cell, self.config.policies, self.connections.found)

    def terms(self, policy: str, prm: str | None) -> Terms:
        """What requests to these models cost."""
        run = RunWide(prices=self.prices, one_per_request=self.connections.one_per_request)
        return Terms.of(run, policy, prm)

    def across(self, cell: Cell, question: Problem) -> AcrossModels:
        """What the trees of a cell across models ask."""
        run = RunWide(one_per_request=self.connections.one_per_request)
        nobody = Demand([], [question])
        return AcrossModels(
            policies={
                name: stack(self.policies[name], name=name, demand=nobody, run=run).policy
                for name in (each.name for each in cell.policies)
            },
            prms={
                name: stack_prm(self.prms[name], name=name, draws=nobody.draws, run=run).prm
                for name in (each.name for each in cell.prms)
            },
            terms=self.terms,
        )

    def ports(self, cell: Cell, question: Problem) -> Models:
        """What one tree asks, wrapped as a run of it alone would wrap it."""
        run = RunWide(one_per_request=self.connections.one_per_request)
        demand = Demand([cell], [question])
        policy, prm = cell.policy.name, cell.prm.name if cell.prm else None
        return Models(
            stack(self.policies[policy], name=policy, demand=demand, run=run),
            stack_prm(self.prms[prm], name=prm, draws=demand.draws, run=run) if prm else Unscored(),
        )


def _chosen(kind: str, name: str | None, known: Sequence[str]) -> str:
    """The model called ``name``, or the only one there is. Raises ``ConfigError``."""
    if name is None and len(known) == 1:
        return known[0]
    if not known:
        raise ConfigError(f"this search needs a {kind}: connect(…, {kind}=…)")
    if name is None or name not in known:
        raise ConfigError(f"name the {kind}, one of {', '.join(known)}: {kind}={known[0]!r}")
    return name
