"""Where a server cuts prompts, told by what it counts of long ones."""

from typing import Any

import pytest

from orchestrator.endpoints.http.wire import Usage
from orchestrator.endpoints.probing.cutting import prompts_cut_at
from orchestrator.errors import ContextOverflow, EndpointUnavailable

SHORT = Usage(prompt_tokens=20)


def counts(prompt_tokens: int) -> dict[str, Any]:
    choice = {"index": 0, "message": {"content": "x"}, "finish_reason": "length"}
    return {"model": "m", "choices": [choice], "usage": {"prompt_tokens": prompt_tokens}}


@pytest.mark.parametrize(
    ("needed", "long", "longer", "cut"),
    [
        (1_000, 2_048, 2_048, 2_048),  # Ollama
        (9_000, 4_096, 4_096, 4_096),
        (1_000, 1_476, 1_702, 1_702),  # llama.cpp once erased whole blocks
        (1_000, 2_000, 3_000, None),  # an odd count, but it grows
    ],
)
async def test_a_count_too_small_that_does_not_grow_is_where_it_cuts(
    scripted: Any, needed: int, long: int, longer: int, cut: int | None
) -> None:
    transport = scripted(counts(long), counts(longer))
    assert await prompts_cut_at(transport, SHORT, needed) == cut
    words = [len(sent.body["messages"][0]["content"].split()) for sent in transport.sent]
    assert words == ([2_500, 3_750] if needed < 2_500 else [5_000, 7_500])
    assert {sent.body["max_tokens"] for sent in transport.sent} == {1}


@pytest.mark.parametrize("count", [0, 20, 2_500, 3_100])
async def test_one_request_is_enough_where_the_count_is_none_or_as_it_should_be(
    scripted: Any, count: int
) -> None:
    transport = scripted(counts(count))
    assert await prompts_cut_at(transport, SHORT, 1_000) is None
    assert len(transport.sent) == 1


async def test_a_server_that_says_it_is_too_long_or_takes_too_long_cuts_nothing(
    scripted: Any, scripted_once: Any
) -> None:
    too_long = ContextOverflow("maximum context length", url="")
    assert await prompts_cut_at(scripted(too_long), SHORT, 1_000) is None
    slow = EndpointUnavailable("no answer in 60 s", url="", timed_out=True)
    assert await prompts_cut_at(scripted_once(slow), SHORT, 1_000) is None


@pytest.mark.parametrize(
    ("long", "longer", "cut"),
    [
        (2_249, 2_249, 2_249),
        (2_250, None, None),  # nine tenths of the words
        (2_000, 2_400, 2_400),  # a fifth more
        (2_000, 2_401, None),
        (2_000, 1_900, 2_000),
        (21, 21, 21),
    ],
)
async def test_a_count_is_too_small_below_nine_tenths_and_grows_above_a_fifth(
    scripted: Any, long: int, longer: int | None, cut: int | None
) -> None:
    answers = [counts(each) for each in (long, longer) if each is not None]
    transport = scripted(*answers)
    assert await prompts_cut_at(transport, SHORT, 2_500) == cut
    words = [len(sent.body["messages"][0]["content"].split()) for sent in transport.sent]
    assert words == [2_500, 3_750][: len(answers)]


async def test_a_server_that_is_gone_has_not_said_whether_it_cuts(scripted_once: Any) -> None:
    with pytest.raises(EndpointUnavailable, match="nothing answers"):
        await prompts_cut_at(
            scripted_once(EndpointUnavailable("nothing answers", url="")), SHORT, 1_000
        )
