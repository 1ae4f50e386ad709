"""Fleets of vLLM servers: started, kept up, looked at and ended."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from orchestrator.commands.fleet_metrics import read_metrics
from orchestrator.commands.signals import sigterm_as_ctrl_c
from orchestrator.config.fleets import load_fleet
from orchestrator.console.fleet_view import LiveFleet, addresses, changes
from orchestrator.console.terminal import Terminal
from orchestrator.endpoints.admission.vllm_metrics import Metrics
from orchestrator.errors import ServerError
from orchestrator.wiring.fleets import fleet_spec, planned, ready_to_load
from servers.fleet import launch
from servers.fleet.spec import FleetError, FleetSpec, Placement
from servers.fleet.state import FleetState

_LOOK_EVERY_S = 0.5


def read_spec(path: Path) -> FleetSpec:
    """The fleet that a file defines. Raises ``ConfigError``."""
    file = load_fleet(path)
    return fleet_spec(file.servers.fleet, file.models)


def fleet_name(fleet: str) -> str:
    """A fleet's name, from itself or from the file that defines it. Raises ``ConfigError``."""
    if fleet.endswith((".yaml", ".yml")):
        return load_fleet(Path(fleet)).servers.fleet.name
    return fleet


def bring_up(spec: FleetSpec, console: Terminal, *, detach: bool) -> None:
    """Start a fleet. With ``detach`` it outlives this process; else it is kept up until Ctrl-C or
    SIGTERM, and ends with the process.

    Raises ``ServerError``.
    """
    if warning := launch.exposure_warning(spec):
        console.print(warning, style="yellow")
    placements = planned(spec).placements
    spec = ready_to_load(spec)
    try:
        with sigterm_as_ctrl_c(), ExitStack() as stack:
            with LiveFleet(console) as live:
                if detach:
                    state = _started(spec, placements, live.show)
                else:
                    state = stack.enter_context(launch.running(spec, placements, live.show))
            console.print(addresses(state))
            console.print(
                f"End it with {f'orchard servers down {spec.name}' if detach else 'Ctrl-C'}."
            )
            if not detach:
                _keep_up(spec.name, console)
    except KeyboardInterrupt:
        console.print(f"Fleet {spec.name} is down.")
    except FleetError as error:
        raise ServerError(f"fleet {spec.name}: {error}") from error


def _started(
    spec: FleetSpec, placements: Sequence[Placement], show: Callable[[FleetState], None]
) -> FleetState:
    """Start a fleet that outlives this process once it is ready, and leave nothing of one that does
    not get there."""
    launch.start(spec, placements)
    try:
        return launch.follow(spec.name, show)
    except BaseException:
        launch.stop(spec.name)
        raise


def _keep_up(name: str, console: Terminal) -> None:
    """Print changes until Ctrl-C. Raises ``FleetError`` where the fleet ends without one."""
    before = launch.find(name)
    while before is not None:
        time.sleep(_LOOK_EVERY_S)
        now = launch.find(name)
        if now is None:
            now = launch.follow(name)  # says why it is gone
        for line in changes(before, now):
            console.print(line)
        before = now


def fleets_up(name: str | None) -> list[FleetState]:
    """The fleet called ``name``, or all that are up. Raises ``ServerError`` where it is not up."""
    names = launch.names() if name is None else [name]
    states = [state for each in names if (state := launch.find(each)) is not None]
    if name is not None and not states:
        raise ServerError(f"fleet {name} is not up: orchard servers up FLEET.yaml starts it")
    return states


def loads(states: Sequence[FleetState]) -> dict[str, Metrics | None]:
    """What each replica says of its load, by URL; None where it says nothing."""
    return {
        replica.url: read_metrics(replica.url) for state in states for replica in state.replicas
    }


def statuses_json(
    states: Sequence[FleetState], seen: Mapping[str, Metrics | None]
) -> list[dict[str, Any]]:
    """The fleets and their replicas' loads, for programs."""
    return [
        {
            "name": state.name,
            "replicas": [
                asdict(replica) | {"metrics": asdict(load) if load else None}
                for replica in state.replicas
                for load in [seen[replica.url]]
            ],
        }
        for state in states
    ]


def take_down(name: str) -> bool:
    """End a fleet; False where it is not up. Raises ``ServerError``."""
    if launch.find(name) is None:
        return False
    try:
        launch.stop(name)
    except FleetError as error:
        raise ServerError(f"fleet {name}: {error}") from error
    return True
