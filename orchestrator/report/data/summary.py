"""A run in numbers: one row for every cell and vote, and the headline."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import msgspec

from orchestrator.core.compute import Flops, total_flops
from orchestrator.core.difficulty import BINS
from orchestrator.core.records import Record
from orchestrator.report.data.cells import CellRecords, gather
from orchestrator.report.data.difficulty import UNKNOWN, Bins, bins_by_policy
from orchestrator.report.data.headline import Headline, HeadlineSpec, compare
from orchestrator.report.data.routes import CellRoutes, routes_of
from orchestrator.report.data.subsets import SubsetResult, result_of
from orchestrator.report.data.use import tokens_of
from orchestrator.statistics import wilson

DIGITS = 4
"""Decimals of the numbers in ``summary.json``."""
DIGITS_OF_DOLLARS = 9
"""Decimals of dollars there, as in records: an answer of a small hosted model takes some millionths
of a dollar."""
DOLLARS = frozenset({"cost", "probes_cost", "budget", "used"})
"""The keys whose numbers are dollars, or may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryRow:
    """One cell under one vote.

    - ``accuracy`` is over ``problems``, failed ones counted as wrong, with its 95 % Wilson
      interval. ``sound_accuracy`` counts whole chains of steps; None where they cannot be judged.
    - Tokens, requests and ``cost`` (USD, of models with a price) are totals over the problems and
      do not depend on the vote; ``Record`` says what each kind counts. ``flops`` is None unless the
      parameters of policy and PRM are known.
    - ``seconds`` sums the problems' own times. They ran side by side, so wall-clock time is less.
    - ``by_difficulty`` holds the bins that have problems, by the pass@1 of the policy
      ``difficulty_of``, and ``unknown`` for problems with too few independent samples. It is empty
      if the policy is not sampled at all.
    - ``by_majority`` counts the problems that the majority decided in the vote's place, since none
      of their solutions was scored.
    - ``emulated`` and ``refused`` are those of any record.
    - Of the ``samples`` asked for, ``ends`` counts the unusual ends and ``other_models`` the
      answers of other models (``other_prm_models``: their scores). ``leaves`` counts the returned
      paths.
    - ``models`` names those of a cell across models; empty for all others.
    - ``failure`` is the reason of the last failed branch; ``undecided`` counts pairs of answers
      that could not be compared in time.
    """

    task: str
    cell: str
    policy: str
    policy_params: int | None
    prm: str | None
    strategy: str
    n: int
    settings: dict[str, object]
    vote: str
    problems: int
    accuracy: float
    ci_low: float
    ci_high: float
    policy_tokens: int
    prompt_tokens: int
    cached_tokens: int
    wasted_tokens: int | None
    prm_tokens: int
    prm_cached_tokens: int
    prm_wasted_tokens: int | None
    flops: Flops | None
    requests: int
    cost: float
    seconds: float
    by_difficulty: dict[str, SubsetResult]
    sound_accuracy: float | None
    by_majority: int
    difficulty_of: str | None
    emulated: tuple[str, ...]
    refused: tuple[str, ...]
    samples: int
    leaves: int
    ends: dict[str, int]
    other_models: dict[str, int]
    other_prm_models: dict[str, int]
    failure: str | None
    undecided: int
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A run in numbers.

    ``failed`` counts records that ended in an error, ``ran_out`` those cut short by a limit,
    ``failed_branches`` the branches their trees lost, ``undecided`` the pairs of answers that could
    not be compared in time. ``wall_seconds`` is the time in which some problem was under way; None
    if records do not say when they ended. ``probes_cost`` (USD) is the cost of probing the
    endpoints at every start, which belongs to no cell. ``routes`` has the cells that route.
    """

    rows: tuple[SummaryRow, ...]
    headline: Headline | None
    failed: int
    ran_out: int
    failed_branches: int
    undecided: int
    wall_seconds: float | None = None
    probes_cost: float = 0.0
    routes: tuple[CellRoutes, ...] = ()


def summarise(records: Iterable[Record], headline: HeadlineSpec | None = None) -> Summary:
    """Every cell under every vote, and the headline if there is one.

    Raises ``RunError`` if the headline's cells are missing.
    """
    cells = gather(records)
    bins = bins_by_policy(cells)
    rows = []
    for cell in cells:
        task, policy = cell.sample.task, cell.sample.policy
        # A large policy that only ran CoT has no samples: use the small policy's bins.
        binned_by = policy if bins.get((task, policy)) or headline is None else headline.small
        known = bins.get((task, binned_by))
        for vote in cell.votes:
            rows.append(_row(cell, vote, known, binned_by if known else None))
    counted = [record for cell in cells for record in cell.records.values()]
    return Summary(
        rows=tuple(rows),
        headline=None if headline is None else compare(cells, headline),
        failed=sum(record.error is not None for record in counted),
        ran_out=sum(record.ran_out is not None for record in counted),
        failed_branches=sum(record.failed_branches for record in counted),
        undecided=sum(record.undecided for record in counted),
        wall_seconds=_wall_seconds(counted),
        routes=routes_of(cells),
    )


def to_json(summary: Summary, **more: Any) -> bytes:
    """``summary.json``: indented by two, keys in the order of the fields and then ``more``, four
    decimals."""
    content = rounded(asdict(summary) | more)
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"


def _row(cell: CellRecords, vote: str, bins: Bins | None, difficulty_of: str | None) -> SummaryRow:
    first = cell.sample
    records = cell.records.values()
    use = tokens_of(records)
    correct, sound = cell.correct(vote), cell.sound(vote)
    hits, total = sum(correct.values()), len(correct)
    interval = wilson(hits, total)
    return SummaryRow(
        task=first.task,
        cell=cell.id,
        policy=first.policy,
        policy_params=first.policy_params,
        prm=first.prm,
        strategy=first.strategy,
        n=first.n,
        settings=first.settings,
        vote=vote,
        problems=total,
        accuracy=hits / total,
        ci_low=interval.low,
        ci_high=interval.high,
        **use,
        wasted_tokens=_known_sum(record.wasted_tokens for record in records),
        prm_wasted_tokens=_known_sum(record.prm_wasted_tokens for record in records),
        flops=total_flops(record.flops for record in records),
        requests=sum(record.requests for record in records),
        cost=sum(record.cost for record in records),
        seconds=sum(record.seconds for record in records),
        by_difficulty=_by_difficulty(cell, correct, bins),
        sound_accuracy=None if sound is None else sum(sound.values()) / total,
        by_majority=sum(
            record.verdicts[vote].by == "majority" for record in records if vote in record.verdicts
        ),
        difficulty_of=difficulty_of,
        emulated=tuple(dict.fromkeys(each for record in records for each in record.emulated)),
        refused=tuple(dict.fromkeys(each for record in records for each in record.refused)),
        samples=sum(record.samples for record in records),
        leaves=sum(len(record.leaves) for record in records),
        ends=_added(record.ends for record in records),
        other_models=_added(record.other_models for record in records),
        other_prm_models=_added(record.other_prm_models for record in records),
        failure=next((each.failure for each in reversed(list(records)) if each.failure), None),
        undecided=sum(record.undecided for record in records),
        models=tuple(dict.fromkeys(name for record in records for name in record.models)),
    )


def _added(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(sorted(total.items()))


def _known_sum(counts: Iterable[int | None]) -> int | None:
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total


def _wall_seconds(records: Iterable[Record]) -> float | None:
    """The time in which some problem was under way, without the pauses between starts."""
    spans = sorted((record.ended - record.seconds, record.ended) for record in records)
    if not spans or any(not end for _, end in spans):
        return None
    total, until = 0.0, 0.0
    for begin, end in spans:
        total += max(0.0, end - max(begin, until))
        until = max(until, end)
    return total


def _by_difficulty(
    cell: CellRecords, correct: Mapping[str, bool], bins: Bins | None
) -> dict[str, SubsetResult]:
    if bins is None:
        return {}
    problems: dict[str, list[str]] = defaultdict(list)
    for problem in correct:
        problems[bins.get(problem, UNKNOWN)].append(problem)
    return {
        bin: result_of(cell, correct, problems[bin]) for bin in (*BINS, UNKNOWN) if problems[bin]
    }


def rounded(value: Any, digits: int = DIGITS) -> Any:
    """Round all numbers of a value, for JSON; those that may be dollars keep more digits."""
    if isinstance(value, float):
        return round(value, digits)
    if isinstance(value, dict):
        return {
            key: rounded(item, DIGITS_OF_DOLLARS if key in DOLLARS else digits)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [rounded(item, digits) for item in value]
    return value
