"""What would have come of every arm on every problem: the measurements a profile is fitted to.

One run of many samples and of the tree searches holds them all. A trial takes the greedy solution
and some of a problem's samples as its pilots; the arms that sample go on with others of them, in
several random ways, and tree searches are joined by what was drawn before. So a problem gives
several trials, which differ in what its pilots showed.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.errors import ProfileError
from orchestrator.optimal.arms import Arm
from orchestrator.optimal.difficulty.evidence import Pilot, features
from orchestrator.optimal.difficulty.predictor import Labelled
from orchestrator.optimal.profiling.measured import USED, Leaf, Measured
from orchestrator.optimal.profiling.permutations import Permutations

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DRAWS = 8
"""Trials a problem gives, at most: disjoint pilots."""

WAYS = 4
"""Random ways in which a trial's samples go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """``right[p, t, a]`` is how often ``arms[a]`` was right in trial ``t`` of ``problems[p]``, in
    0..1; ``used[p, t, a]`` what it used, pilots included, in the order of ``USED``; both are NaN
    where an arm was not tried on a problem. ``labelled[p][t]`` is what the pilots showed."""

    problems: tuple[str, ...]
    arms: tuple[Arm, ...]
    labelled: tuple[tuple[Labelled, ...], ...]
    right: "NDArray[np.float64]"
    used: "NDArray[np.float64]"

    @property
    def tokens(self) -> "NDArray[np.float64]":
        """Of policy and PRM together, ``[p, t, a]``."""
        return tokens(self.used)

    def of(self, chosen: Sequence[int]) -> "Trials":
        """Those of some problems, by their positions."""
        picked = list(chosen)
        return Trials(
            problems=tuple(self.problems[i] for i in picked),
            arms=self.arms,
            labelled=tuple(self.labelled[i] for i in picked),
            right=self.right[picked],
            used=self.used[picked],
        )


def tokens(used: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Of policy and PRM together: what budgets are compared at. The last axis is ``USED``."""
    found: NDArray[np.float64] = (
        used[..., USED.index("policy_tokens")] + used[..., USED.index("prm_tokens")]
    )
    return found


def trials(
    measured: Sequence[Measured],
    arms: Sequence[tuple[Arm, str | None]],
    pilots: int,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Trials:
    """The trials of all problems; an arm that may search a tree comes with the cell it ran in.

    Raises ``ProfileError`` where there are none, or too few samples of one.
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
    return Trials(
        problems=tuple(each.problem for each in measured),
        arms=tuple(arm for arm, _ in arms),
        labelled=tuple(labelled for labelled, _, _ in rows),
        right=np.array([right for _, right, _ in rows]),
        used=np.array([used for _, _, used in rows]),
    )


TrialRow = tuple[tuple[Labelled, ...], "NDArray[np.float64]", "NDArray[np.float64]"]


def _problem(
    measured: Measured, arms: Sequence[tuple[Arm, str | None]], pilots: int, draws: int, seed: int
) -> TrialRow:
    """What the pilots show in each trial, and of all arms ``right[t, a]`` and ``used[t, a]``."""
    import numpy as np

    samples = [*measured.greedy.leaves, *measured.samples.leaves]  # the greedy one is number 0
    shuffled = random.Random(f"{seed}/{measured.problem}")
    orders, labelled = [], []
    for draw in range(draws):
        first = 1 + draw * (pilots - 1)
        mine = [0, *range(first, first + pilots - 1)]
        others = [i for i in range(1, len(samples)) if i not in mine]
        orders += [[*mine, *shuffled.sample(others, len(others))] for _ in range(WAYS)]
        labelled.append(
            Labelled(
                problem=measured.problem,
                shown=features([_shown(samples[i]) for i in mine]),
                right=sum(samples[i].right for i in others),
                samples=len(others),
            )
        )
    drawn = Permutations(
        samples,
        np.array(orders),
        pilots,
        measured.samples.used,
        measured.trees.values(),
        one_per_request=measured.samples.one_per_request,
    )
    right, used = (
        np.full((draws, len(arms)), np.nan),
        np.full((draws, len(arms), len(USED)), np.nan),
    )
    for a, (arm, cell) in enumerate(arms):
        if cell is None or cell in measured.trees:
            came, took = drawn.outcome(arm, None if cell is None else measured.trees[cell])
            right[:, a] = came.reshape(draws, WAYS).mean(axis=1)
            used[:, a] = took.reshape(draws, WAYS, len(USED)).mean(axis=1)
    return tuple(labelled), right, used


def _shown(leaf: Leaf) -> Pilot:
    return Pilot(answer=leaf.answer, scores=leaf.scores, tokens=leaf.tokens, logprob=leaf.logprob)
