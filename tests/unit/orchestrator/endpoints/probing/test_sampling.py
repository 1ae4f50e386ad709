"""Whether samples are worth asking for."""

from typing import Any

import msgspec
import pytest

from orchestrator.endpoints.http.wire import ChatResponse
from orchestrator.endpoints.probing.sampling import Samples, counts_samples, judged
from orchestrator.errors import EndpointRefused


def said(*texts: str) -> ChatResponse:
    choices = [{"index": i, "message": {"content": text}} for i, text in enumerate(texts)]
    return msgspec.convert({"model": "m", "choices": choices}, ChatResponse)


@pytest.mark.parametrize(
    ("first", "again", "elsewhere", "found"),
    [
        (("a", "b"), ("a", "b"), None, (True, True, True)),
        (("a", "b"), ("c", "d"), None, (True, True, False)),
        (("a", "a"), ("a", "a"), ("b", "b"), (False, True, True)),  # copies
        (("a", "a"), ("a", "a"), ("b", "c"), (True, True, True)),  # by chance
        (("a", "a"), ("a", "a"), ("a", "a"), (True, False, True)),
        (("a", "a"), ("b", "b"), ("a", "a"), (False, True, False)),
        (("a",), ("a",), ("b",), (False, True, True)),
        (("a",), ("a",), ("a",), (False, False, True)),
        (("a",), ("b",), ("a",), (False, True, False)),
    ],
)
async def test_two_answers_and_one_of_another_seed_tell(
    first: tuple[str, ...],
    again: tuple[str, ...],
    elsewhere: tuple[str, ...] | None,
    found: tuple[bool, bool, bool],
) -> None:
    asked = []

    async def other() -> ChatResponse:
        asked.append(True)
        return said(*elsewhere or ())

    several, differ, repeatable = found
    assert await judged(said(*first), said(*again), other) == Samples(
        several=several, differ=differ, repeatable=repeatable
    )
    assert bool(asked) is (elsewhere is not None)


async def test_one_sample_each_is_not_asked_for_again_where_that_does_not_matter() -> None:
    async def other() -> ChatResponse:
        raise AssertionError

    found = await judged(said("a"), said("a"), other, of_one=False)
    assert found == Samples(several=False, differ=True, repeatable=True)


@pytest.mark.parametrize(("counted", "all_of_them"), [(0, True), (1, False), (2, True)])
async def test_a_usage_of_one_token_for_two_samples_counts_the_first_alone(
    scripted: Any, counted: int, all_of_them: bool
) -> None:
    choices = [
        {"index": i, "message": {"content": "x"}, "finish_reason": "length"} for i in range(2)
    ]
    usage = {"completion_tokens": counted}
    transport = scripted({"model": "m", "choices": choices, "usage": usage})
    assert await counts_samples(transport) is all_of_them
    body = transport.sent[0].body
    assert (body["n"], body["max_tokens"], body["temperature"]) == (2, 1, 1.0)
    assert await counts_samples(scripted(EndpointRefused("n", url="")))
