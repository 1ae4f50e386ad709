"""The weights of ``core.voting`` in many elections of the same voters at once.

Arrays are ``[e, v]``: voter ``v`` in election ``e``; ``c`` counts the answers.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestrator.core.voting import (
    ROUNDING,
    BestOfMajority,
    Borda,
    Confident,
    Majority,
    Max,
    MostConfident,
    Pooled,
    TopConfident,
    Vote,
    Weighted,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Elections = NDArray[np.bool_]
    Weights = NDArray[np.float64]

NOWHERE = 2**30
"""The place of whoever does not vote: after everyone."""

LOWEST = -1e300
"""Below the confidence of any voter, and finite: an election may have none."""


class BatchedWeights:
    """Whose ballots may be in an election under ``vote``, and what they weigh in each.

    ``values`` are what each voter brings by itself, and ``classes`` number its answers; those whose
    value is None never vote.
    """

    def __init__(
        self, vote: Vote, values: Sequence[float | None], classes: Sequence[int], answers: int
    ) -> None:
        import numpy as np

        self.vote = vote
        self.may_vote = np.array([each is not None for each in values], dtype=bool)
        self.classes = np.array(classes, dtype=np.int64)
        self.one_hot = np.eye(max(1, answers))[self.classes]
        self._values = np.array([each or 0.0 for each in values], dtype=float)
        self._by_value = np.argsort(self._values, kind="stable")
        ranked = self._values[self._by_value]
        self._first = np.searchsorted(ranked, self._values, side="left")
        self._last = np.searchsorted(ranked, self._values, side="right")

    def weights(self, present: "Elections", place: "NDArray[np.int32]") -> "Weights":
        """The weight of each voter who is ``present``, 0 for all others. Of equals where one alone
        is to decide, the one in the first ``place`` does."""
        import numpy as np

        match self.vote:
            case Majority():
                return present.astype(float)
            case Weighted():
                return np.where(present, self._values, 0.0)
            case Max():
                return np.where(self._highest(present, place), self._values, 0.0)
            case BestOfMajority(share=share):
                counts = present @ self.one_hot
                scored = counts.sum(axis=1, keepdims=True)
                least = np.minimum(share * scored, counts.max(axis=1, keepdims=True)) - ROUNDING
                is_frequent = (counts >= least)[:, self.classes]
                return self._highest(present & is_frequent, place).astype(float)
            case Pooled():
                return self._chances_of_being_best(present)
            case MostConfident():
                return self._highest(present, place).astype(float)
            case Confident(temperature=temperature):
                values = np.where(present, self._values / temperature, -np.inf)
                surest = values.max(axis=1, keepdims=True, initial=LOWEST)
                return _scaled(np.exp(values - surest), present)
            case TopConfident(keep=keep):
                at_most, n = self._ranks(present)[1], present.sum(axis=1, keepdims=True)
                is_kept = n - at_most < np.ceil(keep * n - ROUNDING)
                return np.where(present & is_kept, 1.0, 0.0)
            case Borda(power=power):
                at_most, n = self._ranks(present)[1], present.sum(axis=1, keepdims=True)
                return _scaled(np.where(present, (at_most / np.maximum(1, n)) ** power, 0), present)
        raise TypeError(f"{self.vote.name} is not resampled: only the votes in VOTES are")

    def _highest(self, present: "Elections", place: "NDArray[np.int32]") -> "Elections":
        """Who alone has the highest value among those ``present``, the first of equals."""
        import numpy as np

        values = np.where(present, self._values, -np.inf)
        is_best = present & (values == values.max(axis=1, keepdims=True))
        found = np.zeros_like(present)
        first = np.where(is_best, place, NOWHERE).argmin(axis=1)
        np.put_along_axis(found, first[:, None], is_best.any(axis=1)[:, None], axis=1)
        return found

    def _ranks(self, present: "Elections") -> "tuple[Weights, Weights]":
        """How many of those present have a lower value, and how many one that is no higher."""
        import numpy as np

        counted = np.zeros((len(present), present.shape[1] + 1))
        np.cumsum(present[:, self._by_value], axis=1, out=counted[:, 1:])
        return counted[:, self._first], counted[:, self._last]

    def _chances_of_being_best(self, present: "Elections") -> "Weights":
        import numpy as np

        below, at_most = self._ranks(present)
        n = np.maximum(1, present.sum(axis=1, keepdims=True))
        chance = (at_most / n) ** np.sqrt(n) - (below / n) ** np.sqrt(n)
        return np.where(present, n * chance / np.maximum(1, at_most - below), 0.0)


def _scaled(weights: "Weights", present: "Elections") -> "Weights":
    """So that they sum to the number of voters in each election."""
    import numpy as np

    total = weights.sum(axis=1, keepdims=True)
    scaled: Weights = weights * present.sum(axis=1, keepdims=True) / np.where(total, total, 1.0)
    return scaled
