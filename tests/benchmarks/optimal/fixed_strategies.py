"""What auto is compared with: every single fixed strategy, by problem, at any number of samples."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

from orchestrator.core.voting import Majority, Vote, elect
from orchestrator.optimal.arms import PAPER_VOTES
from orchestrator.optimal.profiling.ballots import Drawn
from orchestrator.optimal.profiling.crossfit import folds
from orchestrator.optimal.profiling.measured import USED, Measured, Searched
from orchestrator.optimal.profiling.measuring import TREE_VOTES, Cells
from orchestrator.optimal.profiling.resampling import chance
from orchestrator.optimal.profiling.trials import Trials
from orchestrator.optimal.wording import in_words

SIZES = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64)
"""Numbers of samples; 64 is the most that the comparison allows a fixed strategy."""

POLICY, PRM = USED.index("policy_tokens"), USED.index("prm_tokens")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """A strategy with its N and vote: how often ``right`` on each problem, in 0..1, at how many
    ``tokens`` of policy and PRM."""

    name: str
    n: int
    right: NDArray[np.float64]
    tokens: NDArray[np.float64]


def all_fixed(
    measured: Sequence[Measured], cells: Cells, cot: Mapping[str, tuple[bool, int]]
) -> list[Fixed]:
    """CoT, each vote over each number of samples, and each tree search under each vote."""
    found = [
        Fixed(
            name="cot",
            n=1,
            right=np.array([float(cot[each.problem][0]) for each in measured]),
            tokens=np.array([float(cot[each.problem][1]) for each in measured]),
        )
    ]
    samples = [Drawn.of(each.samples.leaves) for each in measured]
    for vote in PAPER_VOTES:
        for n in SIZES:
            found.append(
                Fixed(
                    name=f"{vote.name} of {n}",
                    n=n,
                    right=np.array([chance(each, vote, n, subsets=64) for each in samples]),
                    tokens=np.array(
                        [_tokens(each.samples, n, scored=vote != Majority()) for each in measured]
                    ),
                )
            )
    for cell, record in cells.trees.items():
        for vote in TREE_VOTES:
            searched = [each.trees[cell] for each in measured]
            found.append(
                Fixed(
                    name=f"{record.strategy} {record.n}, {vote.name}",
                    n=record.n,
                    right=np.array([float(_right(each, vote)) for each in searched]),
                    tokens=np.array([each.used[POLICY] + each.used[PRM] for each in searched]),
                )
            )
    return found


def _tokens(samples: Searched, n: int, *, scored: bool) -> float:
    """Of ``n`` of the samples, on average; equal texts are scored once."""
    total, share = len(samples.leaves), n / len(samples.leaves)
    generated = samples.used[POLICY] * share
    if not scored:
        return generated
    texts = Counter(leaf.text for leaf in samples.leaves)
    distinct = sum(1 - comb(total - count, n) / comb(total, n) for count in texts.values())
    return generated + samples.used[PRM] * distinct / len(texts)


def _right(searched: Searched, vote: Vote) -> bool:
    elected = elect(vote, searched.leaves, [leaf.answer for leaf in searched.leaves]).winner
    return elected is not None and searched.leaves[elected].right


def of_auto(trials: Trials) -> list[Fixed]:
    """What auto chooses among for each problem, each for all problems alike: votes that stop when
    settled and searches that follow them are among these."""
    return [
        Fixed(
            name=in_words(arm),
            n=arm.n,
            right=trials.right[:, :, a].mean(axis=1),
            tokens=trials.tokens[:, :, a].mean(axis=1),
        )
        for a, arm in enumerate(trials.arms)
    ]


def best_in_hindsight(fixed: Sequence[Fixed], tokens: float) -> Fixed:
    """The one that did best on these very problems within so many tokens a problem."""
    return max(
        (each for each in fixed if each.tokens.mean() <= tokens), key=lambda each: each.right.mean()
    )


def best_off_fold(fixed: Sequence[Fixed], tokens: float, seed: int = 0) -> Fixed:
    """What the best strategy within so many tokens a problem came to, chosen for each fold on the
    others as auto is."""
    right, used = (np.empty(len(fixed[0].right)) for _ in range(2))
    for held_out in folds(len(right), seed):
        rest = np.setdiff1d(np.arange(len(right)), held_out)
        within = [each for each in fixed if each.tokens[rest].mean() <= tokens]
        cheapest = min(fixed, key=lambda each: each.tokens[rest].mean())
        best = max(within or [cheapest], key=lambda each: each.right[rest].mean())
        right[held_out], used[held_out] = best.right[held_out], best.tokens[held_out]
    return Fixed(name="chosen off the fold", n=fixed[0].n, right=right, tokens=used)
