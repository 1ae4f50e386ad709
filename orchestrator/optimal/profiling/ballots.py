"""The election of ``core.voting`` over a problem's samples in many random orders at once.

Arrays are ``[w, k]``: the election that the first ``lengths[k]`` samples of way ``w`` hold; ``v``
counts the voters and ``c`` the answers. What a ballot weighs depends on who else votes, so that
each election weighs its own.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

from orchestrator.core.confidence import Confidence
from orchestrator.core.voting import ROUNDING, ByValue, Majority, Vote
from orchestrator.optimal.profiling.batched_weights import NOWHERE, BatchedWeights
from orchestrator.optimal.profiling.measured import Leaf

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


MAJORITY = Majority()


class One(NamedTuple):
    """What a vote knows of a solution."""

    scores: tuple[float, ...]
    confidence: Confidence | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Some of a problem's solutions: the class of each one's answer (None without an answer),
    whether it is right, its PRM scores, one per step (empty if it was not scored), and the policy's
    confidence in it, if known."""

    answers: tuple[int | None, ...]
    right: tuple[bool, ...]
    scores: tuple[tuple[float, ...], ...]
    confidences: tuple[Confidence | None, ...]

    @classmethod
    def of(cls, leaves: Iterable[Leaf]) -> Self:
        found = list(leaves)
        return cls(
            answers=tuple(leaf.answer for leaf in found),
            right=tuple(leaf.right for leaf in found),
            scores=tuple(leaf.scores for leaf in found),
            confidences=tuple(leaf.confidence for leaf in found),
        )

    def __len__(self) -> int:
        return len(self.answers)

    def __add__(self, other: "Drawn") -> "Drawn":
        return Drawn(
            answers=self.answers + other.answers,
            right=self.right + other.right,
            scores=self.scores + other.scores,
            confidences=self.confidences + other.confidences,
        )

    def values(self, vote: Vote) -> list[float | None]:
        """What each one brings to a vote by itself; None where it abstains, or has no answer."""
        brought: list[float | None] = [1.0] * len(self)
        if isinstance(vote, ByValue):
            both = zip(self.scores, self.confidences, strict=True)
            brought = vote.values([One(*each) for each in both])
        return [
            None if answer is None else each
            for answer, each in zip(self.answers, brought, strict=True)
        ]


NOBODY = Drawn(answers=(), right=(), scores=(), confidences=())


class Ballots:
    """``order[w]`` numbers the ``samples``; those who ``joined`` vote with them, after them."""

    def __init__(self, samples: Drawn, order: "NDArray[np.int64]", joined: Drawn = NOBODY) -> None:
        import numpy as np

        self._drawn = samples + joined
        self._answers = {each: c for c, each in enumerate({*self._drawn.answers} - {None})}
        self._right = np.array(self._drawn.right, dtype=float)
        last = np.tile(np.arange(len(samples), len(self._drawn)), (len(order), 1))
        self._place = np.hstack([np.argsort(order, axis=1), last]).astype(np.int32)
        self._joined = len(joined)
        self._by_vote: dict[Vote, BatchedWeights] = {}

    def totals(self, vote: Vote, lengths: "NDArray[np.int64]") -> "NDArray[np.float64]":
        """What each answer is given, ``[w, k, c]``."""
        import numpy as np

        shape = (len(self._place), len(lengths), -1)
        present, place = self._elections(vote, lengths)
        batched = self._batched(vote)
        found = (batched.weights(present, place) @ batched.one_hot).reshape(shape)
        if vote == MAJORITY or (is_held := present.any(axis=1)).all():
            return found
        by_majority = self.totals(MAJORITY, lengths)
        return np.where(is_held.reshape(shape), found, by_majority)

    def elects_right(self, vote: Vote, lengths: "NDArray[np.int64]") -> "NDArray[np.float64]":
        """Whether a right answer is elected, 1 or 0, ``[w, k]``; 0 where nobody votes."""
        import numpy as np

        shape = (len(self._place), len(lengths))
        present, place = self._elections(vote, lengths)
        batched, everyone = self._batched(vote), np.arange(len(present))
        weights = batched.weights(present, place)
        totals = weights @ batched.one_hot
        most = totals.max(axis=1, keepdims=True)
        ties = (most - totals <= ROUNDING * most)[:, batched.classes]
        first = np.where(present & ties, place, NOWHERE).argmin(axis=1)
        is_own = present & (batched.classes == batched.classes[first, None])
        weights = np.where(is_own, weights, -1.0)
        is_best = weights == weights.max(axis=1, keepdims=True)
        elected = np.where(is_best, place, NOWHERE).argmin(axis=1)
        is_held = present[everyone, elected]
        found: NDArray[np.float64] = (self._right[elected] * is_held).reshape(shape)
        if vote == MAJORITY or is_held.all():
            return found
        return np.where(is_held.reshape(shape), found, self.elects_right(MAJORITY, lengths))

    def _elections(
        self, vote: Vote, lengths: "NDArray[np.int64]"
    ) -> "tuple[NDArray[np.bool_], NDArray[np.int32]]":
        """Who has a ballot, and the place of each, ``[w * k, v]``."""
        import numpy as np

        place = np.repeat(self._place, len(lengths), axis=0)
        is_drawn = place < np.tile(lengths, len(self._place))[:, None]
        if self._joined:
            is_drawn[:, -self._joined :] = True
        return is_drawn & self._batched(vote).may_vote, place

    def _batched(self, vote: Vote) -> BatchedWeights:
        if vote not in self._by_vote:
            classes = [self._answers.get(answer, 0) for answer in self._drawn.answers]
            values = self._drawn.values(vote)
            self._by_vote[vote] = BatchedWeights(vote, values, classes, len(self._answers))
        return self._by_vote[vote]
