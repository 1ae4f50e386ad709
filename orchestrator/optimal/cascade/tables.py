"""What is to be expected after looks: predictors, their bins, and the worth of every arm there."""

from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from orchestrator.optimal.cascade.amounts import Amounts, Path, needs
from orchestrator.optimal.cascade.joint import JointTrials
from orchestrator.optimal.cascade.looks import last_looks, same
from orchestrator.optimal.cascade.plan import Look
from orchestrator.optimal.difficulty.predictor import Predictor, regression
from orchestrator.optimal.profiling.shrinkage import shrunk

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BINS = 6
"""Bins of a look's score, of equally many trials where scores differ enough."""


BINS_OF_A_QUESTION = 4
"""A question is the same in all trials of a problem: finer bins are filled by few of them, and fit
their luck."""


def evidence(trials: JointTrials, path: Path) -> "tuple[list[str], NDArray[np.float64]]":
    """What ``looks.shown`` gives after ``path``: the names of the features, and ``[p, t, f]``."""
    import numpy as np

    names, columns = [], []
    before: list[Look] = []
    for look in last_looks(path):
        shown = trials.shown[look]
        names += [f"{look.policy}/{name}" for name in shown.names]
        columns.append(shown.features)
        for other in before:
            agree = (shown.leading >= 0) & (shown.leading == trials.shown[other].leading)
            names.append(same(look.policy, other.policy))
            columns.append(agree[..., None].astype(float))
        before.append(look)
    return names, np.concatenate(columns, axis=2)


def scores(predictor: Predictor, trials: JointTrials, path: Path) -> "NDArray[np.float64]":
    """``predictor`` in every trial after ``path``, ``[p, t]``."""
    import numpy as np

    names, features = evidence(trials, path)
    found = np.full(features.shape[:2], predictor.intercept)
    for name, each in predictor.weights.items():
        found += each.weight * (features[..., names.index(name)] - each.mean) / each.deviation
    score: NDArray[np.float64] = 1 / (1 + np.exp(-np.clip(found, -50.0, 50.0)))
    return score


class AfterLooks(NamedTuple):
    """What is known after a path: the predictor, the limits of its bins, each trial's bin ``[n]``,
    and by bin what every arm is expected to be right and to use on top, ``[b, a]``."""

    predictor: Predictor
    limits: tuple[float, ...]
    bins: "NDArray[np.int64]"
    right: "NDArray[np.float64]"
    extra: "NDArray[np.float64]"

    def means(self, values: "NDArray[np.float64]") -> "NDArray[np.float64]":
        """The mean of ``values[n]`` over the trials in each bin."""
        import numpy as np

        count = len(self.limits) + 1
        total = np.bincount(self.bins, weights=values.ravel(), minlength=count)
        found: NDArray[np.float64] = total / np.maximum(1, np.bincount(self.bins, minlength=count))
        return found


class Tables:
    """The nodes of some trials, each made when it is first asked for."""

    def __init__(self, trials: JointTrials, amounts: Amounts) -> None:
        self.trials, self.amounts = trials, amounts
        self._nodes: dict[Path, AfterLooks] = {}
        self._told: dict[Path, AfterLooks] = {}
        self._errors: dict[tuple[Path, int, int, int], float] = {}

    def in_unit(self, amounts: Amounts) -> "Tables":
        """The tables of the same trials for amounts in another unit: what looks show is the same,
        and is fitted once."""
        found = Tables(self.trials, amounts)
        found._told, found._errors = self._told, self._errors
        return found

    def node(self, path: Path) -> AfterLooks:
        if path not in self._nodes:
            self._nodes[path] = self._made(path)
        return self._nodes[path]

    @cached_property
    def right(self) -> "NDArray[np.float32]":
        """How often arms are right, ``[p, t, a]``, 0 where they were not tried."""
        import numpy as np

        return np.nan_to_num(self.trials.right)

    @cached_property
    def _amounts(self) -> "NDArray[np.float32]":
        import numpy as np

        return np.nan_to_num(self.amounts.arms).astype(np.float32)

    @cached_property
    def tried(self) -> "NDArray[np.float32]":
        """1 where an arm was tried on a problem, ``[p, a]``."""
        import numpy as np

        return (~np.isnan(self.trials.right[:, 0])).astype(np.float32)

    @cached_property
    def overall(self) -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
        """What each arm is right and uses over all trials, ``[a]``."""
        draws = self.right.shape[1]
        counts = self.tried.sum(axis=0) * draws
        return self.right.sum(axis=(0, 1)) / counts, self._amounts.sum(axis=(0, 1)) / counts

    def _made(self, path: Path) -> AfterLooks:
        import numpy as np

        if path not in self._told:
            self._told[path] = self._seen(path)
        node = self._told[path]
        inside = self._inside(node)
        total = (inside.sum(axis=2)[..., None] * self.tried[:, None]).sum(axis=0)
        used = (inside @ self._amounts).sum(axis=0) / np.maximum(1, total)
        used = np.where(total > 0, used, self.overall[1])
        return node._replace(extra=used - self._saved(node, path))

    def _seen(self, path: Path) -> AfterLooks:
        """The node but for what arms use."""
        import numpy as np

        predictor = fit_predictor(self.trials, path)
        score = scores(predictor, self.trials, path)
        limits = quantile_limits(score, BINS if path[-1].pilots else BINS_OF_A_QUESTION)
        bins = np.searchsorted(np.array(limits), score, side="right").ravel()
        node = AfterLooks(predictor, limits, bins, np.empty(0), np.empty(0))
        inside = self._inside(node)
        counts = inside.sum(axis=2)[..., None] * self.tried[:, None]  # [p, b, a]
        by_problem = inside @ self.right
        total = counts.sum(axis=0)
        right = np.where(total > 0, by_problem.sum(axis=0) / np.maximum(1, total), np.nan)
        errors = standard_errors(by_problem, counts, right)
        return node._replace(right=shrunk(right, errors, self.overall[0]))

    def _inside(self, node: AfterLooks) -> "NDArray[np.float32]":
        """1 where a trial is in a bin, ``[p, b, t]``."""
        import numpy as np

        bins = node.bins.reshape(self.right.shape[0], 1, -1)
        found: NDArray[np.float32] = bins == np.arange(len(node.limits) + 1)[:, None]
        return found.astype(np.float32)

    def error(self, path: Path, b: int, arm: int, other: int) -> float:
        """The standard error of how much more often one arm is right than another in a bin."""
        key = path, b, arm, other
        if key not in self._errors:
            self._errors[key] = self._error(self.node(path).bins, b, arm, other)
        return self._errors[key]

    def _error(self, bins: "NDArray[np.int64]", b: int, arm: int, other: int) -> float:
        import numpy as np

        both = (self.tried[:, arm] * self.tried[:, other])[:, None]
        inside = (bins.reshape(self.right.shape[:2]) == b) * both
        gain = (self.right[..., arm] - self.right[..., other]) * inside
        count = inside.sum(axis=1)
        total = max(1.0, float(count.sum()))
        off = gain.sum(axis=1) - count * (gain.sum() / total)
        least = 0.5 / ((count > 0).sum() + 2)
        return float(max(np.sqrt((off**2).sum()) / total, least))

    def _saved(self, node: AfterLooks, path: Path) -> "NDArray[np.float64]":
        """What each arm need not use after ``path``, ``[b, a]``."""
        import numpy as np

        found = np.zeros_like(node.right)
        by_need: dict[Look | None, list[int]] = {}
        for a, arm in enumerate(self.trials.arms):
            look = self.amounts.saved(needs(arm, self.trials.pilots), path)
            by_need.setdefault(look, []).append(a)
        for saved, arms in by_need.items():
            if saved is not None:
                found[:, arms] = node.means(self.amounts.drawn[saved])[:, None]
        return found


def standard_errors(
    by_problem: "NDArray[np.floating[Any]]",
    counts: "NDArray[np.floating[Any]]",
    right: "NDArray[np.float64]",
) -> "NDArray[np.float64]":
    """Standard errors of ``right[b, a]``, clustered by problem, from the sums ``by_problem[p, b,
    a]`` of ``counts`` trials; no smaller than one more problem right or wrong would make them."""
    import numpy as np

    off = by_problem - counts * np.nan_to_num(right)
    clustered = (off**2).sum(axis=0) / np.maximum(1, counts.sum(axis=0)) ** 2
    here = (counts > 0).sum(axis=0)
    smoothed = (np.nan_to_num(right) * here + 1) / (here + 2)
    errors: NDArray[np.float64] = np.sqrt(
        np.maximum(clustered, smoothed * (1 - smoothed) / (here + 2))
    )
    return errors


def fit_predictor(trials: JointTrials, path: Path) -> Predictor:
    """The chance that the answer leading after ``path`` is right.

    The answer at hand is what a plan gives or betters. Pass@1 says how hard the problem is, but not
    whether this answer is one of the right ones.
    """
    import numpy as np

    every, features = evidence(trials, path)
    draws = features.shape[1]
    rows = features.reshape(-1, len(every))
    differs = rows.std(axis=0) > 1e-9
    return regression(
        [name for name, is_told in zip(every, differs, strict=True) if is_told],
        rows[:, differs],
        trials.shown[path[-1]].right.ravel(),
        np.full(len(trials.problems) * draws, 1 / draws),
        path[-1].pilots,
    )


def quantile_limits(score: "NDArray[np.float64]", bins: int = BINS) -> tuple[float, ...]:
    """Limits that cut scores into up to so many bins of equally many, none of them empty. They
    have six decimals, as a profile's file keeps them."""
    import numpy as np

    limits = np.unique(np.round(np.quantile(score, np.arange(1, bins) / bins), 6))
    limits = limits[(limits > score.min()) & (limits < 1.0)]
    counts = np.bincount(np.searchsorted(limits, score.ravel(), side="right"), minlength=bins)
    return tuple(float(each) for each, above in zip(limits, counts[1:], strict=False) if above)
