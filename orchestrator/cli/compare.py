"""``orchard compare``: runs and cells against each other."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.options import JsonOption
from orchestrator.console.terminal import Terminal


def compare(
    runs: Annotated[list[Path], typer.Argument(help="One or more run directories.")],
    cells: Annotated[
        list[str] | None,
        typer.Option(
            "--cell",
            metavar="TEXT[@VOTE]",
            help="Only cells whose name contains TEXT (or matches it, with * and ?), under VOTE if "
            "one is named, e.g. best_of_n-*-n16@borda_mean. Repeatable; the first is the baseline.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare cells within a run or across runs: which differences are more than luck?

    Uses the problems that both cells attempted, and paired 95 % intervals.
    Within a run the baseline is the policy's CoT, across runs the same cell of
    the first one.
    """
    from orchestrator.commands.compare import compare_folders
    from orchestrator.report.tables.comparison_table import comparison_json, comparison_table

    found, derived = compare_folders(runs, cells or [])
    if as_json:
        Terminal().print_json_text(comparison_json(found, derived).decode())
    else:
        Terminal().print(comparison_table(found, derived))
