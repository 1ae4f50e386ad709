"""An evaluation of PRMs for the terminal, at 80 columns."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel as Box
from rich.table import Table
from rich.text import Text

from orchestrator.evaluation.estimates import Estimate
from orchestrator.evaluation.evaluate import Evaluation
from orchestrator.evaluation.first_error import FirstErrors
from orchestrator.report.data.prm_summary import PRMSummary
from orchestrator.report.data.wording import percent

NONE = "–"
MARK = "*"
NAMED_FAILURES = 5
PLACES = (1, 2, 3, 5, 8, 12, 20, 30)
"""Places in a solution whose right steps are shown."""


def prm_report(summary: PRMSummary) -> RenderableType:
    """The conclusions, the tables and the notes."""
    return Group(
        _conclusions(summary),
        *_first_errors(summary),
        *_calibration(summary),
        *_solutions(summary),
        *_places(summary),
        Text("\n".join(_notes(summary)), style="dim"),
    )


def _conclusions(summary: PRMSummary) -> RenderableType:
    text = Text("\n").join(Text(line) for line in summary.conclusions)
    return Padding(Box(text, title="conclusions", title_align="left"), (0, 0, 1, 0))


def _first_errors(summary: PRMSummary) -> Iterator[RenderableType]:
    """ProcessBench's table: the data sets of a PRM, with intervals below the numbers."""
    for prm in summary.prms:
        rows = summary.of(prm)
        table = _table()
        table.add_column("data", overflow="fold")
        for heading in (
            "first error\nfound %",
            "no error seen\nwhere none is %",
            f"F1\nat {summary.threshold:g}",
            "F1 at cross-\nfitted threshold",
        ):
            table.add_column(heading, justify="right", no_wrap=True)
        for row in rows:
            first, best = row.first_error, row.best
            table.add_row(
                _above(row.data, f"{row.samples:,}, {row.wrong:,} wrong"),
                *map(_share, (first.wrong, first.right, first.f1, best.f1 if best else None)),
            )
            if best is not None:
                table.add_row("", "", "", "", Text(_thresholds(best), style="dim"))
        mean = summary.mean_f1[prm]
        if len(rows) > 1 and mean is not None:
            table.add_row("mean", "", "", percent(mean), "")
        yield Text(f"{prm}: the first wrong step", style="bold")
        yield Padding(table, (0, 0, 1, 0))


def _calibration(summary: PRMSummary) -> Iterator[RenderableType]:
    table = _table()
    table.add_column("PRM, data", overflow="fold")
    for heading in (
        "steps",
        "mean\nscore",
        "share\nright",
        "score less\nshare right",
        "ECE",
        "Brier",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in summary.rows:
        c = row.calibration
        if c is None:
            table.add_row(_name(row), *[NONE] * 6)
            continue
        interval = Text(f"[{c.bias.low:+.3f}, {c.bias.high:+.3f}]", style="dim")
        table.add_row(
            _name(row),
            f"{c.steps:,}",
            f"{c.mean_score:.3f}",
            f"{c.right:.3f}",
            Text.assemble(f"{c.bias.value:+.3f} ", interval),
            f"{c.ece:.3f}",
            f"{c.brier:.3f}",
        )
    yield Text("Calibration: does a step's score say how often such steps are right?", style="bold")
    yield Padding(table, (0, 0, 1, 0))


def _solutions(summary: PRMSummary) -> Iterator[RenderableType]:
    """How well a solution's score tells right from wrong, and how it correlates with length."""
    table = _table()
    table.add_column("PRM, data", overflow="fold")
    table.add_column("score")
    for heading in ("\nAUROC", "steps,\nright", "steps,\nwrong", "characters,\nright", "\nwrong"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in summary.rows:
        for number, each in enumerate(row.aggregates):
            trends = (
                each.right.steps, each.wrong.steps, each.right.characters, each.wrong.characters,
            )  # fmt: skip
            table.add_row(
                _name(row) if number == 0 else "",
                each.reward,
                NONE if each.auroc is None else f"{each.auroc:.3f}",
                *map(_correlation, trends),
            )
    yield Text(
        "Solution scores: AUROC of right against wrong, Spearman correlation with length",
        style="bold",
    )
    yield Padding(table, (0, 0, 1, 0))


def _places(summary: PRMSummary) -> Iterator[RenderableType]:
    """Mean score of right steps by place: constant for a PRM without position bias."""
    means = [
        (row, {group.at: group.mean for group in row.by_length.right_steps})
        for row in summary.rows
        if row.by_length is not None
    ]
    places = [place for place in PLACES if any(place in by_place for _, by_place in means)]
    if not places:
        return
    table = _table()
    table.add_column("PRM, data", overflow="fold")
    for place in places:
        table.add_column(f"step {place}", justify="right", no_wrap=True)
    for row, by_place in means:
        found = (by_place.get(place) for place in places)
        table.add_row(_name(row), *(NONE if mean is None else f"{mean:.3f}" for mean in found))
    yield Text("Mean score of right steps by their place", style="bold")
    yield Padding(table, (0, 0, 1, 0))


def _notes(summary: PRMSummary) -> Iterator[str]:
    for name, note in summary.data.items():
        yield f"{name}: {note}."
    yield (
        "First error: the first step scored below the threshold; F1 is the harmonic mean of both "
        "shares (ProcessBench). A cross-fitted threshold is chosen on the other half of the "
        "problems. Intervals are 95 %."
    )
    yield "Calibration is over the steps up to the first error: later ones are neither."
    yield (
        f"{MARK} the interval of the correlation leaves zero out. prod falls with length by "
        "construction."
    )
    if falling := [prm for prm in summary.prms if summary.of(prm)[0].running_minimum]:
        yield (
            f"{', '.join(falling)}: scores are the running minimum, which changes no first error, "
            "and makes last and min the same and later steps score lower by construction."
        )
    for row in summary.rows:
        if not (row.wrong and row.right) and row.samples:
            side = "wrong" if row.wrong else "right"
            yield f"{row.prm} on {row.data}: all samples are {side}, so no F1, AUROC or threshold."
        elif row.best is None and row.samples:
            yield (
                f"{row.prm} on {row.data}: no cross-fitted threshold, since each half of the "
                "problems needs right and wrong samples."
            )
        yield from _failures(row)


def _failures(row: Evaluation) -> Iterator[str]:
    by_reason: dict[str, list[str]] = {}
    for failure in row.failed:
        by_reason.setdefault(failure.reason, []).append(failure.sample)
    for reason, samples in by_reason.items():
        named = ", ".join(samples[:NAMED_FAILURES])
        more = f" and {len(samples) - NAMED_FAILURES} more" * (len(samples) > NAMED_FAILURES)
        yield f"{row.prm} on {row.data}, not scored: {named}{more}: {reason}."


def _table() -> Table:
    return Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")


def _name(row: Evaluation) -> str:
    return f"{row.prm}, {row.data}"


def _share(estimate: Estimate | None) -> Text:
    """A percentage above its interval."""
    if estimate is None:
        return Text(NONE)
    interval = f"[{percent(estimate.low)}, {percent(estimate.high)}]"
    return _above(percent(estimate.value), interval)


def _above(what: str, below: str) -> Text:
    return Text.assemble(what, "\n", (below, "dim"))


def _thresholds(best: FirstErrors) -> str:
    return "at " + ", ".join(f"{threshold:.3g}" for threshold in best.thresholds)


def _correlation(estimate: Estimate | None) -> str:
    if estimate is None:
        return NONE + " "
    mark = " " if estimate.low <= 0 <= estimate.high else MARK
    return f"{estimate.value:+.2f}{mark}"
