"""One problem across models: look at it, decide by what the looks show, and answer.

The decisions are the plan's (``optimal.cascade.plan``); here they are carried out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from orchestrator.core.difficulty import difficulty
from orchestrator.core.equivalence import classes_of
from orchestrator.core.fanout import fan_out
from orchestrator.core.node import Node
from orchestrator.core.ports import Models, Sampling, Strategy, Trees
from orchestrator.core.records import ALL, LookTaken, PlanName
from orchestrator.optimal.cascade.looks import shown
from orchestrator.optimal.cascade.plan import Cascade, Look, ModelArm
from orchestrator.optimal.difficulty.evidence import LOGPROBS, Pilot
from orchestrator.optimal.routing.routed import go_on, greedy, strategy_of
from orchestrator.optimal.routing.router import Decision, as_pilots
from orchestrator.strategies.cot import CoT

RULE = "profile"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingAcross:
    """Sends each problem from model to model by a ``plan``; ``sampling`` is used for pilots. Where
    two plans are mixed, the plan has a ``name``."""

    plan: Cascade
    sampling: Sampling
    name: PlanName | None = None

    def of(self, problem: str) -> "RoutingAcross":
        """Itself: it has one plan for every problem."""
        return self

    def sampling_of(self, policy: str) -> Sampling:
        """How pilots of a policy are drawn: with log-probabilities if a vote of it reads them."""
        arms = [each.arm for each in self.plan.arms if each.policy == policy]
        return replace(self.sampling, logprobs=any(arm.settings.get("logprobs") for arm in arms))

    def reads(self, policy: str) -> set[str]:
        """The features of a policy's pilots that the predictors read."""
        read = [name for each in self.plan.looks for name in each.predictor.weights]
        return {name.removeprefix(f"{policy}/") for name in read if name.startswith(f"{policy}/")}

    def searches_of(self, policy: str) -> list[Strategy]:
        """What a policy may be asked for: pilots, and the arms it may answer by."""
        told = self.sampling_of(policy).logprobs or not LOGPROBS.isdisjoint(self.reads(policy))
        whole = CoT(max_tokens=self.sampling.max_tokens, logprobs=told or None)
        is_asked = policy in {name for name, _ in self.plan.models}
        arms = [strategy_of(each.arm) for each in self.plan.arms if each.policy == policy]
        return [whole, *arms] if is_asked else []

    def begin(self) -> "SearchAcross":
        return SearchAcross(routing=self)


@dataclass(slots=True, kw_only=True)
class SearchAcross:
    """Take looks until the plan names an arm, and answer by that.

    The leaves are the answering policy's alone: what the others drew was evidence, and has no
    vote.
    """

    routing: RoutingAcross
    decision: Decision | None = None
    _drawn: "dict[str, Solutions]" = field(default_factory=dict)

    async def __call__(self, trees: Trees) -> list[Node]:
        plan = self.routing.plan
        looks: list[Look] = []
        scores: list[float] = []
        action = plan.first
        while isinstance(action, int):
            look = plan.looks[action].look
            if look.pilots and not await self._pilots(trees, look.policy, look.prm, look.pilots):
                return []  # lost, and with them what the plan goes by
            looks.append(look)
            characters = len(trees.root(look.policy).question)
            action, score, _ = plan.decide(action, shown(looks, self._evidence(), characters))
            scores.append(score)
        self.decision = decision(action, looks, scores, self.routing.name)
        return await self._answer(trees, action)

    async def _answer(self, trees: Trees, chosen: ModelArm) -> list[Node]:
        if chosen.direct:
            return await self._search(trees, chosen)
        count = 1 if chosen.arm.strategy == "cot" else self.routing.plan.pilots
        pilots = await self._pilots(trees, chosen.policy, chosen.prm, count)
        if not pilots:
            return []
        models = trees.models(chosen.policy, chosen.prm)
        return await go_on(chosen.arm, trees.root(chosen.policy), models, pilots)

    async def _search(self, trees: Trees, chosen: ModelArm) -> list[Node]:
        """The leaves of a tree search from the root, beside what looks drew of its policy."""
        root = trees.root(chosen.policy)
        if (drawn := self._drawn.get(chosen.policy)) is not None:
            root = root.next_fork(drawn.nodes)
        models = trees.models(chosen.policy, chosen.prm)
        return await strategy_of(chosen.arm)(root, models)

    async def _pilots(self, trees: Trees, policy: str, prm: str | None, count: int) -> list[Node]:
        """The first ``count`` solutions of a policy at least, scored by ``prm``. What is there of
        them already is neither drawn nor scored again."""
        models = trees.models(policy, prm)
        drawn = self._drawn.setdefault(policy, Solutions(trees.root(policy)))
        sampling, reads = self.routing.sampling_of(policy), self.routing.reads(policy)
        await drawn.draw(count, models, sampling, greedy(sampling, reads))
        if prm is not None:
            await drawn.score(prm, models)
        return drawn.nodes

    def _evidence(self) -> dict[str, Sequence[Pilot]]:
        """What was drawn of each policy; equal answers have one class, whoever gave them."""
        nodes = [node for drawn in self._drawn.values() for node in drawn.nodes]
        classes = iter(classes_of(nodes))
        return {
            policy: as_pilots(drawn.nodes, [next(classes) for _ in drawn.nodes])
            for policy, drawn in self._drawn.items()
        }


@dataclass(slots=True)
class Solutions:
    """The solutions of one policy so far, the greedy one first. ``asked`` also counts those that
    were lost; ``prm`` scored them last."""

    root: Node
    nodes: list[Node] = field(default_factory=list)
    asked: int = 0
    prm: str | None = None

    async def draw(self, count: int, models: Models, sampling: Sampling, first: Sampling) -> None:
        """Draw what is missing of ``count`` solutions at once, the ``first`` in its own way."""
        requests = []
        if not self.asked:
            requests.append(models.policy.extend(self.root, 1, first))
        have = max(1, self.asked)
        if count > have:
            requests.append(models.policy.extend(self.root.fork(have), count - have, sampling))
        self.asked = max(self.asked, count)
        for found in await fan_out(requests):
            self.nodes += found

    async def score(self, prm: str, models: Models) -> None:
        """Score the solutions that ``prm`` has not scored yet."""
        if self.prm != prm:
            self.nodes = [replace(each, scores=()) for each in self.nodes]
            self.prm = prm
        if bare := [each for each in self.nodes if not each.scores]:
            scored = iter(await models.prm.score(bare) or bare)
            self.nodes = [each if each.scores else next(scored) for each in self.nodes]


def decision(
    chosen: ModelArm, looks: Sequence[Look], scores: Sequence[float], plan: PlanName | None
) -> Decision:
    """What was decided after ``looks`` with these ``scores``. A problem's difficulty is what its
    first look told."""
    first = scores[0] if scores else None
    return Decision(
        arm=chosen.arm,
        predicted=first,
        bin=ALL if first is None else difficulty(first),
        rule=RULE,
        policy=chosen.policy,
        prm=chosen.prm,
        plan=plan,
        direct=chosen.direct,
        looks=tuple(
            LookTaken(policy=look.policy, prm=look.prm, pilots=look.pilots, score=round(score, 6))
            for look, score in zip(looks, scores, strict=True)
        ),
    )
