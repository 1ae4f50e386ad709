"""Responses as the journal keeps them, and the keys that name them within their tree.

A response is named by what it answers, never by when it came: the operation, the model, the node
(question, path, seed, steps and earlier turns), ``n`` and the sampling.
"""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b

import msgspec

from orchestrator.core.confidence import Confidence
from orchestrator.core.node import Finish, Node, sharing
from orchestrator.core.ports import Sampling
from orchestrator.storage.journal import KEY_BYTES


class JournaledSample(msgspec.Struct, array_like=True):
    """One child, as far as it differs from its parent; ``token_ids`` are the parts it adds.

    ``confidence`` holds the mean, the tail and the lowest window; in journals from before there
    were these, the mean alone, which then stands for all three.
    """

    index: int
    steps: tuple[str, ...]
    finish: Finish | None
    token_ids: tuple[str, ...] | None
    step_tokens: int
    confidence: tuple[float, float, float] | float | None = None


class JournaledSamples(msgspec.Struct, array_like=True):
    """What a policy answered; ``model`` did, where it is another than was asked for, and
    ``question_logprob`` is how likely it finds the question."""

    children: list[JournaledSample]
    prompt_tokens: int
    cached_tokens: int
    model: str | None = None
    lost_tokens: int = 0
    question_logprob: float | None = None


class JournaledScores(msgspec.Struct, array_like=True):
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
_samples = msgspec.json.Decoder(tuple[JournaledSamples]).decode
_scores = msgspec.json.Decoder(tuple[JournaledScores, ...]).decode


def policy_key(model: str, node: Node, n: int, sampling: Sampling) -> bytes:
    """What names a policy's response within its tree."""
    how: tuple[object, ...] = (
        n, sampling.temperature, sampling.top_p, sampling.max_tokens, sampling.until,
        *(["logprobs"] if sampling.logprobs else []),
        *(["question_logprob"] if sampling.question_logprob else []),
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
        JournaledSample(
            child.path[-1],
            child.steps[depth:],
            child.finish,
            None
            if child.token_ids is None
            else tuple([part.decode("latin-1") for part in child.token_ids[parts:]]),
            child.step_tokens,
            _numbers(child.confidence),
        )
        for child in children
    ]
    first = children[0] if children else node
    lost = sum(child.lost_tokens for child in children)
    found = JournaledSamples(
        samples,
        first.prompt_tokens,
        first.cached_tokens,
        first.model,
        lost,
        first.question_logprob if children else None,
    )
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
            confidence=_confidence(sample.confidence),
            question_logprob=found.question_logprob,
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


def _numbers(confidence: Confidence | None) -> tuple[float, float, float] | None:
    if confidence is None:
        return None
    return confidence.mean, confidence.tail, confidence.lowest


def _confidence(numbers: tuple[float, float, float] | float | None) -> Confidence | None:
    if numbers is None:
        return None
    if isinstance(numbers, float):
        return Confidence.level(numbers)
    mean, tail, lowest = numbers
    return Confidence(mean=mean, tail=tail, lowest=lowest)


def packed_scores(nodes: Sequence[Node], scored: Sequence[Node]) -> bytes:
    """A PRM's response as the journal keeps it: a part a node."""
    return _encode([_judged(node, judged) for node, judged in zip(nodes, scored, strict=True)])


def _judged(node: Node, judged: Node) -> JournaledScores:
    kept = len(node.scores) if judged.scores[: len(node.scores)] == node.scores else 0
    return JournaledScores(
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
