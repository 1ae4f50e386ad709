"""One question, one tree, one answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from orchestrator.api.connected import Connected
from orchestrator.core.budget import UNLIMITED, Limits, Spend
from orchestrator.core.confidence import Confidence
from orchestrator.core.equivalence import classes
from orchestrator.core.fanout import fan_out
from orchestrator.core.node import Node, Tree
from orchestrator.core.ports import Strategy
from orchestrator.core.problem import Problem
from orchestrator.core.task import Task
from orchestrator.core.voting import Vote, Weighted, elect
from orchestrator.runs.answers import AnswerReader
from orchestrator.runs.plan import Substitutes
from orchestrator.runs.search import Outcome, Place, SearchProgress, search, search_across, use


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """One solution that a search ended with, and the answer it states; ``scores`` hold one PRM
    score a step, none where nothing was scored. ``confidence`` is the policy's, where the strategy
    asks for log-probabilities and the server returns them."""

    text: str
    answer: str | None
    scores: tuple[float, ...]
    confidence: Confidence | None
    finish: str | None
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What ``solve`` comes to.

    ``value`` is the answer that the vote elected and ``text`` the best solution that states it;
    both are None where no solution states one. ``confidence`` is that answer's share of the vote's
    weight, from 0 to 1: of equal votes the part that agree, of weighted ones the part of the
    scores. It is no probability of being right, and 1 wherever one leaf decides: under ``Max``, and
    for a single sample. ``decided_by`` is the vote that elected: the majority in the place of one
    that goes by scores, where nothing was scored. ``leaves`` are all solutions, in the order in
    which the search returns them. ``ran_out`` names the limit that ended the search early
    (``tokens``, ``seconds``, ``cost`` …, ``endpoint`` where that was lost), ``error`` says why it
    failed; what was found by then has voted all the same. ``spent`` has the ``cost`` of models that
    have a price. ``seconds`` is the search's own time.

    ``emulated`` names what the servers lack and was done in its stead, ``refused`` the parameters
    that were left out, as in a ``Record``; ``undecided`` counts pairs of answers that could not be
    compared. ``outcome`` is all that is known of the search: how samples ended, branches that were
    lost, other models that answered.
    """

    text: str | None
    value: str | None
    confidence: float
    decided_by: Vote
    leaves: tuple[Solution, ...]
    spent: Spend
    seconds: float
    ran_out: str | None
    error: str | None
    emulated: tuple[str, ...]
    refused: tuple[str, ...]
    undecided: int
    outcome: Outcome = field(repr=False)


async def solve(
    question: str,
    models: Connected,
    *,
    strategy: Strategy,
    vote: Vote | None = None,
    limits: Limits = UNLIMITED,
    task: Task | None = None,
    seed: int = 0,
    policy: str | None = None,
    prm: str | None = None,
    on_progress: Callable[[SearchProgress], None] | None = None,
) -> Answer:
    """Search for the answer to one question.

    The ``vote`` elects among the leaves: ``Weighted("last")`` unless given, which is the majority
    where nothing is scored. One by confidence goes with a strategy that has ``logprobs=True``.
    Whatever of ``limits`` runs out, time included, the best answer so far comes back. ``task``
    words what is asked and reads the answers: the one that the models are connected for, unless
    given. ``policy`` and ``prm`` name the models where several are connected; ``Auto`` asks all
    that its profile was measured with. The same ``seed`` grows the same tree on a deterministic
    server. ``on_progress`` is called after each response. Cancelling the call cancels its requests,
    which ends them at the server.

    Raises ``ConfigError`` where the models cannot do what the strategy needs, or a limit of the
    cost cannot be kept for want of a price, and ``EndpointRefused`` for a wrong key or model. An
    endpoint that is lost on the way is told in ``Answer.error``.
    """
    problem = Problem(id=question, question=question)
    cell = models.cell(problem, strategy, policy, prm, limits)
    if cell.routing is not None:
        cell.routing.open(1, 1, use(Spend()))
    async with models.asking(task) as asked:
        answers = AnswerReader(asked.task, problem)
        tree = Tree(problem=problem.id, number=next(models.numbers))
        place = Place(seed=seed, tree=tree, routing=cell.routing)
        if cell.across is not None:
            outcome = await search_across(
                question,
                cell.across.of(problem.id),
                asked.across(cell, problem),
                limits,
                place=place,
                answers=answers,
                on_progress=on_progress,
            )
        else:
            outcome = await search(
                question,
                cell.strategy,
                asked.ports(cell, problem),
                limits,
                terms=models.terms(cell.policy.name, cell.prm.name if cell.prm else None),
                place=place,
                answers=answers,
                on_progress=on_progress,
            )
        decision = outcome.decision
        vote = vote or (decision.arm.vote if decision else Weighted("last"))
        return await _answer(outcome, vote, answers, models.substitutes(cell))


async def _answer(
    outcome: Outcome, vote: Vote, answers: AnswerReader, substitutes: Substitutes
) -> Answer:
    read = await fan_out(_solution(leaf, answers) for leaf in outcome.leaves)
    electorate = await classes(answers.same, [leaf.answer for leaf in read])
    election = elect(vote, read, electorate)
    elected, weights = election.winner, election.totals
    return Answer(
        text=None if elected is None else read[elected].text,
        value=None if elected is None else read[elected].answer,
        confidence=0.0 if elected is None else _share(weights, electorate[elected]),
        decided_by=election.by,
        leaves=tuple(read),
        spent=outcome.spent,
        seconds=outcome.seconds,
        ran_out=outcome.ran_out,
        error=outcome.error,
        emulated=substitutes.emulated,
        refused=substitutes.refused,
        undecided=len(answers.undecided | outcome.undecided),
        outcome=outcome,
    )


async def _solution(node: Node, answers: AnswerReader) -> Solution:
    return Solution(
        text=node.text,
        answer=await answers.answer(node),
        scores=tuple(round(score, 6) for score in node.scores),  # as records have them
        confidence=node.confidence.rounded() if node.confidence else None,
        finish=node.finish,
        tokens=node.tokens,
    )


def _share(weights: Mapping[int, float], winner: int | None) -> float:
    """Of all weight; of votes that weigh nothing each answer has the same."""
    total = sum(weights.values())
    return weights[winner] / total if total and winner is not None else 1 / len(weights)
