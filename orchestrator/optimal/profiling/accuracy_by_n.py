"""What every smaller number of samples comes to, from one run of many of each problem."""

from collections.abc import Sequence

from orchestrator.core.voting import VoteName
from orchestrator.optimal.profile import PASS, Resampled
from orchestrator.optimal.profiling.ballots import Drawn
from orchestrator.optimal.profiling.measured import Leaf
from orchestrator.optimal.profiling.resampling import chance, pass_at_k
from orchestrator.statistics import mean_interval


def doublings(most: int) -> list[int]:
    """1, 2, 4 … up to ``most``, which is there in any case."""
    return [*(2**k for k in range(most.bit_length()) if 2**k < most), most]


def resampled(samples: Sequence[Sequence[Leaf]], votes: Sequence[VoteName]) -> list[Resampled]:
    """The accuracy of each vote and pass@n at every doubling of n, over all problems with their
    95 % intervals; ``samples`` are each problem's, independent of each other."""
    drawn = [Drawn.of(leaves) for leaves in samples]
    found = []
    for vote in (*votes, PASS):
        for n in doublings(min(len(each) for each in drawn)):
            rates = [
                pass_at_k(sum(each.right), len(each), n) if vote == PASS else chance(each, vote, n)
                for each in drawn
            ]
            low, high = mean_interval(rates)
            found.append(
                Resampled(vote=vote, n=n, accuracy=sum(rates) / len(rates), low=low, high=high)
            )
    return found
