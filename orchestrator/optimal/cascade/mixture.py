"""What a budget or an accuracy between two plans of a front buys: both, each on its share of the
problems."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Any

from orchestrator.errors import ProfileError
from orchestrator.optimal.cascade.hull import Reached, at_accuracy, at_use, on_hull
from orchestrator.optimal.cascade.profile import AcrossProfile, Came, FiledPoint, used
from orchestrator.optimal.profile import Unit

FOUR_DIGITS = 1.001
"""Configs write budgets in four digits, rounded up: up to so many times what a plan uses, a budget
buys this plan alone."""

GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """Two neighbours on the hull of a front. A ``share`` of the problems, in 0..1, goes by the plan
    of ``dear``, the others by that of ``cheap``. One plan for all problems is a mixture of a point
    with itself, or with another of the same plan: off the folds it was fitted to, one plan may come
    to different accuracies at different prices."""

    cheap: FiledPoint
    dear: FiledPoint
    share: float

    @classmethod
    def of_one(cls, point: FiledPoint) -> "Mixture":
        return cls(cheap=point, dear=point, share=1.0)

    @property
    def is_of_two(self) -> bool:
        return self.cheap.plan != self.dear.plan

    @property
    def shares(self) -> list[tuple[float, FiledPoint]]:
        """The points that it mixes, each with its share of the problems, the cheap one first."""
        if not self.is_of_two:
            return [(1.0, self.dear)]
        return [(1 - self.share, self.cheap), (self.share, self.dear)]

    @property
    def points(self) -> list[FiledPoint]:
        """The points that it mixes, the cheap one first."""
        return [point for _, point in self.shares]

    @property
    def came(self) -> Came:
        """What it comes to on average over problems: accuracy and use are linear in the share.

        So are the bounds of the interval here, which makes it wide enough: both plans were judged
        on the same problems, and the standard error of a weighted mean is never larger than the
        weighted mean of the standard errors.
        """
        cheap, dear = self.cheap.came, self.dear.came
        return Came(**{name: self._mean(cheap, dear, name) for name in Came.__struct_fields__})

    def _mean(self, cheap: Came, dear: Came, name: str) -> Any:
        one, other = getattr(cheap, name), getattr(dear, name)
        if one is None or other is None:
            return None
        return other if one == other else one + self.share * (other - one)

    @property
    def answers(self) -> dict[str, float]:
        """The share of the problems that each policy answers."""
        return {
            name: sum(share * point.answers.get(name, 0.0) for share, point in self.shares)
            for name in dict.fromkeys(name for point in self.points for name in point.answers)
        }


def within(
    profile: AcrossProfile, budget: float, unit: Unit, models: Collection[str] | None = None
) -> Mixture:
    """The most accurate mixture that uses ``budget`` of ``unit`` a problem on average at most, and
    no models but these (None: all of the profile's).

    Raises ``ProfileError`` if even the cheapest plan uses more.
    """
    points = _hull(profile, unit, models)
    reached = [_reached(each, unit) for each in points]
    found = at_use(reached, budget)
    if found is None:
        raise ProfileError(
            f"a budget of {budget:g} {unit} a problem is less than the cheapest answer takes: "
            f"{reached[0].use:.4g} is the least"
        )
    if budget <= FOUR_DIGITS * reached[found.cheap].use:
        return Mixture.of_one(points[found.cheap])
    return Mixture(cheap=points[found.cheap], dear=points[found.dear], share=found.share)


def reaching(profile: AcrossProfile, accuracy: float, unit: Unit) -> Mixture | None:
    """The mixture that uses the least of ``unit`` of all that are expected to reach ``accuracy``;
    None if no plan does."""
    points = _hull(profile, unit)
    found = at_accuracy([_reached(each, unit) for each in points], accuracy)
    if found is None:
        return None
    return Mixture(cheap=points[found.cheap], dear=points[found.dear], share=found.share)


def by_dear_plan(problems: Sequence[str], share: float, digest: str) -> frozenset[str]:
    """Which of ``problems``, given by their ids in their order, go by the dear plan of a mixture.

    The multiples of the golden ratio, modulo one, fill every interval evenly, and so does every
    n-th of them: the share is met to within three problems, at any length of the list, and a list
    that is sorted by the kind of problem, or goes in turns, does no harm. The profile's ``digest``
    and the id of the first problem say where the sequence starts, so that a problem alone goes by
    the dear plan with a chance of ``share``. Longer lists and larger shares add problems to it, and
    take none off.
    """
    if not problems:
        return frozenset()
    text = f"{digest}/{problems[0]}".encode(errors="surrogatepass")
    start = int.from_bytes(blake2b(text, digest_size=6).digest(), "big") / 2**48
    return frozenset(
        problem for i, problem in enumerate(problems) if (start + i * GOLDEN) % 1.0 < share
    )


def _hull(
    profile: AcrossProfile, unit: Unit, models: Collection[str] | None = None
) -> list[FiledPoint]:
    points = [
        each
        for each in profile.front(unit)
        if models is None or profile.models(each) <= set(models)
    ]
    if not points:
        raise ProfileError(
            f"no plan of the profile does with {', '.join(models or ())} alone: name more of its "
            "models, or measure a profile of these with `orchard profile`"
        )
    return on_hull(points, partial(_reached, unit=unit))


def _reached(point: FiledPoint, unit: Unit) -> Reached:
    return Reached(used(point.came, unit), point.came.accuracy)
