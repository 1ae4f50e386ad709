"""How the vote on a problem goes as samples come in, and what a tree search then makes of it: what
expected gains (``shared_budget.expected_gain``) are fitted to.

Samples come in several random orders, the ways ``w``, each with pilots of its own; ``k`` numbers
the ``sizes`` after which the vote is looked at, ``v`` the votes, ``s`` the tree searches and ``f``
the ``FEATURES``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from orchestrator.optimal.arms import PAPER_VOTES, Arm
from orchestrator.optimal.difficulty.evidence import Pilot
from orchestrator.optimal.profiling.ballots import Ballots, Drawn
from orchestrator.optimal.profiling.measured import USED, Leaf, Measured, pilot, tokens
from orchestrator.optimal.shared_budget.expected_gain import FEATURES, sizes, standing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ORDERS = 4
"""Random orders of a problem's samples, at most."""

SEARCHED = 6
"""After how many of the ``sizes``, from the pilots on, a tree search is looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuations:
    """The ways to go on from ``pilots``: sampling up to the most that were measured, one arm for
    each vote that a pool may hold, and the tree searches by cell, the cheaper ones first."""

    pilots: int
    sampling: tuple[Arm, ...]
    searches: Mapping[str, Arm]

    @classmethod
    def of(
        cls, arms: Sequence[tuple[Arm, str | None]], measured: Sequence[Measured], pilots: int
    ) -> Self | None:
        """None if no arm draws samples alone."""
        import numpy as np

        whole = [arm for arm, _ in arms if arm.strategy in ("majority", "best_of_n")]
        most = max((arm.n for arm in whole), default=0)
        sampling = tuple(
            arm for arm in whole if arm.n == most and not arm.stop and arm.vote in PAPER_VOTES
        )
        if not sampling:
            return None
        searches = {cell: arm for arm, cell in arms if cell and not arm.is_sampling}
        cost = {
            cell: np.mean(
                [tokens(np.array(each.trees[cell].used)) for each in measured if cell in each.trees]
            )
            for cell in searches
        }
        return cls(
            pilots=pilots,
            sampling=sampling,
            searches={cell: searches[cell] for cell in sorted(searches, key=lambda c: cost[c])},
        )

    @property
    def sizes(self) -> list[int]:
        return sizes(self.pilots, self.sampling[0].n)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectories:
    """``shown[p, v, w, k, f]`` after so many samples, ``right[p, v, w, k]`` whether the vote is;
    ``searched[p, v, w, k, s]`` whether it is after a search that follows them. ``later[p, v, w, s,
    f]`` is shown after a search that follows the pilots, and ``twice[p, v, w, s, t]`` whether the
    vote is right after a further one. ``cost[p, s]`` is what a search used, ``[p, s, USED]``. NaN
    where a search was not tried, or scores are missing."""

    ways: Continuations
    shown: "NDArray[np.float64]"
    right: "NDArray[np.float64]"
    searched: "NDArray[np.float64]"
    later: "NDArray[np.float64]"
    twice: "NDArray[np.float64]"
    cost: "NDArray[np.float64]"

    def of(self, chosen: Sequence[int]) -> "Trajectories":
        """Those of some problems, by index."""
        names = ("shown", "right", "searched", "later", "twice", "cost")
        return replace(self, **{name: getattr(self, name)[list(chosen)] for name in names})

    @classmethod
    def joined(
        cls, ways: Continuations, rows: "Sequence[Mapping[str, NDArray[np.float64]]]"
    ) -> "Trajectories":
        """Of all problems, from those of each (``trajectory``)."""
        import numpy as np

        return cls(ways=ways, **{name: np.array([row[name] for row in rows]) for name in rows[0]})


def trajectory(
    samples: Sequence[Leaf],
    orders: Sequence[Sequence[int]],
    measured: Measured,
    ways: Continuations,
) -> "dict[str, NDArray[np.float64]]":
    """One problem's part of ``Trajectories``, from its ``samples`` in ``orders``."""
    import numpy as np

    cells = list(ways.searches)
    trees = {cell: measured.trees[cell].leaves for cell in cells if cell in measured.trees}
    looked = np.array(ways.sizes)
    shape = (len(ways.sampling), len(orders))
    found = {
        "shown": np.full((*shape, len(looked), len(FEATURES)), np.nan),
        "right": np.full((*shape, len(looked)), np.nan),
        "searched": np.full((*shape, len(looked), len(cells)), np.nan),
        "later": np.full((*shape, len(cells), len(FEATURES)), np.nan),
        "twice": np.full((*shape, len(cells), len(cells)), np.nan),
        "cost": np.full((len(cells), len(USED)), np.nan),
    }
    solutions = [pilot(each) for each in samples]
    found_in = {cell: [pilot(each) for each in leaves] for cell, leaves in trees.items()}
    seen = {
        is_scored: _seen(solutions, orders, ways, found_in, is_scored)
        for is_scored in {arm.strategy == "best_of_n" for arm in ways.sampling}
    }
    for v, arm in enumerate(ways.sampling):
        found["shown"][v], found["later"][v] = seen[arm.strategy == "best_of_n"]
    drawn, order = Drawn.of(samples), np.array(orders)

    def right(lengths: "NDArray[np.int64]", *joined: str) -> "NDArray[np.float64]":
        leaves = [leaf for cell in joined for leaf in trees[cell]]
        ballots = Ballots(drawn, order, Drawn.of(leaves))
        return np.array([ballots.elects_right(arm.vote, lengths) for arm in ways.sampling])

    found["right"][:] = right(looked)
    for s, cell in enumerate(cells):
        if cell not in trees:
            continue
        found["cost"][s] = measured.trees[cell].used
        found["searched"][:, :, :SEARCHED, s] = right(looked[:SEARCHED], cell)
        for t, other in enumerate(cells[s + 1 :], start=s + 1):
            if other in trees:
                found["twice"][:, :, s, t] = right(looked[:1], cell, other)[:, :, 0]
    return found


def _seen(
    solutions: Sequence[Pilot],
    orders: Sequence[Sequence[int]],
    ways: Continuations,
    found_in: Mapping[str, Sequence[Pilot]],
    is_scored: bool,
) -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
    """``shown[w, k, f]`` and ``later[w, s, f]``; the pilots are scored in any case."""
    import numpy as np

    shown, later = [], []
    for order in orders:
        row = [solutions[i] for i in order]
        if not is_scored:
            row[ways.pilots :] = [replace(each, scores=()) for each in row[ways.pilots :]]
        shown.append([_row(row[:size], is_scored) for size in ways.sizes])
        later.append(
            [
                _row([*row[: ways.pilots], *found_in[cell]], is_scored)
                if cell in found_in
                else [float("nan")] * len(FEATURES)
                for cell in ways.searches
            ]
        )
    return np.array(shown), np.array(later).reshape(len(orders), -1, len(FEATURES))


def _row(drawn: Sequence[Pilot], is_scored: bool) -> list[float]:
    found = standing(drawn, is_scored=is_scored)
    return [found.get(name, float("nan")) for name in FEATURES]
