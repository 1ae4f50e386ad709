"""Answers that are none: a run beside a server that gives them, and after it was mended."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.acceptance.conftest import SEARCH, Person
from tests.integration.misbehaving import CHAT, COMPLETIONS, changed

CELLS = [
    {"policy": "policy", "strategy": "cot"},
    {"policy": "policy", "strategy": "majority", "n": 4},
    {"policy": "policy", "prm": "prm", "strategy": "beam_search", **SEARCH},
]

Break = Callable[[dict[str, Any]], None]


def ended(reason: str | None) -> Break:
    return lambda choice: choice.update(finish_reason=reason)


def failed(choice: dict[str, Any]) -> None:
    choice["error"] = {"code": 502, "message": "Upstream overloaded"}
    choice["finish_reason"] = "error"


def in_the_reasoning(choice: dict[str, Any]) -> None:
    if (message := choice.get("message")) is not None:
        message |= {"content": None, "reasoning_content": message["content"]}


def tool_called(choice: dict[str, Any]) -> None:
    if (message := choice.get("message")) is not None:
        message |= {"content": None, "tool_calls": [{"function": {"name": "calculator"}}]}


def break_all(person: Person, spoil: Break) -> None:
    """Spoil every choice of what the problems ask; probes find nothing wrong."""

    def spoil_all(good: dict[str, Any]) -> None:
        for choice in good["choices"]:
            spoil(choice)

    asks = changed(spoil_all)
    person.server.on(CHAT, asks, when=lambda body: "What is" in json.dumps(body), forever=True)


def written(person: Person, **more: Any) -> Any:
    return person.write_config(cells=CELLS, headline=None, **more)


def grown(records: list[dict[str, Any]]) -> dict[str, Any]:
    """The paths of each beam search, and how its samples ended."""
    return {
        each["problem"]: (each["leaves"], each["samples"], each["ends"])
        for each in records
        if each["strategy"] == "beam_search"
    }


def told(records: list[dict[str, Any]]) -> list[str]:
    """What records say in the end, beside how long it took."""
    last = {(each["cell"], each["problem"]): each for each in records}
    timeless = {"seconds": 0, "ended": 0}
    return sorted(json.dumps(each | timeless) for each in last.values())


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (ended(None), "finish_reason is null"),
        (ended("abort"), "finish_reason 'abort'"),
        (ended("whatever_comes_tomorrow"), "finish_reason 'whatever_comes_tomorrow'"),
        (failed, "broke off an answer: Upstream overloaded"),
        (in_the_reasoning, "--reasoning-parser"),
        (tool_called, "called a tool (calculator)"),
    ],
    ids=["null", "abort", "tomorrow", "error", "reasoning", "tool"],
)
def test_what_was_no_answer_is_said_and_asked_again_once_the_server_is_mended(
    person: Person, spoil: Break, says: str
) -> None:
    config = written(person)
    assert person.orchard("run", config, "--out", "runs/sound").code == 0
    break_all(person, spoil)
    broken = person.orchard("run", config)
    assert says in broken.out + broken.err
    assert all(not record["leaves"] and says in record["error"] for record in person.records())
    assert all(record["ends"] == {"unanswered": record["samples"]} for record in person.records())
    person.server.rules.clear()
    mended = person.orchard("run", config)
    assert mended.code == 0, mended
    assert told(person.records()) == told(person.records("runs/sound"))


def test_a_sample_that_is_no_answer_costs_only_itself(person: Person) -> None:
    def spoil_one(good: dict[str, Any]) -> None:
        if len(good["choices"]) > 1:
            good["choices"][1]["finish_reason"] = "abort"

    for route in (CHAT, COMPLETIONS):
        person.server.on(
            route, changed(spoil_one), when=lambda body: "probe" not in body, forever=True
        )
    outcome = person.orchard("run", written(person))
    assert outcome.code == 0, outcome
    searched = [each for each in person.records() if each["strategy"] == "beam_search"]
    assert all(each["leaves"] and each["ends"]["unanswered"] for each in searched)
    assert all(leaf["path"][0] != 1 for each in searched for leaf in each["leaves"])
    said = " ".join(outcome.out.split())
    assert "% of " in said and "samples came back as no answer" in said
    assert "ended an answer with finish_reason 'abort'" in outcome.out + outcome.err
    asked = len(person.server.generated())
    person.server.rules.clear()
    assert person.orchard("resume", "runs/run").code == 0
    assert len(person.server.generated()) > asked
    assert person.orchard("run", "run.yaml", "--out", "runs/sound").code == 0
    assert grown(person.records()) == grown(person.records("runs/sound"))
    asked = len(person.server.generated())
    assert person.orchard("resume", "runs/run").code == 0
    assert len(person.server.generated()) == asked


def test_ends_that_are_the_models_own_stay_are_counted_and_a_large_share_is_explained(
    person: Person,
) -> None:
    def cut(good: dict[str, Any]) -> None:
        for choice in good["choices"]:
            choice["finish_reason"] = "MAX_TOKENS"
            choice["message"]["content"] = "So it is 0 or"

    person.server.on(
        CHAT, changed(cut), when=lambda body: "What is" in json.dumps(body), forever=True
    )
    config = person.write_config(cells=CELLS[:2], headline=None)
    outcome = person.orchard("run", config)
    assert outcome.code == 0
    for record in person.records():
        assert record["ends"] == {"length": record["samples"]} and not record["error"]
        assert {leaf["answer"] for leaf in record["leaves"]} == {None}
    said = " ".join(outcome.out.split())
    assert "4 samples: 4 cut at max_tokens." in said
    assert "100.0 % of 16 samples were cut at max_tokens: raise `max_tokens` (8192)" in said
    asked = len(person.server.generated())
    assert person.orchard("run", config, "--json").out
    assert len(person.server.generated()) == asked
    shown = person.orchard("show", "runs/run")
    assert "cut at max_tokens: raise" in " ".join(shown.out.split())
    rows = json.loads(person.orchard("show", "runs/run", "--json").out)["rows"]
    assert {row["strategy"]: row["ends"] for row in rows}["majority"] == {"length": 16}
