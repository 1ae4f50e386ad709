"""The trials of several models on the same problems: what plans across models are fitted to.

One row, a problem and a trial of it, holds what every model's pilots showed and what every arm of
every model would have come to. Models do not share samples, so any trial of one may
stand beside any of another; under several PRMs a policy's samples are the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from orchestrator.core.equivalence import SameByProblem
from orchestrator.core.records import Record
from orchestrator.core.voting import elect
from orchestrator.errors import ProfileError
from orchestrator.optimal.arms import Arm
from orchestrator.optimal.cascade.looks import Seen, seen
from orchestrator.optimal.cascade.plan import Look, ModelArm
from orchestrator.optimal.profiling.measured import USED, Measured, Searched, pilot
from orchestrator.optimal.profiling.measuring import Cells, measure_together, sort_out
from orchestrator.optimal.profiling.permutations import Permutations
from orchestrator.optimal.profiling.trials import (
    DRAWS,
    WAYS,
    in_orders,
    outcomes,
    permutations,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PolicyAndPRM = tuple[str, str | None]
"""A policy and the PRM that scores it, or None, by their names."""

CONFIDENCES = (0.6, 0.7, 0.85, 0.95, 0.99)
"""Early stopping is tried at these alone: across models there are many arms, and neighbours are
alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What one look showed in each trial: ``features[p, t, f]`` by ``names``, the class of the
    ``leading`` answer ``[p, t]`` (-1: none) and whether it is ``right``: after a look at the
    question alone, whether the greedy answer will be."""

    names: tuple[str, ...]
    features: "NDArray[np.float64]"
    leading: "NDArray[np.int64]"
    right: "NDArray[np.float64]"

    def of(self, chosen: Sequence[int]) -> Self:
        picked = list(chosen)
        return replace(
            self,
            features=self.features[picked],
            leading=self.leading[picked],
            right=self.right[picked],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class JointTrials:
    """``right[p, t, a]`` is how often ``arms[a]`` was right in trial ``t`` of ``problems[p]``, in
    0..1, and ``used[p, t, a]`` what it uses from nothing, in the order of ``USED``; NaN where it
    was not tried. ``drawn[look][p, t]`` is what a look uses from nothing, and ``shown[look]`` what
    it shows. Looks are in an order in which those of a policy grow.

    The first request for a problem to a policy finds nothing in a prefix cache. ``cost`` is that of
    the records, which for PRMs beside unpriced policies counts their scores too.
    """

    problems: tuple[str, ...]
    pilots: int
    arms: tuple[ModelArm, ...]
    right: "NDArray[np.float32]"
    used: "NDArray[np.float32]"
    drawn: Mapping[Look, "NDArray[np.float64]"]
    shown: Mapping[Look, Shown]

    @property
    def looks(self) -> tuple[Look, ...]:
        return tuple(self.shown)

    def of(self, chosen: Sequence[int]) -> Self:
        """The trials of some problems, by position."""
        picked = list(chosen)
        return replace(
            self,
            problems=tuple(self.problems[i] for i in picked),
            right=self.right[picked],
            used=self.used[picked],
            drawn={look: each[picked] for look, each in self.drawn.items()},
            shown={look: each.of(picked) for look, each in self.shown.items()},
        )


async def measure_models(
    records: Sequence[Record], same: SameByProblem
) -> dict[PolicyAndPRM, tuple[Cells, list[Measured]]]:
    """What was measured of every policy, under every PRM and without one, on the problems that all
    of them have; policies from the smallest to the largest.

    Raises ``ProfileError`` if a policy has no greedy solution or no samples.
    """
    groups: dict[PolicyAndPRM, list[Record]] = {}
    for record in sorted(records, key=by_size):
        groups.setdefault((record.policy, record.prm), []).append(record)
    sorted_out: dict[PolicyAndPRM, tuple[list[Record], Cells]] = {}
    failures: dict[str, ProfileError] = {}
    for models, own in groups.items():
        try:
            sorted_out[models] = own, sort_out(own)
        except ProfileError as error:
            failures[models[0]] = error
    for policy, failure in failures.items():
        if not any(models[0] == policy for models in sorted_out):
            raise ProfileError(f"{policy}: {failure}") from failure
    measured = await measure_together(sorted_out, same)
    return {models: (sorted_out[models][1], measured[models]) for models in sorted_out}


def by_size(record: Record) -> tuple[bool, int, str]:
    """Sorts records by their policy's parameters. Where those are unknown, as of hosted models, the
    policy is taken for a large one."""
    return record.policy_params is None, record.policy_params or 0, record.policy


def joint_trials(
    models: Mapping[PolicyAndPRM, tuple[Cells, list[Measured]]],
    pilots: int,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> JointTrials:
    """The trials of all problems under all models.

    Raises ``ProfileError`` if there are no problems, or too few samples of one.
    """
    import numpy as np

    everyone = _with_unscored(models)
    measured = [found for _, found in everyone.values()]
    if not measured or not measured[0]:
        raise ProfileError("no problem has the greedy solution and the samples of all policies")
    fewest = min(len(each.samples.leaves) for found in measured for each in found)
    draws = min(draws, fewest // (pilots - 1))
    if not draws:
        raise ProfileError(f"some problem has {fewest} samples, and {pilots - 1} are needed")
    parts = [
        _of_models(own, cells, found, pilots, draws, seed)
        for own, (cells, found) in everyone.items()
    ]
    return JointTrials(
        problems=tuple(each.problem for each in measured[0]),
        pilots=pilots,
        arms=tuple(arm for part in parts for arm in part.arms),
        right=np.concatenate([part.right for part in parts], axis=2),
        used=np.concatenate([part.used for part in parts], axis=2),
        drawn={look: each for part in parts for look, each in part.drawn.items()},
        shown={look: each for part in parts for look, each in part.shown.items()},
    )


def _with_unscored(
    models: Mapping[PolicyAndPRM, tuple[Cells, list[Measured]]],
) -> dict[PolicyAndPRM, tuple[Cells, list[Measured]]]:
    """Each policy first without a PRM, from the very samples that its PRMs score, then under each
    of them."""
    found: dict[PolicyAndPRM, tuple[Cells, list[Measured]]] = {}
    for policy in dict.fromkeys(policy for policy, _ in models):
        own = {prm: each for (name, prm), each in models.items() if name == policy}
        scored = {prm: each for prm, each in own.items() if prm is not None}
        cells, measured = next(iter((scored or own).values()))
        found[policy, None] = (
            replace(cells, trees={}, is_scored=False),
            [_unscored(each) for each in measured],
        )
        found |= {(policy, prm): each for prm, each in scored.items()}
    return found


def _unscored(measured: Measured) -> Measured:
    def of(result: Searched) -> Searched:
        free = [0.0 if name.startswith("prm_") else each for name, each in _named(result.used)]
        leaves = tuple(replace(leaf, scores=()) for leaf in result.leaves)
        return replace(result, leaves=leaves, used=tuple(free))

    return replace(measured, greedy=of(measured.greedy), samples=of(measured.samples), trees={})


def _named(used: Sequence[float]) -> Iterable[tuple[str, float]]:
    return zip(USED, used, strict=True)


def _is_tried(arm: Arm, is_scored: bool) -> bool:
    """Whether a plan may choose an arm: of a PRM those that use it; and few of those that stop."""
    if is_scored and arm.strategy in ("cot", "majority"):
        return False
    return arm.stop is None or arm.stop["confidence"] in CONFIDENCES


def _of_models(
    models: PolicyAndPRM,
    cells: Cells,
    measured: Sequence[Measured],
    pilots: int,
    draws: int,
    seed: int,
) -> JointTrials:
    import numpy as np

    policy, prm = models
    fewest = min(len(each.samples.leaves) for each in measured)
    arms = [
        (arm, cell)
        for arm, cell in cells.arms(pilots)
        if _is_tried(arm, prm is not None) and (not arm.is_sampling or arm.n <= fewest + 1)
    ]
    looks = [Look(policy=policy, prm=prm, pilots=pilots)]
    if prm is None:
        free = [0] if all(each.characters for each in measured) else []
        looks[:0] = [Look(policy=policy, prm=None, pilots=count) for count in (*free, 1)]
    searches = [(arm, cell) for arm, cell in arms if cell is not None and not arm.is_sampling]
    rows = [_problem(each, arms, searches, looks, pilots, draws, seed) for each in measured]
    return JointTrials(
        problems=(),
        pilots=pilots,
        arms=(
            *(ModelArm(policy=policy, prm=prm, arm=arm) for arm, _ in arms),
            *(ModelArm(policy=policy, prm=prm, arm=arm, direct=True) for arm, _ in searches),
        ),
        right=np.array([row.right for row in rows], dtype=np.float32),
        used=np.array([row.used for row in rows], dtype=np.float32),
        drawn={look: np.array([row.drawn[look] for row in rows]) for look in looks},
        shown={look: _shown([row.seen[look] for row in rows]) for look in looks},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One problem: ``right[t, a]``, ``used[t, a, USED]``, and of each look what it draws ``[t,
    USED]`` and what is seen in each trial, with whether the leading answer is right."""

    right: "NDArray[np.float64]"
    used: "NDArray[np.float64]"
    drawn: Mapping[Look, "NDArray[np.float64]"]
    seen: Mapping[Look, Sequence[tuple[Seen, bool]]]


def _problem(
    measured: Measured,
    arms: Sequence[tuple[Arm, str | None]],
    searches: Sequence[tuple[Arm, str]],
    looks: Sequence[Look],
    pilots: int,
    draws: int,
    seed: int,
) -> _Row:
    import numpy as np

    samples, orders = in_orders(measured, pilots, draws, seed)
    drawn = permutations(measured, samples, orders, pilots)
    greedy = np.array(measured.greedy.used)
    greedy[USED.index("cached_tokens")] = 0.0
    # Use is estimated as if the greedy solution came with the samples' request: it has its own.
    prompt = np.zeros(len(USED))
    if not measured.samples.one_per_request:
        prompt[USED.index("prompt_tokens")] = greedy[USED.index("prompt_tokens")]
    right, used = outcomes(drawn, measured, arms, draws)
    for a, (arm, _) in enumerate(arms):
        used[:, a] = greedy if arm.strategy == "cot" else used[:, a] + prompt
    trials = [[pilot(samples[i]) for i in order[:pilots]] for order in orders[::WAYS]]
    firsts = [[samples[i] for i in order[:pilots]] for order in orders[::WAYS]]
    found = {}
    for look in looks:
        each = [seen(look, trial, measured.characters) for trial in trials]
        winners = [one.winner if look.pilots else 0 for one in each]  # before any: the greedy one
        found[look] = [
            (one, winner is not None and first[winner].right)
            for one, winner, first in zip(each, winners, firsts, strict=True)
        ]
    alone = _alone(measured, searches)
    return _Row(
        right=np.concatenate([right, np.tile(alone[:, 0], (draws, 1))], axis=1),
        used=np.concatenate([used, np.tile(alone[:, 1:], (draws, 1, 1))], axis=1),
        drawn={
            look: np.tile(look.pilots * greedy, (draws, 1))
            if look.pilots <= 1
            else _of_pilots(drawn, pilots, look.prm is not None, draws) + prompt
            for look in looks
        },
        seen=found,
    )


def _alone(measured: Measured, searches: Sequence[tuple[Arm, str]]) -> "NDArray[np.float64]":
    """Whether a tree search without pilots is right, and then what it uses, ``[a, 1 + USED]``: the
    result of its own cell. NaN where it was not tried."""
    import numpy as np

    prompt = measured.greedy.used[USED.index("prompt_tokens")]
    found = np.full((len(searches), 1 + len(USED)), np.nan)
    for row, (arm, cell) in zip(found, searches, strict=True):
        if (tree := measured.trees.get(cell)) is not None:
            election = elect(arm.vote, tree.leaves, [leaf.answer for leaf in tree.leaves])
            row[0] = election.winner is not None and tree.leaves[election.winner].right
            row[1:] = tree.used
            cached = 1 + USED.index("cached_tokens")
            row[cached] = max(0.0, row[cached] - prompt)
    return found


def _of_pilots(
    drawn: Permutations, pilots: int, is_scored: bool, draws: int
) -> "NDArray[np.float64]":
    import numpy as np

    count = np.full(draws * WAYS, pilots)
    used = drawn.use(count, count if is_scored else np.zeros_like(count))
    found: NDArray[np.float64] = used[::WAYS]
    return found


def _shown(rows: Sequence[Sequence[tuple[Seen, bool]]]) -> Shown:
    """Of one look, by problem and trial. Features that some pilots lack are left out."""
    import numpy as np

    everywhere = set.intersection(*(set(each.features) for row in rows for each, _ in row))
    names = [name for name in rows[0][0][0].features if name in everywhere]
    return Shown(
        names=tuple(names),
        features=np.array(
            [[[each.features[name] for name in names] for each, _ in row] for row in rows]
        ),
        leading=np.array(
            [[-1 if each.leading is None else each.leading for each, _ in row] for row in rows]
        ),
        right=np.array([[float(is_right) for _, is_right in row] for row in rows]),
    )
