"""``orchard servers``: plan, start, watch and end fleets of vLLM servers."""

import json
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.options import JsonOption
from orchestrator.console.terminal import Terminal
from orchestrator.errors import ServerError

if TYPE_CHECKING:
    from servers.fleet.spec import FleetSpec, Placement
    from servers.fleet.state import FleetState

servers = typer.Typer(
    no_args_is_help=True,
    help="Local vLLM servers: plan a fleet onto GPUs, start it, watch it, stop it.",
)

FleetArgument = Annotated[
    Path, typer.Argument(metavar="FLEET.yaml", help="A fleet file, or a run's config with one.")
]
NameArgument = Annotated[
    str, typer.Argument(metavar="FLEET", help="A fleet's name, or the file that defines it.")
]
GpusOption = Annotated[
    str | None,
    typer.Option("--gpus", metavar="8xH200", help="Plan for these GPUs instead of this machine's."),
]

_LOOK_EVERY_S = 0.5


@servers.command()
def plan(fleet: FleetArgument, gpus: GpusOption = None, as_json: JsonOption = False) -> None:
    """Show the GPU, weights and KV cache of each replica, without starting any."""
    from orchestrator.console.placement_table import placement_table
    from orchestrator.wiring.fleets import gpus_of, planned

    spec = _spec(fleet)
    found = gpus_of(spec, gpus)
    placed = planned(spec, found)
    if as_json:
        Terminal().print_json_text(json.dumps([asdict(one) for one in placed.placements], indent=2))
    else:
        console = Terminal()
        console.print(placement_table(placed, found))
        if not found and spec.device == "auto":
            console.print(
                "This machine has no GPU: vLLM would compute on the CPU. --gpus 1xH100 plans for "
                "one that has."
            )


@servers.command()
def up(
    fleet: FleetArgument,
    detach: Annotated[
        bool,
        typer.Option(
            "--detach", "-d", help="Return once all replicas are ready, and leave them up."
        ),
    ] = False,
) -> None:
    """Start a fleet and keep it up: replicas that die are restarted. Ctrl-C stops it."""
    from orchestrator.console.fleet_view import LiveFleet, addresses
    from orchestrator.wiring.fleets import planned, ready_to_load
    from servers.fleet import launch
    from servers.fleet.spec import FleetError

    console = Terminal(soft_wrap=True)
    spec = _spec(fleet)
    if warning := launch.exposure_warning(spec):
        console.print(warning, style="yellow")
    placements = planned(spec).placements
    spec = ready_to_load(spec)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with ExitStack() as stack:
            with LiveFleet(console) as live:
                if detach:
                    state = _brought_up(spec, placements, live.show)
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
    finally:
        signal.signal(signal.SIGTERM, before)


def _brought_up(
    spec: "FleetSpec", placements: Sequence["Placement"], show: Callable[["FleetState"], None]
) -> "FleetState":
    """A fleet that outlives this process once it is ready, and leaves nothing where it is not."""
    from servers.fleet import launch

    launch.start(spec, placements)
    try:
        return launch.follow(spec.name, show)
    except BaseException:
        launch.stop(spec.name)
        raise


def _keep_up(name: str, console: Terminal) -> None:
    """Tell of changes until a Ctrl-C. Raises ``FleetError`` where the fleet goes without one."""
    from orchestrator.console.fleet_view import changes
    from servers.fleet import launch

    before = launch.find(name)
    while before is not None:
        time.sleep(_LOOK_EVERY_S)
        now = launch.find(name)
        if now is None:
            now = launch.follow(name)  # says why it is gone
        for line in changes(before, now):
            console.print(line)
        before = now


@servers.command()
def status(
    fleet: Annotated[
        str | None, typer.Argument(metavar="[FLEET]", help="A fleet's name or file; default: all.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what is up, and how busy it is."""
    from orchestrator.commands.fleet_metrics import read_metrics
    from orchestrator.console.fleet_view import addresses, status_table
    from servers.fleet import launch

    names = launch.names() if fleet is None else [_name(fleet)]
    states = [state for name in names if (state := launch.find(name)) is not None]
    if fleet is not None and not states:
        raise ServerError(f"fleet {names[0]} is not up: orchard servers up FLEET.yaml starts it")
    seen = {
        replica.url: read_metrics(replica.url) for state in states for replica in state.replicas
    }
    if as_json:
        told = [
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
        Terminal().print_json_text(json.dumps(told, indent=2))
        return
    console = Terminal()
    for state in states:
        console.print(f"fleet {state.name}", style="bold")
        console.print(status_table(state, seen))
        console.print(addresses(state), soft_wrap=True)
    if not states:
        console.print("No fleet is up.")


@servers.command()
def down(fleet: NameArgument) -> None:
    """Stop a fleet, leaving no process and no port behind."""
    from servers.fleet import launch
    from servers.fleet.spec import FleetError

    name = _name(fleet)
    if launch.find(name) is None:
        Terminal(soft_wrap=True).print(f"Fleet {name} is not up.")
        return
    try:
        launch.stop(name)
    except FleetError as error:
        raise ServerError(f"fleet {name}: {error}") from error
    Terminal(soft_wrap=True).print(f"Fleet {name} is down.")


def _spec(path: Path) -> "FleetSpec":
    from orchestrator.config.fleets import load_fleet
    from orchestrator.wiring.fleets import fleet_spec

    file = load_fleet(path)
    return fleet_spec(file.servers.fleet, file.models)


def _name(fleet: str) -> str:
    """A fleet's name, from itself or from the file that defines it."""
    from orchestrator.config.fleets import load_fleet

    if fleet.endswith((".yaml", ".yml")):
        return load_fleet(Path(fleet)).servers.fleet.name
    return fleet
