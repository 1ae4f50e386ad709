"""A run in numbers: one row for every cell and vote, and the headline."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypedDict

import msgspec

from orchestrator.core.difficulty import BINS
from orchestrator.core.records import Record
from orchestrator.report.cells import Cell, gather
from orchestrator.report.difficulty import Bins, bins_by_policy
from orchestrator.report.headline import Headline, HeadlineSpec, compare
from orchestrator.statistics import wilson

DIGITS = 4
"""Decimals of the numbers in ``summary.json``."""


class BinAccuracy(TypedDict):
    problems: int
    accuracy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One cell under one vote.

    ``accuracy`` is over ``problems``, failed ones counted as wrong, with its 95 % Wilson interval.
    Tokens, requests and ``cost`` (USD, of models that have a price) are totals over the problems,
    and do not depend on the vote. ``seconds`` is the sum of the problems' own times; they ran side
    by side, so the wall clock showed less. ``by_difficulty`` holds the bins that have problems, as
    made by the pass@1 of ``difficulty_of``. ``sound_accuracy`` counts whole chains, None where they
    cannot be judged. ``emulated`` and ``refused`` are those of any of its records.
    """

    task: str
    policy: str
    policy_params: int | None
    prm: str | None
    strategy: str
    n: int
    vote: str
    problems: int
    accuracy: float
    ci_low: float
    ci_high: float
    policy_tokens: int
    prm_tokens: int
    requests: int
    cost: float
    seconds: float
    by_difficulty: dict[str, BinAccuracy]
    sound_accuracy: float | None
    difficulty_of: str | None
    emulated: tuple[str, ...]
    refused: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """``failed`` counts records that ended in an error, ``ran_out`` those cut short by a limit,
    ``failed_branches`` what their trees lost."""

    rows: tuple[Row, ...]
    headline: Headline | None
    failed: int
    ran_out: int
    failed_branches: int


def summarise(records: Iterable[Record], headline: HeadlineSpec | None = None) -> Summary:
    """Every cell under every vote, and the headline where one is named.

    Raises ``RunError`` where the headline's cells are missing.
    """
    cells = gather(records)
    bins = bins_by_policy(cells)
    rows = []
    for cell in cells:
        task, policy = cell.sample.task, cell.sample.policy
        # A large policy measured by CoT alone has no samples: the small one's bins stand in.
        binned_by = policy if (task, policy) in bins or headline is None else headline.small
        known = bins.get((task, binned_by))
        for vote in cell.votes:
            rows.append(_row(cell, vote, known or {}, binned_by if known else None))
    kept = [record for cell in cells for record in cell.records.values()]
    return Summary(
        rows=tuple(rows),
        headline=None if headline is None else compare(cells, headline),
        failed=sum(record.error is not None for record in kept),
        ran_out=sum(record.ran_out is not None for record in kept),
        failed_branches=sum(record.failed_branches for record in kept),
    )


def to_json(summary: Summary) -> bytes:
    """``summary.json``: indented by two, keys in the order of the fields, four decimals."""
    return msgspec.json.format(msgspec.json.encode(_rounded(asdict(summary))), indent=2) + b"\n"


def _row(cell: Cell, vote: str, bins: Bins, difficulty_of: str | None) -> Row:
    first = cell.sample
    records = cell.records.values()
    correct, sound = cell.correct(vote), cell.sound(vote)
    hits, total = sum(correct.values()), len(correct)
    interval = wilson(hits, total)
    return Row(
        task=first.task,
        policy=first.policy,
        policy_params=first.policy_params,
        prm=first.prm,
        strategy=first.strategy,
        n=first.n,
        vote=vote,
        problems=total,
        accuracy=hits / total,
        ci_low=interval.low,
        ci_high=interval.high,
        policy_tokens=sum(record.policy_tokens for record in records),
        prm_tokens=sum(record.prm_tokens for record in records),
        requests=sum(record.requests for record in records),
        cost=sum(record.cost for record in records),
        seconds=sum(record.seconds for record in records),
        by_difficulty=_by_difficulty(correct, bins),
        sound_accuracy=None if sound is None else sum(sound.values()) / total,
        difficulty_of=difficulty_of,
        emulated=tuple(dict.fromkeys(each for record in records for each in record.emulated)),
        refused=tuple(dict.fromkeys(each for record in records for each in record.refused)),
    )


def _by_difficulty(correct: Mapping[str, bool], bins: Bins) -> dict[str, BinAccuracy]:
    total = Counter(bins[problem] for problem in correct if problem in bins)
    hits = Counter(bins[problem] for problem in correct if problem in bins and correct[problem])
    return {
        bin: {"problems": total[bin], "accuracy": hits[bin] / total[bin]}
        for bin in BINS
        if total[bin]
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value
