"""Ports that remember: each response goes to the journal, and comes from it where it is there.

A response is found by what it answers, never by when it came: the operation, the model, the node
(question, path, seed, steps and earlier turns), ``n`` and the sampling, within its tree.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

import msgspec

from orchestrator.core.budget import Price, Spend
from orchestrator.core.node import Finish, Node, sharing
from orchestrator.core.ports import PRM, Policy, Sampling
from orchestrator.errors import CONCERNS_THE_RUN, EndpointError
from orchestrator.runs.ports.ends import missing
from orchestrator.runs.ports.wrappers import failed_spend, policy_spend, prm_spend
from orchestrator.storage.journal import KEY_BYTES, Journal


class Sample(msgspec.Struct, array_like=True):
    """One child, as far as it differs from its parent; ``token_ids`` are the parts it adds."""

    index: int
    steps: tuple[str, ...]
    finish: Finish | None
    token_ids: tuple[str, ...] | None
    step_tokens: int
    logprob: float | None = None


class Samples(msgspec.Struct, array_like=True):
    """What a policy answered; ``model`` did, where it is another than was asked for."""

    children: list[Sample]
    prompt_tokens: int
    cached_tokens: int
    model: str | None = None
    lost_tokens: int = 0


class Scores(msgspec.Struct, array_like=True):
    """What a PRM answered of one node, which keeps the first ``kept`` scores it had."""

    kept: int
    scores: tuple[float, ...]
    finish: Finish | None
    prm_tokens: int
    prm_cached_tokens: int
    prm_written_tokens: int
    unscored: bool = False
    model: str | None = None


_pack = msgspec.msgpack.Encoder().encode
_encode = msgspec.json.Encoder().encode
_samples = msgspec.json.Decoder(tuple[Samples]).decode
_scores = msgspec.json.Decoder(tuple[Scores, ...]).decode


def policy_key(model: str, node: Node, n: int, sampling: Sampling) -> bytes:
    """What names a policy's response within its tree."""
    how: tuple[object, ...] = (
        n, sampling.temperature, sampling.top_p, sampling.max_tokens, sampling.until,
        *(["logprobs"] if sampling.logprobs else []),
    )  # fmt: skip
    asked = ("extend", model, how, node.path, node.seed, node.question, node.steps, *_turns(node))
    return blake2b(_pack(asked), digest_size=KEY_BYTES).digest()


def part_key(key: bytes, have: int) -> bytes:
    """What names a response of which only so many samples are there, by what would name it
    whole."""
    return blake2b(_pack((key, have)), digest_size=KEY_BYTES).digest()


def prm_key(model: str, node: Node) -> bytes:
    """What names a PRM's judgement of one node within its tree."""
    asked = (
        "score", model, node.path, node.seed, node.question, node.steps, node.finish, *_turns(node),
    )  # fmt: skip
    return blake2b(_pack(asked), digest_size=KEY_BYTES).digest()


def _turns(node: Node) -> tuple[object, ...]:
    """The part of a key that a node has only after a further question."""
    return (node.earlier,) if node.earlier else ()


def packed_samples(node: Node, children: Sequence[Node]) -> bytes:
    """A policy's response as the journal keeps it."""
    depth, parts = len(node.steps), len(node.token_ids or ())
    samples = [
        Sample(
            child.path[-1],
            child.steps[depth:],
            child.finish,
            None
            if child.token_ids is None
            else tuple([part.decode("latin-1") for part in child.token_ids[parts:]]),
            child.step_tokens,
            child.logprob,
        )
        for child in children
    ]
    first = children[0] if children else node
    lost = sum(child.lost_tokens for child in children)
    found = Samples(samples, first.prompt_tokens, first.cached_tokens, first.model, lost)
    return _encode((found,))


def unpacked_samples(node: Node, body: bytes) -> list[Node]:
    """The children of ``node`` that the journal kept."""
    (found,) = _samples(body)
    children = [
        node.child(
            sample.index,
            sample.steps,
            finish=sample.finish,
            token_ids=None
            if sample.token_ids is None
            else (*(node.token_ids or ()), *[part.encode("latin-1") for part in sample.token_ids]),
            step_tokens=sample.step_tokens,
            prompt_tokens=found.prompt_tokens,
            cached_tokens=found.cached_tokens,
            logprob=sample.logprob,
            model=found.model,
        )
        for sample in found.children
    ]
    if not found.lost_tokens:
        return children
    return sharing(
        children,
        prompt_tokens=found.prompt_tokens,
        cached_tokens=found.cached_tokens,
        written_tokens=sum(child.step_tokens for child in children) + found.lost_tokens,
    )


def packed_scores(nodes: Sequence[Node], scored: Sequence[Node]) -> bytes:
    """A PRM's response as the journal keeps it: a part a node."""
    return _encode([_judged(node, judged) for node, judged in zip(nodes, scored, strict=True)])


def _judged(node: Node, judged: Node) -> Scores:
    kept = len(node.scores) if judged.scores[: len(node.scores)] == node.scores else 0
    return Scores(
        kept,
        judged.scores[kept:],
        judged.finish,
        judged.prm_tokens,
        judged.prm_cached_tokens,
        judged.prm_written_tokens,
        judged.unscored,
        judged.prm_model,
    )


def unpacked_scores(node: Node, body: bytes, part: int) -> Node:
    """``node`` with the scores that the journal kept."""
    found = _scores(body)[part]
    scored = node.scored(
        (*node.scores[: found.kept], *found.scores),
        found.prm_tokens,
        found.prm_cached_tokens,
        found.prm_written_tokens,
        found.model,
    )
    return replace(scored, finish=found.finish or node.finish, unscored=found.unscored)


@dataclass(slots=True)
class Remembering:
    """What the journaled ports of a run share; ``replayed`` is what needed no paying again."""

    journal: Journal
    replayed: Spend


@dataclass(slots=True)
class JournaledPolicy:
    """Remembers what its policy, ``model`` by the config, answers.

    Of a response some samples of which were lost the others are kept, and the next process asks
    again for what is missing.
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
        """Samples, none where that fails and some are there from ``before``."""
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


def together(before: Sequence[Node], drawn: Sequence[Node]) -> list[Node]:
    """The samples from ``before``, those that were missing among them, and what both took."""
    children = {child.path: child for child in (*drawn, *before)}
    took = policy_spend(before)
    took.add(policy_spend(drawn))
    return sharing(
        [children[path] for path in sorted(children)],
        prompt_tokens=took.prompt_tokens,
        cached_tokens=took.cached_tokens,
        written_tokens=took.policy_tokens,
    )


@dataclass(slots=True)
class JournaledPRM:
    """Remembers what its PRM, ``model`` by the config, answers, node by node. What it could not
    score, and took nothing for, is asked for again."""

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
        self._note([judged for judged in known if judged is not None], whole=not missing)
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

    def _note(self, known: Sequence[Node], *, whole: bool) -> None:
        self.memory.replayed.add(
            Spend(
                requests=int(whole),
                prm_tokens=sum(node.prm_tokens for node in known),
                prm_cached_tokens=sum(node.prm_cached_tokens for node in known),
            )
        )
