"""A pool against equal budgets, played on the trajectories of a profile's trials.

Each problem's samples come in recorded orders, and its tree searches join them as they did when
they were measured. The pool grants one step at a time to the problem with the highest expected gain
a token, by gains fitted on the other folds, all folds in one pool of one cap. Equal budgets give
every problem the same strategy instead: the best single one within the same total, be it any number
of samples under any vote or a tree search, chosen on the other folds.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.core.voting import VOTES
from orchestrator.optimal.arms import Arm
from orchestrator.optimal.profile import Gains
from orchestrator.optimal.profiling.crossfit import cross_fitted, fit_predictor, folds, without
from orchestrator.optimal.profiling.fitting import PILOTS
from orchestrator.optimal.profiling.fitting_gains import fit_gains, hopes
from orchestrator.optimal.profiling.trajectories import SEARCHED, Trajectories
from orchestrator.optimal.profiling.trials import Trials
from orchestrator.optimal.shared_budget.expected_gain import (
    FEATURES,
    HOPE,
    Step,
    best,
    more_samples,
)
from tests.benchmarks.optimal.fixed_strategies import best_off_fold
from tests.benchmarks.optimal.measured_pairs import GOOD_PRM, LADDER, Pair, interval, rounded


@dataclass(frozen=True, slots=True)
class Played:
    """By problem, how often a pool was right, in 0..1, and the tokens it used, on average over the
    ways in which samples come."""

    right: NDArray[np.float64]
    tokens: NDArray[np.float64]


class Problem:
    """One problem of a fold in one way: how many samples are drawn, and which searches follow."""

    def __init__(
        self, trajectories: Trajectories, gains: Gains, place: tuple[int, int], hope: float
    ) -> None:
        self._trajectories, self._gains = trajectories, gains
        self._p, self._w = place
        self._hope = hope
        ways = trajectories.ways
        self._sizes = ways.sizes
        self._v = [arm.vote for arm in ways.sampling].index(VOTES[gains.vote])
        arms = list(ways.searches.values())
        self._numbers = [arms.index(_search(gains, s, arms)) for s in range(len(gains.searches))]
        self._k = 0
        self._done: list[int] = []

    @property
    def right(self) -> float:
        c, p, v, w = self._trajectories, self._p, self._v, self._w
        if not self._done:
            return float(c.right[p, v, w, self._k])
        if len(self._done) == 1:
            return float(c.searched[p, v, w, self._k, self._done[0]])
        return float(c.twice[p, v, w, self._done[0], self._done[1]])

    def next(self, a_sample: float, searches: Sequence[float]) -> Step | None:
        """The step that is worth most. A second search follows only the pilots' first one, as
        trials know no others."""
        c, p, v, w, k = self._trajectories, self._p, self._v, self._w, self._k
        row = c.later[p, v, w, self._done[0]] if self._done else c.shown[p, v, w, k]
        shown = {
            name: value
            for name, value in zip(FEATURES, row.tolist(), strict=True)
            if not np.isnan(value)
        } | {HOPE: self._hope}
        last = self._done[-1] if self._done else -1
        may_search = k < SEARCHED and (not self._done or (len(self._done) == 1 and k == 0))
        steps = [
            Step(s, search.change.gain(shown), cost)
            for s, (search, cost) in enumerate(zip(self._gains.searches, searches, strict=True))
            if may_search and self._numbers[s] > last
        ]
        if not self._done:
            drawn, ahead = self._sizes[k], self._sizes[k + 1 :]
            steps += more_samples(self._gains.samples, shown, drawn, ahead, a_sample)
        return best(steps)

    def cost(self, step: Step, a_sample: float) -> float:
        """Tokens that a step takes of this problem: the next size of samples, or its search."""
        if step.search is None:
            return (self._sizes[self._k + 1] - self._sizes[self._k]) * a_sample
        used = self._trajectories.cost[self._p, self._numbers[step.search]]
        return float(used[0] + used[3])

    def take(self, step: Step) -> None:
        if step.search is None:
            self._k += 1
        else:
            self._done.append(self._numbers[step.search])


def _search(gains: Gains, s: int, arms: Sequence[Arm]) -> Arm:
    wanted = gains.searches[s]
    return next(
        arm
        for arm in arms
        if (arm.strategy, dict(arm.settings)) == (wanted.strategy, wanted.settings)
    )


def play(trials: Trials, budgets: Sequence[float], *, pilots: int) -> list[Played]:
    """What pools of so many tokens a problem come to, each problem judged off its fold."""
    trajectories = trials.trajectories
    assert trajectories is not None
    count, _, ways, _ = trajectories.right.shape
    gains, hope = _off_fold(trials, pilots)
    # tokens of a sample of each problem, its PRM included
    arm = next(a for a, each in enumerate(trials.arms) if each.n == pilots and each.is_sampling)
    a_sample = trials.tokens[:, :, arm].mean(axis=1) / pilots
    right = np.zeros((len(budgets), count))
    tokens = np.zeros((len(budgets), count))
    for w in range(ways):
        problems = [Problem(trajectories, gains[p], (p, w), hope[p, w]) for p in range(count)]
        used = pilots * a_sample

        def entry(p: int, problems: list[Problem] = problems) -> tuple[float, int, Step] | None:
            return _entry(problems, p, gains[p], a_sample[p], pilots)

        queue = [found for p in range(count) if (found := entry(p))]
        heapq.heapify(queue)
        for b, budget in sorted(enumerate(budgets), key=lambda each: each[1]):
            while queue:
                _, p, step = queue[0]
                cost = problems[p].cost(step, a_sample[p])
                if used.sum() + cost > budget * count:
                    break
                heapq.heappop(queue)
                problems[p].take(step)
                used[p] += cost
                if found := entry(p):
                    heapq.heappush(queue, found)
            right[b] += [each.right / ways for each in problems]
            tokens[b] += used / ways
    return [Played(*each) for each in zip(right, tokens, strict=True)]


def _entry(
    problems: Sequence[Problem], p: int, gains: Gains, a_sample: float, pilots: int
) -> tuple[float, int, Step] | None:
    """A problem's place in the queue: what its next step gains a token, the highest first."""
    usual = gains.pilots.tokens / pilots
    step = problems[p].next(usual, [search.use.tokens for search in gains.searches])
    return None if step is None else (-step.rate * usual / a_sample, p, step)


def _off_fold(trials: Trials, pilots: int) -> tuple[list[Gains], NDArray[np.float64]]:
    """Of each problem, the gains that were fitted to the other folds, and what its pilots let hope
    for in each way."""
    found: dict[int, Gains] = {}
    assert trials.trajectories is not None
    hope = np.empty(trials.trajectories.right.shape[:3:2])
    for held_out in folds(len(trials.problems)):
        rest = without(trials, held_out)
        predictor = fit_predictor(rest, pilots)
        fitted = fit_gains(rest, predictor, with_curve=False)
        assert fitted is not None
        found |= dict.fromkeys(held_out, fitted)
        hope[held_out] = hopes(trials.of(held_out), predictor)
    return [found[p] for p in range(len(found))], hope


def pool_minus_equal(pair: Pair, sizes: Sequence[int]) -> dict[str, Any]:
    """A pool less equal budgets, on average over those of best-of-N for these N and for each: the
    difference with its 95 % paired bootstrap interval over problems."""
    budgets = [pair.budget(n) for n in sizes]
    played = play(pair.trials, budgets, pilots=PILOTS)
    rivals = [best_off_fold(pair.fixed, budget).right for budget in budgets]
    ours = [each.right for each in played]
    return {
        "difference": interval(np.mean(ours, axis=0), np.mean(rivals, axis=0)),
        "by_budget": {
            str(n): {
                "budget": round(budget),
                "pool_tokens": round(float(pool.tokens.mean())),
                "pool": rounded(pool.right.mean()),
                "equal": rounded(rival.mean()),
                "difference": interval(pool.right, rival),
            }
            for n, budget, pool, rival in zip(sizes, budgets, played, rivals, strict=True)
        },
    }


def pool_gain(pair: Pair) -> dict[str, Any]:
    """A budget on average against one for each problem, at equal tokens."""
    budgets = np.geomspace(pair.budget(4), pair.budget(64), 24).tolist()
    pooled = cross_fitted(pair.trials, budgets, pilots=PILOTS)
    each = cross_fitted(pair.trials, budgets, pilots=PILOTS, spread="each")
    gains, rivals = [], []
    for budget in (pair.budget(n) for n in LADDER):
        ours = max(
            (one for one in pooled if one.tokens.mean() <= budget),
            key=lambda one: one.tokens.mean(),
            default=pooled[0],
        )
        tokens = ours.tokens.mean()
        affordable = [one for one in each if one.tokens.mean() <= tokens] or [
            min(each, key=lambda one: one.tokens.mean())
        ]
        gains.append(ours.right)
        rivals.append(max(affordable, key=lambda one: one.right.mean()).right)
    return {"difference": interval(np.mean(gains, axis=0), np.mean(rivals, axis=0))}


def against_equal_budgets(pairs: Sequence[Pair]) -> dict[str, dict[str, Any]]:
    """A pool against equal budgets, by policy under the good PRM."""
    found = {
        pair.policy.name: pool_minus_equal(pair, LADDER)
        for pair in pairs
        if pair.prm.name == GOOD_PRM
    }
    return {
        "pool_minus_equal": {name: each["difference"] for name, each in found.items()},
        "pool_minus_equal_by_budget": {name: each["by_budget"] for name, each in found.items()},
    }
