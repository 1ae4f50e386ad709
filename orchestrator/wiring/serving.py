"""The servers of a run: reuse those that are up, start the others and stop them after it."""

import asyncio
import importlib.util
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.config.endpoints import EndpointConfig
from orchestrator.config.fleets import FleetConfig, ModelConfig
from orchestrator.config.run import RunConfig
from orchestrator.config.sections import nearest
from orchestrator.core.fanout import fan_out
from orchestrator.errors import ConfigError, ServerError

if TYPE_CHECKING:
    from servers.fleet.state import FleetState


_LOOK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """The URLs of one endpoint's replicas, in order.

    ``restarts``: a replica that dies comes back on the same URL, so requests wait for it.
    """

    urls: tuple[str, ...]
    api_key: str | None = field(default=None, repr=False)
    restarts: bool = False


NOWHERE = Address(urls=())

Addresses = Mapping[str, Address]
"""Addresses by the endpoint's name in the config."""

OnChange = Callable[["FleetState"], None]


@contextmanager
def started_servers(
    config: RunConfig, logs: Path, on_change: OnChange | None = None
) -> Iterator[Addresses]:
    """Serve the endpoints that have no ``url`` while the block runs.

    ``on_change`` is called while a fleet starts. Raises ``ConfigError`` and ``ServerError``.
    """
    endpoints: dict[str, EndpointConfig] = {**config.policies, **config.prms}
    wanted = {name: each.model or name for name, each in endpoints.items() if not each.is_elsewhere}
    if not wanted:
        yield {}
    elif config.servers.tiny is not None:
        with _tiny(wanted, config.servers.tiny.replicas, logs) as addresses:
            yield addresses
    elif config.servers.fleet is not None:
        with _fleet(config.servers.fleet, config.models, wanted, on_change) as addresses:
            yield addresses
    else:
        yield {}


@contextmanager
def _tiny(wanted: Mapping[str, str], replicas: int, logs: Path) -> Iterator[Addresses]:
    needed = ("jinja2", "safetensors", "tokenizers", "torch", "transformers")
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"the embedded models need {', '.join(missing)}: pip install 'orchard-tts[tiny]'"
        )
    from servers.tiny.launch import Spec, TinyServerError, serve
    from servers.tiny.shipped import shipped_models

    shipped = shipped_models()
    if unknown := sorted(set(wanted.values()) - shipped.keys()):
        raise ConfigError(
            f"no embedded model is named {unknown[0]!r}: {nearest(unknown[0], list(shipped))}; "
            "a model served elsewhere needs its `url`"
        )
    spec = Spec(models={name: shipped[name] for name in sorted(set(wanted.values()))})
    with ExitStack() as stack:
        try:
            servers = stack.enter_context(serve(*[spec] * replicas, logs=logs))
        except TinyServerError as error:
            raise ServerError(f"{error.reason}: {_last_line(error.log)}") from error
        address = Address(urls=tuple(server.url for server in servers))
        yield dict.fromkeys(wanted, address)


@contextmanager
def _fleet(
    fleet: FleetConfig,
    models: dict[str, ModelConfig],
    wanted: Mapping[str, str],
    on_change: OnChange | None,
) -> Iterator[Addresses]:
    from orchestrator.wiring.fleets import fleet_spec, planned, ready_to_load
    from servers.fleet import launch
    from servers.fleet.spec import FleetError

    spec = fleet_spec(fleet, models)
    services = {service.model.name: service.name for service in spec.services}
    if strange := sorted(set(wanted.values()) - services.keys()):
        raise ConfigError(
            f"fleet {fleet.name} does not serve {strange[0]!r}: "
            f"{nearest(strange[0], list(services))}; a model served elsewhere needs its `url`"
        )
    with ExitStack() as stack:
        try:
            if launch.find(fleet.name) is not None:
                state = launch.follow(fleet.name, on_change)
            else:
                spec = ready_to_load(spec)
                placements = planned(spec).placements
                state = stack.enter_context(launch.running(spec, placements, on_change))
            key = launch.api_key(fleet.name)
        except FleetError as error:
            raise ServerError(f"fleet {fleet.name}: {error}") from error
        addresses = {
            name: Address(urls=tuple(state.urls(services[model])), api_key=key, restarts=True)
            for name, model in wanted.items()
        }
        if missing := [name for name, address in addresses.items() if not address.urls]:
            raise ServerError(
                f"fleet {fleet.name} is up without {missing[0]}: end it with "
                f"`orchard servers down {fleet.name}`, and run again"
            )
        yield addresses


async def while_served(
    work: Coroutine[Any, Any, None], config: RunConfig, addresses: Addresses
) -> None:
    """Run ``work``, and cancel it if the fleet that serves it stops.

    Raises ``ServerError`` with the reason if the whole fleet stops.
    """
    fleet = config.servers.fleet
    if fleet is None or not any(address.restarts for address in addresses.values()):
        await work
        return
    done = asyncio.Event()

    async def working() -> None:
        await work
        done.set()

    await fan_out([working(), _watch(fleet.name, done)])


async def _watch(fleet: str, done: asyncio.Event) -> None:
    from servers.fleet import launch
    from servers.fleet.spec import FleetError

    while not done.is_set():
        if launch.find(fleet) is None:
            try:
                launch.follow(fleet)
            except FleetError as error:
                raise ServerError(
                    f"fleet {fleet}: {error}; what is finished is kept, the same command goes on"
                ) from error
        with suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), _LOOK_EVERY_S)


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n") if log.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
