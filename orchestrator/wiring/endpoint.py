"""One endpoint of a config: opened once, probed once, and the port that fits what it can do."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from orchestrator.config.endpoints import INSTRUCTED, EndpointConfig, PolicyConfig, PRMConfig
from orchestrator.core.ports import PRM, Policy
from orchestrator.core.task import Task
from orchestrator.endpoints.hosted.adapting import AdaptingSender
from orchestrator.endpoints.http.retry import RetryPolicy
from orchestrator.endpoints.http.sender import AiohttpSender, Sender
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
from orchestrator.runs.plan import Cell
from orchestrator.tasks.prompts import PROMPTS
from orchestrator.wiring.needs import context_needed, tokens_allowed
from orchestrator.wiring.serving import Address

if TYPE_CHECKING:
    from orchestrator.endpoints.hosted.sender import HostedSender

PROBING = RetryPolicy(attempts=2, longest_wait=1.0)
PROBE_TIMEOUT_S = 60.0
RUNNING = RetryPolicy(patience=120.0)
AWAITING_RESTART = RetryPolicy(patience=900.0)

Direct = Callable[[Endpoint], Sender]
"""What carries requests to a server that is no cloud's."""


def over_sockets(endpoint: Endpoint) -> Sender:
    return AiohttpSender(api_key=endpoint.api_key, timeout=endpoint.timeout)


@dataclass(slots=True, kw_only=True)
class Connection:
    """An open endpoint. Its probe says what was ``found``, and which port fits that: a ``policy``
    or a ``prm``.

    ``sender`` speaks to it, and remembers what it refuses. ``prms`` are what its PRM may be, by the
    route that a probe is to find. A policy is asked in the words of the ``task``; its context must
    hold as many tokens as are ``needed``, of which a sample has those ``allowed``.
    """

    name: str
    settings: EndpointConfig
    transport: Transport
    sender: "HostedSender | AdaptingSender"
    prms: Mapping[ScoringRoute, HttpPRM]
    task: Task
    needed: int
    allowed: int
    found: PolicyAbilities | PRMAbilities | None = None
    policy: Policy | None = None
    prm: PRM | None = None

    @classmethod
    async def open(
        cls,
        name: str,
        settings: EndpointConfig,
        address: Address,
        cells: Sequence[Cell],
        task: Task,
        direct: Direct,
        stack: AsyncExitStack,
        *,
        is_unnamed: bool = False,
    ) -> Self:
        """Open an endpoint for ``cells``, until ``stack`` is closed. A model that ``is_unnamed`` is
        the one that its server lists. Raises ``ConfigError`` and, for those, ``EndpointError``.
        """
        endpoint = replace(
            settings.endpoint(name, address.urls, address.api_key),
            retry=_retry(settings, address),
            checks_model=settings.hosted is None,
            is_alias=settings.hosted == "azure",
        )
        sender = _sender(name, settings, endpoint, direct)
        transport = await stack.enter_async_context(Transport(endpoint, sender))
        if is_unnamed:
            with transport.in_a_hurry(PROBING, PROBE_TIMEOUT_S):
                model = await transport.serve_only_model()
            settings = settings.model_copy(update={"model": model})
        is_prm = isinstance(settings, PRMConfig)
        return cls(
            name=name,
            settings=settings,
            transport=transport,
            sender=sender,
            prms=_prms(settings, transport, name) if isinstance(settings, PRMConfig) else {},
            task=task,
            needed=0 if is_prm else context_needed(name, cells),
            allowed=0 if is_prm else tokens_allowed(name, cells),
        )

    async def probe(self) -> None:
        """Find out what the endpoint can do, with little patience. Raises ``EndpointError``, led by
        its name."""
        try:
            with self.transport.in_a_hurry(PROBING, PROBE_TIMEOUT_S):
                can = await self._probed()
        except EndpointError as error:
            error.endpoint = self.name
            raise
        dialect = self.sender.dialect
        can = replace(can, refused=dialect.lacks, most_tokens=dialect.most_tokens)
        if isinstance(can, PRMAbilities):
            self.prm = self.prms[can.scored_by]
        else:
            can = replace(
                can,
                seed_honoured=can.seed_honoured and "seed" not in dialect.lacks,
                ends_told=can.ends_told and "stop" not in dialect.lacks,
            )
        self.found = can
        if isinstance(can, PolicyAbilities):
            self.policy = self.policy_for(self.task)

    def policy_for(self, task: Task) -> Policy:
        """The policy, once it is probed, asked in the words of ``task``."""
        assert isinstance(self.settings, PolicyConfig) and isinstance(self.found, PolicyAbilities)
        return _policy(self.settings, self.transport, self.found, task)

    async def _probed(self) -> PolicyAbilities | PRMAbilities:
        hosted = self.settings.hosted
        if self.prms:
            return await probe_prm(self.transport, self.prms, listed=hosted != "azure")
        if hosted is None:
            assert isinstance(self.settings, PolicyConfig)
            return await probe_policy(
                self.transport,
                separator=PROMPTS[self.settings.prompt].separator,  # type: ignore[index]
                by_ids=self.settings.continuation != "chat",
                needed=self.needed,
                allowed=self.allowed,
            )
        from orchestrator.endpoints.probing.hosted import probe_hosted

        return await probe_hosted(self.transport, hosted, allowed=self.allowed)


_CONTINUING: Mapping[str, type[HttpPolicy]] = {
    "tokens": TokenPolicy,
    "rendered": RenderedPolicy,
}
"""Policies by how they continue a solution; all others by an open chat message."""


def _policy(config: PolicyConfig, transport: Transport, can: PolicyAbilities, task: Task) -> Policy:
    family = PROMPTS[config.prompt]  # type: ignore[index]
    asking = family.asking(task.instruction)
    wished = config.continuation
    by = can.continuation if wished in ("auto", "chat") else wished
    if by == INSTRUCTED:
        return InstructedPolicy(
            transport,
            asking,
            family.separator,
            cuts_at=can.cuts_at,
            form=task.instruction.form,
            is_complete=task.is_complete,
        )
    over_chat = LedPolicy if can.trims else ChatPolicy
    kind = _CONTINUING.get(by or "", over_chat)
    return kind(transport, asking, family.separator, cuts_at=can.cuts_at)


def _retry(settings: EndpointConfig, address: Address) -> RetryPolicy:
    restarts = address.restarts and not settings.is_elsewhere
    retry = AWAITING_RESTART if restarts else RUNNING
    if (longest := settings.patience) is None:
        return retry
    return replace(retry, patience=longest, longest_retry_after=longest)


def _prms(config: PRMConfig, transport: Transport, name: str) -> Mapping[ScoringRoute, HttpPRM]:
    try:
        return prms_by_route(
            config.family, transport, running_minimum=config.running_minimum, **config.options
        )
    except ConfigError as error:
        raise ConfigError(f"prms.{name}.options: {error}") from None


def _sender(
    name: str, settings: EndpointConfig, endpoint: Endpoint, direct: Direct
) -> "HostedSender | AdaptingSender":
    """What speaks to a model. Raises ``ConfigError``."""
    dialect = settings.dialect()
    if settings.hosted is None:
        return AdaptingSender(direct(endpoint), dialect)
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
