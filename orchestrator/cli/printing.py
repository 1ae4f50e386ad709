"""What several commands print."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.console.terminal import Terminal
from orchestrator.errors import ProfileError

if TYPE_CHECKING:
    from orchestrator.core.records import Record
    from orchestrator.report.data.summary import Summary


def print_summary(records: "Sequence[Record]", summary: "Summary", as_json: bool) -> None:
    """A run's results, as tables or as JSON."""
    from orchestrator.commands.results import results_json
    from orchestrator.report.tables.table import report

    if as_json:
        Terminal().print_json_text(results_json(records, summary).decode())
    else:
        Terminal().print(report(summary))


def print_votes(
    records: "Sequence[Record]", summary: "Summary", cells: Sequence[str], *, all_votes: bool
) -> None:
    """The votes over the same leaves, of the cells that ``cells`` names."""
    from orchestrator.report.data.cells import cells_by_id
    from orchestrator.report.data.votes import shown_votes
    from orchestrator.report.tables.votes_table import votes_table

    shown = shown_votes(summary, cells_by_id(records), cells, all_votes=all_votes)
    Terminal().print(votes_table(shown))


def print_routing(summary: "Summary", run: Path) -> None:
    """Where routed problems went, and the routing tables of a run that measured profiles."""
    from orchestrator.commands.profile.profiling import across_in, profiles_in
    from orchestrator.console.across_view import front_table
    from orchestrator.console.profile_view import routing_table
    from orchestrator.report.tables.routing_words import routing

    for line in routing(summary.routes):
        Terminal(soft_wrap=True).print(line)
    try:
        for measured in profiles_in(run):
            Terminal().print(routing_table(measured))
        for _, across in across_in(run):
            Terminal().print(front_table(across))
    except ProfileError as error:  # of another version, for example: the results are as they were
        Terminal(soft_wrap=True).print(str(error))
