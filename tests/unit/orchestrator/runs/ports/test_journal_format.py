"""What a journal keeps of requests and responses: keys, and entries that come back as they were."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.confidence import Confidence
from orchestrator.core.node import Node, Tree, Turn, root
from orchestrator.core.ports import Sampling
from orchestrator.runs.ports.journal_format import (
    packed_samples,
    packed_scores,
    part_key,
    policy_key,
    prm_key,
    unpacked_samples,
    unpacked_scores,
)

STEP = Sampling(temperature=0.7)
ROOT = root("What is 1 + 1?", seed=1, problem_id="p", tree=Tree(key="tree"))

texts = st.text(max_size=20)
counts = st.integers(0, 10**9)
parts = st.lists(st.binary(max_size=8), max_size=3).map(tuple)
finishes = st.sampled_from([None, "stop", "length", "overflow"])
floats = st.floats(allow_nan=False, allow_infinity=False)
nodes = st.builds(
    Node,
    question=texts,
    seed=counts,
    path=st.lists(st.integers(0, 99), max_size=4).map(tuple),
    steps=st.lists(texts, max_size=4).map(tuple),
    token_ids=st.none() | parts,
    scores=st.lists(floats, max_size=4).map(tuple),
    tokens=counts,
)
samplings = st.builds(
    Sampling,
    temperature=st.floats(0, 2),
    top_p=st.floats(0, 1),
    max_tokens=counts,
    until=st.sampled_from(["step", "end"]),
)


@given(
    nodes,
    st.lists(
        st.tuples(st.lists(texts, max_size=3).map(tuple), finishes, st.none() | parts, counts),
        min_size=1,
        max_size=5,
    ),
    counts,
    st.none() | st.floats(-20, 0),
)
def test_a_policys_response_comes_back_as_it_was(
    node: Node, samples: list[tuple[Any, Any, Any, int]], prompt: int, question: float | None
) -> None:
    children = [
        node.child(
            3 * i,
            steps,
            finish=finish,
            token_ids=None if added is None else (*(node.token_ids or ()), *added),
            step_tokens=tokens,
            prompt_tokens=prompt,
            cached_tokens=prompt // 2,
            confidence=Confidence(mean=-tokens / 7, tail=-1.0, lowest=-9.0) if finish else None,
            question_logprob=question,
        )
        for i, (steps, finish, added, tokens) in enumerate(samples)
    ]
    again = unpacked_samples(node, packed_samples(node, children))
    assert again == children
    assert [each.confidence for each in again] == [each.confidence for each in children]
    assert [each.question_logprob for each in again] == [question] * len(children)


@given(st.lists(st.tuples(nodes, st.lists(floats, max_size=6), finishes, counts), max_size=4))
def test_a_prms_response_comes_back_to_the_last_digit(
    judged: list[tuple[Node, list[float], Any, int]],
) -> None:
    asked = [node for node, *_ in judged]
    scored = []
    for node, scores, finish, tokens in judged:
        answer = node.scored(scores, tokens, tokens // 2, tokens // 3)
        scored.append(answer.ended(finish) if finish else answer)
    body = packed_scores(asked, scored)
    assert [unpacked_scores(node, body, i) for i, node in enumerate(asked)] == scored


@given(nodes, st.integers(1, 99), samplings)
def test_a_key_depends_on_all_that_is_asked_and_on_nothing_else(
    node: Node, n: int, sampling: Sampling
) -> None:
    key = policy_key("m", node, n, sampling)
    same = replace(node, tokens=7, scores=(0.5,), token_ids=None, tree=Tree(number=9))
    assert policy_key("m", same, n, sampling) == key
    others = [
        policy_key("other", node, n, sampling),
        policy_key("m", node, n + 1, sampling),
        policy_key("m", node, n, replace(sampling, max_tokens=sampling.max_tokens + 1)),
        policy_key("m", replace(node, seed=node.seed + 1), n, sampling),
        policy_key("m", replace(node, path=(*node.path, 0)), n, sampling),
        policy_key("m", replace(node, question=node.question + "x"), n, sampling),
        policy_key("m", replace(node, steps=(*node.steps, "")), n, sampling),
        policy_key("m", replace(node, earlier=(Turn("user", "Are you sure?"),)), n, sampling),
        prm_key("m", node),
        prm_key("other", node),
        prm_key("m", node.ended("stop")),
    ]
    assert len({key, *others}) == len(others) + 1


def test_the_keys_of_one_turn_are_those_of_every_journal_before() -> None:
    start = root("What is 1 + 1?", seed=1, problem_id="p")
    node = start.child(2, ("a\n\n",)).fork(1).child(0, ("2",), finish="stop")
    assert policy_key("m", node, 4, STEP).hex() == "df3bb0ab006491a5f7e406f4174ffebc"
    assert prm_key("m", node).hex() == "1a1f6ec497ba519a2e786c0bb69ca13c"
    whole = Sampling(temperature=0.7, top_p=0.9, max_tokens=64, until="end", logprobs=True)
    start = root("What is 1 + 1?", seed=1, problem_id="p").child(2, ("One.\n\n",))
    assert policy_key("m", start, 4, whole).hex() == "d41103d0b4379fffdebd4ee0a4dcb977"
    assert part_key(bytes.fromhex("91375398b379a4c6dfa67916ead4a1e3"), 3).hex() == (
        "5bc66162953e7b53fd867c317d325b90"
    )


def test_asking_how_likely_the_question_is_has_a_key_of_its_own() -> None:
    node = root("What is 1 + 1?", seed=1, problem_id="p")
    asked = replace(STEP, question_logprob=True)
    keys = {policy_key("m", node, 1, each) for each in (STEP, asked, replace(asked, logprobs=True))}
    assert len(keys) == 3


def test_a_journal_from_before_knows_the_mean_alone_which_stands_for_every_measure() -> None:
    node = root("What is 1 + 1?", seed=1, problem_id="p")
    body = b'[[[[0,["2"],"stop",null,3,-0.25],[1,["3"],"stop",null,2]],7,0]]'
    sure, *others = unpacked_samples(node, body)
    assert sure.confidence == Confidence.level(-0.25)
    assert [each.confidence for each in others] == [None]
    assert sure.question_logprob is None


def test_where_a_step_ends_is_part_of_the_key() -> None:
    one, two = replace(ROOT, steps=("ab", "c")), replace(ROOT, steps=("a", "bc"))
    assert prm_key("m", one) != prm_key("m", two)
