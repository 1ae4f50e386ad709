"""What a run consists of: cells, each a strategy with its policy and PRM."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from orchestrator.core.budget import Bill, Limits, Price
from orchestrator.core.ports import PRM, Policy, Strategy
from orchestrator.core.problem import Problem
from orchestrator.core.task import Task
from orchestrator.core.voting import BY_CONFIDENCE, BY_SCORES, Majority, Vote
from orchestrator.optimal.routing.across import RoutingAcross
from orchestrator.optimal.routing.mixed import MixedRouting
from orchestrator.optimal.routing.routed import Routing, strategy_of
from orchestrator.runs.ports.branches import OnFailedBranch
from orchestrator.strategies.building import settings_of
from orchestrator.strategies.traits import traits


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedModel:
    """A policy or PRM by the name the config gives it; ``parameters`` and ``price`` where known."""

    name: str
    parameters: int | None = None
    price: Price | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One strategy under one policy and PRM, over the first ``problems`` ones (None: all).

    With a ``routing`` each problem's strategy is decided by it. ``own_votes`` of the user are
    taken beside the usual ones. Only ``auto`` has several policies or PRMs: a problem then goes
    from model to model by the plan of ``across``.
    """

    task: str
    policies: tuple[NamedModel, ...]
    prms: tuple[NamedModel, ...] = ()
    strategy_name: str
    strategy: Strategy
    problems: int | None = None
    routing: Routing | None = None
    across: RoutingAcross | MixedRouting | None = None
    own_votes: tuple[Vote, ...] = ()

    @property
    def policy(self) -> NamedModel:
        """The policy. Of several it has their names, and no size or price."""
        return _joined(self.policies)

    @property
    def prm(self) -> NamedModel | None:
        """The PRM, None where there is none. Of several it has their names, and no size or
        price."""
        return _joined(self.prms) if self.prms else None

    @property
    def models(self) -> tuple[NamedModel, ...]:
        """All its policies and PRMs."""
        return *self.policies, *self.prms

    @property
    def spans_models(self) -> bool:
        """Whether it has several policies or PRMs."""
        return len(self.policies) > 1 or len(self.prms) > 1

    @property
    def votes(self) -> tuple[Vote, ...]:
        """Every vote its leaves can cast; they cost nothing beside the search itself."""
        needs = self.strategy.needs
        by_scores = BY_SCORES if "prm" in needs else ()
        by_confidence = BY_CONFIDENCE if "logprobs" in needs else ()
        return Majority(), *by_scores, *by_confidence, *self.own_votes

    @property
    def searches(self) -> list[Strategy]:
        """Every search that its problems may run: its strategy, or those that its routing chooses
        from, and their fallbacks."""
        if self.across is not None:
            return [each for policy in self.policies for each in self.searches_of(policy.name)]
        if self.routing is not None:
            return _with_fallbacks([strategy_of(arm) for arm in self.routing.arms])
        return _with_fallbacks([self.strategy])

    def searches_of(self, policy: str) -> list[Strategy]:
        """Those that the policy of this name may run; none if it is not one of the cell's."""
        if policy not in {each.name for each in self.policies}:
            return []
        if self.across is not None:
            return _with_fallbacks(self.across.searches_of(policy))
        return self.searches

    @property
    def weight(self) -> int:
        """How much work one of its problems is, in solutions: what is left of a run goes by it."""
        auto = traits(self.strategy).auto
        return auto.fallback_n if auto else self.strategy.n

    @property
    def cap(self) -> float | None:
        """What its problems may use together, where they share a pool."""
        auto = traits(self.strategy).auto
        return auto.cap if auto else None

    @property
    def settings(self) -> dict[str, Any]:
        """What its strategy is set to, without what is left off; the paper's rules go unnamed."""
        return _set(settings_of(self.strategy))

    @property
    def id(self) -> str:
        """Names the cell by everything that makes its results, for example
        ``policy-160k+prm-qwen/beam_search-n16-width4-…``. The cap of a pool does not: another only
        ends the same trees earlier or later."""
        policies, prms = (",".join(m.name for m in each) for each in (self.policies, self.prms))
        models = policies + (f"+{prms}" if prms else "")
        named = {k: v for k, v in self.settings.items() if k != "budget" or self.cap is None}
        settings = "-".join(f"{key}{_flat(value)}" for key, value in named.items())
        return f"{models}/{self.strategy_name}-{re.sub(r'[^A-Za-z0-9._=-]', '_', settings)}"


def _joined(models: Sequence[NamedModel]) -> NamedModel:
    if len(models) == 1:
        return models[0]
    return NamedModel(name=", ".join(model.name for model in models))


def _with_fallbacks(searches: Sequence[Strategy]) -> list[Strategy]:
    return [*searches, *(fallback for each in searches for fallback in traits(each).fallbacks)]


def _set(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _set(each) if isinstance(each, Mapping) else each
        for key, each in fields.items()
        if each is not None and (key, each) != ("rules", "paper")
    }


def _flat(setting: Any) -> str:
    if not isinstance(setting, Mapping):
        return str(setting)
    return "".join(f".{key}{value}" for key, value in setting.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Substitutes:
    """What stands in for what a policy's endpoint cannot do: see ``Record``."""

    emulated: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


class EndpointStatus(Protocol):
    """What an endpoint is doing, as ``str`` says in a few words; ``waits_for`` says why nothing
    goes out to it, where nothing does."""

    @property
    def waits_for(self) -> str | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The outside world of a run, injected.

    ``one_per_request`` names the policies whose server gives one sample a request. ``substitutes``
    are by the cell's id. ``bill`` keeps the limit on what the models are paid, in money.
    ``statuses`` tells what each endpoint is doing, by its name, and may be called from any thread.
    """

    policies: dict[str, Policy]
    prms: dict[str, PRM]
    task: Task
    one_per_request: frozenset[str] = frozenset()
    substitutes: dict[str, Substitutes] = field(default_factory=dict)
    bill: Bill = field(default_factory=Bill)
    statuses: Callable[[], Mapping[str, EndpointStatus]] = dict


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything to be run: cells in order, over the same problems.

    ``trees`` are in flight at once; ``limits`` bound the whole run, ``problem_limits`` each tree.
    ``on_failed_branch`` says what becomes of a tree when one of its requests fails for good.
    """

    problems: list[Problem]
    cells: list[Cell]
    seed: int = 0
    trees: int = 128
    limits: Limits = field(default_factory=Limits)
    problem_limits: Limits = field(default_factory=Limits)
    on_failed_branch: OnFailedBranch = "drop"
