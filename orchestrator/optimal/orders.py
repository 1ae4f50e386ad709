"""A problem's samples in random orders: what a vote elects after so many of them, and its use.

As ``core.voting`` and ``core.stopping`` would have it one order after the other, for all orders at
once. Arrays are ``[w, i]``: the sample that comes as number ``i`` in way ``w``.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from orchestrator.core.rewards import Reward, value
from orchestrator.core.voting import Vote, split_vote
from orchestrator.optimal.arms import Arm
from orchestrator.optimal.measured import Leaf

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Orders:
    """``order[w]`` numbers ``samples``, of which the first ``pilots`` come before anything is
    decided; ``used`` is what all but the greedy one took together, in the order of ``USED``."""

    def __init__(
        self,
        samples: Sequence[Leaf],
        order: "NDArray[np.int64]",
        pilots: int,
        used: Sequence[float],
    ) -> None:
        import numpy as np

        self._samples = samples
        self._order = order
        self._pilots = pilots
        self._used = used
        self._right = np.array([each.right for each in samples])[order]
        answers = np.array([-1 if each.answer is None else each.answer for each in samples])
        known = np.unique(answers[answers >= 0])
        self._cast = (answers[:, None] == known)[order]
        """``[w, i, c]``: whether a sample has the answer ``c``."""
        self._totals: dict[Reward | None, NDArray[np.float64]] = {}
        self._leads: dict[tuple[Reward | None, int], tuple[NDArray[np.float64], ...]] = {}

    def outcome(self, arm: Arm) -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
        """Whether a sampling arm is right, ``[w]``, and what it uses, ``[w, USED]``."""
        if arm.strategy == "cot":  # the greedy one, which comes first
            return self._right[:, 0].astype(float), self.pilots_used
        lengths = self._lengths(arm)
        # the pilots are scored whatever follows: they show how hard the problem is
        return self._elects_right(arm.vote, lengths), self._use(lengths, arm.vote != "majority")

    @cached_property
    def pilots_used(self) -> "NDArray[np.float64]":
        import numpy as np

        return self._use(np.full(len(self._order), self._pilots), True)

    def _lengths(self, arm: Arm) -> "NDArray[np.int64]":
        """How many samples the arm draws in each order; where it may stop, by ``beta``."""
        import numpy as np

        if arm.stop is None:
            return np.full(len(self._order), arm.n)
        weight: Reward | None = None if arm.strategy == "majority" else "last"
        first, second, lead = self._lead(weight, arm.stop["batch"])
        drawn = np.minimum(arm.n, self._checks(arm.stop["batch"]))
        done = (first - second > arm.n - drawn) | ((lead >= arm.stop["confidence"]) & (first > 0))
        done |= drawn == arm.n
        found: NDArray[np.int64] = drawn[done.argmax(axis=1)]
        return found

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

        return np.array([value(each.scores, reward) for each in self._samples])[self._order]

    def _cumulated(self, weight: Reward | None) -> "NDArray[np.float64]":
        """What each answer was given by the first samples, ``[w, i, c]``."""
        import numpy as np

        if weight not in self._totals:
            each = 1.0 if weight is None else np.maximum(0.0, self._values(weight))[:, :, None]
            self._totals[weight] = np.cumsum(self._cast * each, axis=1)
        return self._totals[weight]

    @cached_property
    def _first_seen(self) -> "NDArray[np.int64]":
        """When each answer comes for the first time, ``[w, c]``."""
        found: NDArray[np.int64] = self._cast.argmax(axis=1)
        return found

    def _elects_right(self, vote: Vote, lengths: "NDArray[np.int64]") -> "NDArray[np.float64]":
        import numpy as np

        everyone = np.arange(len(lengths))
        if not self._cast.size:
            return np.zeros(len(lengths))
        kind, reward = ("majority", None) if vote == "majority" else split_vote(vote)
        if kind == "max" and reward is not None:
            best = self._highest(reward)[everyone, lengths - 1]
            return np.where(best >= 0, self._right[everyone, best], 0.0)
        totals = self._cumulated(reward)[everyone, lengths - 1]
        seen = self._first_seen < lengths[:, None]
        totals = np.where(seen, totals, -np.inf)
        # ties go to the answer seen first
        tied = seen & (totals == totals.max(axis=1, keepdims=True))
        elected = np.where(tied, self._first_seen, self._order.shape[1]).min(axis=1)
        is_any = elected < self._order.shape[1]
        return np.where(is_any, self._right[everyone, np.where(is_any, elected, 0)], 0.0)

    def _highest(self, reward: Reward) -> "NDArray[np.int64]":
        """Which of the first samples with an answer has the highest value; -1 where none has."""
        import numpy as np

        values = np.where(self._cast.any(axis=2), self._values(reward), -np.inf)
        before = np.maximum.accumulate(values, axis=1)
        before = np.concatenate([np.full((len(values), 1), -np.inf), before[:, :-1]], axis=1)
        number = np.arange(values.shape[1])
        found: NDArray[np.int64] = np.maximum.accumulate(
            np.where(values > before, number, -1), axis=1
        )
        return found

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
