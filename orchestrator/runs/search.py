"""One tree for one question: grow it, and always return the leaves there are.

Anytime: whatever runs out (tokens, requests, time, an endpoint), the leaves grown so far are
returned, and the outcome says what ran out.
"""

import asyncio
import math
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Any, Protocol

from orchestrator.core.budget import UNLIMITED, Ledger, Limits, Spend
from orchestrator.core.node import Node, Tree, root
from orchestrator.core.ports import Models, Strategy, never
from orchestrator.core.records import ModelUse
from orchestrator.errors import ConfigError, EndpointError, OrchardError
from orchestrator.optimal.profile import Use
from orchestrator.optimal.routing.across import RoutingAcross
from orchestrator.optimal.routing.routed import Attempt, Routing, Search
from orchestrator.optimal.routing.router import Decision
from orchestrator.runs.answers import AnswerReader
from orchestrator.runs.clock import TreeClock
from orchestrator.runs.endings import COMPLETE, Ending, ending
from orchestrator.runs.ports.ends import Ends
from orchestrator.runs.ports.stack import Terms, tree_ports
from orchestrator.runs.ports.trees import AcrossModels, PolicyTrees
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
    ``decision`` is the routing's, None where there is none, or it was not reached. Across models
    ``models`` has what each used, and what policies drew that do not answer is wasted.
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
    models: Mapping[str, ModelUse] = field(default_factory=dict)


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
    ports = tree_ports(
        models,
        scope,
        terms or Terms(),
        reward=traits(strategy).reward,
        answers=reader,
        is_complete=answers.is_complete if answers else never,
        on_response=_reporting(on_progress, lambda: ports.leaves(), scope, clock),
    )
    routed = _routed(place, scope, clock)
    growing = partial(routed or strategy, _start(question, place, clock), ports.models)
    leaves, end = await _grow(growing, ports, clock, place.ledger.name)
    return _outcome(
        leaves,
        end,
        ports,
        spent=scope.spent,
        seconds=clock.worked,
        undecided=frozenset(reader.undecided) if reader else frozenset(),
        decision=routed.decision if routed else None,
    )


async def search_across(
    question: str,
    routing: RoutingAcross,
    models: AcrossModels,
    limits: Limits = UNLIMITED,
    *,
    answers: AnswerReader,
    place: Place | None = None,
    on_progress: Callable[[SearchProgress], None] | None = None,
) -> Outcome:
    """``search``, from model to model by the plan of ``routing``. Each policy grows a tree of its
    own; the leaves are those of the policy that answers, or would have if nothing had run out."""
    place = place or Place()
    scope = place.ledger.scope("problem", limits)
    clock = TreeClock(place.tree.deadline, limits.seconds, slots=place.slots)
    trees = PolicyTrees(
        models_of=models,
        start=_start(question, place, clock),
        scope=scope,
        reader=answers,
        on_response=_reporting(on_progress, lambda: trees.leaves(), scope, clock),
    )
    routed = routing.begin()
    leaves, end = await _grow(partial(routed, trees), trees, clock, place.ledger.name)
    return _outcome(
        leaves,
        end,
        trees,
        spent=scope.spent,
        seconds=clock.worked,
        undecided=frozenset(answers.undecided),
        decision=routed.decision,
        models=trees.used(leaves),
    )


def _start(question: str, place: Place, clock: TreeClock) -> Node:
    """The root of a problem's tree."""
    tree = replace(place.tree, deadline=clock.deadline)
    return root(question, seed=place.seed, problem_id=place.tree.problem, tree=tree)


def _reporting(
    on_progress: Callable[[SearchProgress], None] | None,
    leaves: Callable[[], Sequence[Node]],
    scope: Ledger,
    clock: TreeClock,
) -> Callable[[], None] | None:
    """What is called after each response, where somebody wants to know."""
    if on_progress is None:
        return None

    def report() -> None:
        spent = replace(scope.spent)
        on_progress(SearchProgress(leaves=leaves(), spent=spent, seconds=clock.worked))

    return report


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


class Grown(Protocol):
    """What a search has grown: one tree, or one for each policy."""

    def leaves(self) -> list[Node]: ...
    def tokens_of(self, leaves: Sequence[Node]) -> tuple[int, int]: ...
    @property
    def ends(self) -> Ends: ...
    @property
    def failed(self) -> int: ...
    @property
    def last_failure(self) -> EndpointError | None: ...


async def _grow(
    growing: Callable[[], Coroutine[Any, Any, list[Node]]],
    grown: Grown,
    clock: TreeClock,
    run: str,
) -> tuple[list[Node], Ending]:
    """The leaves that ``growing`` comes to, or those there are when something ends it early."""
    try:
        async with clock.running():
            leaves = await growing()
        if not leaves and grown.last_failure is not None:
            raise grown.last_failure
    except (OrchardError, TimeoutError, asyncio.CancelledError) as cause:
        end = ending(cause, clock, run)
        if end is None:
            raise
        return grown.leaves(), end
    return leaves, COMPLETE


def _outcome(
    leaves: Sequence[Node],
    end: Ending,
    grown: Grown,
    *,
    spent: Spend,
    seconds: float,
    undecided: frozenset[frozenset[str]],
    decision: Decision | None,
    models: Mapping[str, ModelUse] = MappingProxyType({}),
) -> Outcome:
    ends, lost = grown.ends, grown.last_failure
    kept, prm_kept = grown.tokens_of(leaves)
    return Outcome(
        leaves=leaves,
        spent=spent,
        wasted_tokens=spent.policy_tokens - kept,
        prm_wasted_tokens=spent.prm_tokens - prm_kept,
        seconds=seconds,
        ran_out=end.ran_out,
        error=end.error,
        failed_branches=grown.failed,
        failure=None if lost is None else str(lost),
        samples=ends.samples,
        ends=ends.counted(leaves),
        other_models=dict(sorted(ends.models.items())),
        other_prm_models=dict(sorted(ends.prm_models.items())),
        undecided=undecided,
        decision=decision,
        models=models,
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
