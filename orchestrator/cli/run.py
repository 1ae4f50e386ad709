"""``orchard demo``, ``run`` and ``resume``."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.options import (
    FiguresOption,
    JsonOption,
    MaxCostOption,
    OutOption,
    PricesOption,
    SetOption,
    overriding,
)
from orchestrator.cli.printing import print_routing, print_summary
from orchestrator.cli.profile import resume_profile
from orchestrator.console.exit_status import ExitStatus
from orchestrator.console.terminal import Terminal


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
    changes = overriding(overrides, max_cost, prices)
    _execute(config, changes, out or Path("runs") / config.stem, figures, as_json)


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
    changes = overriding(overrides, max_cost)
    if directory.manifest().kind == "profile":
        resume_profile(run, changes, as_json)
    else:
        _execute(run / CONFIG, changes, run, figures, as_json)


def _execute(path: Path, overrides: list[str], out: Path, figures: bool, as_json: bool) -> None:
    """Run a config into a directory, and report."""
    from orchestrator.commands.run import draw_figures, how_it_goes_on, run_config
    from orchestrator.commands.run_state import losses
    from orchestrator.config.run import load
    from orchestrator.report.data.ends import warnings
    from orchestrator.storage.run_directory import SUMMARY, RunDirectory

    console = Terminal(stderr=as_json, soft_wrap=True)
    directory = RunDirectory(out)
    goes_on = directory.resume_command + (" --json" if as_json else "")
    result = run_config(load(path, overrides), directory, console, goes_on)
    if result.summary is not None:
        print_summary(result.records, result.summary, as_json)
        for line in warnings(result.summary.rows):
            console.print(line)
        if not as_json:
            print_routing(result.summary, out)
        console.print(losses(directory, result.experiment.config, result.summary))
        drawn = draw_figures(result, out / "figures", console) if figures else []
        console.print(f"Summary  {out / SUMMARY}")
        for figure in drawn:
            console.print(f"Figure   {figure}")
    if (said := how_it_goes_on(result, directory, goes_on)) is not None:
        console.print(said)
    if result.remaining:
        raise typer.Exit(ExitStatus.UNFINISHED)
