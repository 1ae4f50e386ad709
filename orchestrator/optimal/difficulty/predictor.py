"""From what pilots show to pass@1: a logistic regression, small enough to read in a profile."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.errors import ProfileError

FEWEST_PROBLEMS = 20
"""With fewer problems nothing can be fitted that would hold for others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """One feature's part: ``weight`` times how many standard deviations it is off its ``mean``."""

    mean: float
    deviation: float
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictor:
    """Pass@1 of a problem from ``pilots`` samples' features (``evidence.features``)."""

    pilots: int
    intercept: float
    weights: Mapping[str, Weight]

    def __call__(self, shown: Mapping[str, float]) -> float:
        """The predicted pass@1, in 0..1. What is not shown, such as scores that a PRM failed to
        give, counts as it is on average."""
        odds = self.intercept + sum(
            each.weight * (shown[name] - each.mean) / each.deviation
            for name, each in self.weights.items()
            if name in shown
        )
        return 1 / (1 + math.exp(-max(-50.0, min(50.0, odds))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """What pilots of a problem showed, and how many of ``samples`` others were ``right``."""

    problem: str
    shown: Mapping[str, float]
    right: int
    samples: int

    @property
    def rate(self) -> float:
        return self.right / self.samples


def fit(labelled: Sequence[Labelled], pilots: int) -> Predictor:
    """Fit to labelled problems, each counted once however often its pilots were drawn. It goes by
    what the pilots of all of them show.

    Raises ``ProfileError`` where there are too few problems, or nothing to tell apart.
    """
    import numpy as np
    from sklearn.linear_model import LogisticRegression

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
    means, deviations = shown.mean(axis=0), shown.std(axis=0)
    deviations[deviations < 1e-9] = 1.0
    scaled = (shown - means) / deviations
    draws = dict.fromkeys(problems, 0)
    for each in labelled:
        draws[each.problem] += 1
    rates = np.array([each.rate for each in labelled])
    once = np.array([1 / draws[each.problem] for each in labelled])
    # a share of right samples is that much of a right and the rest of a wrong one
    model = LogisticRegression(C=1.0, max_iter=1000).fit(
        np.vstack([scaled, scaled]),
        np.repeat([1, 0], len(labelled)),
        sample_weight=np.concatenate([rates * once, (1 - rates) * once]),
    )
    return Predictor(
        pilots=pilots,
        intercept=float(model.intercept_[0]),
        weights={
            name: Weight(mean=float(mean), deviation=float(deviation), weight=float(weight))
            for name, mean, deviation, weight in zip(
                names, means, deviations, model.coef_[0], strict=True
            )
        },
    )
