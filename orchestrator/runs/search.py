"""One tree for one question: grow it, and always return the leaves there are.

Anytime: whatever runs out (tokens, requests, time, an endpoint), the leaves grown so far are
returned, and the outcome says what ran out.
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from orchestrator.core.budget import UNLIMITED, Ledger, Limits, Spend
from orchestrator.core.node import Node, Tree, root
from orchestrator.core.ports import Models, Strategy, never
from orchestrator.errors import ConfigError, OrchardError
from orchestrator.optimal.profile import Use
from orchestrator.optimal.routing.routed import Attempt, Routing, Search
from orchestrator.optimal.routing.router import Decision
from orchestrator.runs.answers import AnswerReader
from orchestrator.runs.clock import TreeClock
from orchestrator.runs.endings import COMPLETE, Ending, ending
from orchestrator.runs.ports.stack import Terms, TreePorts, tree_ports
from orchestrator.strategies.traits import traits


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A tree's place in a run of many; the default is a tree that stands alone.

    ``tree`` identifies it and carries the run's deadline, ``ledger`` is the scope it is charged
    within. It holds one of the run's ``slots``, except while it waits for its turn in a pool. A
    ``routing`` decides how to search this problem; earlier runs of it ``reached`` so many leaves.
    """

    seed: int = 0
    tree: Tree = field(default_factory=Tree)
    ledger: Ledger = field(default_factory=Ledger)
    slots: asyncio.Semaphore | None = None
    routing: Routing | None = None
    reached: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchProgress:
    """How far a search is. ``leaves`` are the nodes that nothing is grown from yet, by path; those
    that are finished may answer."""

    leaves: Sequence[Node]
    spent: Spend
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one search.

    ``leaves`` may vote. ``spent`` is the tree's own, of which ``wasted_tokens`` and
    ``prm_wasted_tokens`` went to nodes on no leaf's path; ``seconds`` leave out waiting for a turn.
    ``ran_out`` names the limit that ended the search early, ``error`` says why it failed:
    see ``Ending``. ``failed_branches`` were lost, the last for ``failure``.
    ``samples`` were asked for; ``ends``, ``other_models`` and ``other_prm_models`` are as in
    ``Record``. ``undecided`` are the pairs of answers that could not be compared in time.
    ``decision`` is the routing's, None where there is none, or it was not reached.
    """

    leaves: Sequence[Node]
    spent: Spend
    wasted_tokens: int
    prm_wasted_tokens: int
    seconds: float
    ran_out: str | None
    error: str | None
    failed_branches: int
    failure: str | None
    samples: int
    ends: dict[str, int]
    other_models: dict[str, int]
    other_prm_models: dict[str, int]
    undecided: frozenset[frozenset[str]]
    decision: Decision | None


class Unscored:
    """A PRM that scores nothing, for searches that use none."""

    async def score(self, nodes: Sequence[Node]) -> list[Node]:
        return list(nodes)


async def search(
    question: str,
    strategy: Strategy,
    models: Models,
    limits: Limits = UNLIMITED,
    *,
    terms: Terms | None = None,
    place: Place | None = None,
    answers: AnswerReader | None = None,
    on_progress: Callable[[SearchProgress], None] | None = None,
) -> Outcome:
    """Grow a tree for ``question`` and return what came of it.

    It ends after ``limits.seconds``, at the run's deadline, or when another limit is used up, and
    returns the leaves it has. ``answers`` says which step completes a solution, and reads the
    answers of finished paths for strategies that go by them. ``on_progress`` is called after each
    response. A cancelled search raises ``CancelledError`` once its requests are cancelled; only one
    that has waited for its turn in a pool returns.

    Raises ``EndpointRefused``, which concerns every search alike, and ``ConfigError`` where a
    strategy goes by answers and nobody reads them.
    """
    place = place or Place()
    scope = place.ledger.scope("problem", limits)
    until = math.inf if place.routing is None else place.routing.deadline
    clock = TreeClock(place.tree.deadline, limits.seconds, until=until, slots=place.slots)
    reader = _reader(strategy, answers)

    def report() -> None:
        assert on_progress is not None
        leaves, spent = ports.recorder.leaves(), replace(scope.spent)
        on_progress(SearchProgress(leaves=leaves, spent=spent, seconds=clock.worked))

    ports = tree_ports(
        models,
        scope,
        terms or Terms(),
        reward=traits(strategy).reward,
        answers=reader,
        is_complete=answers.is_complete if answers else never,
        on_response=report if on_progress else None,
    )
    start = root(
        question,
        seed=place.seed,
        problem_id=place.tree.problem,
        tree=replace(place.tree, deadline=clock.deadline),
    )
    routed = _routed(place, scope, clock)
    leaves, end = await _grow(routed or strategy, start, ports, clock, place.ledger.name)
    return _outcome(
        leaves,
        end,
        ports,
        spent=scope.spent,
        seconds=clock.worked,
        undecided=frozenset(reader.undecided) if reader else frozenset(),
        decision=routed.decision if routed else None,
    )


def _reader(strategy: Strategy, answers: AnswerReader | None) -> AnswerReader | None:
    """Who reads answers while the tree grows, where its strategy goes by them."""
    if "answers" not in strategy.needs:
        return None
    if answers is None:
        raise ConfigError(f"{type(strategy).__name__} goes by answers: pass `answers`")
    return answers


def _routed(place: Place, scope: Ledger, clock: TreeClock) -> Search | None:
    if place.routing is None:
        return None
    attempt = Attempt(
        used=lambda: use(scope.spent, clock.worked), aside=clock.aside, reached=place.reached
    )
    return place.routing.begin(attempt)


async def _grow(
    strategy: Strategy | Search, start: Node, ports: TreePorts, clock: TreeClock, run: str
) -> tuple[list[Node], Ending]:
    """The leaves that ``strategy`` returns, or those there are when something ends it early."""
    try:
        async with clock.running():
            leaves = await strategy(start, ports.models)
        if not leaves and ports.branches.last_failure is not None:
            raise ports.branches.last_failure
    except (OrchardError, TimeoutError, asyncio.CancelledError) as cause:
        end = ending(cause, clock, run)
        if end is None:
            raise
        return ports.recorder.leaves(), end
    return leaves, COMPLETE


def _outcome(
    leaves: Sequence[Node],
    end: Ending,
    ports: TreePorts,
    *,
    spent: Spend,
    seconds: float,
    undecided: frozenset[frozenset[str]],
    decision: Decision | None,
) -> Outcome:
    ends, lost = ports.recorder.ends, ports.branches.last_failure
    kept, prm_kept = ports.recorder.tokens_of(leaves)
    return Outcome(
        leaves=leaves,
        spent=spent,
        wasted_tokens=spent.policy_tokens - kept,
        prm_wasted_tokens=spent.prm_tokens - prm_kept,
        seconds=seconds,
        ran_out=end.ran_out,
        error=end.error,
        failed_branches=ports.branches.failed,
        failure=None if lost is None else str(lost),
        samples=ends.samples,
        ends=ends.counted(leaves),
        other_models=dict(sorted(ends.models.items())),
        other_prm_models=dict(sorted(ends.prm_models.items())),
        undecided=undecided,
        decision=decision,
    )


def use(spent: Spend, seconds: float = 0.0) -> Use:
    """What was spent, as profiles count it."""
    return Use(
        policy_tokens=spent.policy_tokens,
        prompt_tokens=spent.prompt_tokens,
        cached_tokens=spent.cached_tokens,
        prm_tokens=spent.prm_tokens,
        prm_cached_tokens=spent.prm_cached_tokens,
        cost=spent.cost,
        seconds=seconds,
    )
