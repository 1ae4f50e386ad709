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
from orchestrator.core.ports import PRM, Policy
from orchestrator.core.problem import Problem
from orchestrator.core.records import LeafRecord, Record, Route, Verdict
from orchestrator.core.tree import Node, Tree, root
from orchestrator.core.voting import Vote, elect
from orchestrator.errors import BudgetExhausted, EndpointError, EndpointRefused
from orchestrator.optimal.profile import Use
from orchestrator.optimal.routed import Routed
from orchestrator.runs.answers import AnsweringPolicy
from orchestrator.runs.branches import Branches, OnFailedBranch
from orchestrator.runs.plan import AUTO, Cell, Ports, Substitutes
from orchestrator.runs.wrappers import MeteredPolicy, MeteredPRM, Recorder
from orchestrator.strategies import Auto
from orchestrator.strategies.settings import Stepwise


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
) -> Record:
    """Run one cell's strategy on one problem and grade what came of it.

    The tree answers by ``tree.deadline``, the run's own, or when it has taken ``limits.seconds``.
    ``EndpointRefused`` passes through, since it concerns the whole run.
    """
    started = time.monotonic()
    scope = ledger.scope("problem", limits)
    recorder = Recorder(
        MeteredPolicy(policy, scope, cell.policy.price),
        MeteredPRM(prm or Unscored(), scope, cell.prm.price if cell.prm else None),
    )
    reward = cell.strategy.reward if isinstance(cell.strategy, Stepwise) else "last"
    branches = Branches(recorder, recorder, on_failed_branch, reward)
    asked: Policy = branches
    if cell.strategy.reads_answers:
        asked = AnsweringPolicy(branches, ports.grader)
    allowed = math.inf if limits.seconds is None else limits.seconds
    deadline = min(tree.deadline, asyncio.get_running_loop().time() + allowed)
    start = root(
        problem.question, seed=seed, problem_id=problem.id, tree=replace(tree, deadline=deadline)
    )
    ran_out = error = routed = None
    try:
        async with asyncio.timeout_at(None if math.isinf(deadline) else deadline) as clock:
            if cell.routing is not None:
                routed = await cell.routing(start, asked, branches)
            search = routed or cell.strategy
            assert not isinstance(search, Auto)
            leaves = await search(start, asked, branches)
        if not leaves and branches.last_failure is not None:
            raise branches.last_failure
    except TimeoutError:
        if not clock.expired():
            raise
        leaves, ran_out = recorder.leaves(), "seconds"
        if deadline == tree.deadline:  # the run's time is up; its next start finishes this tree
            error = "the run's time was up"
    except BudgetExhausted as exhausted:
        leaves, ran_out = recorder.leaves(), exhausted.limit
        if exhausted.scope == ledger.name:  # a larger budget for the run may finish this tree
            error = str(exhausted)
    except EndpointRefused:
        raise
    except EndpointError as failure:
        leaves, ran_out, error = recorder.leaves(), "endpoint", str(failure)
    seconds = time.monotonic() - started
    if cell.routing is not None and routed is not None:
        cell.routing.router.settle(routed.decision, _use(scope.spent, seconds))
    graded = await fan_out(_grade(leaf, problem, ports) for leaf in leaves)
    electorate = await classes(ports.grader, [leaf.answer for leaf in graded])
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
            vote: _verdict(elect(_taken(vote, routed), leaves, electorate), graded)
            for vote in cell.votes
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
        seconds=round(time.monotonic() - started, 3),
        ended=round(time.time(), 3),
        ran_out=ran_out,
        error=error,
        failed_branches=branches.failed,
        emulated=substitutes.emulated,
        refused=substitutes.refused,
        route=_route(routed),
        leaves=tuple(graded),
    )


def _taken(vote: Vote, routed: Routed | None) -> Vote:
    """The vote that elects; a problem that ran out before it was routed takes the majority's."""
    if vote != AUTO:
        return vote
    return routed.decision.arm.vote if routed else "majority"


def _route(routed: Routed | None) -> Route | None:
    if routed is None:
        return None
    decision = routed.decision
    return Route(
        bin=decision.bin,
        predicted=round(decision.predicted, 6),
        strategy=decision.arm.strategy,
        settings=dict(decision.arm.settings),
        vote=decision.arm.vote,
        rule=decision.rule,
    )


def _use(spent: Spend, seconds: float) -> Use:
    return Use(
        policy_tokens=spent.policy_tokens,
        prompt_tokens=spent.prompt_tokens,
        cached_tokens=spent.cached_tokens,
        prm_tokens=spent.prm_tokens,
        prm_cached_tokens=spent.prm_cached_tokens,
        cost=spent.cost,
        seconds=seconds,
    )


async def _grade(leaf: Node, problem: Problem, ports: Ports) -> LeafRecord:
    answer = await ports.grader.extract(leaf.text)
    return LeafRecord(
        path=leaf.path,
        answer=answer,
        correct=answer is not None and await ports.grader.equal(answer, problem.answer),
        finish=leaf.finish,
        scores=tuple(round(score, 6) for score in leaf.scores),
        tokens=leaf.tokens,
        steps=leaf.steps,
        sound=ports.soundness(problem, leaf.text) if ports.soundness else None,
    )


def _verdict(elected: int | None, leaves: Sequence[LeafRecord]) -> Verdict:
    if elected is None:
        return Verdict(answer=None, correct=False, sound=None)
    leaf = leaves[elected]
    return Verdict(answer=leaf.answer, correct=leaf.correct, sound=leaf.sound)
