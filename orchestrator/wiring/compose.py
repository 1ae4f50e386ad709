"""The composition root: from a config to the ports, problems and plan of a run.

The modules beside this one may see every package, the servers among them; the packages may not.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from orchestrator.config.endpoints import INSTRUCTED, EndpointConfig, PolicyConfig, PRMConfig
from orchestrator.config.run import RunConfig
from orchestrator.core.budget import Bill
from orchestrator.core.fanout import fan_out
from orchestrator.core.ports import Policy
from orchestrator.endpoints.hosted.adapting import AdaptingSender
from orchestrator.endpoints.hosted.clouds import HostedAPI
from orchestrator.endpoints.http.retry import RetryPolicy
from orchestrator.endpoints.http.sender import AiohttpSender
from orchestrator.endpoints.policies.emulated_continuation import InstructedPolicy
from orchestrator.endpoints.policies.http_policy import ChatPolicy, HttpPolicy, TokenPolicy
from orchestrator.endpoints.policies.led import LedPolicy
from orchestrator.endpoints.policies.rendered import RenderedPolicy
from orchestrator.endpoints.prm import HttpPRM, ScoringRoute, prms_by_route
from orchestrator.endpoints.probing.probe import (
    PolicyAbilities,
    PRMAbilities,
    probe_policy,
    probe_prm,
)
from orchestrator.endpoints.transport.transport import Endpoint, Transport
from orchestrator.errors import ConfigError, EndpointError
from orchestrator.runs.plan import Cell, Ports
from orchestrator.tasks.math.grader import MathGrader
from orchestrator.tasks.prompts import PROMPTS
from orchestrator.wiring.needs import Found, context_needed, substitutes, tokens_allowed
from orchestrator.wiring.prices import prices
from orchestrator.wiring.problem_sets import CHAINS, chain_is_sound
from orchestrator.wiring.serving import NOWHERE, Addresses

if TYPE_CHECKING:
    from orchestrator.endpoints.hosted.sender import HostedSender

PROBING = RetryPolicy(attempts=2, longest_wait=1.0)
RUNNING = RetryPolicy(patience=120.0)
AWAITING_RESTART = RetryPolicy(patience=900.0)


@dataclass(slots=True, kw_only=True)
class Connection:
    """One endpoint of a run: its transport, and the port built on it.

    ``prms`` are what its PRM may be, by the route that a probe is to find.
    ``hosted`` is the API of the cloud that serves it, and ``sender`` what speaks to it, and knows
    what it refuses. A policy's context must hold as many tokens as are ``needed``,
    of which a sample has those ``allowed``.
    """

    name: str
    settings: EndpointConfig
    transport: Transport
    sender: "HostedSender | AdaptingSender"
    policy: Policy | None = None
    prms: Mapping[ScoringRoute, HttpPRM] = field(default_factory=dict)
    prm: HttpPRM | None = None
    hosted: HostedAPI | None = None
    needed: int = 0
    allowed: int = 0

    async def probe(self) -> PolicyAbilities | PRMAbilities:
        """What the endpoint can do. Raises ``EndpointError``, led by its name."""
        try:
            can = await self._probed()
        except EndpointError as error:
            error.endpoint = self.name
            raise
        dialect = self.sender.dialect
        if isinstance(can, PolicyAbilities):
            can = replace(
                can,
                seed_honoured=can.seed_honoured and "seed" not in dialect.lacks,
                ends_told=can.ends_told and "stop" not in dialect.lacks,
            )
        return replace(can, refused=dialect.lacks, most_tokens=dialect.most_tokens)

    async def _probed(self) -> PolicyAbilities | PRMAbilities:
        if self.prms:
            return await probe_prm(self.transport, self.prms, listed=self.hosted != "azure")
        if self.hosted is None:
            assert isinstance(self.settings, PolicyConfig)
            return await probe_policy(
                self.transport,
                separator=PROMPTS[self.settings.prompt].separator,  # type: ignore[index]
                by_ids=self.settings.continuation != "chat",
                needed=self.needed,
                allowed=self.allowed,
            )
        from orchestrator.endpoints.probing.hosted import probe_hosted

        return await probe_hosted(self.transport, self.hosted, allowed=self.allowed)


_CONTINUING: Mapping[str, type[HttpPolicy]] = {
    "tokens": TokenPolicy,
    "rendered": RenderedPolicy,
    INSTRUCTED: InstructedPolicy,
}
"""Policies by how they continue a solution; all others by an open chat message."""


def _policy(config: PolicyConfig, transport: Transport, can: PolicyAbilities) -> Policy:
    family = PROMPTS[config.prompt]  # type: ignore[index]
    wished = config.continuation
    by = can.continuation if wished in ("auto", "chat") else wished
    over_chat = LedPolicy if can.trims else ChatPolicy
    kind = _CONTINUING.get(by or "", over_chat)
    return kind(transport, family.messages, family.separator, cuts_at=can.cuts_at)


def _prms(config: PRMConfig, transport: Transport, name: str) -> Mapping[ScoringRoute, HttpPRM]:
    try:
        return prms_by_route(
            config.family, transport, running_minimum=config.running_minimum, **config.options
        )
    except ConfigError as error:
        raise ConfigError(f"prms.{name}.options: {error}") from None


def _sender(
    name: str,
    settings: EndpointConfig,
    endpoint: Endpoint,
    can: PolicyAbilities | PRMAbilities | None,
) -> "HostedSender | AdaptingSender":
    """What speaks to a model, with what is known of it. Raises ``ConfigError``."""
    dialect = settings.dialect(can.refused, can.most_tokens) if can else settings.dialect()
    if settings.hosted is None:
        direct = AiohttpSender(api_key=endpoint.api_key, timeout=endpoint.timeout)
        return AdaptingSender(direct, dialect)
    from orchestrator.endpoints.hosted.sender import HostedSender  # the SDK imports for 0.25 s

    if settings.hosted == "azure" and settings.api_version is None:
        raise ConfigError(
            f"{name} is on Azure and needs the `api_version` of its deployment, for example "
            "`api_version: 2025-03-01-preview`; or write its newer URL, https://…/openai/v1"
        )
    return HostedSender(
        endpoint.urls,
        api=settings.hosted,
        api_key=endpoint.api_key,
        api_version=settings.api_version,
        timeout=endpoint.timeout,
        dialect=dialect,
    )


@asynccontextmanager
async def connections(
    config: RunConfig,
    addresses: Addresses,
    found: Found | None = None,
    cells: Sequence[Cell] = (),
) -> AsyncIterator[list[Connection]]:
    """Every endpoint of a config, open; policies as far as ``found`` says what they can do.

    Without it all that is to be done with them is to find that out, with little patience, as far
    as ``cells`` ask for it.
    Raises ``ConfigError``.
    """

    async def open_one(name: str, settings: EndpointConfig) -> Connection:
        address = addresses.get(name, NOWHERE)
        endpoint = settings.endpoint(name, address.urls, address.api_key)
        if found is None:
            endpoint = replace(endpoint, retry=PROBING, timeout=min(60.0, endpoint.timeout))
        else:
            restarts = address.restarts and not settings.is_elsewhere
            retry = AWAITING_RESTART if restarts else RUNNING
            if (longest := settings.patience) is not None:
                retry = replace(retry, patience=longest, longest_retry_after=longest)
            endpoint = replace(endpoint, retry=retry)
        sender = _sender(name, settings, endpoint, (found or {}).get(name))
        endpoint = replace(
            endpoint,
            checks_model=settings.hosted is None,
            is_alias=settings.hosted == "azure",
        )
        transport = await stack.enter_async_context(Transport(endpoint, sender))
        connection = Connection(
            name=name,
            settings=settings,
            transport=transport,
            hosted=settings.hosted,
            sender=sender,
            needed=context_needed(name, cells),
            allowed=tokens_allowed(name, cells),
        )
        if isinstance(settings, PRMConfig):
            connection.prms = _prms(settings, transport, name)
            if isinstance(seen := (found or {}).get(name), PRMAbilities):
                connection.prm = connection.prms[seen.scored_by]
            return connection
        assert isinstance(settings, PolicyConfig)
        can = (found or {}).get(name)
        if isinstance(can, PolicyAbilities):
            connection.policy = _policy(settings, transport, can)
        return connection

    async with AsyncExitStack() as stack:
        named = [*config.policies.items(), *config.prms.items()]
        yield [await open_one(name, settings) for name, settings in named]


async def probe_all(
    config: RunConfig,
    addresses: Addresses,
    pay: Callable[[float], None] | None = None,
    cells: Sequence[Cell] = (),
) -> Found:
    """Ask every endpoint for a little, so that a run of ``cells`` that cannot work ends before it
    begins.

    ``pay`` is told what that cost (USD), whether or not it came to an end. Raises ``ConfigError``
    or ``EndpointError``.
    """
    async with connections(config, addresses, cells=cells) as opened:
        try:
            found = await fan_out(connection.probe() for connection in opened)
        finally:
            if pay is not None:
                charged, used = prices(config), {c.name: c.transport.used for c in opened}
                pay(sum(price.cost(**asdict(used[name])) for name, price in charged.items()))
    return {connection.name: can for connection, can in zip(opened, found, strict=True)}


@asynccontextmanager
async def open_ports(
    config: RunConfig,
    addresses: Addresses,
    found: Found,
    cells: Sequence[Cell],
    *,
    paid: float = 0.0,
) -> AsyncIterator[Ports]:
    """The ports of a run of ``cells``, over HTTP; it has ``paid`` so many USD before.

    Raises ``ConfigError``.
    """
    async with connections(config, addresses, found) as opened, MathGrader() as grader:
        yield Ports(
            policies={c.name: c.policy for c in opened if c.policy is not None},
            prms={c.name: c.prm for c in opened if c.prm is not None},
            grader=grader,
            soundness=chain_is_sound if config.task.name == CHAINS else None,
            one_per_request=frozenset(
                name
                for name, can in found.items()
                if isinstance(can, PolicyAbilities) and not can.n
            ),
            substitutes={cell.id: substitutes(cell, config, found) for cell in cells},
            bill=Bill(config.budget.cost, paid),
            statuses=lambda: {c.name: c.transport.status() for c in opened},
        )
