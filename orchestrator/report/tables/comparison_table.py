"""A comparison for the terminal, in tables and plain English, and as JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import msgspec
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from orchestrator.core.records import AUTO
from orchestrator.report.compare.comparison import CellComparison, RunComparison, Side
from orchestrator.report.compare.gains import Gain
from orchestrator.report.data.derived import EfficiencyGain, times_fewer
from orchestrator.report.data.shown import budget_in_words, row_name
from orchestrator.report.data.summary import SummaryRow, rounded
from orchestrator.report.data.wording import (
    SHOWN,
    amount,
    model_name,
    percent,
    points,
    scientific,
)

MOST_SENTENCES = 6
"""With more comparisons than this, one sentence sums them up."""

COLUMNS = (
    ("right\n%", 5), ("tokens", 6), ("FLOPs", 6), ("points", 6), ("95 % interval", 14),
    ("shown", 9),
)  # fmt: skip


def comparison_table(found: RunComparison, gains: Sequence[tuple[str, Gain]]) -> RenderableType:
    """Each base with the cells compared to it, conclusions, and the paper's derived figures.

    ``gains`` come with the names of their runs.
    """
    several = len({side.run for side in found.sides}) > 1
    parts: list[RenderableType] = []
    for base in dict.fromkeys(id(each.base) for each in found.differences):
        against = [each for each in found.differences if id(each.base) == base]
        parts.append(Text(f"Against {_described(against[0].base, several)}", "bold"))
        parts.append(Padding(_table(against, several), (0, 0, 1, 0)))
    parts += [Text(line) for line in conclusions(found)]
    parts += [Text(line) for line in _totals(found, several)]
    if gains:
        parts += [Text(), Text("The paper's derived figures", "bold"), _gains(gains, several)]
    return Group(*parts, Text("\n".join(_notes(gains)), style="dim"))


def conclusions(found: RunComparison) -> Iterator[str]:
    """The findings in plain English."""
    several = len({side.run for side in found.sides}) > 1
    differences = found.differences
    if len(differences) <= MOST_SENTENCES:
        yield from (sentence(each, several) for each in differences)
    else:
        verdicts = [each.verdict for each in differences]
        yield (
            f"Of {len(differences)} comparisons {verdicts.count('better')} show a better cell and "
            f"{verdicts.count('worse')} a worse one; {verdicts.count('not shown')} show neither. "
            f"By chance alone about {max(1, round(len(differences) / 20))} would."
        )
    for problems in sorted({each.found.problems for each in differences}):
        visible = sorted(each.visible for each in differences if each.found.problems == problems)
        yield (
            f"{problems} problems: only differences beyond about "
            f"±{percent(visible[len(visible) // 2])} points could be seen."
        )


def sentence(each: CellComparison, several: bool = False) -> str:
    """One comparison in plain English."""
    ours, theirs = _described(each.side, several), _described(each.base, several)
    found = each.found
    interval = (
        f"{points(found.difference)} points, 95 % interval [{points(found.ci_low)}, "
        f"{points(found.ci_high)}]; of {found.problems} problems it alone solves {found.wins}, the "
        f"other alone {found.losses}"
    )
    if each.verdict == "not shown":
        return f"{ours} is shown to be neither better nor worse than {theirs}: {interval}."
    return f"{ours} is {each.verdict} than {theirs}: {interval}."


def comparison_json(found: RunComparison, gains: Sequence[tuple[str, Gain]]) -> bytes:
    """The same for programs: cells, differences by position, conclusions."""
    place = {id(side): index for index, side in enumerate(found.sides)}
    content = {
        "cells": [
            {"run": side.run, "total_flops": side.total and asdict(side.total)} | asdict(side.row)
            for side in found.sides
        ],
        "differences": [_plain(each, place) for each in found.differences],
        "conclusions": list(conclusions(found)),
        "derived": [{"run": run} | _plain_gain(gain) for run, gain in gains],
    }
    return msgspec.json.format(msgspec.json.encode(rounded(content)), indent=2) + b"\n"


def _plain(each: CellComparison, place: dict[int, int]) -> dict[str, Any]:
    names = {"ours": "accuracy", "theirs": "base_accuracy"}
    return (
        {"cell": place[id(each.side)], "base": place[id(each.base)]}
        | {names.get(name, name): value for name, value in asdict(each.found).items()}
        | {"verdict": each.verdict, "visible": each.visible}
    )


def _plain_gain(gain: Gain) -> dict[str, Any]:
    efficiency = {
        name: None if value is None else value._asdict()
        for name, value in (("in_n", gain.in_n), ("in_tokens", gain.in_tokens))
    }
    return asdict(gain) | efficiency


def _described(side: Side, several: bool) -> str:
    row = side.row
    name = f"{model_name(row.policy, row.policy_params)} {_method(row)}"
    return name + (f" under {row.prm}" if row.prm else "") + (f" ({side.run})" if several else "")


def _method(row: SummaryRow) -> str:
    if row.strategy == AUTO:
        size = f", {budget_in_words(row.settings)}" if row.settings.get("budget") else ""
    else:
        size = f" {row.n}" if row.n > 1 else ""
    vote = "" if row.vote == row.strategy or row.n <= 1 else f" {row.vote}"
    return f"{row_name(row)}{size}{vote}"


def _table(against: Sequence[CellComparison], several: bool) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    if several:
        table.add_column("run", min_width=5, overflow="fold")
    table.add_column("cell", min_width=18)
    for heading, width in COLUMNS:
        table.add_column(heading, justify="right", min_width=width, no_wrap=True)
    base, prm = against[0].base.row, None
    for each in against:
        row = each.side.row
        if row.prm not in (None, prm):
            table.add_row(*([""] if several else []), Text(f"under {row.prm}", "dim"))
        prm = row.prm
        name = _method(row) if row.policy == base.policy else f"{row.policy} {_method(row)}"
        table.add_row(
            *([each.side.run] if several else []),
            name,
            percent(each.found.ours),
            amount((row.policy_tokens + row.prm_tokens) / row.problems),
            scientific(row.flops.total / row.problems, 1) if row.flops else "–",
            points(each.found.difference),
            f"[{points(each.found.ci_low)}, {points(each.found.ci_high)}]",
            SHOWN[each.verdict],
            style="bold green" if each.verdict == "better" else "",
        )
    return table


def _totals(found: RunComparison, several: bool) -> Iterator[str]:
    """Pre-training plus inference, for cells of different policies."""
    for each in found.differences:
        ours, theirs = each.side.total, each.base.total
        if ours is None or theirs is None or each.side.row.policy == each.base.row.policy:
            continue
        ratio = times_fewer(theirs, ours)
        times = f"{ratio:.3g}× fewer" if ratio >= 1 else f"{1 / ratio:.3g}× more"
        yield (
            f"With pre-training {_described(each.side, several)} took {scientific(ours.total)} "
            f"FLOPs in all, {times} than {_described(each.base, several)}: "
            f"{scientific(ours.pretraining)} + {scientific(ours.inference)} against "
            f"{scientific(theirs.pretraining)} + {scientific(theirs.inference)}."
        )


def _gains(gains: Sequence[tuple[str, Gain]], several: bool) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    if several:
        table.add_column("run", min_width=5, overflow="fold")
    table.add_column("policy and PRM", min_width=12)
    table.add_column("strategy", min_width=13)
    for heading in ("up to\nN", "right\n%", "over\nCoT %", "less\nN", "fewer\ntokens"):
        table.add_column(heading, justify="right", no_wrap=True)
    for run, gain in gains:
        table.add_row(
            *([run] if several else []),
            gain.policy + (f" + {gain.prm}" if gain.prm else ""),
            gain.label + ("" if gain.vote == gain.strategy else f" {gain.vote}"),
            str(gain.n or "–"),
            percent(gain.accuracy),
            "–" if gain.over_cot is None else f"{100 * gain.over_cot:+.1f}",
            _times(gain.in_n),
            _times(gain.in_tokens),
        )
    return table


def _times(gain: EfficiencyGain | None) -> str:
    return "–" if gain is None else f"{'≥ ' if gain.bound else ''}{gain.ratio:.3g}×"


def _notes(gains: Sequence[tuple[str, Gain]]) -> Iterator[str]:
    yield (
        "Accuracies and differences are over the problems that both attempted; tokens (policy and "
        "PRM) and FLOPs are means a problem. Shown is what the paired 95 % interval and the exact "
        "sign test agree on."
    )
    if gains:
        yield (
            "Less N, fewer tokens: majority voting's at its best accuracy over those that reach "
            "the same; ≥ where the smallest that was run does already."
        )
