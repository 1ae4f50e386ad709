"""The composition root: from a config to the ports, problems and plan of a run.

The modules beside this one may see every package, the servers among them; the packages may not.
"""

import importlib.metadata
import os
import platform
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from orchestrator import __version__
from orchestrator.config import RunConfig
from orchestrator.core.budget import Bill, Price
from orchestrator.core.fanout import fan_out
from orchestrator.core.ports import Policy
from orchestrator.endpoint_config import INSTRUCTED, EndpointConfig, PolicyConfig, PRMConfig
from orchestrator.endpoints.hosted.clouds import HostedAPI
from orchestrator.endpoints.hosted.dialect import Dialect
from orchestrator.endpoints.hosted.instructed import InstructedPolicy
from orchestrator.endpoints.policy import ChatPolicy, TokenPolicy
from orchestrator.endpoints.prm import PRM_FAMILIES, HttpPRM
from orchestrator.endpoints.probe import (
    PolicyAbilities,
    PRMAbilities,
    probe_policy,
    probe_prm,
)
from orchestrator.endpoints.retry import RetryPolicy
from orchestrator.endpoints.transport import Endpoint, Transport
from orchestrator.errors import ConfigError, EndpointError
from orchestrator.prices import PriceConfig, read_prices
from orchestrator.problem_sets import CHAINS, chain_is_sound, problems
from orchestrator.reading import shipped_config
from orchestrator.report.headline import HeadlineSpec
from orchestrator.routing import routed
from orchestrator.runs.plan import Cell, Plan, Ports, Substitutes
from orchestrator.runs.wrappers import BilledPolicy, BilledPRM
from orchestrator.sections import nearest
from orchestrator.serving import NOWHERE, Addresses
from orchestrator.strategies import STRATEGIES
from orchestrator.strategies.settings import Stepwise
from orchestrator.tasks.grader import MathGrader
from orchestrator.tasks.prompts import PROMPTS

if TYPE_CHECKING:
    from orchestrator.endpoints.hosted.sender import HostedSender

NAMES_OF = {strategy: name for name, strategy in STRATEGIES.items()}

PROBING = RetryPolicy(attempts=2, longest_wait=1.0)
RUNNING = RetryPolicy(patience=120.0)
AWAITING_RESTART = RetryPolicy(patience=900.0)


def prices(config: RunConfig) -> dict[str, Price]:
    """What each policy and PRM charges, by its name, of those that have a price.

    Raises ``ConfigError`` where a price is not in the table, or a limit of the cost could not be
    kept because what a hosted model charges is unknown.
    """
    table = read_prices(config.prices or shipped_config("prices.yaml"))
    found = {}
    for name, endpoint in (config.policies | config.prms).items():
        if isinstance(endpoint.price, PriceConfig):
            price: Price | None = endpoint.price.price()
        elif endpoint.price is not None:
            price = table.of(endpoint.price)
            if price is None:
                raise ConfigError(
                    f"{name}: no price is named {endpoint.price!r}: "
                    f"{nearest(endpoint.price, list(table.models))}"
                )
        else:
            price = table.of(endpoint.model or name)
        if price is not None:
            found[name] = price
    if config.budget.cost is not None or config.problem_budget.cost is not None:
        unknown = unpriced(config, found)
        if unknown or not found:
            raise ConfigError(
                "a limit of the cost cannot be kept: "
                + (f"{unknown[0]} has no price" if unknown else "no model of this run has a price")
                + "; write `price: {input: …, output: …}` (USD per million tokens) beside its model"
            )
    return found


def unpriced(config: RunConfig, found: Mapping[str, Price]) -> list[str]:
    """The hosted policies and PRMs that no price is known of."""
    named = (config.policies | config.prms).items()
    return [name for name, endpoint in named if endpoint.hosted and name not in found]


def plan(config: RunConfig) -> Plan:
    """What is to be run. Raises ``ConfigError`` or ``TaskError``."""
    found = problems(config)
    return Plan(
        problems=found,
        cells=routed(config.build_cells(prices(config)), found),
        seed=config.seed,
        trees=config.trees,
        limits=config.budget.limits(),
        problem_limits=config.problem_budget.limits(),
        on_failed_branch=config.on_failed_branch,  # type: ignore[arg-type]
    )


def headline(config: RunConfig) -> HeadlineSpec | None:
    return HeadlineSpec(**config.headline.model_dump()) if config.headline else None


@dataclass(slots=True, kw_only=True)
class Connection:
    """One endpoint of a run: its transport, and the port built on it.

    ``hosted`` is the API of the cloud that serves it, and ``sender`` what speaks it.
    """

    name: str
    transport: Transport
    policy: Policy | None = None
    prm: HttpPRM | None = None
    hosted: HostedAPI | None = None
    sender: "HostedSender | None" = None

    async def probe(self) -> PolicyAbilities | PRMAbilities:
        """What the endpoint can do. Raises ``EndpointError``, led by its name."""
        try:
            if self.prm is not None:
                can = await probe_prm(self.transport, self.prm, listed=self.hosted != "azure")
                if self.sender is None:
                    return can
                dialect = self.sender.dialect
                return replace(can, refused=dialect.refused, most_tokens=dialect.most_tokens)
            if self.sender is not None and self.hosted is not None:
                from orchestrator.endpoints.hosted.probing import probe_hosted

                return await probe_hosted(self.transport, self.sender, self.hosted)
            return await probe_policy(self.transport)
        except EndpointError as error:
            error.endpoint = self.name
            raise


Found = Mapping[str, PolicyAbilities | PRMAbilities]
"""What each endpoint can do, by its name in the config."""


def _policy(config: PolicyConfig, transport: Transport, can: PolicyAbilities) -> Policy:
    continuation = can.continuation if config.continuation == "auto" else config.continuation
    family = PROMPTS[config.prompt]  # type: ignore[index]
    kind = {"tokens": TokenPolicy, INSTRUCTED: InstructedPolicy}.get(continuation or "", ChatPolicy)
    return kind(transport, family.messages, family.separator)


def _prm(config: PRMConfig, transport: Transport, name: str) -> HttpPRM:
    try:
        return PRM_FAMILIES[config.family](
            transport=transport, running_minimum=config.running_minimum, **config.options
        )
    except ConfigError as error:
        raise ConfigError(f"prms.{name}.options: {error}") from None


def _hosted_sender(
    name: str,
    settings: EndpointConfig,
    endpoint: Endpoint,
    can: PolicyAbilities | PRMAbilities | None,
) -> "HostedSender | None":
    """What speaks to a hosted model, with what is known of it; None for a server of one's own."""
    if settings.hosted is None:
        return None
    from orchestrator.endpoints.hosted.sender import HostedSender  # the SDK imports for 0.25 s

    if settings.hosted == "azure" and settings.api_version is None:
        raise ConfigError(
            f"{name} is on Azure and needs the `api_version` of its deployment, for example "
            "`api_version: 2025-03-01-preview`; or write its newer URL, https://…/openai/v1"
        )
    dialect = Dialect(refused=can.refused, most_tokens=can.most_tokens) if can else None
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
    config: RunConfig, addresses: Addresses, found: Found | None = None
) -> AsyncIterator[list[Connection]]:
    """Every endpoint of a config, open; policies as far as ``found`` says what they can do.

    Without it all that is to be done with them is to find that out, with little patience.
    Raises ``ConfigError``.
    """

    async def open_one(name: str, settings: EndpointConfig) -> Connection:
        address = addresses.get(name, NOWHERE)
        endpoint = settings.endpoint(name, address.urls, address.api_key)
        if found is None:
            endpoint = replace(endpoint, retry=PROBING, timeout=min(60.0, endpoint.timeout))
        elif address.restarts and not settings.is_elsewhere:
            endpoint = replace(endpoint, retry=AWAITING_RESTART)
        else:
            endpoint = replace(endpoint, retry=RUNNING)
        sender = _hosted_sender(name, settings, endpoint, (found or {}).get(name))
        endpoint = replace(endpoint, checks_model=sender is None)
        transport = await stack.enter_async_context(Transport(endpoint, sender))
        connection = Connection(
            name=name, transport=transport, hosted=settings.hosted, sender=sender
        )
        if isinstance(settings, PRMConfig):
            connection.prm = _prm(settings, transport, name)
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
    config: RunConfig, addresses: Addresses, pay: Callable[[float], None] | None = None
) -> Found:
    """Ask every endpoint for a little, so that a run that cannot work ends before it begins.

    ``pay`` is told what that cost (USD), whether or not it came to an end. Raises ``ConfigError``
    or ``EndpointError``.
    """
    async with connections(config, addresses) as opened:
        try:
            found = await fan_out(connection.probe() for connection in opened)
        finally:
            if pay is not None:
                charged, used = prices(config), {c.name: c.transport.used for c in opened}
                pay(sum(price.cost(**asdict(used[name])) for name, price in charged.items()))
    return {connection.name: can for connection, can in zip(opened, found, strict=True)}


def check_able(cells: Sequence[Cell], config: RunConfig, found: Found) -> None:
    """Raises ``ConfigError`` where a cell asks of its policy what its server cannot do."""
    for cell in cells:
        can, settings = found[cell.policy.name], config.policies[cell.policy.name]
        assert isinstance(can, PolicyAbilities)
        if settings.continuation == "tokens" and can.continuation != "tokens":
            raise ConfigError(
                f"the server of {cell.policy.name} does not return token ids: leave its "
                "`continuation` out, or set `continuation: chat`"
            )
        stepwise = [each for each in cell.searches if isinstance(each, Stepwise)]
        if not stepwise or settings.continuation == INSTRUCTED:
            continue
        name = cell.strategy_name
        if not isinstance(cell.strategy, Stepwise):
            name += f" (which may come to {NAMES_OF[type(stepwise[0])]})"
        lacks = (
            "cannot go on with a solution (neither by token ids nor by an open chat message)"
            if can.continuation is None and settings.continuation == "auto"
            else "does not tell whether a stop string or the end of the answer ended a step"
            if not can.ends_told
            else None
        )
        if lacks and settings.hosted:
            raise ConfigError(
                f"{cell.policy.name} is hosted and {lacks}, as {name} needs: use "
                "cot, majority or best_of_n, or have it emulated with `continuation: instructed`, "
                "which the results then say"
            )
        if lacks:
            raise ConfigError(
                f"the server of {cell.policy.name} {lacks}, as {name} needs: use "
                "cot, majority or best_of_n, or serve it with vLLM"
            )


IN_VAIN = ("temperature", "top_p", "seed", "stop")
"""Parameters without which an answer is not the one that was asked for."""


def substitutes(cell: Cell, config: RunConfig, found: Found) -> Substitutes:
    """What stands in for what the endpoint of a cell's policy cannot do, as far as it needs it."""
    can, settings = found[cell.policy.name], config.policies[cell.policy.name]
    assert isinstance(can, PolicyAbilities)
    stepwise = any(isinstance(each, Stepwise) for each in cell.searches)
    asked = [can, found.get(cell.prm.name) if cell.prm else None]
    emulated = {
        "model": any(each is not None and each.simulated for each in asked),
        "n": not can.n and cell.weight > 1,
        "continuation": stepwise and settings.continuation == INSTRUCTED,
    }
    needed = [each for each in IN_VAIN if stepwise or each != "stop"]
    return Substitutes(
        emulated=tuple(each for each, is_used in emulated.items() if is_used),
        refused=tuple(each for each in needed if each in can.refused),
    )


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
    charged, bill = prices(config), Bill(config.budget.cost, paid)
    async with connections(config, addresses, found) as opened, MathGrader() as grader:
        yield Ports(
            policies={
                c.name: BilledPolicy(c.policy, charged[c.name], bill)
                if c.name in charged
                else c.policy
                for c in opened
                if c.policy is not None
            },
            prms={
                c.name: BilledPRM(c.prm, charged[c.name], bill) if c.name in charged else c.prm
                for c in opened
                if c.prm is not None
            },
            grader=grader,
            soundness=chain_is_sound if config.task.name == CHAINS else None,
            one_a_request=frozenset(
                name
                for name, can in found.items()
                if isinstance(can, PolicyAbilities) and not can.n
            ),
            substitutes={cell.id: substitutes(cell, config, found) for cell in cells},
            bill=bill,
            statuses=lambda: {c.name: c.transport.status() for c in opened},
        )


def versions() -> dict[str, object]:
    """What a run was made with."""
    packages = (
        "aiohttp",
        "openai",
        "msgspec",
        "math-verify",
        "sympy",
        "torch",
        "transformers",
        "numpy",
    )
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "orchard": __version__,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "packages": found,
    }
