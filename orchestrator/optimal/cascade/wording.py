"""Plans and their results as people read them."""

from collections.abc import Sequence

from orchestrator.optimal.cascade.plan import Cascade, Look, ModelArm
from orchestrator.optimal.cascade.profile import AcrossProfile, Came
from orchestrator.optimal.wording import in_words

MOST_ARMS = 4
"""A plan may answer by more arms than anybody reads."""


def plan_in_words(profile: AcrossProfile, plan: Cascade) -> str:
    """A plan of a profile: ``look at the greedy answer of small, 4 samples of small under prm; then
    the greedy answer of small, DVTS 16 … of small under prm or the greedy answer of large``. Where
    there is one policy, with one PRM at most, they go without saying: ``look at the greedy answer,
    4 scored samples; then …``."""
    named = profile.spans_models
    looks = [_look(look, named) for look in dict.fromkeys(each.look for each in plan.looks)]
    arms = [_arm(arm, named) for arm in plan.arms]
    if len(arms) > MOST_ARMS:
        arms = [*arms[: MOST_ARMS - 1], f"{len(arms) - MOST_ARMS + 1} other arms"]
    answers = _listed(arms)
    return answers if not looks else f"look at {', '.join(looks)}; then {answers}"


def serves(*plans: Cascade) -> str:
    """The models they take: ``small, large and the PRM prm``."""
    models = [pair for plan in plans for pair in plan.models]
    policies = list(dict.fromkeys(policy for policy, _ in models))
    prms = list(dict.fromkeys(prm for _, prm in models if prm is not None))
    return _listed([*policies, *(f"the PRM {prm}" for prm in prms)], "and")


def accuracy_in_words(came: Came) -> str:
    """``93.1 % [90.5, 95.4]``"""
    low, high = 100 * came.low, 100 * came.high
    return f"{100 * came.accuracy:.1f} % [{low:.1f}, {high:.1f}]"


def _look(look: Look, named: bool) -> str:
    if not look.pilots:
        return "the length of the question"
    scored = "scored " if look.prm is not None and not named else ""
    what = "the greedy answer" if look.pilots == 1 else f"{look.pilots} {scored}samples"
    return f"{what} of {look.policy}{_under(look.prm)}" if named else what


def _arm(each: ModelArm, named: bool) -> str:
    what = in_words(each.arm, direct=each.direct)
    return f"{what} of {each.policy}{_under(each.prm)}" if named else what


def _under(prm: str | None) -> str:
    return f" under {prm}" if prm is not None else ""


def _listed(names: Sequence[str], word: str = "or") -> str:
    *others, last = names
    return f"{', '.join(others)} {word} {last}" if others else last
