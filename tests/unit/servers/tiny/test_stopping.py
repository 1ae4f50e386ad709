"""When a completion ends and what its text is, in vLLM's terms."""

from pathlib import Path

import pytest

from servers.tiny.stopping import SampleEnd, StopRule
from servers.tiny.text import Text


@pytest.fixture(scope="module")
def text(folders: dict[str, Path]) -> Text:
    return Text(folders["policy"])


def rule(
    text: Text, *strings: str, tokens: tuple[int, ...] = (), included: bool = False
) -> StopRule:
    end = frozenset(text.encode("<|im_end|>"))
    return StopRule.build(text, end_of_text=end, strings=strings, tokens=tokens, included=included)


def test_a_stop_string_is_cut_off_or_kept_as_asked(text: Text) -> None:
    ids = text.encode("Step A\n\n")
    cut = rule(text, "\n\n").ending(ids, full=False)
    kept = rule(text, "\n\n", included=True).ending(ids, full=False)
    assert cut == SampleEnd("stop", "\n\n", "Step A")
    assert kept == SampleEnd("stop", "\n\n", "Step A\n\n")


def test_a_stop_string_may_span_tokens_and_leave_a_rest(text: Text) -> None:
    ids = text.encode("86 * 2 = 172")
    ending = rule(text, "* 2 =").ending(ids[: len(text.encode("86 * 2 ="))], full=False)
    assert ending == SampleEnd("stop", "* 2 =", "86 ")


def test_the_stop_string_that_ends_first_wins(text: Text) -> None:
    ending = rule(text, "= 5", "2").ending(text.encode("1 2 = 5"), full=False)
    assert ending == SampleEnd("stop", "2", "1 ")


def test_the_end_of_text_is_a_stop_without_a_reason(text: Text) -> None:
    ids = text.encode("Step A<|im_end|>")
    assert rule(text).ending(ids, full=True) == SampleEnd("stop", None, "Step A")


def test_a_stop_token_is_its_own_reason(text: Text) -> None:
    ids = text.encode("Step A\n\n")
    by_token = rule(text, tokens=(ids[-1],))
    assert by_token.ending(ids, full=False) == SampleEnd("stop", ids[-1], "Step A")
    kept = rule(text, tokens=(ids[-1],), included=True)
    assert kept.ending(ids, full=False) == SampleEnd("stop", ids[-1], "Step A\n\n")


def test_no_more_room_is_a_length_unless_it_stops_just_then(text: Text) -> None:
    ids = text.encode("Step A\n\n")
    assert rule(text).ending(ids, full=True) == SampleEnd("length", None, "Step A\n\n")
    assert rule(text, "\n\n").ending(ids, full=True) == SampleEnd("stop", "\n\n", "Step A")


def test_only_watched_tokens_can_end_a_completion(text: Text) -> None:
    stops = rule(text, "\n\n", tokens=(7,))
    assert {7, text.only_id("\n\n"), text.only_id("<|im_end|>")} <= stops.watched
    assert text.only_id(" A") not in stops.watched
