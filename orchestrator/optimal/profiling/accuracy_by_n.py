"""Accuracy as a function of n, from one run of many samples per problem."""

from collections.abc import Sequence

from orchestrator.core.voting import Vote
from orchestrator.optimal.profile import PASS, Resampled
from orchestrator.optimal.profiling.ballots import Drawn
from orchestrator.optimal.profiling.measured import Leaf
from orchestrator.optimal.profiling.resampling import chance, pass_at_k
from orchestrator.statistics import mean_interval


def doublings(most: int) -> list[int]:
    """1, 2, 4 … below ``most``, and ``most`` itself."""
    return [*(2**k for k in range(most.bit_length()) if 2**k < most), most]


def resampled(samples: Sequence[Sequence[Leaf]], votes: Sequence[Vote]) -> list[Resampled]:
    """The accuracy of each vote, and pass@n, at every doubling of n, with 95 % intervals.
    ``samples`` holds the independent samples of each problem."""
    drawn = [Drawn.of(leaves) for leaves in samples]
    ns = doublings(min(len(each) for each in drawn))
    by_vote = [
        _resampled(vote.name, n, [chance(each, vote, n) for each in drawn])
        for vote in votes
        for n in ns
    ]
    passes = [
        _resampled(PASS, n, [pass_at_k(sum(each.right), len(each), n) for each in drawn])
        for n in ns
    ]
    return by_vote + passes


def _resampled(vote: str, n: int, rates: Sequence[float]) -> Resampled:
    low, high = mean_interval(rates)
    return Resampled(vote=vote, n=n, accuracy=sum(rates) / len(rates), low=low, high=high)
