"""The election of ``core.voting`` over a problem's samples in many random orders at once.

Arrays are ``[w, i]``: the sample that comes as number ``i`` in way ``w``; ``c`` counts the answers.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from orchestrator.core.rewards import value
from orchestrator.core.voting import ROUNDING, VoteName, needs_prm, split_vote
from orchestrator.optimal.profiling.measured import Leaf

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


NONE = -1
"""The class of a solution that has no ballot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Some of a problem's solutions: the class of each one's answer (None: none), whether it is
    right, and its PRM scores, one a step, none where it was not scored."""

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

    def values(self, vote: VoteName) -> list[float]:
        """What a member's ballot counts for within its class; 0 where it is not scored."""
        if not needs_prm(vote):
            return [1.0] * len(self)
        _, reward = split_vote(vote)
        return [value(scores, reward) if scores else 0.0 for scores in self.scores]


NOBODY = Drawn(answers=(), right=(), scores=())


class Ballots:
    """``order[w]`` numbers the ``samples``; those ``joining`` may vote with them, after them."""

    def __init__(
        self, samples: Drawn, order: "NDArray[np.int64]", joining: Sequence[Drawn] = ()
    ) -> None:
        import numpy as np

        everyone = [*samples.answers, *(answer for each in joining for answer in each.answers)]
        self._known = {each: c for c, each in enumerate({*everyone} - {None})}
        self._samples, self._order = samples, order
        self._right = np.array(samples.right, dtype=float)[order]
        self._values: dict[VoteName, NDArray[np.float64]] = {}
        self._totals: dict[VoteName, NDArray[np.float64]] = {}

    def totals(self, vote: VoteName, lengths: "NDArray[np.int64]") -> "NDArray[np.float64]":
        """What each answer is given by the first ``lengths[k]`` samples, ``[w, k, c]``."""
        import numpy as np

        found = self._cumulated("majority")[:, lengths - 1]
        if not needs_prm(vote):
            return found
        by_score = self._scored_so_far[:, lengths - 1, None]
        return np.where(by_score, self._cumulated(vote)[:, lengths - 1], found)

    def elects_right(
        self, vote: VoteName, lengths: "NDArray[np.int64]", joined: Drawn = NOBODY
    ) -> "NDArray[np.float64]":
        """Whether the first ``lengths[w]`` samples and those who ``joined`` them elect a right
        answer: 1 or 0 for each way."""
        import numpy as np

        found = self._elects_right(vote, lengths, joined)
        if not needs_prm(vote) or (self._voters(vote, joined) >= 0).any():
            return found
        by_score = self._scored_so_far[np.arange(len(lengths)), lengths - 1]
        if by_score.all():
            return found
        return np.where(by_score, found, self._elects_right("majority", lengths, joined))

    def _elects_right(
        self, vote: VoteName, lengths: "NDArray[np.int64]", joined: Drawn
    ) -> "NDArray[np.float64]":
        """The same by those alone who have a ballot under ``vote``; 0 where nobody has."""
        import numpy as np

        if not self._known:
            return np.zeros(len(lengths))
        ways = np.arange(len(lengths))

        def with_joined(samples: Any, others: Any) -> Any:
            return np.concatenate([samples, np.tile(others, (len(ways), 1))], axis=1)

        is_drawn = np.arange(self._order.shape[1]) < lengths[:, None]
        mine, theirs = self._voters(vote, self._samples)[self._order], self._voters(vote, joined)
        classes = with_joined(np.where(is_drawn, mine, NONE), theirs)
        values = with_joined(self._valued(vote), joined.values(vote))
        may_answer = classes != NONE
        if split_vote(vote)[0] != "max":
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

    def _voters(self, vote: VoteName, drawn: Drawn) -> "NDArray[np.int64]":
        """The class that each solution has a ballot for under ``vote``, NONE where it has none."""
        import numpy as np

        return np.array(
            [
                self._known[answer]
                if answer is not None and (scores or not needs_prm(vote))
                else NONE
                for answer, scores in zip(drawn.answers, drawn.scores, strict=True)
            ],
            dtype=int,
        )

    def _given(self, vote: VoteName, drawn: Drawn) -> "NDArray[np.float64]":
        """What each solution gives each class, ``[i, c]``."""
        import numpy as np

        cast = self._voters(vote, drawn)[:, None] == np.arange(len(self._known))
        found: NDArray[np.float64] = cast * np.array(drawn.values(vote))[:, None]
        return found

    @cached_property
    def _scored_so_far(self) -> "NDArray[np.bool_]":
        """Whether somebody has a ballot in a vote by scores among the first, ``[w, i]``."""
        import numpy as np

        has_ballot = self._voters("weighted_last", self._samples) != NONE
        found: NDArray[np.bool_] = np.logical_or.accumulate(has_ballot[self._order], axis=1)
        return found

    def _valued(self, vote: VoteName) -> "NDArray[np.float64]":
        import numpy as np

        if vote not in self._values:
            self._values[vote] = np.array(self._samples.values(vote))[self._order]
        return self._values[vote]

    def _cumulated(self, vote: VoteName) -> "NDArray[np.float64]":
        """What each answer is given by the first samples, ``[w, i, c]``."""
        import numpy as np

        if vote not in self._totals:
            given = self._given(vote, self._samples)[self._order]
            self._totals[vote] = np.cumsum(given, axis=1)
        return self._totals[vote]
