"""What would have come of every arm on every problem: the measurements a profile is fitted to.

One run of many samples and of the tree searches holds them all. A trial takes the greedy solution
and some of a problem's samples as its pilots; the arms that sample go on with others of them, in
several random ways, and those that search a tree are joined by the pilots. So a problem gives
several trials, which differ in what its pilots showed.
"""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from orchestrator.core.rewards import value
from orchestrator.core.stopping import is_settled
from orchestrator.core.voting import Vote, highest, majority, split_vote, weighted
from orchestrator.errors import ProfileError
from orchestrator.optimal.arms import Arm
from orchestrator.optimal.evidence import Sample, features
from orchestrator.optimal.predictor import Labelled

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DRAWS = 8
"""Trials a problem gives, at most: disjoint pilots."""

WAYS = 4
"""Random ways in which a trial's samples go on."""


USED = (
    "policy_tokens", "prompt_tokens", "cached_tokens", "prm_tokens", "prm_cached_tokens", "cost",
    "seconds",
)  # fmt: skip
"""What the use of an arm is counted in, as records have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One solution, as far as votes and predictors go by it."""

    answer: int | None
    right: bool
    scores: tuple[float, ...]
    tokens: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """What came of one strategy on one problem; ``used`` is in the order of ``USED``."""

    leaves: tuple[Leaf, ...]
    used: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One problem: its greedy solution, its independent samples, and what came of each tree search
    by its cell."""

    problem: str
    greedy: Searched
    samples: Searched
    trees: Mapping[str, Searched]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """``right[p, t, a]`` is how often ``arms[a]`` was right in trial ``t`` of ``problems[p]``, in
    0..1; ``used[p, t, a]`` what it used, pilots included, in the order of ``USED``;
    ``labelled[p][t]`` what the pilots showed."""

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
    """The trials of all problems; an arm that searches a tree comes with the cell it ran in.

    Raises ``ProfileError`` where there are too few samples of a problem.
    """
    import numpy as np

    fewest = min(len(each.samples.leaves) for each in measured)
    needed = max(2 * pilots, *(arm.n - 1 for arm, _ in arms if arm.is_sampling))
    if fewest < needed:
        raise ProfileError(
            f"some problem has {fewest} samples, and {needed} are needed for pilots and others"
        )
    draws = min(draws, fewest // (pilots - 1))
    rows = [_problem(each, arms, pilots, draws, seed) for each in measured]
    return Trials(
        problems=tuple(each.problem for each in measured),
        arms=tuple(arm for arm, _ in arms),
        labelled=tuple(tuple(labelled for labelled, _, _ in row) for row in rows),
        right=np.array([[right for _, right, _ in row] for row in rows]),
        used=np.array([[used for _, _, used in row] for row in rows]),
    )


Row = tuple[Labelled, list[float], list[tuple[float, ...]]]


def _problem(
    measured: Measured, arms: Sequence[tuple[Arm, str | None]], pilots: int, draws: int, seed: int
) -> list[Row]:
    samples = [*measured.greedy.leaves, *measured.samples.leaves]  # the greedy one is number 0
    costs = _Costs(measured.greedy, measured.samples)
    shuffled = random.Random(f"{seed}/{measured.problem}")
    rows: list[Row] = []
    for draw in range(draws):
        first = 1 + draw * (pilots - 1)
        mine = [0, *range(first, first + pilots - 1)]
        others = [i for i in range(1, len(samples)) if i not in mine]
        ways = [[*mine, *shuffled.sample(others, len(others))] for _ in range(WAYS)]
        labelled = Labelled(
            problem=measured.problem,
            shown=features([_shown(samples[i]) for i in mine]),
            right=sum(samples[i].right for i in others),
            samples=len(others),
        )
        outcomes = [
            _sampled(arm, samples, ways, pilots, costs)
            if cell is None
            else _joined(arm, [samples[i] for i in mine], measured.trees[cell], costs.of(mine))
            for arm, cell in arms
        ]
        rows.append((labelled, [right for right, _ in outcomes], [used for _, used in outcomes]))
    return rows


def _shown(leaf: Leaf) -> Sample:
    return Sample(answer=leaf.answer, scores=leaf.scores, tokens=leaf.tokens)


def _joined(
    arm: Arm, pilots: Sequence[Leaf], tree: Searched, used: tuple[float, ...]
) -> tuple[float, tuple[float, ...]]:
    right = _elects_right(arm.vote, [*pilots, *tree.leaves])
    return float(right), tuple(a + b for a, b in zip(used, tree.used, strict=True))


def _sampled(
    arm: Arm, samples: Sequence[Leaf], ways: Sequence[Sequence[int]], pilots: int, costs: "_Costs"
) -> tuple[float, tuple[float, ...]]:
    if arm.strategy == "cot":
        return float(samples[0].right), costs.of(ways[0][:pilots])
    if arm.n == pilots:
        ways = ways[:1]
    outcomes = []
    for order in ways:
        taken = order[: _length(arm, samples, order, pilots)]
        right = float(_elects_right(arm.vote, [samples[i] for i in taken]))
        # the pilots are scored whatever follows: they show how hard the problem is
        more = costs.of(taken[pilots:], scored=arm.vote != "majority")
        used = [a + b for a, b in zip(costs.of(taken[:pilots]), more, strict=True)]
        outcomes.append((right, *used))
    right, *used = (fmean(column) for column in zip(*outcomes, strict=True))
    return right, tuple(used)


def _length(arm: Arm, samples: Sequence[Leaf], order: Sequence[int], pilots: int) -> int:
    """How many samples the arm draws where they come in this order."""
    if arm.stop is None:
        return arm.n
    totals: defaultdict[int, float] = defaultdict(float)
    drawn = 0
    while drawn < arm.n:
        more = min(pilots if not drawn else arm.stop["batch"], arm.n - drawn)
        for i in order[drawn : drawn + more]:
            answer = samples[i].answer
            if answer is not None:
                totals[answer] += _weight(arm, samples[i])
        drawn += more
        if is_settled(
            list(totals.values()), arm.n - drawn, arm.stop["rule"], arm.stop["confidence"]
        ):
            break
    return drawn


def _weight(arm: Arm, leaf: Leaf) -> float:
    return 1.0 if arm.strategy == "majority" else max(0.0, value(leaf.scores, "last"))


def _elects_right(vote: Vote, leaves: Sequence[Leaf]) -> bool:
    answers = [leaf.answer for leaf in leaves]
    if vote == "majority":
        elected = majority(answers)
    else:
        kind, reward = split_vote(vote)
        values = [value(leaf.scores, reward) for leaf in leaves]
        elected = highest(answers, values) if kind == "max" else weighted(answers, values)
    return elected is not None and leaves[elected].right


class _Costs:
    """What some of a problem's samples take, from what all of them took together."""

    def __init__(self, greedy: Searched, samples: Searched) -> None:
        self._samples = [*greedy.leaves, *samples.leaves]
        _, self._prompt, self._cached, prm, prm_cached, self._cost, self._seconds = samples.used
        texts = max(1, len({leaf.text for leaf in samples.leaves}))  # equal ones are scored once
        self._a_text, self._a_cached_text = prm / texts, prm_cached / texts

    def of(self, chosen: Sequence[int], *, scored: bool = True) -> tuple[float, ...]:
        if not chosen:
            return (0.0,) * len(USED)
        texts = len({self._samples[i].text for i in chosen}) if scored else 0
        return (
            float(sum(self._samples[i].tokens for i in chosen)),
            self._prompt,
            self._cached,
            self._a_text * texts,
            self._a_cached_text * texts,
            self._cost * len(chosen) / len(self._samples),
            self._seconds,
        )
