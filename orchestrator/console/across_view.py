"""Profiles across models as tables: which models to serve, with which strategy, at which use."""

from pathlib import Path

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from orchestrator.optimal.cascade.advice import four_digits
from orchestrator.optimal.cascade.mixture import reaching
from orchestrator.optimal.cascade.profile import AcrossProfile, Came, Compared, FiledPoint, used
from orchestrator.optimal.cascade.wording import plan_in_words
from orchestrator.report.data.wording import (
    counted,
    dollars,
    in_unit,
    model_name,
    percent,
    scientific,
)


def across_report(profile: AcrossProfile, run: Path | None) -> RenderableType:
    """Everything that is said of a profile; with how to go on, if it is in the directory of a
    ``run``."""
    parts = [front_table(profile), _compared(profile)]
    return Group(*parts, *([_use(profile, run)] if run is not None else []))


def front_table(profile: AcrossProfile) -> RenderableType:
    """For each unit the plans from the cheapest to the most accurate. Of a single policy with
    one PRM at most those of the first unit: its other fronts are much alike."""
    names = [model_name(each.name, each.parameters) for each in (*profile.policies, *profile.prms)]
    measured = counted(len(profile.origin.problems), "problems")
    what = "Across models" if profile.spans_models else "Plans"
    title = f"{what} on {profile.task}, by {measured}: {', '.join(names)}"
    units = list(profile.fronts)[: None if profile.spans_models else 1]
    tables = [_front(profile, profile.fronts[unit], unit) for unit in units]
    return Group(Text(title, style="bold"), *(Padding(each, (0, 0, 1, 0)) for each in tables))


def _front(profile: AcrossProfile, points: list[FiledPoint], unit: str) -> Table:
    table = _table("right %", "95 % interval", *_columns(profile))
    mixes = "; one between two rows mixes them" if len(points) > 1 else ""
    table.title = f"for a budget of {unit}{mixes}"
    table.title_justify, table.title_style = "left", "dim"
    if profile.spans_models:
        table.add_column("who answers", overflow="fold")
    table.add_column("how", overflow="fold")
    for point in points:
        table.add_row(
            *_accuracy(point.came),
            *_amounts(profile, point.came),
            *([_answering(point)] if profile.spans_models else []),
            plan_in_words(profile, profile.plan(point)),
        )
    return table


def _answering(point: FiledPoint) -> str:
    """``small 75 %, large 25 %``"""
    shares = sorted(point.answers.items(), key=lambda each: -each[1])
    return ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares)


def _compared(profile: AcrossProfile) -> RenderableType:
    """The best there is of each policy alone, and under each PRM."""
    table = _table("right %", "95 % interval", *_columns(profile))
    alone = "one policy alone" if profile.spans_models else "alike for all problems"
    table.add_column(f"{alone}, at its most accurate", overflow="fold")
    best: dict[tuple[str, str | None], Compared] = {}
    for each in profile.alone:
        key = each.policy, each.prm
        if key not in best or each.came.accuracy > best[key].came.accuracy:
            best[key] = each
    for (policy, prm), each in best.items():
        under = f" under {prm}" if prm else ""
        table.add_row(
            *_accuracy(each.came),
            *_amounts(profile, each.came),
            f"{policy}{under}: {each.strategy}",
        )
    return Padding(table, (0, 0, 1, 0))


def _use(profile: AcrossProfile, run: Path) -> RenderableType:
    unit, points = next(iter(profile.fronts.items()))
    middle = points[len(points) // 2].came
    goal = int(100 * middle.accuracy) / 100
    advised = reaching(profile, goal, unit)
    came = advised.came if advised else middle
    return Group(
        Text(
            f"{percent(came.accuracy)} % takes {in_unit(four_digits(used(came, unit)), unit)} a "
            "problem. For a config that does it:"
        ),
        Text(f"  orchard advise {run} --accuracy {goal:g}\n", overflow="fold"),
    )


def _columns(profile: AcrossProfile) -> list[str]:
    tokens = ["tokens"] if "tokens" in profile.fronts else []
    flops = ["FLOPs", "with cache"] if "flops" in profile.fronts else []
    return [*tokens, *flops, *(["$"] if "cost" in profile.fronts else []), "s"]


def _amounts(profile: AcrossProfile, came: Came) -> list[str]:
    known = [each for each in (came.flops, came.flops_with_cache) if each is not None]
    cost = dollars(came.cost).removeprefix("$") if came.cost else "–"
    return [
        *([f"{came.tokens:,.0f}"] if "tokens" in profile.fronts else []),
        *map(scientific, known),
        *([cost] if "cost" in profile.fronts else []),
        f"{came.seconds:.1f}",
    ]


def _accuracy(came: Came) -> list[str]:
    return [percent(came.accuracy), f"[{percent(came.low)}, {percent(came.high)}]"]


def _table(*numbers: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table
