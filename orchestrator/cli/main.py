"""The command line. Heavy imports wait inside the commands, so that ``--help`` answers at once."""

import json
import logging
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from orchestrator import __version__
from orchestrator.cli.prm_eval import prm_eval
from orchestrator.cli.profile import profile, resume_profile
from orchestrator.cli.servers import servers
from orchestrator.commands.compare import compare
from orchestrator.console.exit_status import EXIT_STATUS_HELP, ExitStatus
from orchestrator.console.terminal import Terminal, TerminalLog, tolerate_any_encoding
from orchestrator.errors import (
    BudgetExhausted,
    OrchardError,
    OtherConfig,
    ProfileError,
    RateLimited,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.core.records import Record
    from orchestrator.report.data.summary import Summary

app = typer.Typer(
    name="orchard",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Test-time search for language models: small policies that beat large ones. "
    "Start with `orchard demo`, which needs nothing but this machine.",
    epilog=EXIT_STATUS_HELP,
)

app.add_typer(servers, name="servers")

SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override a key of the config, e.g. task.problems=50. Repeatable.",
    ),
]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="The run directory. If it exists, the run continues.")
]
MaxCostOption = Annotated[
    str | None,
    typer.Option(
        "--max-cost", metavar="USD", help="Stop cleanly once this is spent; a larger one continues."
    ),
]
PricesOption = Annotated[
    Path | None, typer.Option("--prices", help="A file of prices, like configs/prices.yaml.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
FiguresOption = Annotated[
    bool, typer.Option("--figures/--no-figures", help="Draw the figures (a few seconds).")
]


def main() -> None:
    """The ``orchard`` command: errors become one line and a non-zero exit."""
    tolerate_any_encoding()
    logging.basicConfig(format="%(message)s", handlers=[TerminalLog()])
    logging.captureWarnings(True)
    try:
        app()
    except OrchardError as error:
        line = " ".join(str(error).split())
        said = Text.assemble(("orchard:", "bold red"), " ", line)
        console = Terminal(stderr=True, soft_wrap=True)
        console.print(said)
        if isinstance(error, OtherConfig):
            for change in error.changes:
                console.print(f"  {change}")
        sys.exit(ExitStatus.REFUSED)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        Terminal().print(f"orchard {__version__}")
        raise typer.Exit


@app.command(epilog=EXIT_STATUS_HELP)
def demo(
    quick: Annotated[bool, typer.Option("--quick", help="Fewer problems; under a minute.")] = False,
    out: OutOption = None,
    figures: FiguresOption = True,
    as_json: JsonOption = False,
) -> None:
    """Try it on this machine: small embedded models with search, against a larger one.

    Starts the servers, runs every strategy, prints the table and draws the figures.
    """
    from orchestrator.config.reading import shipped_config

    name = "demo-quick" if quick else "demo"
    _execute(shipped_config(f"{name}.yaml"), [], out or Path("runs") / name, figures, as_json)


@app.command(epilog=EXIT_STATUS_HELP)
def run(
    config: Annotated[Path, typer.Argument(help="A YAML config, e.g. configs/demo.yaml.")],
    overrides: SetOption = None,
    max_cost: MaxCostOption = None,
    prices: PricesOption = None,
    out: OutOption = None,
    figures: FiguresOption = True,
    as_json: JsonOption = False,
) -> None:
    """Run the strategies of a config on its problems, and show the results.

    Try `orchard run configs/demo.yaml`.
    `orchard check CONFIG` tells beforehand whether it will work.

    Every paid response is kept in the run directory. The same command, or
    `orchard resume RUN`, continues a run that was stopped or killed, in the
    middle of its trees.
    """
    overrides = list(overrides or [])
    overrides += [f"budget.cost={max_cost}"] if max_cost is not None else []
    overrides += [f"prices={prices}"] if prices is not None else []
    _execute(config, overrides, out or Path("runs") / config.stem, figures, as_json)


@app.command(epilog=EXIT_STATUS_HELP)
def resume(
    run: Annotated[Path, typer.Argument(help="A run directory, e.g. runs/demo.")],
    overrides: SetOption = None,
    max_cost: MaxCostOption = None,
    figures: FiguresOption = True,
    as_json: JsonOption = False,
) -> None:
    """Continue a run or profile that was stopped or killed, or reached a limit.

    Finished problems stay, unfinished trees continue where they were, and nothing
    is paid for twice.

    Only keys that cannot change results may be overridden, such as
    `--set trees=500`, `--set policies.NAME.url=…`, `--set budget.requests=…`.
    """
    from orchestrator.storage.run_directory import CONFIG, RunDirectory

    directory = RunDirectory(run)
    directory.config()  # says of another folder that it is no run directory
    overrides = list(overrides or [])
    overrides += [f"budget.cost={max_cost}"] if max_cost is not None else []
    if directory.manifest().kind == "profile":
        resume_profile(run, overrides, as_json)
    else:
        _execute(run / CONFIG, overrides, run, figures, as_json)


@app.command(name="plan")
def plan_run(
    config: Annotated[Path, typer.Argument(help="A YAML config.")],
    fleet: Annotated[
        str,
        typer.Option(
            "--fleet",
            help="What serves each endpoint, as REPLICASxGPU:SIZE, e.g. "
            "policy=8xH100:1B,prm=2xH100:7B (2x4xH100:72B: two replicas of four GPUs each), or a "
            "YAML file of the same. Hosted models need none.",
        ),
    ],
    overrides: SetOption = None,
    problems: Annotated[
        int | None, typer.Option(min=1, help="How many problems; default: the task's.")
    ] = None,
    sample: Annotated[int | None, typer.Option(min=1, help="How many of them to simulate.")] = None,
    step_tokens: Annotated[float, typer.Option(min=10, help="Average tokens per step.")] = 45.0,
    gpu_hour: Annotated[
        float | None, typer.Option("--gpu-hour", metavar="USD", help="Price of a GPU hour.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Forecast a run on GPUs you may not have: hours, tokens, cost, bottleneck.

    Runs the strategies in virtual time on a model of H100s and H200s, without any server.
    """
    from orchestrator.commands.forecast.forecast import forecast
    from orchestrator.commands.forecast.machines import read_fleet
    from orchestrator.commands.forecast.view import show
    from orchestrator.config.run import load

    machines = read_fleet(fleet)
    found = forecast(
        load(config, overrides or []),
        machines,
        problems=problems,
        sample=sample,
        step_tokens=step_tokens,
        gpu_hour=gpu_hour,
        console=Terminal(stderr=True, soft_wrap=True),
    )
    if as_json:
        Terminal().print_json_text(json.dumps(found.to_json(), indent=2))
    else:
        show(found, step_tokens, Terminal(soft_wrap=True))


@app.command()
def show(
    run: Annotated[Path, typer.Argument(help="A run directory, e.g. runs/demo.")],
    as_ledger: Annotated[
        bool,
        typer.Option("--ledger", help="Show what it used: tokens, waste, FLOPs, cost, time."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the results of a run, finished or not."""
    from orchestrator.commands.results import read_results
    from orchestrator.commands.run_state import losses, what_is_left
    from orchestrator.config.run import validate
    from orchestrator.report.data.ends import warnings
    from orchestrator.storage.run_directory import CONFIG, RunDirectory

    directory = RunDirectory(run)
    config = validate(directory.config(), str(run / CONFIG))
    _, summary = read_results(directory, config.headline_spec)
    if as_ledger and not as_json:
        from orchestrator.report.data.ledger import ledger

        Terminal().print(ledger(summary, config.trained_on))
        return
    _print(summary, as_json)
    if as_json:
        return
    say = Terminal(soft_wrap=True).print
    for line in warnings(summary.rows):
        say(line)
    _say_routing(summary, run)
    say(losses(directory, config, summary))
    if said := what_is_left(directory, config):
        say(said)


def _say_routing(summary: "Summary", run: Path) -> None:
    """Where routed problems went, and the routing tables of a run that measured profiles."""
    from orchestrator.commands.profile.profiling import profiles_in
    from orchestrator.console.profile_view import routing_table
    from orchestrator.report.tables.routing_words import routing

    for line in routing(summary.routes):
        Terminal(soft_wrap=True).print(line)
    try:
        for measured in profiles_in(run):
            Terminal().print(routing_table(measured))
    except ProfileError as error:  # of another version, for example: the results are as they were
        Terminal(soft_wrap=True).print(str(error))


@app.command()
def check(
    config: Annotated[Path, typer.Argument(help="A YAML config.")],
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Validate a config, and probe what each of its endpoints can do."""
    from orchestrator.commands.abilities import abilities
    from orchestrator.commands.check import check_endpoints
    from orchestrator.config.run import load
    from orchestrator.report.data.wording import counted
    from orchestrator.wiring.experiment import Experiment

    experiment = Experiment.of(load(config, overrides or []))
    found = check_endpoints(experiment, Terminal(stderr=as_json, soft_wrap=True))
    size = {"cells": len(experiment.cells), "problems": len(experiment.problems)}
    if as_json:
        Terminal().print_json_text(json.dumps({**size, "endpoints": found}, indent=2))
    else:
        console = Terminal(soft_wrap=True)
        console.print(abilities(found))
        console.print(", ".join(counted(count, noun) for noun, count in size.items()))
    if any("error" in entry for entry in found):
        raise typer.Exit(ExitStatus.REFUSED)


app.command()(compare)
app.command(epilog=EXIT_STATUS_HELP)(profile)
app.command(epilog=EXIT_STATUS_HELP)(prm_eval)


def _execute(path: Path, overrides: list[str], out: Path, figures: bool, as_json: bool) -> None:
    """Run a config into a directory, and report."""
    from orchestrator.commands.results import read_results
    from orchestrator.commands.run_state import losses, remaining, to_go, unfinished
    from orchestrator.commands.session import carry_out, farewell, resumable, stoppable, until_later
    from orchestrator.config.run import load
    from orchestrator.report.data.ends import warnings
    from orchestrator.report.data.summary import to_json
    from orchestrator.storage.run_directory import SUMMARY, RunDirectory
    from orchestrator.wiring.claim import claim
    from orchestrator.wiring.experiment import Experiment

    config = load(path, overrides)
    experiment = Experiment.of(config)
    console = Terminal(stderr=as_json, soft_wrap=True)
    directory = RunDirectory(out)
    goes_on = directory.resume_command + (" --json" if as_json else "")
    said = partial(farewell, out, goes_on)
    results = exhausted = limited = None
    with directory:
        try:
            with resumable(directory, console, goes_on), stoppable(said), directory.journaled():
                claim(directory, experiment)
                try:
                    carry_out(experiment, experiment.plan, directory, console, said)
                except RateLimited as error:
                    limited = error
        except BudgetExhausted as error:
            exhausted = error
        left = remaining(directory, experiment)
        if not directory.store.is_empty:
            results = records, summary = read_results(directory, experiment.headline)
            directory.write(SUMMARY, to_json(summary))
    if results is not None:
        _print(summary, as_json)
        for line in warnings(summary.rows):
            console.print(line)
        if not as_json:
            _say_routing(summary, out)
        console.print(losses(directory, config, summary))
        drawn = _figures(summary, records, out / "figures", console) if figures else []
        _name_files(out / SUMMARY, drawn, console)
    if exhausted is not None:
        console.print(
            f"Stopped early: {exhausted}, {to_go(left)}; with a larger one this goes "
            f"on:\n  {directory.resume_command} --set budget.{exhausted.limit}=…"
        )
    elif limited is not None:
        console.print(until_later(limited, goes_on, to_go(left)))
    elif left:
        console.print(unfinished(directory, experiment))
    if left:
        raise typer.Exit(ExitStatus.UNFINISHED)


def _figures(
    summary: "Summary", records: "Sequence[Record]", folder: Path, console: Terminal
) -> list[Path]:
    """The run's figures; where they cannot be written the results are there all the same."""
    from orchestrator.report.figures.draw import draw

    try:
        return draw(summary, records, folder)
    except OSError as error:
        console.print(f"No figures: cannot write {folder}: {error.strerror}")
        return []


def _name_files(summary: Path, figures: "Sequence[Path]", console: Terminal) -> None:
    console.print(f"Summary  {summary}")
    for figure in figures:
        if figure.suffix == ".png":
            console.print(f"Figure   {figure}")


def _print(summary: "Summary", as_json: bool) -> None:
    from orchestrator.report.data.summary import to_json
    from orchestrator.report.tables.table import report

    if as_json:
        Terminal().print_json_text(to_json(summary).decode())
    else:
        Terminal().print(report(summary))


if __name__ == "__main__":
    main()
