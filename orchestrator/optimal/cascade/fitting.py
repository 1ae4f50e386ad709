"""From the trials of several models to a plan, for a price of what is used.

A plan gains ``right - price * used``. It is fitted by dynamic programming, backwards over the
looks: in each bin of a look's score, by the mean of every arm and of every later look over the
trials in it. Looks are added one by one, as long as one pays.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.optimal.cascade.amounts import Path, may_follow
from orchestrator.optimal.cascade.plan import Action, Cascade, Look, ModelArm, PlannedLook
from orchestrator.optimal.cascade.tables import AfterLooks, Tables

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_LOOKS = 4
"""More looks on one way do not pay for what they cost."""

FREE_LOOK = 3
"""How many problems more must be right by a look at the question alone, where one is enough for any
other: no cost holds it back, and it sees no more problems than there are, however many trials. On
made-up problems whose questions tell nothing, one problem more let it in by luck."""

CANDIDATES = 12
"""Arms that are looked at more closely in a bin."""

SURE = 0.5
"""By how many standard errors of the difference an arm must be better than the usual one, as in
``profiling.table``."""


class _Choice(NamedTuple):
    """The best action by bin: arms as their index, looks as ``-1 - i``; and what each is worth."""

    actions: "NDArray[np.int64]"
    values: "NDArray[np.float64]"


def fit_plan(tables: Tables, price: float) -> Cascade:
    """The plan of the largest expected ``right - price * used``.

    A look is added if the plan gains as much by it as one problem more that is right (a free one:
    ``FREE_LOOK``), and left out again if it turns out that it does not: smaller gains are the luck
    of these trials.
    """
    looks = _candidates(tables.trials.looks)
    arms = BestArms(tables, price)

    def pays(look: Look) -> float:
        return (1 if look.pilots else FREE_LOOK) / len(tables.trials.problems)

    def worth(chain: Path) -> float:
        return _Backwards(arms, chain, skips=False).first()[1]

    chain: Path = ()
    best = worth(chain)
    while len(chain) < MOST_LOOKS:
        longer = {
            tuple(sorted([*chain, look], key=looks.index)): best + pays(look)
            for look in looks
            if look not in chain
        }
        found = {each: worth(each) for each in longer if _grows(each)}
        found = {each: value for each, value in found.items() if value >= longer[each]}
        if not found:
            break
        chain = max(found, key=lambda each: found[each])
        best = found[chain]
    for look in chain:
        shorter = tuple(each for each in chain if each != look)
        if (value := worth(shorter)) > best - pays(look):
            chain, best = shorter, value
    return _planned(arms, chain)


def _candidates(looks: Sequence[Look]) -> list[Look]:
    """The question is the same whichever policy is to answer it: one look at it alone is enough,
    and it is the first one."""
    return [look for i, look in enumerate(looks) if look.pilots or i == 0]


def _grows(chain: Path) -> bool:
    return all(may_follow(look, chain[:i]) for i, look in enumerate(chain))


class BestArms:
    """The best arm after a path, by bin, whatever looks may follow."""

    def __init__(self, tables: Tables, price: float) -> None:
        self.tables, self.price = tables, price
        self._found: dict[Path, _Choice] = {}

    def after(self, path: Path) -> _Choice:
        import numpy as np

        if path not in self._found:
            node = self.tables.node(path)
            gains = node.right - self.price * node.extra
            arms = self._surely_best(path, gains)
            self._found[path] = _Choice(arms, gains[np.arange(len(gains)), arms])
        return self._found[path]

    def _surely_best(self, path: Path, gains: "NDArray[np.float64]") -> "NDArray[np.int64]":
        """The arm of the largest gain in each bin; one of the arms that are best over all bins
        keeps its place where another is not better by ``SURE`` standard errors of the difference.

        Of many arms that do about as well the best in a bin is the luckiest there."""
        import numpy as np

        count, node = len(gains), self.tables.node(path)
        usual = int((gains * np.bincount(node.bins, minlength=count)[:, None]).sum(0).argmax())
        found = np.full(count, usual)
        for b in range(count):
            best = 0.0
            for arm in np.argsort(-gains[b])[:CANDIDATES]:
                more = gains[b, arm] - gains[b, usual]
                if more > best:
                    sure = more - SURE * self.tables.error(path, b, int(arm), usual)
                    if sure > best:
                        found[b], best = arm, sure
        return found


class _Backwards:
    """Dynamic programming over the looks of a chain, each to be taken or, with ``skips``, left
    out."""

    def __init__(self, arms: BestArms, chain: Path, skips: bool) -> None:
        self._arms, self._chain, self._skips = arms, chain, skips
        self._tables, self._price = arms.tables, arms.price
        self._found: dict[Path, _Choice] = {}

    def first(self) -> tuple[int, float]:
        """The first action, as in ``_Choice``, and what it is worth."""
        right, used = self._tables.overall
        values = right - self._price * used
        arm = int(values.argmax())
        best = arm, float(values[arm])
        for i, look in self.next(()):
            mean = float(self._tables.amounts.drawn[look].mean())
            value = float(self._of_trials((look,)).mean()) - self._price * mean
            if value > best[1]:
                best = -1 - i, value
        return best

    def next(self, path: Path) -> list[tuple[int, Look]]:
        """The looks that may be taken after a path, with their numbers in the chain."""
        start = self._chain.index(path[-1]) + 1 if path else 0
        later = list(enumerate(self._chain))[start:]
        if not self._skips:
            later = later[:1]
        return [(i, look) for i, look in later if may_follow(look, path)]

    def _of_trials(self, path: Path) -> "NDArray[np.float64]":
        return self.after(path).values[self._tables.node(path).bins]

    def after(self, path: Path) -> _Choice:
        if path not in self._found:
            self._found[path] = self._best(path)
        return self._found[path]

    def _best(self, path: Path) -> _Choice:
        import numpy as np

        actions, values = self._arms.after(path)
        node, amounts = self._tables.node(path), self._tables.amounts
        for i, look in self.next(path):
            saved = amounts.saved(look, path)
            extra = amounts.drawn[look] - (0.0 if saved is None else amounts.drawn[saved])
            ahead = node.means(self._of_trials((*path, look)) - self._price * extra.ravel())
            actions = np.where(ahead > values, -1 - i, actions)
            values = np.maximum(ahead, values)
        return _Choice(actions, values)


def _planned(best: BestArms, chain: Path) -> Cascade:
    """The plan over a chain, with the looks that are reached and that decide something."""
    found, tables = _Backwards(best, chain, skips=True), best.tables
    arms = tables.trials.arms

    def after(action: int, path: Path) -> "_Reached | ModelArm":
        if action >= 0:
            return arms[action]
        path = (*path, chain[-1 - action])
        chosen = [int(each) for each in found.after(path).actions]
        children = {each: after(each, path) for each in dict.fromkeys(chosen)}
        reached = _Reached(path[-1], tables.node(path), [children[each] for each in chosen])
        arm = reached.actions[0]
        is_idle = isinstance(arm, ModelArm) and all(each == arm for each in reached.actions)
        return arm if is_idle else reached

    first, _ = found.first()
    return _numbered(after(first, ()), tables.trials.pilots)


class _Reached(NamedTuple):
    look: Look
    node: AfterLooks
    actions: "Sequence[_Reached | ModelArm]"


def _numbered(first: _Reached | ModelArm, pilots: int) -> Cascade:
    """The plan whose looks are numbered as they are reached."""
    looks: list[PlannedLook | None] = []

    def number(reached: _Reached | ModelArm) -> Action:
        if isinstance(reached, ModelArm):
            return reached
        at = len(looks)
        looks.append(None)
        known: dict[int, Action] = {}
        for each in reached.actions:
            if id(each) not in known:
                known[id(each)] = number(each)
        looks[at] = _merged(reached, [known[id(each)] for each in reached.actions])
        return at

    action = number(first)
    return Cascade(pilots=pilots, first=action, looks=tuple(each for each in looks if each))


def _merged(reached: _Reached, actions: Sequence[Action]) -> PlannedLook:
    """Neighbouring bins of one action are one."""
    limits, kept = [], [actions[0]]
    for limit, action in zip(reached.node.limits, actions[1:], strict=True):
        if action != kept[-1]:
            limits.append(limit)
            kept.append(action)
    return PlannedLook(
        look=reached.look,
        predictor=reached.node.predictor,
        limits=tuple(limits),
        actions=tuple(kept),
    )
