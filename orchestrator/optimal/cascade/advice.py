"""Which plan of a profile to run, for an accuracy or a budget, in one sentence."""

from typing import NamedTuple

from orchestrator.errors import ProfileError
from orchestrator.optimal.cascade.profile import AcrossProfile, FiledPoint, used
from orchestrator.optimal.cascade.wording import accuracy_in_words, plan_in_words, serves
from orchestrator.optimal.profile import Unit


class Advice(NamedTuple):
    """A point of the front of ``unit``, and the ``sentence`` that says what it is."""

    point: FiledPoint
    unit: Unit
    sentence: str


def for_accuracy(profile: AcrossProfile, accuracy: float) -> Advice:
    """The cheapest plan that reaches ``accuracy``, in the first unit that the profile has.

    Raises ``ProfileError`` if none does, and says what the best one reaches.
    """
    unit, points = next(iter(profile.fronts.items()))
    enough = [each for each in points if each.came.accuracy >= accuracy]
    if not enough:
        best = points[-1]
        raise ProfileError(
            f"no plan reaches {100 * accuracy:g} %: the best is {accuracy_in_words(best.came)}, "
            f"{_takes(best)} ({plan_in_words(profile.plan(best))})"
        )
    point = enough[0]
    is_sure = point.came.low >= accuracy
    goal = f"{100 * accuracy:g} % lies {'below' if is_sure else 'within'} the interval"
    return Advice(point, unit, f"{_sentence(profile, point)}; {goal}")


def for_budget(profile: AcrossProfile, budget: float, unit: Unit) -> Advice:
    """The most accurate plan within a ``budget`` of ``unit`` a problem. Raises ``ProfileError``."""
    point = profile.within(budget, unit)
    return Advice(point, unit, _sentence(profile, point))


def budget_of(advice: Advice) -> float:
    """The smallest budget, to four digits, that buys the advised plan."""
    return float(f"{1.0006 * used(advice.point.came, advice.unit):.4g}")


def _sentence(profile: AcrossProfile, point: FiledPoint) -> str:
    plan = profile.plan(point)
    problems = len(profile.origin.problems)
    return (
        f"Serve {serves(plan)}, and {'answer by ' if not plan.looks else ''}{plan_in_words(plan)}: "
        f"{accuracy_in_words(point.came)} right (95 % interval over {problems:,} problems that it "
        f"was not fitted to), {_takes(point)}"
    )


def _takes(point: FiledPoint) -> str:
    came = point.came
    parts = [] if came.flops is None else [f"{came.flops:.2e} FLOPs"]
    parts += [f"${came.cost:.2g}"] if came.cost else []
    return f"for {', '.join([*parts, f'{came.seconds:.2g} s'])} a problem"
