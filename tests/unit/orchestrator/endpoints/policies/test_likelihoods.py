from typing import Any

import msgspec
import pytest

from orchestrator.core.confidence import Confidence
from orchestrator.endpoints.policies.likelihoods import (
    likelihood_of_question,
    likelihood_of_sample,
)


def raw(told: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(told))


def prompt(*tokens: tuple[str, float | None]) -> msgspec.Raw:
    """``prompt_logprobs`` as vLLM sends them: nothing of the first token."""
    told = [
        {str(i): {"logprob": logprob, "rank": 1, "decoded_token": text}}
        for i, (text, logprob) in enumerate(tokens)
    ]
    return raw([None, *told])


def test_chat_and_completions_tell_the_same_of_a_sample() -> None:
    chat = {"content": [{"token": "a", "logprob": -1.0}, {"token": "b", "logprob": -2}]}
    completions = {"tokens": ["a", "b"], "token_logprobs": [-1.0, -2]}
    for told in (chat, completions):
        assert likelihood_of_sample(raw(told)) == Confidence.level(-1.5)


@pytest.mark.parametrize(
    "told",
    [
        None, {}, {"content": None}, {"content": []}, "odd", {"content": ["odd"]},
        {"content": [{"logprob": -1.0}, {"logprob": None}]}, {"token_logprobs": [None, -1.0]},
    ],
)  # fmt: skip
def test_a_server_that_does_not_tell_all_of_a_sample_tells_nothing(told: Any) -> None:
    assert likelihood_of_sample(raw(told)) is None
    assert likelihood_of_sample(msgspec.Raw()) is None


def test_a_number_that_is_no_logprob_is_refused() -> None:
    with pytest.raises(ValueError, match=r"0\.7 is no log-probability"):
        likelihood_of_sample(raw({"token_logprobs": [-1.0, 0.7]}))
    with pytest.raises(ValueError, match=r"0\.7 is no log-probability"):
        likelihood_of_question(prompt(("1", 0.7)), "1")


def test_the_question_is_found_between_the_templates_own_tokens() -> None:
    template = [("<|user|>", -9.0), ("Solve", -8.0), (":\n", -8.0)]
    question = [("What", -1.0), (" is", -2.0), (" 1", -3.0), (" +", -4.0), (" 1", -5.0), ("?", 0.0)]
    told = prompt(*template, *question, ("<|assistant|>", -7.0))
    assert likelihood_of_question(told, "What is 1 + 1?") == -3.0


def test_parts_of_characters_and_white_space_do_not_hide_the_question() -> None:
    told = prompt(("x", -9.0), ("▁Caf", -1.0), ("\ufffd", -2.0), ("\ufffd", -3.0), ("▁2", -4.0))
    assert likelihood_of_question(told, "Café 2") == -2.5


def test_without_the_questions_own_tokens_the_whole_prompt_counts() -> None:
    told = prompt(("a", -1.0), ("b", -3.0))
    assert likelihood_of_question(told, "Something else") == -2.0
    assert likelihood_of_question(told, "何") == -2.0


@pytest.mark.parametrize(
    "told", [None, [], [None], "odd", [{"1": "odd"}], [None, None], [None, {}]]
)
def test_a_server_that_does_not_tell_of_the_prompt_tells_nothing(told: Any) -> None:
    assert likelihood_of_question(raw(told), "What?") is None
