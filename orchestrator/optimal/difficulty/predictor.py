"""Predicts pass@1 from pilots: a logistic regression small enough to read in a profile."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.errors import ProfileError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FEWEST_PROBLEMS = 20
"""Fewer problems are too few to generalise from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """One feature: its coefficient ``weight``, after scaling by its ``mean`` and ``deviation``."""

    mean: float
    deviation: float
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Logistic:
    """A probability, by a logistic regression on named features."""

    intercept: float
    weights: Mapping[str, Weight]

    def __call__(self, shown: Mapping[str, float]) -> float:
        """The probability, in 0..1. Missing features, such as scores that a PRM failed to give,
        count as average."""
        odds = self.intercept + sum(
            each.weight * (shown[name] - each.mean) / each.deviation
            for name, each in self.weights.items()
            if name in shown
        )
        return 1 / (1 + math.exp(-max(-50.0, min(50.0, odds))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictor:
    """Predicts a problem's pass@1 from the features of its ``pilots`` (``evidence.features``)."""

    pilots: int
    intercept: float
    weights: Mapping[str, Weight]

    def __call__(self, shown: Mapping[str, float]) -> float:
        """The predicted pass@1, in 0..1. Missing features count as average."""
        return Logistic(intercept=self.intercept, weights=self.weights)(shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A problem's pilots as features (``shown``), and how many of ``samples`` others are right."""

    problem: str
    shown: Mapping[str, float]
    right: int
    samples: int

    @property
    def rate(self) -> float:
        return self.right / self.samples


def fit(labelled: Sequence[Labelled], pilots: int) -> Predictor:
    """Fit to labelled problems, with equal weight for each however often its pilots were drawn.
    Only features that all of them have are used.

    Raises ``ProfileError`` if there are too few problems, or all samples are right, or all wrong.
    """
    import numpy as np

    problems = {each.problem for each in labelled}
    if len(problems) < FEWEST_PROBLEMS:
        raise ProfileError(
            f"{len(problems)} labelled problems are too few to fit a difficulty predictor: "
            f"{FEWEST_PROBLEMS} are the least, some hundreds are better"
        )
    right, samples = sum(each.right for each in labelled), sum(each.samples for each in labelled)
    if right in (0, samples):
        raise ProfileError(
            f"{'every' if right else 'no'} sample of these problems is right: there is nothing to "
            f"tell easy from hard by; take {'harder' if right else 'easier'} ones"
        )
    names = [name for name in labelled[0].shown if all(name in each.shown for each in labelled)]
    shown = np.array([[each.shown[name] for name in names] for each in labelled])
    draws = dict.fromkeys(problems, 0)
    for each in labelled:
        draws[each.problem] += 1
    rates = np.array([each.rate for each in labelled])
    once = np.array([1 / draws[each.problem] for each in labelled])
    return regression(names, shown, rates, once, pilots)


def regression(
    names: Sequence[str],
    shown: "NDArray[np.float64]",
    rates: "NDArray[np.float64]",
    counted: "NDArray[np.float64]",
    pilots: int,
) -> Predictor:
    """Fit to the features ``shown[row, name]``: ``rates`` are what to predict, in 0..1, each
    ``counted`` so much."""
    found = fit_logistic(names, shown, rates, counted)
    return Predictor(pilots=pilots, intercept=found.intercept, weights=found.weights)


def fit_logistic(
    names: Sequence[str],
    shown: "NDArray[np.float64]",
    rates: "NDArray[np.float64]",
    counted: "NDArray[np.float64]",
) -> Logistic:
    """The same, of any probability."""
    means, deviations = shown.mean(axis=0), shown.std(axis=0)
    deviations[deviations < 1e-9] = 1.0
    scaled = (shown - means) / deviations
    intercept, *weights = _logistic_regression(scaled, rates, counted)
    return Logistic(
        intercept=float(intercept),
        weights={
            name: Weight(mean=float(mean), deviation=float(deviation), weight=float(weight))
            for name, mean, deviation, weight in zip(names, means, deviations, weights, strict=True)
        },
    )


def _logistic_regression(
    features: "NDArray[np.float64]", rates: "NDArray[np.float64]", weights: "NDArray[np.float64]"
) -> "NDArray[np.float64]":
    """The intercept and coefficients that make ``rates``, each counted by its weight, likeliest.

    ``features`` is ``(rows, features)``. Coefficients, not the intercept, have a ridge penalty of
    half their squared norm. The loss is convex and smooth, so that few steps reach its minimum.
    """
    import numpy as np
    from scipy.optimize import minimize
    from scipy.special import expit

    rows = np.column_stack([np.ones(len(features)), features])
    ridge = np.array([0.0] + [1.0] * features.shape[1])

    def loss(fitted: "NDArray[np.float64]") -> "tuple[float, NDArray[np.float64]]":
        odds = rows @ fitted
        each = weights * (np.logaddexp(0.0, odds) - rates * odds)
        gradient = rows.T @ (weights * (expit(odds) - rates)) + ridge * fitted
        return float(each.sum() + 0.5 * (ridge * fitted**2).sum()), gradient

    found: NDArray[np.float64] = minimize(
        loss, np.zeros(rows.shape[1]), jac=True, method="BFGS", options={"gtol": 1e-6}
    ).x
    return found
