"""Ports that remember: each response goes to the journal, and is replayed from there."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.core.budget import Price, Spend
from orchestrator.core.node import Node
from orchestrator.core.ports import PRM, Policy, Sampling
from orchestrator.errors import CONCERNS_THE_RUN, EndpointError
from orchestrator.runs.ports.charges import failed_spend, policy_spend, prm_spend, together
from orchestrator.runs.ports.ends import missing
from orchestrator.runs.ports.journal_format import (
    packed_samples,
    packed_scores,
    part_key,
    policy_key,
    prm_key,
    unpacked_samples,
    unpacked_scores,
)
from orchestrator.storage.journal import Journal


@dataclass(slots=True)
class Remembering:
    """What the journaled ports of a run share; ``replayed`` adds up what is not paid again."""

    journal: Journal
    replayed: Spend


@dataclass(slots=True)
class JournaledPolicy:
    """Journals what its policy answers; ``model`` is its name in the config.

    If some samples of a response are lost, the others are kept, and the next process asks for what
    is missing.
    """

    policy: Policy
    model: str
    memory: Remembering
    price: Price | None = None

    async def extend(self, node: Node, n: int, sampling: Sampling) -> list[Node]:
        journal, tree = self.memory.journal, node.tree.key
        key = policy_key(self.model, node, n, sampling)
        before: list[Node] = []
        if journal.knows(tree):
            known = await journal.recall(tree)
            keys = (key, *(part_key(key, have) for have in range(n - 1, 0, -1)))
            if found := next((known[each] for each in keys if each in known), None):
                before = unpacked_samples(node, found[0])
                self.memory.replayed.add(policy_spend(before))
                if not missing(node, before, n):
                    return before
        drawn = await self._draw(node, n, sampling, before)
        children = together(before, drawn) if before else drawn
        cost = policy_spend(drawn, self.price).cost
        name = part_key(key, len(children)) if missing(node, children, n) else key
        journal.append(tree, (name,), packed_samples(node, children), cost)
        if journal.is_behind:
            await journal.caught_up()
        return children

    async def _draw(
        self, node: Node, n: int, sampling: Sampling, before: Sequence[Node]
    ) -> list[Node]:
        """New samples; none if that fails and there are some from ``before``."""
        try:
            return await self.policy.extend(node, n, sampling)
        except CONCERNS_THE_RUN:
            raise
        except EndpointError as failure:
            if cost := failed_spend(failure, self.price).cost:
                self.memory.journal.append(node.tree.key, (), b"", cost)
            if not before:
                raise
            return []


@dataclass(slots=True)
class JournaledPRM:
    """Journals what its PRM answers, node by node; ``model`` is its name in the config. What it
    could not score, and charged nothing for, is asked for again."""

    prm: PRM
    model: str
    memory: Remembering
    price: Price | None = None

    async def score(self, nodes: Sequence[Node]) -> list[Node]:
        if not nodes:
            return []
        journal, tree = self.memory.journal, nodes[0].tree.key
        keys = [prm_key(self.model, node) for node in nodes]
        if not journal.knows(tree):
            return await self._ask(tree, keys, nodes)
        before = await journal.recall(tree)
        known = [
            unpacked_scores(node, *before[key]) if key in before else None
            for node, key in zip(nodes, keys, strict=True)
        ]
        missing = [i for i, judged in enumerate(known) if judged is None]
        answers = iter(
            await self._ask(tree, [keys[i] for i in missing], [nodes[i] for i in missing])
            if missing
            else []
        )
        replayed = [judged for judged in known if judged is not None]
        self.memory.replayed.add(prm_spend(replayed, requests=int(not missing)))
        return [next(answers) if judged is None else judged for judged in known]

    async def _ask(self, tree: str, keys: Sequence[bytes], nodes: Sequence[Node]) -> list[Node]:
        scored = await self.prm.score(nodes)
        cost = prm_spend(scored, self.price).cost
        kept = [i for i, judged in enumerate(scored) if judged.prm_tokens or not judged.unscored]
        if kept:
            parts = packed_scores([nodes[i] for i in kept], [scored[i] for i in kept])
            self.memory.journal.append(tree, [keys[i] for i in kept], parts, cost)
        if self.memory.journal.is_behind:
            await self.memory.journal.caught_up()
        return scored
