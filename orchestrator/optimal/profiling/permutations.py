"""Sampling arms replayed on a problem's samples in many random orders: outcome and use.

Same results as ``core.voting`` and ``core.stopping`` on one order after the other, but vectorised.
In arrays ``[w, i]``, entry ``i`` is the ``i``-th sample of order ``w``.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from orchestrator.core.voting import ROUNDING, Vote, most_to_change
from orchestrator.optimal.arms import Arm
from orchestrator.optimal.profiling.ballots import Ballots, Drawn
from orchestrator.optimal.profiling.measured import Leaf, Searched

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Permutations:
    """``order[w]`` is a permutation of ``samples``; the first ``pilots`` of each are the pilots.

    ``used`` is the total use of all samples but the greedy one, in the order of ``USED``. With
    ``one_per_request`` it includes a prompt for each sample. ``trees`` are the results of the tree
    searches on the same problem.
    """

    def __init__(
        self,
        samples: Sequence[Leaf],
        order: "NDArray[np.int64]",
        pilots: int,
        used: Sequence[float],
        trees: Iterable[Searched] = (),
        *,
        one_per_request: bool = False,
    ) -> None:
        import numpy as np

        self._samples = samples
        self._order = order
        self._pilots = pilots
        self._used = used
        self._one_per_request = one_per_request
        drawn = Drawn.of(samples)
        self._ballots = Ballots(drawn, order)
        self._joined = {id(tree): Ballots(drawn, order, Drawn.of(tree.leaves)) for tree in trees}
        self._elected: dict[tuple[Vote, Ballots], dict[int, NDArray[np.float64]]] = {}
        self._leads: dict[tuple[Vote, int], tuple[NDArray[np.float64], ...]] = {}

    def outcome(
        self, arm: Arm, tree: Searched | None = None
    ) -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
        """Whether an arm is right, ``[w]``, and what it uses, ``[w, USED]``. An arm with a tree
        search takes its result from ``tree``, that search on this problem."""
        import numpy as np

        if arm.strategy == "cot":  # the greedy answer, first in every order
            right = np.array([float(each.right) for each in self._samples])[self._order[:, 0]]
            return right, self.use(self._at_pilots, self._at_pilots)
        if arm.is_sampling:
            lengths, is_unsure = self._drawn(arm)
        else:
            lengths, is_unsure = self._at_pilots, np.full(len(self._order), True)
        # Pilots are always scored, since difficulty is predicted from their scores.
        used = self.use(lengths, self._at_pilots if arm.strategy == "majority" else lengths)
        right = self._elects_right(arm.vote, lengths, self._ballots)
        if tree is None or not is_unsure.any():
            return right, used
        # The others stopped before: only where all samples are drawn, a search may follow.
        drawn = np.full(len(lengths), lengths[is_unsure].max())
        joined = self._elects_right(arm.vote, drawn, self._joined[id(tree)])
        return np.where(is_unsure, joined, right), used + is_unsure[:, None] * np.array(tree.used)

    def _elects_right(
        self, vote: Vote, lengths: "NDArray[np.int64]", ballots: Ballots
    ) -> "NDArray[np.float64]":
        """Whether a right answer is elected after ``lengths[w]`` samples, ``[w]``. Arms stop after
        the same few numbers of samples, so that elections are held once for all of them."""
        import numpy as np

        held = self._elected.setdefault((vote, ballots), {})
        wanted, which = np.unique(lengths, return_inverse=True)
        if missing := [n for n in wanted.tolist() if n not in held]:
            elected = ballots.elects_right(vote, np.array(missing))
            held |= zip(missing, elected.T, strict=True)
        by_length = np.stack([held[n] for n in wanted.tolist()])
        found: NDArray[np.float64] = by_length[which, np.arange(len(lengths))]
        return found

    @cached_property
    def _at_pilots(self) -> "NDArray[np.int64]":
        import numpy as np

        return np.full(len(self._order), self._pilots)

    def _drawn(self, arm: Arm) -> "tuple[NDArray[np.int64], NDArray[np.bool_]]":
        """How many samples the arm draws in each order until it stops, and whether the vote is
        still undecided after all ``n``."""
        import numpy as np

        if arm.stop is None:
            return np.full(len(self._order), arm.n), np.full(len(self._order), False)
        first, second, lead = self._lead(arm.stopping_vote, arm.stop["batch"])
        drawn = np.minimum(arm.n, self._checks(arm.stop["batch"]))
        is_sure = (lead >= arm.stop["confidence"]) & (first > 0)
        open_ = np.array(
            [most_to_change(arm.stopping_vote, arm.n - each) for each in drawn.tolist()]
        )
        ends = is_sure | (first - second > open_ + ROUNDING) | (drawn == arm.n)
        last = ends.argmax(axis=1)
        lengths: NDArray[np.int64] = drawn[last]
        return lengths, ~is_sure[np.arange(len(last)), last] & (lengths == arm.n)

    def _checks(self, batch: int) -> "NDArray[np.int64]":
        """The numbers of samples after which a vote is checked."""
        import numpy as np

        return np.arange(self._pilots, self._order.shape[1], batch)

    def _lead(self, vote: Vote, batch: int) -> "tuple[NDArray[np.float64], ...]":
        """At each check, ``[w, k]``: the totals of the two leading answers, and the confidence that
        the first is the more common one (``core.stopping.lead``)."""
        import numpy as np
        from scipy.special import betainc

        if (vote, batch) not in self._leads:
            totals = self._ballots.totals(vote, self._checks(batch))
            padded = np.concatenate([totals, np.zeros((*totals.shape[:2], 2))], axis=2)
            second, first = np.moveaxis(np.partition(padded, -2, axis=2)[..., -2:], 2, 0)
            self._leads[vote, batch] = first, second, betainc(second + 1, first + 1, 0.5)
        return self._leads[vote, batch]

    @cached_property
    def _new_texts(self) -> "NDArray[np.int64]":
        """The number of distinct texts among the samples up to ``i``, counted separately for pilots
        and later samples: equal texts in one request are scored once."""
        import numpy as np

        _, texts = np.unique([each.text for each in self._samples], return_inverse=True)
        by_text = np.argsort(texts, kind="stable")
        starts = np.flatnonzero(np.diff(texts[by_text], prepend=-1))
        place = np.argsort(self._order, axis=1)[:, by_text]
        most = self._order.shape[1]
        is_new = np.zeros((len(self._order), most + 1), dtype=np.int64)
        for part in (place < self._pilots, place >= self._pilots):
            first = np.minimum.reduceat(np.where(part, place, most), starts, axis=1)
            np.put_along_axis(is_new, first, 1, axis=1)
        found: NDArray[np.int64] = is_new[:, :most].cumsum(axis=1)
        return found

    @cached_property
    def _tokens(self) -> "NDArray[np.float64]":
        import numpy as np

        return np.array([float(each.tokens) for each in self._samples])[self._order].cumsum(axis=1)

    def use(
        self, lengths: "NDArray[np.int64]", scored: "NDArray[np.int64]"
    ) -> "NDArray[np.float64]":
        """Estimate the use of the first ``lengths[w]`` samples, ``[w, USED]``, from the total use
        of all. The PRM scores the first ``scored[w]`` of them."""
        import numpy as np

        everyone = np.arange(len(lengths))
        _, prompt, cached, prm, prm_cached, cost, seconds = self._used
        sampled = max(1, len(self._samples) - 1)  # without the greedy one, which costs as much
        share, requests = lengths / sampled, 1.0 + (lengths > self._pilots)
        prompts = share if self._one_per_request else requests
        texts = np.where(scored > 0, self._new_texts[everyone, scored - 1], 0) / max(
            1, len({each.text for each in self._samples[1:]})
        )
        return np.stack(
            [
                self._tokens[everyone, lengths - 1],
                prompt * prompts,
                cached * prompts,
                prm * texts,
                prm_cached * texts,
                cost * share,
                seconds * requests,
            ],
            axis=1,
        )
