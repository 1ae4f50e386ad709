"""What a search's leaves answer, whom their votes elect, and whether that is right."""

import time
from collections.abc import Sequence
from dataclasses import replace

from orchestrator.core.equivalence import classes
from orchestrator.core.fanout import fan_out
from orchestrator.core.node import Node
from orchestrator.core.problem import Problem
from orchestrator.core.records import (
    AUTO,
    POOL,
    LeafRecord,
    ModelUse,
    Record,
    Route,
    Verdict,
)
from orchestrator.core.task import Task
from orchestrator.core.voting import Majority, Vote, elect
from orchestrator.optimal.routing.router import Decision
from orchestrator.runs.answers import AnswerReader
from orchestrator.runs.plan import Cell, Substitutes
from orchestrator.runs.search import Outcome
from orchestrator.strategies.traits import traits


async def grade(
    outcome: Outcome,
    problem: Problem,
    cell: Cell,
    task: Task,
    *,
    substitutes: Substitutes | None = None,
) -> Record:
    """Have ``task`` grade the leaves of a cell's search, and take the cell's votes among them."""
    reader = AnswerReader(task, problem, outcome.undecided)
    leaves = await fan_out(_graded(leaf, reader) for leaf in outcome.leaves)
    electorate = await classes(reader.same, [leaf.answer for leaf in leaves])
    spent, decision = outcome.spent, outcome.decision
    substitutes = substitutes or Substitutes()
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
        question_characters=len(problem.question),
        verdicts={
            name: _verdict(vote, leaves, electorate)
            for name, vote in _votes(cell, decision).items()
        },
        policy_tokens=spent.policy_tokens,
        prompt_tokens=spent.prompt_tokens,
        cached_tokens=spent.cached_tokens,
        prm_tokens=spent.prm_tokens,
        prm_cached_tokens=spent.prm_cached_tokens,
        wasted_tokens=outcome.wasted_tokens,
        prm_wasted_tokens=outcome.prm_wasted_tokens,
        requests=spent.requests,
        cost=round(spent.cost, 9),
        seconds=round(outcome.seconds, 3),
        ended=round(time.time(), 3),
        ran_out=outcome.ran_out,
        error=outcome.error,
        failed_branches=outcome.failed_branches,
        failure=outcome.failure,
        undecided=len(reader.undecided),
        samples=outcome.samples,
        ends=outcome.ends,
        other_models=outcome.other_models,
        other_prm_models=outcome.other_prm_models,
        emulated=substitutes.emulated,
        refused=substitutes.refused,
        route=_route(decision, is_cut=outcome.ran_out in (None, POOL)),
        models=_models(outcome, cell),
        leaves=tuple(leaves),
    )


def _votes(cell: Cell, decision: Decision | None) -> dict[str, Vote]:
    """The votes that elect, by the name of their verdict. A routed problem takes its route's vote;
    one that ran out before it was routed takes the majority's."""
    if traits(cell.strategy).auto is None:
        return {vote.name: vote for vote in cell.votes}
    return {AUTO: decision.arm.vote if decision else Majority()}


def _route(decision: Decision | None, *, is_cut: bool) -> Route | None:
    if decision is None:
        return None
    return Route(
        bin=decision.bin,
        predicted=None if decision.predicted is None else round(decision.predicted, 6),
        strategy=decision.arm.strategy,
        settings=dict(decision.arm.settings),
        vote=decision.arm.vote.name,
        rule=decision.rule,
        cut=decision.cut and is_cut,
        policy=decision.policy,
        prm=decision.prm,
        looks=decision.looks,
        plan=decision.plan,
        direct=decision.direct,
    )


def _models(outcome: Outcome, cell: Cell) -> dict[str, ModelUse]:
    """What each model of a cell across models used, those that did nothing too."""
    if cell.across is None:
        return {}
    used = {model: outcome.models.get(model.name, ModelUse()) for model in cell.models}
    return {
        model.name: replace(
            use, cost=round(use.cost, 9), seconds=round(use.seconds, 3), params=model.parameters
        )
        for model, use in used.items()
    }


async def _graded(leaf: Node, reader: AnswerReader) -> LeafRecord:
    grade = await reader.grade(leaf)
    return LeafRecord(
        path=leaf.path,
        answer=grade.answer,
        correct=grade.correct,
        finish=leaf.finish,
        scores=tuple(round(score, 6) for score in leaf.scores),
        tokens=leaf.tokens,
        steps=leaf.steps,
        sound=grade.sound,
        confidence=leaf.confidence.rounded() if leaf.confidence else None,
        question_logprob=None if leaf.question_logprob is None else round(leaf.question_logprob, 6),
        earlier=leaf.earlier,
    )


def _verdict(vote: Vote, leaves: Sequence[LeafRecord], electorate: Sequence[int | None]) -> Verdict:
    """By the scores as they are recorded: whoever counts the record's leaves elects the same."""
    election = elect(vote, leaves, electorate)
    if election.winner is None:
        return Verdict(answer=None, correct=False, sound=None)
    leaf, by = leaves[election.winner], election.by
    return Verdict(
        answer=leaf.answer,
        correct=leaf.correct,
        sound=leaf.sound,
        by=None if by == vote else by.name,
    )
