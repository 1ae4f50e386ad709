"""Open models: what ``solve`` and ``evaluate`` are given."""

import logging
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TypeVar

from orchestrator.api.endpoints import PolicyEndpoint, PRMEndpoint, ServedModel
from orchestrator.config.endpoints import PolicyConfig, PRMConfig
from orchestrator.config.run import RunConfig
from orchestrator.core.budget import Limits, Price
from orchestrator.core.ports import PRM, Models, Policy, Strategy
from orchestrator.core.problem import Problem
from orchestrator.core.task import Task, opened
from orchestrator.endpoints.probing.probe import PolicyAbilities, PRMAbilities
from orchestrator.endpoints.transport.transport import Transport
from orchestrator.errors import ConfigError
from orchestrator.runs.plan import Cell, NamedModel, Substitutes
from orchestrator.runs.ports.sharing import Demand
from orchestrator.runs.ports.stack import RunWide, stack, stack_prm
from orchestrator.runs.search import Unscored
from orchestrator.strategies import CoT
from orchestrator.tasks.math.task import MathTask
from orchestrator.wiring.auto_cells import routed
from orchestrator.wiring.connect import Connections
from orchestrator.wiring.connect import connect as open_endpoints
from orchestrator.wiring.endpoint import PROBE_TIMEOUT_S, PROBING
from orchestrator.wiring.needs import check_able, remarks, substitutes
from orchestrator.wiring.prices import prices, unpriced
from orchestrator.wiring.serving import Address

LOG = logging.getLogger(__name__)

E = TypeVar("E", bound=ServedModel)
P = TypeVar("P")


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
        """One strategy under one policy and PRM, named where there are several, for one question.

        Raises ``ConfigError`` where the models cannot do what it needs.
        """
        policy = _chosen("policy", policy, list(self.policies))
        judge = _chosen("prm", prm, list(self.prms)) if "prm" in strategy.needs else None
        models = [
            NamedModel(name=name, price=self.prices.get(name)) for name in (policy, judge) if name
        ]
        if limits.cost is not None:
            self._check_priced(models)
        cell = Cell(
            task="question",
            policy=models[0],
            prm=models[1] if judge else None,
            strategy_name=type(strategy).__name__,
            strategy=strategy,
        )
        (cell,) = routed([cell], [question])
        self.check([cell])
        return cell

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
        for name in dict.fromkeys(cell.policy.name for cell in cells):
            for remark in remarks(name, cells, self.connections.found):
                if (line := f"{name}: {remark}") not in self.warned:
                    self.warned.add(line)
                    LOG.warning("%s", line)

    def substitutes(self, cell: Cell) -> Substitutes:
        return substitutes(cell, self.config.policies, self.connections.found)

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


@asynccontextmanager
async def connect(
    policy: str | PolicyEndpoint | Policy | Sequence[str | PolicyEndpoint | Policy],
    prm: PRMEndpoint | PRM | Sequence[PRMEndpoint | PRM] = (),
    *,
    task: Task | None = None,
) -> AsyncIterator[Connected]:
    """Open models and find out, with a few small requests, what their servers can do.

    A model is a URL, a description with more to say (``orchard.Policy``, ``orchard.PRM``), or a
    port of your own such as ``orchard.testing.FakePolicy()``; several are given as a list. The
    ``task`` words what they are asked and reads their answers: mathematics unless given. Leaving
    the block closes their connections.

    Raises ``ConfigError`` where a description cannot be right, ``EndpointUnavailable`` where
    nothing answers and ``EndpointRefused`` for a wrong key or model.
    """
    given: list[str | PolicyEndpoint | Policy] = _several(policy)
    served = [PolicyEndpoint(each) if isinstance(each, str) else each for each in given]
    judges: list[PRMEndpoint | PRM] = _several(prm)
    policies = _by_name([await _served(e) for e in served if isinstance(e, PolicyEndpoint)])
    prms = _by_name([await _served(e) for e in judges if isinstance(e, PRMEndpoint)])
    own_policies: dict[str, Policy] = _numbered(
        "policy", [e for e in served if not isinstance(e, PolicyEndpoint)]
    )
    own_prms: dict[str, PRM] = _numbered(
        "prm", [e for e in judges if not isinstance(e, PRMEndpoint)]
    )
    _check_apart([*policies, *prms, *own_policies, *own_prms])
    described = _described(
        {name: each.config() for name, each in policies.items()},
        {name: each.config() for name, each in prms.items()},
    )
    addresses = {
        name: Address(urls=tuple(each.urls), api_key=each.api_key)
        for name, each in (policies | prms).items()
    }
    async with AsyncExitStack() as stack:
        task = await stack.enter_async_context(opened(task or MathTask()))
        connections = await stack.enter_async_context(
            open_endpoints(
                described.policies,
                described.prms,
                task=task,
                addresses=addresses,
                cells=[_usual(name) for name in policies],
            )
        )
        charged = prices(described)
        for name in unpriced(described, charged):
            LOG.warning("%s has no price: its cost counts as 0 (give it a `price`)", name)
        yield Connected(
            connections=_with_own(connections, own_policies, own_prms),
            config=_described(
                described.policies | dict.fromkeys(own_policies, PolicyConfig.model_validate({})),
                described.prms | {name: _own_prm(port) for name, port in own_prms.items()},
            ),
            prices=charged,
            task=task,
        )


def _with_own(
    connections: Connections, policies: Mapping[str, Policy], prms: Mapping[str, PRM]
) -> Connections:
    """``connections`` with the ports of the caller, which can do all that a search may want."""
    return replace(
        connections,
        policies={**policies, **connections.policies},
        prms={**prms, **connections.prms},
        found={
            **connections.found,
            **dict.fromkeys(policies, PolicyAbilities(continuation="tokens")),
            **dict.fromkeys(prms, PRMAbilities()),
        },
    )


def _described(policies: Mapping[str, PolicyConfig], prms: Mapping[str, PRMConfig]) -> RunConfig:
    """Endpoints alone, as a config."""
    return RunConfig.model_construct(policies=dict(policies), prms=dict(prms))


def _own_prm(port: PRM) -> PRMConfig:
    """What a run directory says of a PRM that no server gives."""
    kind = type(port)
    return PRMConfig.model_validate({"family": f"{kind.__module__}:{kind.__qualname__}"})


def _usual(policy: str) -> Cell:
    """What is asked of a policy, as far as one can tell when it is connected: whole solutions."""
    return Cell(
        task="", policy=NamedModel(name=policy), prm=None, strategy_name="cot", strategy=CoT()
    )


def _several(given: P | Sequence[P]) -> list[P]:
    return list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]


def _by_name(models: Iterable[E]) -> dict[str, E]:
    """Raises ``ConfigError`` where two have one name."""
    named = [(model.name or str(model.model), model) for model in models]
    _check_apart([name for name, _ in named])
    return dict(named)


def _check_apart(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two models are called {name}: give one of them a `name` of its own")


def _numbered(kind: str, ports: Iterable[P]) -> dict[str, P]:
    """``policy``, ``policy-2`` …"""
    return {kind if i == 1 else f"{kind}-{i}": port for i, port in enumerate(ports, start=1)}


async def _served(model: E) -> E:
    """``model`` with its served name: that of the one model which its server lists.

    Raises ``ConfigError`` where it lists several, and ``EndpointError``.
    """
    if model.model is not None:
        return model
    config = model.config()
    if config.hosted is not None:
        raise ConfigError(f"{model.urls[0]} serves many models: name one with `model=`")
    endpoint = replace(
        config.endpoint("", (), model.api_key), retry=PROBING, timeout=PROBE_TIMEOUT_S
    )
    async with Transport(endpoint) as transport:
        listed = [card.id for card in (await transport.models(endpoint.bases[0])).data]
    if len(listed) != 1:
        raise ConfigError(
            f"{model.urls[0]} serves {', '.join(listed) or 'no model'}: name one with `model=`"
        )
    return replace(model, model=listed[0])
