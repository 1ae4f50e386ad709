"""``orchard servers``: plan, start, watch and end fleets of vLLM servers."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.options import JsonOption
from orchestrator.console.terminal import Terminal

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


@servers.command()
def plan(fleet: FleetArgument, gpus: GpusOption = None, as_json: JsonOption = False) -> None:
    """Show the GPU, weights and KV cache of each replica, without starting any."""
    from orchestrator.commands.fleets import read_spec
    from orchestrator.console.placement_table import placement_table
    from orchestrator.wiring.fleets import gpus_of, planned

    spec = read_spec(fleet)
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
    from orchestrator.commands.fleets import bring_up, read_spec

    bring_up(read_spec(fleet), Terminal(soft_wrap=True), detach=detach)


@servers.command()
def status(
    fleet: Annotated[
        str | None, typer.Argument(metavar="[FLEET]", help="A fleet's name or file; default: all.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what is up, and how busy it is."""
    from orchestrator.commands.fleets import fleet_name, fleets_up, loads, statuses_json
    from orchestrator.console.fleet_view import addresses, status_table

    states = fleets_up(None if fleet is None else fleet_name(fleet))
    seen = loads(states)
    if as_json:
        Terminal().print_json_text(json.dumps(statuses_json(states, seen), indent=2))
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
    from orchestrator.commands.fleets import fleet_name, take_down

    name = fleet_name(fleet)
    is_down = "is down" if take_down(name) else "is not up"
    Terminal(soft_wrap=True).print(f"Fleet {name} {is_down}.")
