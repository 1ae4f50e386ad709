"""How likely samples and questions are, as policies read it off their answers."""

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.core.confidence import Confidence
from orchestrator.core.ports import Sampling
from orchestrator.endpoints.policies.emulated_continuation import InstructedPolicy
from orchestrator.endpoints.policies.http_policy import ChatPolicy, TokenPolicy
from tests.unit.orchestrator.endpoints.policies.answers import (
    ROOT,
    STEP,
    WHOLE,
    ask,
    chat,
    completion,
)


async def test_a_sample_tells_how_likely_it_was_where_each_of_its_tokens_does(
    scripted: Any,
) -> None:
    async def sure(told: Any, *, asked: bool = True) -> Confidence | None:
        answer = chat("done")
        answer["choices"][0]["logprobs"] = told
        sampling = Sampling(temperature=0.7, logprobs=asked)
        (child,) = await ChatPolicy(scripted(answer), ask).extend(ROOT, 1, sampling)
        return child.confidence

    both = {"content": [{"logprob": -1.0}, {"logprob": -2.0}]}
    assert await sure(both) == Confidence.level(-1.5)
    assert await sure(both, asked=False) is None
    for nothing in (None, {}, {"content": None}, {"content": []}, "odd", {"content": ["odd"]}):
        assert await sure(nothing) is None
    assert await sure({"content": [{"logprob": -1.0}, {"logprob": None}]}) is None


async def test_a_continued_solution_tells_how_likely_it_was_too(scripted: Any) -> None:
    second = completion("b")
    second["choices"][0]["logprobs"] = {"token_logprobs": [-0.5]}
    transport = scripted(chat("a\n\n", prompt_ids=[1, 2]), second)
    policy = TokenPolicy(transport, ask)
    (first,) = await policy.extend(ROOT, 1, STEP)
    (rest,) = await policy.extend(first, 1, replace(WHOLE, logprobs=True))
    assert transport.sent[1].body["logprobs"] == 0
    assert rest.confidence == Confidence.level(-0.5)


async def test_an_emulated_continuation_tells_how_likely_it_was(scripted: Any) -> None:
    answer = chat("done")
    answer["choices"][0]["logprobs"] = {"content": [{"logprob": -1.0}]}
    transport = scripted(answer)
    asked = replace(WHOLE, logprobs=True)
    (child,) = await InstructedPolicy(transport, ask).extend(ROOT, 1, asked)
    assert transport.sent[0].body["logprobs"] is True
    assert child.confidence == Confidence.level(-1.0)


async def test_numbers_that_are_no_logprobs_count_as_not_given_and_are_told_once(
    scripted: Any, caplog: pytest.LogCaptureFixture
) -> None:
    answer = chat("done")
    answer["choices"][0]["logprobs"] = {"content": [{"logprob": 0.9}]}
    policy = ChatPolicy(scripted(answer, answer), ask)
    for _ in range(2):
        (child,) = await policy.extend(ROOT, 1, replace(WHOLE, logprobs=True))
        assert child.confidence is None and child.steps == ("done",)
    (told,) = caplog.messages
    assert "0.9 is no log-probability" in told


async def test_how_likely_the_question_is_comes_with_the_first_request(scripted: Any) -> None:
    answer = chat("done") | {
        "prompt_logprobs": [
            None,
            {"7": {"logprob": -9.0, "decoded_token": "<user>"}},
            {"8": {"logprob": -1.0, "decoded_token": "What is"}},
            {"9": {"logprob": -2.0, "decoded_token": " 1 + 1?"}},
        ]
    }
    transport = scripted(answer, answer)
    policy = ChatPolicy(transport, ask)
    (asked,) = await policy.extend(ROOT, 1, replace(WHOLE, question_logprob=True))
    (silent,) = await policy.extend(ROOT, 1, WHOLE)
    assert [sent.body.get("prompt_logprobs") for sent in transport.sent] == [0, None]
    assert (asked.question_logprob, silent.question_logprob) == (-1.5, None)
