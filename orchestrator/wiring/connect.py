"""The models of a run, connected: every endpoint is opened once and probed once."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from types import MappingProxyType

from orchestrator.config.endpoints import EndpointConfig, PolicyConfig, PRMConfig
from orchestrator.core.budget import Price
from orchestrator.core.fanout import fan_out
from orchestrator.core.ports import PRM, Policy
from orchestrator.core.task import Task
from orchestrator.endpoints.admission.status import Status
from orchestrator.endpoints.probing.probe import PolicyAbilities
from orchestrator.errors import EndpointError
from orchestrator.runs.plan import Cell
from orchestrator.tasks.math.task import MathTask
from orchestrator.wiring.endpoint import Connection, Direct, over_sockets
from orchestrator.wiring.needs import Found
from orchestrator.wiring.serving import NOWHERE, Addresses

SERVED_BY_URL: Addresses = MappingProxyType({})
NO_PRICES: Mapping[str, Price] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """Open models, by name. ``found`` is what their endpoints were seen to do; ``failures`` say why
    some cannot be used, which are neither in ``found`` nor among the ports."""

    endpoints: Mapping[str, Connection]
    policies: Mapping[str, Policy]
    prms: Mapping[str, PRM]
    found: Found
    failures: Mapping[str, EndpointError]

    @property
    def one_per_request(self) -> frozenset[str]:
        """The policies whose servers give one sample a request."""
        return frozenset(
            name
            for name, can in self.found.items()
            if isinstance(can, PolicyAbilities) and not can.n
        )

    def renamed(self, names: Mapping[str, str]) -> "Connections":
        """The same models, each called ``names[name]``."""
        return Connections(
            endpoints={names[name]: each for name, each in self.endpoints.items()},
            policies={names[name]: each for name, each in self.policies.items()},
            prms={names[name]: each for name, each in self.prms.items()},
            found={names[name]: each for name, each in self.found.items()},
            failures={names[name]: each for name, each in self.failures.items()},
        )

    def statuses(self) -> dict[str, Status]:
        """What each endpoint is doing; may be called from any thread."""
        return {name: each.transport.status() for name, each in self.endpoints.items()}


@asynccontextmanager
async def connect(
    policies: Mapping[str, PolicyConfig],
    prms: Mapping[str, PRMConfig],
    *,
    task: Task | None = None,
    addresses: Addresses = SERVED_BY_URL,
    cells: Sequence[Cell] = (),
    prices: Mapping[str, Price] = NO_PRICES,
    pay: Callable[[float], None] | None = None,
    tolerant: bool = False,
    direct: Direct = over_sockets,
    unnamed: Collection[str] = (),
) -> AsyncIterator[Connections]:
    """Open each model and ask it for a little, so that ``cells`` that cannot run end before they
    begin. What the probe found stays with the connection: how solutions are continued, a PRM's
    route, what is refused, which replicas are down. The policies are asked in the words of the
    ``task``, mathematics unless given.

    ``addresses`` are those of servers of this run. ``pay`` is told what the probes cost at
    ``prices`` (USD), whether or not they came to an end. Where it is ``tolerant``, an endpoint that
    cannot be used is among the ``failures``. ``direct`` carries requests to servers that are no
    cloud's. The models of ``unnamed`` are those that their servers list alone. Raises
    ``ConfigError`` and, unless ``tolerant``, ``EndpointError``.
    """
    settings: dict[str, EndpointConfig] = {**policies, **prms}
    failures: dict[str, EndpointError] = {}

    async def probe(connection: Connection) -> None:
        try:
            await connection.probe()
        except EndpointError as error:
            if not tolerant:
                raise
            failures[connection.name] = error

    async with AsyncExitStack() as stack:
        endpoints = {
            name: await Connection.open(
                name, each, addresses.get(name, NOWHERE), cells, task or MathTask(), direct, stack,
                is_unnamed=name in unnamed,
            )
            for name, each in settings.items()
        }  # fmt: skip
        try:
            await fan_out(probe(each) for each in endpoints.values())
        finally:
            if pay is not None:
                used = {name: asdict(each.transport.used) for name, each in endpoints.items()}
                pay(sum(prices[name].cost(**used[name]) for name in used if name in prices))
        yield Connections(
            endpoints=endpoints,
            policies={n: each.policy for n, each in endpoints.items() if each.policy is not None},
            prms={n: each.prm for n, each in endpoints.items() if each.prm is not None},
            found={n: each.found for n, each in endpoints.items() if each.found is not None},
            failures=failures,
        )
