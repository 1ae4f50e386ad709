"""``orchard show``: a run's results, as far as it has come."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.options import JsonOption
from orchestrator.cli.printing import print_routing, print_summary, print_votes
from orchestrator.console.terminal import Terminal


def show(
    run: Annotated[Path, typer.Argument(help="A run directory, e.g. runs/demo.")],
    as_ledger: Annotated[
        bool,
        typer.Option("--ledger", help="Show what it used: tokens, waste, FLOPs, cost, time."),
    ] = False,
    by_vote: Annotated[
        bool,
        typer.Option(
            "--votes",
            help="Show the votes over the same samples, each against their majority: one of each "
            "kind, at the largest N.",
        ),
    ] = False,
    all_votes: Annotated[
        bool, typer.Option("--all-votes", help="Show every one of these votes.")
    ] = False,
    cells: Annotated[
        list[str] | None,
        typer.Option(
            "--cell",
            metavar="TEXT",
            help="Show the votes of cells whose name contains TEXT (or matches it, with * and ?), "
            "tree searches too. Repeatable.",
        ),
    ] = None,
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
    records, summary = read_results(directory, config.headline_spec)
    if (by_vote or all_votes or cells) and not as_json:
        print_votes(records, summary, cells or (), all_votes=all_votes)
        return
    if as_ledger and not as_json:
        from orchestrator.report.data.ledger import ledger

        Terminal().print(ledger(summary, config.trained_on))
        return
    print_summary(records, summary, as_json)
    if as_json:
        return
    say = Terminal(soft_wrap=True).print
    for line in warnings(summary.rows):
        say(line)
    print_routing(summary, run)
    say(losses(directory, config, summary))
    if said := what_is_left(directory, config):
        say(said)
