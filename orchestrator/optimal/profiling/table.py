"""The accuracy and use of each arm in each difficulty bin: the numbers of a profile."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from orchestrator.core.difficulty import BINS, by_quantiles, difficulty
from orchestrator.optimal.allocation import ParetoFront
from orchestrator.optimal.difficulty.predictor import Predictor
from orchestrator.optimal.profiling.measured import tokens
from orchestrator.optimal.profiling.shrinkage import shrunk
from orchestrator.optimal.profiling.trials import Trials

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Bins ``b`` and arms ``a``.

    ``shares[b]`` is the share of trials in a bin, ``problems[b]`` the number of problems with any.
    ``measured[b, a]`` is an arm's accuracy and ``errors[b, a]`` its standard error, both NaN if the
    arm was not tried on any problem of the bin. ``right[b, a]`` is its expected accuracy and
    ``used[b, a]`` its mean use, in the order of ``measured.USED``.

    ``fronts[b]`` are the arms to choose from: each is expected to beat the one before by more than
    ``LIKELY`` standard errors of the difference, the sure ones by more than ``SURE``. ``rungs[b]``
    are the same among arms without a fallback, for pools.
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
    """Each problem's bin by the accuracy of its labelled samples, which only an oracle knows. With
    ``quantiles`` the bins are thirds of these problems."""
    import numpy as np

    rates = [
        sum(each.right for each in row) / sum(each.samples for each in row)
        for row in trials.labelled
    ]
    bins = by_quantiles(rates) if quantiles else [difficulty(rate) for rate in rates]
    draws = len(trials.labelled[0])
    return np.array([[BINS.index(bin)] * draws for bin in bins])


RARE = 1e-6
"""The share given to a bin without trials: too small to affect an allocation."""


SURE, LIKELY = 0.5, 0.1
"""By how many standard errors of the difference an arm must beat a cheaper one to be called sure or
likely to be better. Smaller gains are not worth any tokens. (After the one-standard-error rule,
Breiman et al. 1984, §3.4.3; half of one, because an arm has many neighbours about as good.)"""


def tabulate(trials: Trials, bins: "NDArray[np.int64]") -> Table:
    """Tabulate trials by their ``bins[p, t]``. A bin without trials copies the nearest one with
    trials. Every arm must have been tried on at least one problem."""
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
    believed = shrunk(by_bin, spread, overall)
    costs = tokens(np.array(used))
    alone = [a for a, arm in enumerate(trials.arms) if not arm.has_fallback]

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
    """The front of the arms ``among`` in a bin, from its trials: ``right[p, t, a]`` where
    ``inside[p, t]``. There arms are ``believed[a]`` to be right, at ``costs[a]`` tokens."""
    import numpy as np

    def gain(less: int, more: int) -> float:
        return _gain(right[..., more] - right[..., less], inside, believed[more] - believed[less])

    likely: list[int] = []
    for arm in sorted(among, key=lambda arm: (costs[arm], -believed[arm])):
        if not likely or gain(likely[-1], arm) > LIKELY:
            likely.append(arm)
    sure = list(likely)
    while len(sure) > 1:  # drop the least sure step until all are sure
        gains = list(itertools.starmap(gain, pairwise(sure)))
        weakest = int(np.argmin(gains))
        if gains[weakest] > SURE:
            break
        del sure[weakest + 1]
    return ParetoFront(tuple(sure), tuple(likely))


def _gain(gains: "NDArray[np.float64]", inside: "NDArray[np.bool_]", believed: float) -> float:
    """The expected gain of one arm over another, in standard errors, from the trials ``[p, t]``
    inside a bin; 0 if no problem there was tried with both."""
    import numpy as np

    both = inside & ~np.isnan(gains)
    trials = both.sum(axis=1)
    if not trials.any():
        return 0.0
    gained = np.where(both, gains, 0.0).sum(axis=1)
    mean = gained.sum() / trials.sum()
    error = np.sqrt(((gained - trials * mean) ** 2).sum()) / trials.sum()
    # At least half a problem's worth: on few problems the arms may never have differed by chance.
    least = 0.5 / ((trials > 0).sum() + 2)
    # If not all trials had both arms, one of them may have seen the easier problems.
    expected = min(believed, mean) if trials.sum() < inside.sum() else believed
    return float(expected / max(error, least))


def _mean(values: "NDArray[np.float64]", tried: "NDArray[np.bool_]") -> "NDArray[np.float64]":
    """The mean over the trials ``tried``; NaN if there are none."""
    import numpy as np

    counted = np.where(tried, values, 0.0).sum(axis=(0, 1))
    trials = tried.sum(axis=(0, 1))
    return np.where(trials > 0, counted / np.maximum(1, trials), np.nan)


def _errors(
    right: "NDArray[np.float64]", tried: "NDArray[np.bool_]", mean: "NDArray[np.float64]"
) -> "NDArray[np.float64]":
    """Standard errors of ``mean`` over the trials ``tried``, clustered by problem; NaN if there are
    none. At least the binomial error with one more problem right and one more wrong."""
    import numpy as np

    off = np.where(tried, right - mean, 0.0).sum(axis=1)
    clustered = (off**2).sum(axis=0) / np.maximum(1, tried.sum(axis=(0, 1))) ** 2
    problems = tried.any(axis=1).sum(axis=0)
    smoothed = (mean * problems + 1) / (problems + 2)
    floor = smoothed * (1 - smoothed) / (problems + 2)
    errors: NDArray[np.float64] = np.sqrt(np.maximum(clustered, floor))
    return errors
