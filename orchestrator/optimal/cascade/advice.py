"""Which plan to run, or which two to mix, for an accuracy or a budget, in one sentence."""

import math
from typing import NamedTuple

from orchestrator.errors import ProfileError
from orchestrator.optimal.cascade.mixture import Mixture, reaching, within
from orchestrator.optimal.cascade.profile import AcrossProfile, Came, used
from orchestrator.optimal.cascade.wording import accuracy_in_words, plan_in_words, serves
from orchestrator.optimal.profile import Unit


class Advice(NamedTuple):
    """Plans of the front of ``unit``, the ``budget`` that buys them, and the ``sentence`` that says
    what they are."""

    mixture: Mixture
    unit: Unit
    budget: float
    sentence: str


def for_accuracy(profile: AcrossProfile, accuracy: float) -> Advice:
    """The least use that is expected to reach ``accuracy``, in the first unit of the profile.

    Raises ``ProfileError`` if no plan does, and says what the best one reaches.
    """
    unit, points = next(iter(profile.fronts.items()))
    mixture = reaching(profile, accuracy, unit)
    if mixture is None:
        best = points[-1]
        raise ProfileError(
            f"no plan reaches {100 * accuracy:g} %: the best is {accuracy_in_words(best.came)}, "
            f"{_takes(profile, best.came)} ({plan_in_words(profile, profile.plan(best))})"
        )
    is_sure = mixture.came.low >= accuracy
    goal = f"{100 * accuracy:g} % lies {'below' if is_sure else 'within'} the interval"
    sentence = f"{_sentence(profile, mixture)}; {goal}"
    return Advice(mixture, unit, four_digits(used(mixture.came, unit)), sentence)


def for_budget(profile: AcrossProfile, budget: float, unit: Unit) -> Advice:
    """The most accurate plans for a ``budget`` of ``unit`` a problem. Raises ``ProfileError``."""
    mixture = within(profile, budget, unit)
    least = budget if mixture.is_of_two else four_digits(used(mixture.came, unit))
    return Advice(mixture, unit, least, _sentence(profile, mixture))


def four_digits(amount: float) -> float:
    """Round up to four digits, past the noise of floating point."""
    if amount <= 0:
        return amount
    digit = 10.0 ** (math.floor(math.log10(amount)) - 3)
    return float(f"{math.ceil(amount * (1 - 1e-12) / digit) * digit:.4g}")


def _sentence(profile: AcrossProfile, mixture: Mixture) -> str:
    plans = [profile.plan(point) for point in mixture.points]
    problems = len(profile.origin.problems)
    return (
        f"Serve {serves(*plans)}, and {_how(profile, mixture)} {accuracy_in_words(mixture.came)} "
        f"right (95 % interval over {problems:,} problems that it was not fitted to), "
        f"{_takes(profile, mixture.came)}"
    )


def _how(profile: AcrossProfile, mixture: Mixture) -> str:
    dear = profile.plan(mixture.dear)
    if not mixture.is_of_two:
        return f"{'answer by ' if not dear.looks else ''}{plan_in_words(profile, dear)}:"
    cheap = profile.plan(mixture.cheap)
    return (
        f"mix two plans: for {_percent(mixture.share)} of the problems, "
        f"{plan_in_words(profile, dear)}; for the other {_percent(1 - mixture.share)}, "
        f"{plan_in_words(profile, cheap)}; together"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _takes(profile: AcrossProfile, came: Came) -> str:
    parts = [f"{came.tokens:,.0f} tokens"] if "tokens" in profile.fronts else []
    parts += [] if came.flops is None else [f"{came.flops:.2e} FLOPs"]
    parts += [f"${came.cost:.2g}"] if came.cost else []
    return f"for {', '.join([*parts, f'{came.seconds:.2g} s'])} a problem"
