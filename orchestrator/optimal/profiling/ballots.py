"""The election of ``core.voting`` over a problem's samples in many random orders at once.

In arrays ``[w, i]``, entry ``i`` is the ``i``-th sample of order ``w``; ``c`` numbers the answers.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from orchestrator.core.voting import ROUNDING, Majority, Max, Vote
from orchestrator.optimal.profiling.measured import Leaf

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


NONE = -1
"""The class of a solution that abstains."""

MAJORITY = Majority()


class Alone(NamedTuple):
    """A solution as the only voter."""

    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Some of a problem's solutions: the class of each one's answer (None without an answer),
    whether it is right, and its PRM scores, one per step (empty if it was not scored)."""

    answers: tuple[int | None, ...]
    right: tuple[bool, ...]
    scores: tuple[tuple[float, ...], ...]

    @classmethod
    def of(cls, leaves: Iterable[Leaf]) -> Self:
        found = [(leaf.answer, leaf.right, leaf.scores) for leaf in leaves]
        return cls(
            answers=tuple(answer for answer, _, _ in found),
            right=tuple(right for _, right, _ in found),
            scores=tuple(scores for _, _, scores in found),
        )

    def __len__(self) -> int:
        return len(self.answers)

    def weights(self, vote: Vote) -> list[float | None]:
        """The weight of each solution's ballot; None if it abstains."""
        return [weight for scores in self.scores for weight in vote.weights([Alone(scores)])]

    def values(self, vote: Vote) -> list[float]:
        """The same, with 0 for those that abstain."""
        return [weight or 0.0 for weight in self.weights(vote)]


NOBODY = Drawn(answers=(), right=(), scores=())


class Ballots:
    """Votes over ``samples``, each ``order[w]`` a permutation of them. Solutions in ``joining`` can
    be added after them."""

    def __init__(
        self, samples: Drawn, order: "NDArray[np.int64]", joining: Sequence[Drawn] = ()
    ) -> None:
        import numpy as np

        everyone = [*samples.answers, *(answer for each in joining for answer in each.answers)]
        self._known = {each: c for c, each in enumerate({*everyone} - {None})}
        self._samples, self._order = samples, order
        self._right = np.array(samples.right, dtype=float)[order]
        self._values: dict[Vote, NDArray[np.float64]] = {}
        self._totals: dict[Vote, NDArray[np.float64]] = {}
        self._cast: dict[Vote, NDArray[np.bool_]] = {}
        self._classes: dict[Vote, NDArray[np.int64]] = {}

    def totals(self, vote: Vote, lengths: "NDArray[np.int64]") -> "NDArray[np.float64]":
        """The total of each answer over the first ``lengths[k]`` samples, ``[w, k, c]``."""
        import numpy as np

        found = self._cumulated(MAJORITY)[:, lengths - 1]
        if vote == MAJORITY:
            return found
        is_cast = self._cast_so_far(vote)[:, lengths - 1, None]
        return np.where(is_cast, self._cumulated(vote)[:, lengths - 1], found)

    def elects_right(
        self, vote: Vote, lengths: "NDArray[np.int64]", joined: Drawn = NOBODY
    ) -> "NDArray[np.float64]":
        """Whether the first ``lengths[w]`` samples, with the ``joined`` ones after them, elect a
        right answer: 1 or 0 for each order."""
        import numpy as np

        found = self._elects_right(vote, lengths, joined)
        if vote == MAJORITY or (self._voters(vote, joined) >= 0).any():
            return found
        is_cast = self._cast_so_far(vote)[np.arange(len(lengths)), lengths - 1]
        if is_cast.all():
            return found
        return np.where(is_cast, found, self._elects_right(MAJORITY, lengths, joined))

    def _elects_right(
        self, vote: Vote, lengths: "NDArray[np.int64]", joined: Drawn
    ) -> "NDArray[np.float64]":
        """The same, over those that do not abstain under ``vote``; 0 if all abstain."""
        import numpy as np

        if not self._known:
            return np.zeros(len(lengths))
        ways = np.arange(len(lengths))

        def with_joined(samples: Any, others: Any) -> Any:
            return np.concatenate([samples, np.tile(others, (len(ways), 1))], axis=1)

        is_drawn = np.arange(self._order.shape[1]) < lengths[:, None]
        mine, theirs = self._mine(vote)[self._order], self._voters(vote, joined)
        classes = with_joined(np.where(is_drawn, mine, NONE), theirs)
        values = with_joined(self._valued(vote), joined.values(vote))
        may_answer = classes != NONE
        if not isinstance(vote, Max):
            totals = self._cumulated(vote)[ways, lengths - 1] + self._given(vote, joined).sum(
                axis=0
            )
            given = np.where(may_answer, np.take_along_axis(totals, classes, axis=1), -1.0)
            most = given.max(axis=1, keepdims=True)
            seen_first = (most - given <= ROUNDING * most).argmax(axis=1)
            may_answer &= classes == classes[ways, seen_first, None]
        best = np.where(may_answer, values, -1.0).argmax(axis=1)
        is_right = with_joined(self._right, joined.right)[ways, best]
        found: NDArray[np.float64] = np.where(may_answer.any(axis=1), is_right, 0.0)
        return found

    def _mine(self, vote: Vote) -> "NDArray[np.int64]":
        """``_voters`` of the samples."""
        if vote not in self._classes:
            self._classes[vote] = self._voters(vote, self._samples)
        return self._classes[vote]

    def _voters(self, vote: Vote, drawn: Drawn) -> "NDArray[np.int64]":
        """The class that each solution votes for under ``vote``, NONE if it abstains."""
        import numpy as np

        return np.array(
            [
                NONE if answer is None or weight is None else self._known[answer]
                for answer, weight in zip(drawn.answers, drawn.weights(vote), strict=True)
            ],
            dtype=int,
        )

    def _given(self, vote: Vote, drawn: Drawn) -> "NDArray[np.float64]":
        """The weight that each solution gives each class, ``[i, c]``."""
        import numpy as np

        cast = self._voters(vote, drawn)[:, None] == np.arange(len(self._known))
        found: NDArray[np.float64] = cast * np.array(drawn.values(vote))[:, None]
        return found

    def _cast_so_far(self, vote: Vote) -> "NDArray[np.bool_]":
        """Whether any of the samples up to ``i`` votes under ``vote``, ``[w, i]``."""
        import numpy as np

        if vote not in self._cast:
            has_ballot = self._mine(vote) != NONE
            self._cast[vote] = np.logical_or.accumulate(has_ballot[self._order], axis=1)
        return self._cast[vote]

    def _valued(self, vote: Vote) -> "NDArray[np.float64]":
        import numpy as np

        if vote not in self._values:
            self._values[vote] = np.array(self._samples.values(vote))[self._order]
        return self._values[vote]

    def _cumulated(self, vote: Vote) -> "NDArray[np.float64]":
        """The total of each answer over the samples up to ``i``, ``[w, i, c]``."""
        import numpy as np

        if vote not in self._totals:
            given = self._given(vote, self._samples)[self._order]
            self._totals[vote] = np.cumsum(given, axis=1)
        return self._totals[vote]
