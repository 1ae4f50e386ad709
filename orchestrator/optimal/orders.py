"""A problem's samples in random orders: what a vote elects after so many of them, and its use.

As ``core.voting`` and ``core.stopping`` would have it one order after the other, for all orders at
once. Arrays are ``[w, i]``: the sample that comes as number ``i`` in way ``w``.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from orchestrator.core.rewards import Reward, value
from orchestrator.core.voting import Vote, split_vote
from orchestrator.optimal.arms import Arm
from orchestrator.optimal.measured import Leaf, Searched

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Orders:
    """``order[w]`` numbers ``samples``, of which the first ``pilots`` come before anything is
    decided; ``used`` is what all but the greedy one took together, in the order of ``USED``.
    ``trees`` came of the searches on the same problem."""

    def __init__(
        self,
        samples: Sequence[Leaf],
        order: "NDArray[np.int64]",
        pilots: int,
        used: Sequence[float],
        trees: Iterable[Searched] = (),
    ) -> None:
        import numpy as np

        self._samples = samples
        self._order = order
        self._pilots = pilots
        self._used = used
        self._right = np.array([each.right for each in samples])[order]
        answers = np.array([-1 if each.answer is None else each.answer for each in samples])
        voting = [*samples, *(leaf for tree in trees for leaf in tree.leaves)]
        self._known = np.unique([leaf.answer for leaf in voting if leaf.answer is not None])
        self._cast = (answers[:, None] == self._known)[order]
        """``[w, i, c]``: whether a sample has the answer ``c``."""
        self._scores: dict[Reward, NDArray[np.float64]] = {}
        self._bests: dict[Reward, NDArray[np.int64]] = {}
        self._totals: dict[Reward | None, NDArray[np.float64]] = {}
        self._leads: dict[tuple[Reward | None, int], tuple[NDArray[np.float64], ...]] = {}

    def outcome(
        self, arm: Arm, tree: Searched | None = None
    ) -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
        """Whether an arm is right, ``[w]``, and what it uses, ``[w, USED]``; of one that may search
        a tree, by what came of the ``tree`` on this problem."""
        import numpy as np

        if arm.strategy == "cot":  # the greedy one, which comes first
            return self._right[:, 0].astype(float), self._use(self._at_pilots, True)
        if arm.is_sampling:
            lengths, is_unsure = self._drawn(arm)
        else:
            lengths, is_unsure = self._at_pilots, np.full(len(self._order), True)
        # the pilots are scored whatever follows: they show how hard the problem is
        used = self._use(lengths, arm.vote != "majority")
        right = self._elects_right(arm.vote, lengths)
        if tree is None or not is_unsure.any():
            return right, used
        joined = self._elects_right(arm.vote, lengths, tree.leaves)
        return np.where(is_unsure, joined, right), used + is_unsure[:, None] * np.array(tree.used)

    @cached_property
    def _at_pilots(self) -> "NDArray[np.int64]":
        import numpy as np

        return np.full(len(self._order), self._pilots)

    def _drawn(self, arm: Arm) -> "tuple[NDArray[np.int64], NDArray[np.bool_]]":
        """How many samples the arm draws in each order, where it may stop by ``beta``; and whether
        all of them leave it unsure."""
        import numpy as np

        if arm.stop is None:
            return np.full(len(self._order), arm.n), np.full(len(self._order), False)
        weight: Reward | None = None if arm.strategy == "majority" else "last"
        first, second, lead = self._lead(weight, arm.stop["batch"])
        drawn = np.minimum(arm.n, self._checks(arm.stop["batch"]))
        is_sure = (lead >= arm.stop["confidence"]) & (first > 0)
        ends = is_sure | (first - second > arm.n - drawn) | (drawn == arm.n)
        last = ends.argmax(axis=1)
        lengths: NDArray[np.int64] = drawn[last]
        return lengths, ~is_sure[np.arange(len(last)), last] & (lengths == arm.n)

    def _checks(self, batch: int) -> "NDArray[np.int64]":
        """After how many samples a vote is looked at."""
        import numpy as np

        return np.arange(self._pilots, self._order.shape[1], batch)

    def _lead(self, weight: Reward | None, batch: int) -> "tuple[NDArray[np.float64], ...]":
        """At each check ``[w, k]``: the totals of the two leading answers, and how likely the first
        is the commoner (``core.stopping.lead``)."""
        import numpy as np
        from scipy.special import betainc

        if (weight, batch) not in self._leads:
            totals = self._cumulated(weight)[:, self._checks(batch) - 1]
            padded = np.concatenate([totals, np.zeros((*totals.shape[:2], 2))], axis=2)
            second, first = np.moveaxis(np.partition(padded, -2, axis=2)[..., -2:], 2, 0)
            self._leads[weight, batch] = first, second, betainc(second + 1, first + 1, 0.5)
        return self._leads[weight, batch]

    def _values(self, reward: Reward) -> "NDArray[np.float64]":
        import numpy as np

        if reward not in self._scores:
            values = np.array([value(each.scores, reward) for each in self._samples])
            self._scores[reward] = values[self._order]
        return self._scores[reward]

    def _cumulated(self, weight: Reward | None) -> "NDArray[np.float64]":
        """What each answer was given by the first samples, ``[w, i, c]``."""
        import numpy as np

        if weight not in self._totals:
            each = 1.0 if weight is None else np.maximum(0.0, self._values(weight))[:, :, None]
            self._totals[weight] = np.cumsum(self._cast * each, axis=1)
        return self._totals[weight]

    @cached_property
    def _first_seen(self) -> "NDArray[np.int64]":
        """When each answer comes for the first time, ``[w, c]``; after all samples where it does
        not."""
        import numpy as np

        found: NDArray[np.int64] = np.where(
            self._cast.any(axis=1), self._cast.argmax(axis=1), self._order.shape[1]
        )
        return found

    def _elects_right(
        self, vote: Vote, lengths: "NDArray[np.int64]", joined: Sequence[Leaf] = ()
    ) -> "NDArray[np.float64]":
        """Whether the vote of the first samples and of the leaves that ``joined`` them is right."""
        import numpy as np

        if not self._cast.size:
            return np.zeros(len(lengths))
        kind, reward = ("majority", None) if vote == "majority" else split_vote(vote)
        if kind == "max" and reward is not None:
            return self._highest_is_right(reward, lengths, joined)
        everyone, later = np.arange(len(lengths)), self._order.shape[1]
        totals = self._cumulated(reward)[everyone, lengths - 1]
        seen = np.where(self._first_seen < lengths[:, None], self._first_seen, later + len(joined))
        for i, leaf in enumerate(joined):
            if leaf.answer is not None:
                answer = np.searchsorted(self._known, leaf.answer)
                totals[:, answer] += _weight(leaf, reward)
                seen[:, answer] = np.minimum(seen[:, answer], later + i)
        right = np.zeros((len(lengths), later + len(joined) + 1))  # the last one for no answer
        right[:, :later] = self._right
        right[:, later:-1] = [leaf.right for leaf in joined]
        totals = np.where(seen < later + len(joined), totals, -np.inf)
        # ties go to the answer seen first
        tied = totals == totals.max(axis=1, keepdims=True)
        elected = np.where(tied, seen, later + len(joined)).min(axis=1)
        found: NDArray[np.float64] = right[everyone, elected]
        return found

    def _highest_is_right(
        self, reward: Reward, lengths: "NDArray[np.int64]", joined: Sequence[Leaf]
    ) -> "NDArray[np.float64]":
        import numpy as np

        everyone = np.arange(len(lengths))
        best = self._highest(reward)[everyone, lengths - 1]
        right = np.where(best >= 0, self._right[everyone, best], 0.0)
        answering = [leaf for leaf in joined if leaf.answer is not None]
        if not answering:
            return right
        other = max(answering, key=lambda leaf: value(leaf.scores, reward))  # the first of equals
        highest = np.where(best >= 0, self._values(reward)[everyone, best], -np.inf)
        found: NDArray[np.float64] = np.where(
            value(other.scores, reward) > highest, float(other.right), right
        )
        return found

    def _highest(self, reward: Reward) -> "NDArray[np.int64]":
        """Which of the first samples with an answer has the highest value; -1 where none has."""
        import numpy as np

        if reward not in self._bests:
            values = np.where(self._cast.any(axis=2), self._values(reward), -np.inf)
            before = np.maximum.accumulate(values, axis=1)
            before = np.concatenate([np.full((len(values), 1), -np.inf), before[:, :-1]], axis=1)
            number = np.arange(values.shape[1])
            self._bests[reward] = np.maximum.accumulate(
                np.where(values > before, number, -1), axis=1
            )
        return self._bests[reward]

    @cached_property
    def _new_texts(self) -> "NDArray[np.int64]":
        """How many different texts there are among the first samples, those of the pilots apart
        from the others': equal ones of a request are scored once."""
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

    def _use(self, lengths: "NDArray[np.int64]", is_scored: bool) -> "NDArray[np.float64]":
        """What the first samples take, from what all of them took together; ``is_scored``: those
        that follow the pilots too."""
        import numpy as np

        everyone = np.arange(len(lengths))
        _, prompt, cached, prm, prm_cached, cost, seconds = self._used
        requests = 1.0 + (lengths > self._pilots)
        scored = lengths if is_scored else np.full(len(lengths), self._pilots)
        texts = self._new_texts[everyone, scored - 1] / max(
            1, len({each.text for each in self._samples[1:]})
        )
        return np.stack(
            [
                self._tokens[everyone, lengths - 1],
                prompt * requests,
                cached * requests,
                prm * texts,
                prm_cached * texts,
                cost * lengths / len(self._samples),
                seconds * requests,
            ],
            axis=1,
        )


def _weight(leaf: Leaf, reward: Reward | None) -> float:
    return 1.0 if reward is None else max(0.0, value(leaf.scores, reward))
