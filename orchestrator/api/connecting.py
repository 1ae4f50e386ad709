"""From URLs, descriptions and ports of one's own to open models."""

import logging
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TypeVar

from orchestrator.api.connected import Connected
from orchestrator.api.endpoints import PolicyEndpoint, PRMEndpoint, ServedModel
from orchestrator.config.endpoints import PolicyConfig, PRMConfig
from orchestrator.config.run import RunConfig
from orchestrator.core.ports import PRM, Policy
from orchestrator.core.task import Task, opened
from orchestrator.endpoints.probing.probe import PolicyAbilities, PRMAbilities
from orchestrator.errors import ConfigError
from orchestrator.runs.plan import Cell, NamedModel
from orchestrator.strategies import CoT
from orchestrator.tasks.math.task import MathTask
from orchestrator.wiring.connect import Connections
from orchestrator.wiring.connect import connect as open_endpoints
from orchestrator.wiring.prices import prices, unpriced
from orchestrator.wiring.serving import Address

LOG = logging.getLogger(__name__)

E = TypeVar("E", bound=ServedModel)
P = TypeVar("P")


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
    policies = _by_name([each for each in served if isinstance(each, PolicyEndpoint)])
    prms = _by_name([each for each in judges if isinstance(each, PRMEndpoint)])
    own_policies: dict[str, Policy] = _numbered(
        "policy", [e for e in served if not isinstance(e, PolicyEndpoint)]
    )
    own_prms: dict[str, PRM] = _numbered(
        "prm", [e for e in judges if not isinstance(e, PRMEndpoint)]
    )
    _check_apart([*policies, *prms, *own_policies, *own_prms])
    _check_ports(own_policies, own_prms)
    async with AsyncExitStack() as stack:
        task = await stack.enter_async_context(opened(task or MathTask()))
        connections = await stack.enter_async_context(_opened(policies, prms, task))
        _check_apart([*connections.endpoints, *own_policies, *own_prms])
        described = _settings(connections)
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


@asynccontextmanager
async def _opened(
    policies: Mapping[str, PolicyEndpoint], prms: Mapping[str, PRMEndpoint], task: Task
) -> AsyncIterator[Connections]:
    """Open what servers give, each by its name; what has none is called by the model that its
    server lists."""
    models: dict[str, ServedModel] = {**policies, **prms}
    unnamed = [name for name, each in models.items() if each.model is None]
    for name in unnamed:
        if models[name].config().hosted is not None:
            raise ConfigError(f"{name} serves many models: name one with `model=`")
    connecting = open_endpoints(
        {name: each.config() for name, each in policies.items()},
        {name: each.config() for name, each in prms.items()},
        task=task,
        addresses={
            name: Address(urls=tuple(each.urls), api_key=each.api_key)
            for name, each in models.items()
        },
        cells=[_usual(name) for name in policies],
        unnamed=unnamed,
    )
    async with connecting as connections:
        names = {
            name: each.name or str(connections.endpoints[name].settings.model)
            for name, each in models.items()
        }
        _check_apart(list(names.values()))
        yield connections.renamed(names)


def _settings(connections: Connections) -> RunConfig:
    """The endpoints as a config would say them, by the names they have now."""
    settings = {name: each.settings for name, each in connections.endpoints.items()}
    return _described(
        {name: each for name, each in settings.items() if isinstance(each, PolicyConfig)},
        {name: each for name, each in settings.items() if isinstance(each, PRMConfig)},
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
            **dict.fromkeys(policies, PolicyAbilities(continuation="tokens", logprobs=True)),
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
    return Cell(task="", policies=(NamedModel(name=policy),), strategy_name="cot", strategy=CoT())


def _several(given: P | Sequence[P]) -> list[P]:
    return list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]


def _by_name(models: Iterable[E]) -> dict[str, E]:
    """What has no name yet goes by its URL. Raises ``ConfigError`` where two have one name."""
    named = [(model.name or model.model or model.urls[0], model) for model in models]
    _check_apart([name for name, _ in named])
    return dict(named)


def _check_apart(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two models are called {name}: give one of them a `name` of its own")


def _check_ports(policies: Mapping[str, Policy], prms: Mapping[str, PRM]) -> None:
    """Raises ``ConfigError`` for what is neither a description nor a port."""
    for policy in policies.values():
        if not hasattr(policy, "extend"):
            raise ConfigError(
                f"{policy!r} is no policy: give a URL, orchard.Policy(…) or an object with `extend`"
            )
    for prm in prms.values():
        if not hasattr(prm, "score"):
            raise ConfigError(
                f"{prm!r} is no PRM: give orchard.PRM(url, family=…) or an object with `score`"
            )


def _numbered(kind: str, ports: Iterable[P]) -> dict[str, P]:
    """``policy``, ``policy-2`` …"""
    return {kind if i == 1 else f"{kind}-{i}": port for i, port in enumerate(ports, start=1)}
