"""Votes by the policy's confidence against the majority of the very same samples, without a PRM."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.core.confidence import MEASURES, Measure
from orchestrator.core.voting import Borda, Confident, Majority, MostConfident, TopConfident, Vote
from orchestrator.optimal.profiling.ballots import Ballots, Drawn
from orchestrator.optimal.profiling.measured import Measured
from tests.benchmarks.optimal.fixed_strategies import Fixed, best_off_fold
from tests.benchmarks.optimal.measured_pairs import LADDER, Pair, interval

WAYS = 64
"""Random draws of n of a problem's samples."""


def _votes(measure: Measure) -> list[Vote]:
    return [
        *(Confident(measure, temperature=each) for each in (0.05, 0.1, 0.2, 0.5)),
        *(TopConfident(measure, keep=each) for each in (0.25, 0.5, 0.75)),
        *(Borda(measure, power=each) for each in (0.5, 1.0, 2.0)),
        MostConfident(measure),
    ]


CANDIDATES = tuple(vote for measure in MEASURES for vote in _votes(measure))
"""What is chosen among: every vote and measure, at settings around the usual ones."""


def against_majority(
    measured: Sequence[Measured], ladder: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64], dict[str, Any]] | None:
    """How often a vote by confidence and the majority are right on each problem, as means over the
    numbers of samples in ``ladder``; and for each of these what is best in hindsight. The vote, its
    measure and setting are chosen for each fold on the others. Both count the same samples, and so
    take the same tokens. None where no sample has log-probabilities."""
    samples = [Drawn.of(each.samples.leaves) for each in measured]
    if not any(confidence for drawn in samples for confidence in drawn.confidences):
        return None
    right = _right(samples, (Majority(), *CANDIDATES), ladder)
    tokens = np.array([float(each.samples.used[0]) for each in measured])
    ours, seen = [], {}
    for k, n in enumerate(ladder):
        rivals = [
            Fixed(name=vote.name, n=n, right=right[vote][k], tokens=tokens) for vote in CANDIDATES
        ]
        ours.append(best_off_fold(rivals, float("inf")).right)
        best = max(rivals, key=lambda each: float(each.right.mean()))
        means = best.right.mean(), right[Majority()][k].mean()
        seen[str(n)] = [best.name, *(round(float(each), 4) for each in means)]
    return np.mean(ours, axis=0), right[Majority()].mean(axis=0), seen


def _right(
    samples: Sequence[Drawn], votes: Sequence[Vote], ladder: Sequence[int]
) -> Mapping[Vote, NDArray[np.float64]]:
    """How often each vote over n samples elects a right answer, ``[n, problem]``."""
    draw = np.random.default_rng(0)
    found = {vote: np.empty((len(ladder), len(samples))) for vote in votes}
    for p, drawn in enumerate(samples):
        order = draw.permuted(np.tile(np.arange(len(drawn)), (WAYS, 1)), axis=1)
        ballots = Ballots(drawn, order)
        for vote in votes:
            found[vote][:, p] = ballots.elects_right(vote, np.array(ladder)).mean(axis=0)
    return found


def by_confidence(pairs: Sequence[Pair]) -> dict[str, dict[str, Any]]:
    """What votes by a policy's confidence gain over the majority; a policy has the same samples
    under each PRM."""
    by_policy = {pair.policy.name: pair.measured for pair in reversed(pairs)}
    found = {name: against_majority(each, LADDER) for name, each in by_policy.items()}
    known = {name: each for name, each in found.items() if each is not None}
    return {
        "confidence_minus_majority": {
            name: interval(ours, theirs) for name, (ours, theirs, _) in known.items()
        },
        "confidence_in_hindsight": {name: seen for name, (_, _, seen) in known.items()},
    }
