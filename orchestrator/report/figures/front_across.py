"""The front across models, with single policies to compare: accuracy against what is used."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.core.records import AUTO
from orchestrator.optimal.cascade.profile import AcrossProfile, Came, used
from orchestrator.optimal.profile import Unit
from orchestrator.report.data.wording import dollars
from orchestrator.report.figures.draw import save
from orchestrator.report.figures.plots import log_axis, power_of_ten, thousands
from orchestrator.report.figures.style import INK, OTHER_LOOKS, PANEL_HEIGHT, PANEL_WIDTH, RC

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AXES: dict[Unit, tuple[str, Callable[[float], str]]] = {
    "tokens": ("tokens a problem", thousands),
    "flops": ("FLOPs a problem, policies and PRMs", power_of_ten),
    "cost": ("USD a problem", dollars),
    "seconds": ("seconds a problem", "{:g}".format),
}
"""What each unit's axis is called, and how the amounts at its ticks are written."""


def draw_front(profile: AcrossProfile, folder: Path, name: str) -> list[Path]:
    """Draw the front of each unit; return the files written."""
    import matplotlib

    folder.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(RC):
        return save(front_across(profile), folder, name)


def front_across(profile: AcrossProfile) -> "Figure":
    """A panel for each unit: the plans with their 95 % intervals, and between them a line, which is
    what mixtures of two plans come to; the ``auto`` of each policy as a line, in the first unit,
    and its fixed strategies as points, in the policy's colour."""
    from matplotlib.figure import Figure

    units = list(profile.fronts)
    figure = Figure(figsize=(PANEL_WIDTH * len(units), 1.5 * PANEL_HEIGHT), layout="constrained")
    panels = figure.subplots(1, len(units), squeeze=False, sharey=True)[0]
    for axes, unit in zip(panels, units, strict=True):
        _alone(axes, profile, unit)
        points = [each.came for each in profile.fronts[unit]]
        axes.errorbar(
            [used(came, unit) for came in points],
            [100 * came.accuracy for came in points],
            yerr=[
                [100 * (came.accuracy - came.low) for came in points],
                [100 * (came.high - came.accuracy) for came in points],
            ],
            color=INK, marker="o", capsize=2, zorder=4, label="across models",
        )  # fmt: skip
        name, label = AXES[unit]
        axes.set_xlabel(name)
        if all(used(came, unit) > 0 for came in points):
            shown = [*points, *(each.came for each in profile.alone)]
            log_axis(axes, [at for at in _curve(shown, unit)[0] if at > 0], label)
    panels[0].set_ylabel(f"% right on {profile.task}")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _alone(axes: "Axes", profile: AcrossProfile, unit: str) -> None:
    for policy, look in zip(profile.policies, OTHER_LOOKS, strict=False):
        own = [each for each in profile.alone if each.policy == policy.name]
        fixed = [each.came for each in own if each.strategy != AUTO]
        axes.plot(
            *_curve(fixed, unit), color=look.colour, marker=look.marker, linestyle="none",
            markersize=2.5, alpha=0.6, label=f"{policy.name}, fixed", zorder=2,
        )  # fmt: skip
        if unit != next(iter(profile.fronts)):
            continue  # what policies come to alone was fitted for the first unit
        for prm in dict.fromkeys(each.prm for each in own if each.strategy == AUTO):
            routed = [each.came for each in own if (each.prm, each.strategy) == (prm, AUTO)]
            under = f" under {prm}" if prm else ""
            axes.plot(
                *_curve(routed, unit), color=look.colour, linewidth=0.9, zorder=3,
                label=f"{policy.name}{under}, auto",
                linestyle="-" if prm is None or prm == profile.prms[0].name else "--",
            )  # fmt: skip


def _curve(came: list[Came], unit: str) -> tuple[list[float], list[float]]:
    known = [each for each in came if getattr(each, unit) is not None]
    return [used(each, unit) for each in known], [100 * each.accuracy for each in known]
