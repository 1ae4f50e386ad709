"""Trials: the outcome of every arm on every problem, which a profile is fitted to.

All of them are computed from one run of many samples and of the tree searches. A trial takes the
greedy solution and some of a problem's samples as pilots. Sampling arms continue with the other
samples, in several random orders; tree searches add their leaves to what was drawn before. So each
problem gives several trials with different pilots.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.errors import ProfileError
from orchestrator.optimal.arms import Arm
from orchestrator.optimal.difficulty.evidence import features
from orchestrator.optimal.difficulty.predictor import Labelled
from orchestrator.optimal.profiling.measured import USED, Leaf, Measured, pilot, tokens
from orchestrator.optimal.profiling.permutations import Permutations
from orchestrator.optimal.profiling.trajectories import (
    ORDERS,
    Continuations,
    Trajectories,
    trajectory,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DRAWS = 8
"""The most trials per problem; their pilots are disjoint but for the greedy solution."""

WAYS = 4
"""Random orders of the other samples per trial."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """``right[p, t, a]`` is how often ``arms[a]`` was right in trial ``t`` of ``problems[p]``, in
    0..1, and ``used[p, t, a]`` what it used, pilots included, in the order of ``USED``. Both are
    NaN if an arm was not tried on a problem. ``labelled[p][t]`` holds the pilots' features."""

    problems: tuple[str, ...]
    arms: tuple[Arm, ...]
    labelled: tuple[tuple[Labelled, ...], ...]
    right: "NDArray[np.float64]"
    used: "NDArray[np.float64]"
    trajectories: Trajectories | None = None
    """How votes go as samples come in; trial ``t`` is way ``w`` of them. None if not computed."""

    @property
    def tokens(self) -> "NDArray[np.float64]":
        """Of policy and PRM together, ``[p, t, a]``."""
        return tokens(self.used)

    def of(self, chosen: Sequence[int]) -> "Trials":
        """The trials of some problems, by index."""
        picked = list(chosen)
        return Trials(
            problems=tuple(self.problems[i] for i in picked),
            arms=self.arms,
            labelled=tuple(self.labelled[i] for i in picked),
            right=self.right[picked],
            used=self.used[picked],
            trajectories=self.trajectories.of(picked) if self.trajectories else None,
        )


def trials(
    measured: Sequence[Measured],
    arms: Sequence[tuple[Arm, str | None]],
    pilots: int,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    with_trajectories: bool = True,
) -> Trials:
    """The trials of all problems. An arm with a tree search comes with the cell of that search.
    Only expected gains need ``trajectories``.

    Raises ``ProfileError`` if there are no problems, or too few samples of one.
    """
    import numpy as np

    fewest = min((len(each.samples.leaves) for each in measured), default=0)
    needed = max(2 * pilots, *(arm.n - 1 for arm, _ in arms if arm.is_sampling))
    if measured and fewest < needed:
        raise ProfileError(
            f"some problem has {fewest} samples, and {needed} are needed for pilots and others"
        )
    if not measured:
        raise ProfileError("no problem has both its greedy solution and its samples")
    draws = min(draws, fewest // (pilots - 1))
    rows = [_problem(each, arms, pilots, draws, seed) for each in measured]
    ways = Continuations.of(arms, measured, pilots) if with_trajectories else None
    return Trials(
        problems=tuple(each.problem for each in measured),
        arms=tuple(arm for arm, _ in arms),
        labelled=tuple(row.labelled for row in rows),
        right=np.array([row.right for row in rows]),
        used=np.array([row.used for row in rows]),
        trajectories=_trajectories(measured, ways, draws, seed) if ways else None,
    )


def in_orders(
    measured: Measured, pilots: int, draws: int, seed: int
) -> tuple[list[Leaf], list[list[int]]]:
    """A problem's solutions, the greedy one first, and random orders of them: ``WAYS`` for each
    draw, which all begin with its pilots. The same for every model with as many solutions."""
    samples = [*measured.greedy.leaves, *measured.samples.leaves]
    shuffled = random.Random(f"{seed}/{measured.problem}")
    orders = []
    for draw in range(draws):
        first = 1 + draw * (pilots - 1)
        mine = [0, *range(first, first + pilots - 1)]
        others = [i for i in range(1, len(samples)) if i not in mine]
        orders += [[*mine, *shuffled.sample(others, len(others))] for _ in range(WAYS)]
    return samples, orders


def permutations(
    measured: Measured, samples: Sequence[Leaf], orders: Sequence[Sequence[int]], pilots: int
) -> Permutations:
    import numpy as np

    return Permutations(
        samples,
        np.array(orders),
        pilots,
        measured.samples.used,
        measured.trees.values(),
        one_per_request=measured.samples.one_per_request,
    )


def outcomes(
    drawn: Permutations, measured: Measured, arms: Sequence[tuple[Arm, str | None]], draws: int
) -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
    """``right[t, a]`` and ``used[t, a]`` of one problem, NaN where an arm was not tried on it."""
    import numpy as np

    right, used = (
        np.full((draws, len(arms)), np.nan),
        np.full((draws, len(arms), len(USED)), np.nan),
    )
    for a, (arm, cell) in enumerate(arms):
        if cell is None or cell in measured.trees:
            is_right, use = drawn.outcome(arm, None if cell is None else measured.trees[cell])
            right[:, a] = is_right.reshape(draws, WAYS).mean(axis=1)
            used[:, a] = use.reshape(draws, WAYS, len(USED)).mean(axis=1)
    return right, used


class TrialRow(NamedTuple):
    """One problem: the labelled pilots of each trial, ``right[t, a]`` and ``used[t, a]``."""

    labelled: tuple[Labelled, ...]
    right: "NDArray[np.float64]"
    used: "NDArray[np.float64]"


def _problem(
    measured: Measured, arms: Sequence[tuple[Arm, str | None]], pilots: int, draws: int, seed: int
) -> TrialRow:
    samples, orders = in_orders(measured, pilots, draws, seed)
    solutions = [pilot(each) for each in samples]
    labelled = []
    for order in orders[::WAYS]:
        others = order[pilots:]
        labelled.append(
            Labelled(
                problem=measured.problem,
                shown=features([solutions[i] for i in order[:pilots]], measured.characters),
                right=sum(samples[i].right for i in others),
                samples=len(others),
            )
        )
    drawn = permutations(measured, samples, orders, pilots)
    right, used = outcomes(drawn, measured, arms, draws)
    return TrialRow(tuple(labelled), right, used)


def _trajectories(
    measured: Sequence[Measured], ways: Continuations, draws: int, seed: int
) -> Trajectories:
    """Of the first ``ORDERS`` trials of each problem."""
    rows = []
    for each in measured:
        samples, orders = in_orders(each, ways.pilots, draws, seed)
        rows.append(trajectory(samples, orders[::WAYS][:ORDERS], each, ways))
    return Trajectories.joined(ways, rows)
