"""What each arm is worth in each difficulty bin: the numbers a profile holds."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from orchestrator.core.difficulty import BINS, by_quantiles, difficulty
from orchestrator.optimal.allocation import ParetoFront
from orchestrator.optimal.difficulty.predictor import Predictor
from orchestrator.optimal.profiling.shrinkage import pooled
from orchestrator.optimal.profiling.trials import Trials, tokens

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Bins ``b`` and arms ``a``.

    ``shares[b]`` is the share of problems in a bin, ``problems[b]`` the number with trials there.
    ``measured[b, a]`` is an arm's accuracy and ``errors[b, a]`` its standard error, both NaN where
    the arm was tried on no problem of the bin; ``right[b, a]`` is its expected accuracy, and
    ``used[b, a]`` its mean use, in the order of ``measured.USED``.

    ``fronts[b]`` are the arms worth choosing among: each is expected to beat the one before by more
    than ``LIKELY`` standard errors of the difference, the sure ones by more than ``SURE``.
    ``rungs[b]`` are the same among arms without a fallback search: a pool goes through them in
    order.
    """

    shares: "NDArray[np.float64]"
    measured: "NDArray[np.float64]"
    errors: "NDArray[np.float64]"
    right: "NDArray[np.float64]"
    used: "NDArray[np.float64]"
    problems: tuple[int, ...]
    fronts: tuple[ParetoFront, ...]
    rungs: tuple[ParetoFront, ...]

    @property
    def tokens(self) -> "NDArray[np.float64]":
        """Of policy and PRM together, ``[b, a]``."""
        return tokens(self.used)


def predicted_bins(trials: Trials, predictor: Predictor) -> "NDArray[np.int64]":
    """Each trial's bin, predicted from its pilots, as an index into ``BINS``: ``[p, t]``."""
    import numpy as np

    return np.array(
        [[BINS.index(difficulty(predictor(each.shown))) for each in row] for row in trials.labelled]
    )


def true_bins(trials: Trials, *, quantiles: bool = False) -> "NDArray[np.int64]":
    """Each problem's bin by the accuracy of all its labelled samples, as only an oracle knows it.
    With ``quantiles`` the bins are thirds of these problems."""
    import numpy as np

    rates = [
        sum(each.right for each in row) / sum(each.samples for each in row)
        for row in trials.labelled
    ]
    bins = by_quantiles(rates) if quantiles else [difficulty(rate) for rate in rates]
    draws = len(trials.labelled[0])
    return np.array([[BINS.index(bin)] * draws for bin in bins])


RARE = 1e-6
"""The share given to a bin without trials: small enough that its arm weighs nothing."""


SURE, LIKELY = 0.5, 0.1
"""By how many standard errors an arm is better than a cheaper one to be called so (after the
one-standard-error rule; Breiman et al. 1984, §3.4.3; a half because an arm has many neighbours that
do about as well). Smaller gains are not worth any tokens."""


def tabulate(trials: Trials, bins: "NDArray[np.int64]") -> Table:
    """Tabulate trials whose bins are ``bins[p, t]``. A bin without trials copies the nearest one
    that has some. Every arm must have been tried on some problem."""
    import numpy as np

    overall, usual = np.nanmean(trials.right, axis=(0, 1)), np.nanmean(trials.used, axis=(0, 1))
    shares, measured, errors, used, problems, insides = [], [], [], [], [], []
    for b in range(len(BINS)):
        like = _nearest(b, np.unique(bins).tolist())
        inside = bins == like
        shares.append(float(inside.mean()) if like == b else RARE)
        tried = inside[:, :, None] & ~np.isnan(trials.right)
        right = _mean(trials.right, tried)
        measured.append(right)
        errors.append(_errors(trials.right, tried, right))
        mine = _mean(trials.used, tried[..., None])
        used.append(np.where(np.isnan(mine), usual, mine))
        problems.append(int(inside.any(axis=1).sum()) if like == b else 0)
        insides.append(inside)
    by_bin, spread = np.array(measured), np.array(errors)
    believed = pooled(by_bin, spread, overall)
    costs = tokens(np.array(used))
    alone = [a for a, arm in enumerate(trials.arms) if not arm.is_followed]

    def fronts(among: Sequence[int]) -> tuple[ParetoFront, ...]:
        return tuple(
            _front(trials.right, insides[b], believed[b], costs[b], among) for b in range(len(BINS))
        )

    return Table(
        shares=np.array(shares),
        measured=by_bin,
        errors=spread,
        right=believed,
        used=np.array(used),
        problems=tuple(problems),
        fronts=fronts(range(len(trials.arms))),
        rungs=fronts(alone),
    )


def _nearest(bin: int, known: list[int]) -> int:
    return min(known, key=lambda other: (abs(other - bin), -other))


def _front(
    right: "NDArray[np.float64]",
    inside: "NDArray[np.bool_]",
    believed: "NDArray[np.float64]",
    costs: "NDArray[np.float64]",
    among: Sequence[int],
) -> ParetoFront:
    """Of the arms ``among`` all; ``right[p, t, a]`` in the trials ``inside[p, t]`` of a bin, and
    ``believed[a]`` to be right there at ``costs[a]``."""
    import numpy as np

    def gain(less: int, more: int) -> float:
        return _gain(right[..., more] - right[..., less], inside, believed[more] - believed[less])

    likely: list[int] = []
    for arm in sorted(among, key=lambda arm: (costs[arm], -believed[arm])):
        if not likely or gain(likely[-1], arm) > LIKELY:
            likely.append(arm)
    sure = list(likely)
    while len(sure) > 1:  # without the least sure step, until all of them are
        gains = list(itertools.starmap(gain, pairwise(sure)))
        weakest = int(np.argmin(gains))
        if gains[weakest] > SURE:
            break
        del sure[weakest + 1]
    return ParetoFront(tuple(sure), tuple(likely))


def _gain(gains: "NDArray[np.float64]", inside: "NDArray[np.bool_]", believed: float) -> float:
    """What one arm is expected to gain over another, in standard errors of that, by the trials
    ``[p, t]`` inside a bin; nothing where no problem there was tried with both."""
    import numpy as np

    both = inside & ~np.isnan(gains)
    trials = both.sum(axis=1)
    if not trials.any():
        return 0.0
    gained = np.where(both, gains, 0.0).sum(axis=1)
    mean = gained.sum() / trials.sum()
    error = np.sqrt(((gained - trials * mean) ** 2).sum()) / trials.sum()
    # no smaller than half a problem's worth: of few, none may have told them apart
    least = 0.5 / ((trials > 0).sum() + 2)
    # one may have been tried on the easier problems
    expected = min(believed, mean) if trials.sum() < inside.sum() else believed
    return float(expected / max(error, least))


def _mean(values: "NDArray[np.float64]", tried: "NDArray[np.bool_]") -> "NDArray[np.float64]":
    """Over the trials that count, NaN where there are none."""
    import numpy as np

    counted = np.where(tried, values, 0.0).sum(axis=(0, 1))
    trials = tried.sum(axis=(0, 1))
    return np.where(trials > 0, counted / np.maximum(1, trials), np.nan)


def _errors(
    right: "NDArray[np.float64]", tried: "NDArray[np.bool_]", mean: "NDArray[np.float64]"
) -> "NDArray[np.float64]":
    """Of a mean over the trials that count, which come in problems; no smaller than a problem right
    or wrong more would make it, and NaN where there are none."""
    import numpy as np

    off = np.where(tried, right - mean, 0.0).sum(axis=1)
    clustered = (off**2).sum(axis=0) / np.maximum(1, tried.sum(axis=(0, 1))) ** 2
    problems = tried.any(axis=1).sum(axis=0)
    smoothed = (mean * problems + 1) / (problems + 2)
    floor = smoothed * (1 - smoothed) / (problems + 2)
    errors: NDArray[np.float64] = np.sqrt(np.maximum(clustered, floor))
    return errors
