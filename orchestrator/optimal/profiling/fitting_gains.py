"""Fits expected gains (``shared_budget.expected_gain``) to how votes went on a profile's problems
(``trajectories``)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.optimal.difficulty.predictor import (
    FEWEST_PROBLEMS,
    Predictor,
    fit_logistic,
)
from orchestrator.optimal.profile import Gains, SearchGain
from orchestrator.optimal.profiling.crossfit import fit_predictor, folds, without
from orchestrator.optimal.profiling.measured import use_of
from orchestrator.optimal.profiling.trajectories import SEARCHED, Trajectories
from orchestrator.optimal.profiling.trials import Trials
from orchestrator.optimal.shared_budget.expected_gain import AHEAD, FEATURES, HOPE, Change, log

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PARTS = 5
"""Parts of equal size that expected gains are compared with measured ones in."""


def fit_gains(trials: Trials, predictor: Predictor, *, with_curve: bool = True) -> Gains | None:
    """What more samples and each tree search are expected to gain. None if the trials do not tell.
    A search that was tried on fewer than ``FEWEST_PROBLEMS`` is left out. Fitting the ``curve``
    takes most of the time."""
    import numpy as np

    trajectories = trials.trajectories
    if trajectories is None or len(trajectories.ways.sizes) < 2:
        return None
    half = len(trajectories.ways.sizes) // 2
    many = trajectories.right[..., half:]  # where votes differ, and pools end
    v = int(many.mean(axis=(0, 2, 3)).argmax())
    hope = hopes(trials, predictor)
    arm = trajectories.ways.sampling[v]
    searches = [
        SearchGain(
            strategy=search.strategy,
            settings=dict(search.settings),
            use=use_of(np.nanmean(trajectories.cost[:, s], axis=0)),
            change=_change(_searches(trajectories, v, s, hope)),
        )
        for s, search in enumerate(trajectories.ways.searches.values())
        if (~np.isnan(trajectories.cost[:, s, 0])).sum() >= FEWEST_PROBLEMS
    ]
    return Gains(
        strategy=arm.strategy,
        vote=arm.vote.name,
        settings=dict(arm.settings),
        pilots=use_of(_pilots(trials, trajectories.ways.pilots)),
        samples=_change(_samples(trajectories, v, hope)),
        searches=searches,
        curve=_curve(trials, v) if with_curve else [],
    )


def hopes(trials: Trials, predictor: Predictor) -> "NDArray[np.float64]":
    """The logarithm of the pass@1 that each way's pilots predict, ``[p, w]``."""
    import numpy as np

    assert trials.trajectories is not None
    ways = trials.trajectories.right.shape[2]
    return np.array(
        [[log(predictor(each.shown)) for each in row[:ways]] for row in trials.labelled]
    )


@dataclass(frozen=True, slots=True)
class Rows:
    """Steps that could have been taken: what was ``shown``, the ``change`` from wrong (0) to right
    (1) that came of it, in -1..1, and for how much a row ``counts``."""

    names: tuple[str, ...]
    shown: "NDArray[np.float64]"
    change: "NDArray[np.float64]"
    counts: "NDArray[np.float64]"


def _samples(trajectories: Trajectories, v: int, hope: "NDArray[np.float64]") -> Rows:
    """From every number of samples to every larger one."""
    import numpy as np

    looked = trajectories.ways.sizes
    parts = []
    for k, size in enumerate(looked[:-1]):
        for j in range(k + 1, len(looked)):
            ahead = np.full(hope.shape, np.log(looked[j] / size))
            change = trajectories.right[:, v, :, j] - trajectories.right[:, v, :, k]
            count = 1.0 / (hope.shape[1] * (len(looked) - 1 - k))
            parts.append((trajectories.shown[:, v, :, k], (hope, ahead), change, count))
    return _rows((HOPE, AHEAD), parts)


def _searches(trajectories: Trajectories, v: int, s: int, hope: "NDArray[np.float64]") -> Rows:
    """From samples to search ``s``, and from the cheaper searches that followed the pilots."""
    parts = []
    count = 1.0 / hope.shape[1]
    for k in range(min(SEARCHED, len(trajectories.ways.sizes))):
        change = trajectories.searched[:, v, :, k, s] - trajectories.right[:, v, :, k]
        parts.append((trajectories.shown[:, v, :, k], (hope,), change, count))
    for t in range(s):
        change = trajectories.twice[:, v, :, t, s] - trajectories.searched[:, v, :, 0, t]
        parts.append((trajectories.later[:, v, :, t], (hope,), change, count))
    return _rows((HOPE,), parts)


def _rows(more: tuple[str, ...], parts: Sequence[tuple[Any, tuple[Any, ...], Any, float]]) -> Rows:
    """Rows of each part: ``shown[p, w, f]``, ``more`` features ``[p, w]``, the change ``[p, w]``,
    NaN where it is unknown, and the count of a row."""
    import numpy as np

    shown = np.concatenate(
        [
            np.concatenate([first, *(each[..., None] for each in others)], axis=2).reshape(
                -1, first.shape[2] + len(others)
            )
            for first, others, _, _ in parts
        ]
    )
    change = np.concatenate([change.ravel() for _, _, change, _ in parts])
    counts = np.concatenate([np.full(change.size, count) for _, _, change, count in parts])
    known = ~np.isnan(change)
    shown = shown[known]
    told = ~np.isnan(shown).all(axis=0)
    names = tuple(name for name, is_told in zip((*FEATURES, *more), told, strict=True) if is_told)
    shown = shown[:, told]
    means = np.nanmean(shown, axis=0)
    filled = np.where(np.isnan(shown), means, shown)
    return Rows(names, filled, change[known], counts[known])


def _change(rows: Rows) -> Change:
    import numpy as np

    return Change(
        mends=fit_logistic(rows.names, rows.shown, np.maximum(rows.change, 0.0), rows.counts),
        spoils=fit_logistic(rows.names, rows.shown, np.maximum(-rows.change, 0.0), rows.counts),
    )


def _curve(trials: Trials, v: int) -> list[tuple[float, float, int]]:
    """The mean expected and the mean measured gain of more samples, and the number of such steps,
    in parts of equal size by the expected gain: on the folds that each fit left out."""
    import numpy as np

    expected: list[float] = []
    measured: list[float] = []
    for held_out in folds(len(trials.problems)):
        rest, test = without(trials, held_out), trials.of(held_out)
        assert rest.trajectories is not None and test.trajectories is not None
        predictor = fit_predictor(rest, rest.trajectories.ways.pilots)
        change = _change(_samples(rest.trajectories, v, hopes(rest, predictor)))
        rows = _samples(test.trajectories, v, hopes(test, predictor))
        expected += [
            change.gain(dict(zip(rows.names, shown, strict=True))) for shown in rows.shown.tolist()
        ]
        measured += rows.change.tolist()
    by_step = np.array([expected, measured])
    parts = np.array_split(np.argsort(by_step[0], kind="stable"), PARTS)
    return [
        (float(by_step[0, part].mean()), float(by_step[1, part].mean()), len(part))
        for part in parts
        if len(part)
    ]


def _pilots(trials: Trials, pilots: int) -> "NDArray[np.float64]":
    """What the pilots use on average, in the order of ``USED``."""
    arm = next(
        a
        for a, each in enumerate(trials.arms)
        if each.is_sampling and each.strategy != "cot" and each.n == pilots and not each.stop
    )
    found: NDArray[np.float64] = trials.used[:, :, arm].mean(axis=(0, 1))
    return found
