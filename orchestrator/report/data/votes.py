"""The votes over the same leaves of one cell, each against the majority.

They cost no request, so a cell takes all that its leaves can cast. The best of many on these very
problems flatters: ``usual_votes`` shortens the list by a rule that does not look at accuracy.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from orchestrator.core.difficulty import SAMPLING
from orchestrator.core.voting import VOTES, ByConfidence, ByScores, Majority, Vote
from orchestrator.errors import RunError
from orchestrator.optimal.arms import CONFIDENT_VOTES
from orchestrator.report.data.cells import CellRecords, listed, matches
from orchestrator.report.data.curves import reward_of
from orchestrator.report.data.paired import Paired, paired
from orchestrator.report.data.summary import Summary, SummaryRow

MAJORITY = Majority.name

CellsById = Mapping[str, CellRecords]


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteResult:
    """A cell under one vote. ``over_majority`` is the paired difference to the majority of the same
    leaves; None for the majority itself."""

    row: SummaryRow
    over_majority: Paired | None


@dataclass(frozen=True, slots=True)
class CellVotes:
    """Votes over the leaves of one cell, the most accurate first, equals in the order of
    ``VOTES``."""

    results: tuple[VoteResult, ...]

    @property
    def row(self) -> SummaryRow:
        """Any row: they agree on everything but the vote and what it is right about."""
        return self.results[0].row

    def rank(self, result: VoteResult) -> int:
        """1 for the most accurate. Equals share a rank, and the next one counts all of them."""
        return 1 + sum(other.row.accuracy > result.row.accuracy for other in self.results)

    def is_tied(self, result: VoteResult) -> bool:
        """Whether another vote is as accurate."""
        return sum(other.row.accuracy == result.row.accuracy for other in self.results) > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class VotesByN:
    """One of each kind of vote over the samples of a policy under a PRM, for each N, smallest
    first."""

    policy: str
    policy_params: int | None
    prm: str | None
    cells: tuple[CellVotes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownVotes:
    """The votes of the shown ``cells``; ``hidden_votes`` counts the rows left out of them, and
    ``hidden_cells`` the other cells that took several votes."""

    cells: tuple[CellVotes, ...]
    hidden_votes: int
    hidden_cells: int


def shown_votes(
    summary: Summary, cells: CellsById, wanted: Sequence[str] = (), *, all_votes: bool = False
) -> ShownVotes:
    """The votes of the cells whose name contains one of ``wanted`` (or matches it, with * and ?),
    by default of the largest sample of each policy and PRM, or of the largest trees where nothing
    is sampled; one of each kind, or ``all_votes``.

    Raises ``RunError`` if no such cell took several votes.
    """
    voting = voting_cells(summary)
    if not voting:
        raise RunError(
            "no cell of this run took several votes: they need several solutions of a problem, and "
            "a PRM or `logprobs: true`"
        )
    chosen = _chosen(voting, wanted) if wanted else _largest(sampling_cells(summary) or voting)
    rows = [own if all_votes else usual_votes(own, summary) for own in chosen]
    return ShownVotes(
        cells=tuple(_compared(own, cells) for own in rows),
        hidden_votes=sum(map(len, chosen)) - sum(map(len, rows)),
        hidden_cells=len(voting) - len(chosen),
    )


def votes_by_n(summary: Summary, cells: CellsById) -> list[VotesByN]:
    """The usual votes over samples, for each policy and PRM."""
    found: dict[tuple[str, int | None, str | None], list[CellVotes]] = {}
    for rows in sampling_cells(summary):
        models = rows[0].policy, rows[0].policy_params, rows[0].prm
        found.setdefault(models, []).append(_compared(usual_votes(rows, summary), cells))
    return [
        VotesByN(policy=policy, policy_params=params, prm=prm, cells=tuple(own))
        for (policy, params, prm), own in found.items()
    ]


def voting_cells(summary: Summary) -> list[list[SummaryRow]]:
    """The rows of each cell whose leaves took several votes."""
    by_cell: dict[str, list[SummaryRow]] = {}
    for row in summary.rows:
        if row.n > 1:  # of a single leaf all votes are alike, and a routed cell takes one
            by_cell.setdefault(row.cell, []).append(row)
    return [rows for rows in by_cell.values() if len(rows) > 1]


def sampling_cells(summary: Summary) -> list[list[SummaryRow]]:
    """Those of ``voting_cells`` whose leaves are samples of whole solutions, without a fallback to
    a tree search. Of cells that differ in settings alone, the first."""
    found: dict[tuple[object, ...], list[SummaryRow]] = {}
    for rows in voting_cells(summary):
        row = rows[0]
        if row.strategy in SAMPLING and not row.settings.get("then"):
            found.setdefault((row.task, row.policy, row.prm, row.n), rows)
    return list(found.values())


def usual_votes(rows: Iterable[SummaryRow], summary: Summary) -> list[SummaryRow]:
    """One vote of each kind: by the headline's reward, else the last score, and by the measure of
    confidence that the vote's authors recommend. Votes of the user's own stay, too."""
    reward = reward_of(summary)
    recommended = {type(vote): vote for vote in reversed(CONFIDENT_VOTES)}

    def is_usual(vote: Vote) -> bool:
        match vote:
            case ByScores():
                return vote.reward == reward
            case ByConfidence():
                return vote == recommended[type(vote)]
            case _:
                return True

    return [row for row in rows if row.vote not in VOTES or is_usual(VOTES[row.vote])]


def votes_json(summary: Summary, cells: CellsById) -> list[dict[str, Any]]:
    """Every cell that took several votes, for programs: each vote's rank and its difference to the
    majority. What else is known of it is in the rows of the summary."""
    return [_plain(_compared(rows, cells)) for rows in voting_cells(summary)]


def _compared(rows: Sequence[SummaryRow], cells: CellsById) -> CellVotes:
    cell = cells[rows[0].cell]
    majority = cell.correct(MAJORITY)
    results = [
        VoteResult(
            row=row,
            over_majority=None
            if row.vote == MAJORITY
            else paired(cell.correct(row.vote), majority),
        )
        for row in rows
    ]
    return CellVotes(tuple(sorted(results, key=lambda result: -result.row.accuracy)))


def _chosen(voting: Sequence[list[SummaryRow]], wanted: Sequence[str]) -> list[list[SummaryRow]]:
    for text in wanted:
        if not any(matches(rows[0].cell, text) for rows in voting):
            raise RunError(
                f"no cell that took several votes has {text!r} in its name; there are: "
                f"{listed([rows[0].cell for rows in voting])}"
            )
    return [rows for rows in voting if any(matches(rows[0].cell, text) for text in wanted)]


def _largest(cells: Iterable[list[SummaryRow]]) -> list[list[SummaryRow]]:
    """The last cell of each method, policy and PRM: they come from small n to large."""
    found = {}
    for rows in cells:
        row = rows[0]
        found[row.task, row.policy, row.prm, row.strategy] = rows
    return list(found.values())


def _plain(votes: CellVotes) -> dict[str, Any]:
    return {
        "cell": votes.row.cell,
        "votes": [
            {
                "vote": each.row.vote,
                "rank": votes.rank(each),
                "is_tied": votes.is_tied(each),
                "accuracy": each.row.accuracy,
                "over_majority": each.over_majority
                and asdict(each.over_majority) | {"verdict": each.over_majority.verdict},
            }
            for each in votes.results
        ],
    }
