"""A profile across models, or of the plans of a single policy, in a file that people can read.

It holds the front of each unit: plans, from the cheapest to the most accurate, with what each came
to on problems it was not fitted to. A run takes the best one that its budget allows, or mixes two
(``mixture``).
"""

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

from orchestrator.core.budget import Price
from orchestrator.core.voting import VOTES
from orchestrator.errors import ProfileError
from orchestrator.optimal.arms import Arm
from orchestrator.optimal.cascade.plan import Action, Cascade, Look, ModelArm, PlannedLook
from orchestrator.optimal.difficulty.predictor import Predictor
from orchestrator.optimal.profile import (
    Origin,
    Unit,
    check_same,
    problem_digest,
    profile_values,
    read_as,
)

VERSION = 1


class AcrossModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A policy or PRM by its name in the config; ``price`` is in USD per million tokens."""

    name: str
    parameters: int | None = None
    price: Price | None = None


class FiledArm(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    policy: str
    prm: str | None
    strategy: str
    vote: str
    settings: dict[str, Any]
    direct: bool = False

    def __post_init__(self) -> None:
        if self.vote not in VOTES:
            raise ValueError(f"no vote is named {self.vote!r}")

    @property
    def model_arm(self) -> ModelArm:
        arm = Arm(strategy=self.strategy, settings=self.settings, vote=VOTES[self.vote])
        return ModelArm(policy=self.policy, prm=self.prm, arm=arm, direct=self.direct)


class FiledAction(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The number of an arm in the profile's ``arms``, or of a look in the plan's ``looks``."""

    arm: int | None = None
    look: int | None = None

    def __post_init__(self) -> None:
        if (self.arm is None) == (self.look is None):
            raise ValueError("an action is an arm or a look")


class FiledLook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``predictor`` is the number of one of the profile's."""

    policy: str
    prm: str | None
    pilots: int
    predictor: int
    limits: list[float]
    actions: list[FiledAction]


class FiledPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    first: FiledAction
    looks: list[FiledLook]


class Came(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An accuracy with its 95 % interval over problems, and what one problem uses on average.

    FLOPs are those of policies and PRMs, None where parameters are unknown; ``flops`` counts every
    token, ``flops_with_cache`` those that no prefix cache held. ``cost`` is in USD.
    """

    accuracy: float
    low: float
    high: float
    tokens: float
    flops: float | None
    flops_with_cache: float | None
    cost: float
    seconds: float


class FiledPoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A plan, what it ``came`` to, and the share of problems that each policy ``answers``."""

    came: Came
    answers: dict[str, float]
    plan: FiledPlan


class Compared(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one policy comes to alone: by a fixed ``strategy``, or by ``auto`` (cross-fitted)."""

    policy: str
    prm: str | None
    strategy: str
    came: Came


class AcrossProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: int = VERSION
    task: str
    policies: list[AcrossModel]
    prms: list[AcrossModel]
    pilots: int
    sampling: dict[str, Any]
    """The settings that whole solutions, pilots among them, are drawn with."""
    fronts: dict[Unit, list[FiledPoint]]
    alone: list[Compared]
    """Single policies, to compare with."""
    predictors: list[Predictor]
    arms: list[FiledArm]
    origin: Origin

    @property
    def digest(self) -> str:
        """Names the profile by everything that routing depends on."""
        return blake2b(msgspec.json.encode(self), digest_size=6).hexdigest()

    @property
    def spans_models(self) -> bool:
        """Whether it has several policies or PRMs."""
        return len(self.policies) > 1 or len(self.prms) > 1

    def plan(self, point: FiledPoint) -> Cascade:
        """The plan of one of its points. Raises ``ProfileError`` if the file is damaged."""

        def action(filed: FiledAction) -> Action:
            if filed.look is not None:
                return filed.look
            assert filed.arm is not None
            return self.arms[filed.arm].model_arm

        try:
            return Cascade(
                pilots=self.pilots,
                first=action(point.plan.first),
                looks=tuple(
                    PlannedLook(
                        look=Look(policy=each.policy, prm=each.prm, pilots=each.pilots),
                        predictor=self.predictors[each.predictor],
                        limits=tuple(each.limits),
                        actions=tuple(map(action, each.actions)),
                    )
                    for each in point.plan.looks
                ),
            )
        except (IndexError, ValueError) as error:
            raise ProfileError(f"the profile across models is damaged: {error}") from error

    def front(self, unit: Unit) -> list[FiledPoint]:
        """The points by their use in ``unit``, the cheapest first. Raises ``ProfileError``."""
        if unit not in self.fronts:
            known = ", ".join(self.fronts)
            raise ProfileError(
                f"the profile across models has no plans for a budget of {unit}, only of {known}"
            )
        return self.fronts[unit]

    def models(self, point: FiledPoint) -> set[str]:
        """The policies and PRMs that a point's plan may ask."""
        return {name for pair in self.plan(point).models for name in pair if name is not None}

    def overlap(self, task: str, problems: Sequence[str]) -> int:
        """How many of a task's problems it was measured on."""
        return len(set(self.origin.problems) & {problem_digest(task, each) for each in problems})


def used(came: Came, unit: str) -> float:
    """What a problem uses on average, in a budget's unit."""
    value = getattr(came, unit)
    assert value is not None
    return float(value)


def filed(
    plans: Sequence[Cascade],
) -> tuple[list[FiledPlan], list[Predictor], list[FiledArm]]:
    """Plans as a file has them, with their predictors and arms, each there once."""
    predictors: list[Predictor] = []
    arms: list[ModelArm] = []

    def number(known: list[Any], value: Any) -> int:
        if value not in known:
            known.append(value)
        return known.index(value)

    def action(each: Action) -> FiledAction:
        return FiledAction(look=each) if isinstance(each, int) else FiledAction(number(arms, each))

    found = [
        FiledPlan(
            first=action(plan.first),
            looks=[
                FiledLook(
                    policy=each.look.policy,
                    prm=each.look.prm,
                    pilots=each.look.pilots,
                    predictor=number(predictors, each.predictor),
                    limits=list(each.limits),
                    actions=list(map(action, each.actions)),
                )
                for each in plan.looks
            ],
        )
        for plan in plans
    ]
    return (
        found,
        predictors,
        [
            FiledArm(
                policy=each.policy,
                prm=each.prm,
                strategy=each.arm.strategy,
                vote=each.arm.vote.name,
                settings=dict(each.arm.settings),
                direct=each.direct,
            )
            for each in arms
        ],
    )


def is_across(path: Path) -> bool:
    """Whether a file holds a profile across models, rather than one of a policy and PRM."""
    try:
        values = profile_values(path)
    except ProfileError:
        return False
    return isinstance(values, dict) and "fronts" in values


def read_across(path: Path) -> AcrossProfile:
    """Raises ``ProfileError`` if the file is not a profile across models, or of another version."""
    how_to_get_one = "`orchard profile CONFIG` writes one"
    return read_as(path, AcrossProfile, VERSION, "fronts", "profile across models", how_to_get_one)


def check_fits_across(
    profile: AcrossProfile,
    *,
    source: str,
    task: str,
    policies: Sequence[str],
    prms: Sequence[str],
) -> None:
    """Raises ``ProfileError`` if a profile was measured for another task, or without some of the
    models. A cell may leave out some of the profile's: plans that ask them are passed over."""
    check_same("task", profile.task, task, source)
    for what, theirs, ours in (
        ("policies", profile.policies, policies),
        ("PRMs", profile.prms, prms),
    ):
        names = [each.name for each in theirs]
        unknown = [each for each in ours if each not in names]
        if unknown:
            raise ProfileError(
                f"the profile {source} was measured with the {what} {', '.join(names) or 'none'}, "
                f"and does not know {', '.join(unknown)}: leave it out, or measure another profile "
                "with `orchard profile`"
            )
