"""One problem in one cell: grow the tree, let its leaves vote, and always have an answer.

Anytime: whatever runs out (tokens, requests, an endpoint), the leaves grown so far answer, and the
record says what ran out.
"""

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import replace

from orchestrator.core.budget import Ledger, Limits, Spend
from orchestrator.core.equivalence import classes
from orchestrator.core.fanout import fan_out
from orchestrator.core.node import Node, Tree, root
from orchestrator.core.ports import PRM, Grader, Policy
from orchestrator.core.problem import Problem
from orchestrator.core.records import (
    BAD_ANSWERS,
    ENDPOINT,
    POOL,
    RATE_LIMIT,
    LeafRecord,
    Record,
    Route,
    Verdict,
)
from orchestrator.core.voting import VoteName, decided_by, elect
from orchestrator.errors import (
    BadResponse,
    BudgetExhausted,
    EndpointError,
    EndpointRefused,
    RateLimited,
)
from orchestrator.optimal.profile import Use
from orchestrator.optimal.routing.routed import Attempt
from orchestrator.optimal.routing.router import Decision
from orchestrator.runs.answers import AnsweringPolicy, stated
from orchestrator.runs.clock import TreeClock
from orchestrator.runs.comparing import CountingGrader
from orchestrator.runs.plan import AUTO, Cell, Ports, Soundness, Substitutes
from orchestrator.runs.ports.branches import Branches, OnFailedBranch
from orchestrator.runs.ports.repeats import OncePRM
from orchestrator.runs.ports.wrappers import MeteredPolicy, MeteredPRM, Recorder
from orchestrator.strategies import Auto
from orchestrator.strategies.settings import Stepwise

STOPPED = "the run was stopped"
"""The error of a tree that waited for its turn then; its next start finishes it."""


class Unscored:
    """The PRM of a cell that has none: scores nothing."""

    async def score(self, nodes: Sequence[Node]) -> list[Node]:
        return list(nodes)


async def solve(
    problem: Problem,
    cell: Cell,
    ports: Ports,
    *,
    policy: Policy,
    prm: PRM | None,
    ledger: Ledger,
    limits: Limits,
    seed: int,
    tree: Tree,
    on_failed_branch: OnFailedBranch = "drop",
    slots: asyncio.Semaphore | None = None,
    reached: int = 0,
) -> Record:
    """Run one cell's strategy on one problem and grade what came of it.

    The tree answers by ``tree.deadline``, the run's own, or when it has taken ``limits.seconds``.
    It holds one of the run's ``slots``, except while it waits for its turn in a pool; a run that is
    stopped has an answer of a tree that has waited. Earlier runs of it ``reached`` so many leaves.
    ``EndpointRefused`` passes through, since it concerns the whole run.
    """
    scope = ledger.scope("problem", limits)
    paid = MeteredPRM(prm or Unscored(), scope, cell.prm.price if cell.prm else None)
    recorder = Recorder(
        MeteredPolicy(policy, scope, cell.policy.price, cell.policy.name in ports.one_a_request),
        OncePRM(paid) if cell.strategy.reads_answers else paid,
    )
    reward = cell.strategy.reward if isinstance(cell.strategy, Stepwise) else "last"
    branches = Branches(recorder, recorder, on_failed_branch, reward)
    grader = CountingGrader(ports.grader)
    reads_answers = cell.strategy.reads_answers
    asked: Policy = AnsweringPolicy(branches, grader) if reads_answers else branches
    until = math.inf if cell.routing is None else cell.routing.deadline
    clock = TreeClock(tree.deadline, limits.seconds, until=until, slots=slots)
    start = root(
        problem.question,
        seed=seed,
        problem_id=problem.id,
        tree=replace(tree, deadline=clock.deadline),
    )
    routed = None
    if cell.routing is not None:
        attempt = Attempt(
            used=lambda: use(scope.spent, clock.worked), aside=clock.aside, reached=reached
        )
        routed = cell.routing.begin(attempt)
    search = routed or cell.strategy
    assert not isinstance(search, Auto)
    ran_out = error = None
    try:
        async with clock.running():
            leaves = await search(start, asked, branches)
        if not leaves and branches.last_failure is not None:
            raise branches.last_failure
    except TimeoutError:
        if not clock.has_expired:
            raise
        leaves, ran_out = recorder.leaves(), "seconds"
        if clock.is_the_runs:  # the run's time is up; its next start finishes this tree
            error = "the run's time was up"
        elif clock.is_the_pools:
            ran_out = POOL
    except BudgetExhausted as exhausted:
        leaves, ran_out = recorder.leaves(), exhausted.limit
        if exhausted.scope == ledger.name:  # a larger budget for the run may finish this tree
            error = str(exhausted)
    except asyncio.CancelledError:
        if not clock.has_waited:
            raise
        leaves, error = recorder.leaves(), STOPPED
    except EndpointRefused:
        raise
    except RateLimited as limited:  # the run's next start finishes this tree
        leaves, ran_out, error = recorder.leaves(), RATE_LIMIT, str(limited)
    except EndpointError as failure:
        is_its_own = isinstance(failure, BadResponse) and failure.is_alone
        ran_out = BAD_ANSWERS if is_its_own else ENDPOINT
        leaves, error = recorder.leaves(), str(failure)
    seconds = clock.worked
    graded = await fan_out(_grade(leaf, problem, grader, ports.soundness) for leaf in leaves)
    electorate = await classes(grader, [leaf.answer for leaf in graded])
    decision = routed.decision if routed else None
    substitutes = ports.substitutes.get(cell.id, Substitutes())
    kept, prm_kept = recorder.kept(leaves)
    return Record(
        cell=cell.id,
        task=cell.task,
        policy=cell.policy.name,
        policy_params=cell.policy.parameters,
        prm=cell.prm.name if cell.prm else None,
        prm_params=cell.prm.parameters if cell.prm else None,
        strategy=cell.strategy_name,
        n=cell.strategy.n,
        settings=cell.settings,
        problem=problem.id,
        level=problem.level,
        verdicts={
            vote: _verdict(_taken(vote, decision), graded, electorate) for vote in cell.votes
        },
        policy_tokens=scope.spent.policy_tokens,
        prompt_tokens=scope.spent.prompt_tokens,
        cached_tokens=scope.spent.cached_tokens,
        prm_tokens=scope.spent.prm_tokens,
        prm_cached_tokens=scope.spent.prm_cached_tokens,
        wasted_tokens=scope.spent.policy_tokens - kept,
        prm_wasted_tokens=scope.spent.prm_tokens - prm_kept,
        requests=scope.spent.requests,
        cost=round(scope.spent.cost, 9),
        seconds=round(seconds, 3),
        ended=round(time.time(), 3),
        ran_out=ran_out,
        error=error,
        failed_branches=branches.failed,
        failure=None if branches.last_failure is None else str(branches.last_failure),
        undecided=grader.undecided,
        samples=recorder.ends.samples,
        ends=recorder.ends.counted(leaves),
        other_models=dict(sorted(recorder.ends.models.items())),
        other_prm_models=dict(sorted(recorder.ends.prm_models.items())),
        emulated=substitutes.emulated,
        refused=substitutes.refused,
        route=_route(decision, is_cut=ran_out in (None, POOL)),
        leaves=tuple(graded),
    )


def _taken(vote: VoteName, decision: Decision | None) -> VoteName:
    """The vote that elects; a problem that ran out before it was routed takes the majority's."""
    if vote != AUTO:
        return vote
    return decision.arm.vote if decision else "majority"


def _route(decision: Decision | None, *, is_cut: bool) -> Route | None:
    if decision is None:
        return None
    return Route(
        bin=decision.bin,
        predicted=round(decision.predicted, 6),
        strategy=decision.arm.strategy,
        settings=dict(decision.arm.settings),
        vote=decision.arm.vote,
        rule=decision.rule,
        cut=decision.cut and is_cut,
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


async def _grade(
    leaf: Node, problem: Problem, grader: Grader, soundness: Soundness | None
) -> LeafRecord:
    answer = await stated(grader, leaf)
    return LeafRecord(
        path=leaf.path,
        answer=answer,
        correct=answer is not None and await grader.equal(answer, problem.answer),
        finish=leaf.finish,
        scores=tuple(round(score, 6) for score in leaf.scores),
        tokens=leaf.tokens,
        steps=leaf.steps,
        sound=soundness(problem, leaf.text) if soundness else None,
        logprob=None if leaf.logprob is None else round(leaf.logprob, 6),
        earlier=leaf.earlier,
    )


def _verdict(
    vote: VoteName, leaves: Sequence[LeafRecord], electorate: Sequence[int | None]
) -> Verdict:
    """By the scores as they are recorded: whoever counts the record's leaves elects the same."""
    elected = elect(vote, leaves, electorate)
    if elected is None:
        return Verdict(answer=None, correct=False, sound=None)
    leaf, by = leaves[elected], decided_by(vote, leaves, electorate)
    return Verdict(
        answer=leaf.answer,
        correct=leaf.correct,
        sound=leaf.sound,
        by=None if by == vote else by,
    )
