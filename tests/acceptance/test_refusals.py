"""What a server refuses, or answers badly, of one request ends one branch; the run goes on."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import SEARCH, Person
from tests.integration.misbehaving import CHAT, POOLING, Answer, overflow, status, text

CELLS = [
    {"policy": "policy", "strategy": "majority", "n": 4},
    {"policy": "policy", "prm": "prm", "strategy": "beam_search", **SEARCH},
]


def config(person: Person, **more: Any) -> Path:
    lines = [
        json.dumps({"id": f"p{i}", "question": f"What is {i} + {i}?", "answer": str(i % 3)})
        for i in range(10)
    ]
    person.write("problems.jsonl", "\n".join(lines) + "\n")
    task = {"path": "problems.jsonl", "id": "id"}
    return person.write_config(task=task, cells=CELLS, headline=None, **more)


def asks(number: int, body: dict[str, Any]) -> bool:
    return f"What is {number} + {number}?" in json.dumps(body)


def finishes(person: Person, number: int) -> set[str]:
    """How the leaves of one problem ended."""
    wanted = [record for record in person.records() if record["problem"] == f"p{number}"]
    return {leaf["finish"] for record in wanted for leaf in record["leaves"]}


@pytest.fixture
def asked_for_good(person: Person) -> Iterator[Person]:
    """A run that is done has asked for all that can be had: another start asks for nothing."""
    yield person
    before = len(person.server.generated())
    probes = len([call for call in person.server.generated() if "1 to 20" in str(call.body)])
    assert person.orchard("run", "run.yaml").code == 0
    assert len(person.server.generated()) - before <= probes


@pytest.mark.parametrize(
    ("bad", "finish"),
    [
        (status(400, "I would rather not"), "refused"),
        (status(422, "I would rather not"), "refused"),
        (status(500, "EngineCore encountered an issue"), "refused"),
        (status(400, "litellm.ContentPolicyViolationError: no"), "filtered"),
        (overflow(), "overflow"),
        (status(413, ""), "overflow"),
    ],
)
def test_one_prompt_that_is_refused_ends_its_branches_and_is_not_met_again(
    asked_for_good: Person, bad: Answer, finish: str
) -> None:
    person = asked_for_good
    person.server.on(CHAT, bad, when=lambda body: asks(3, body), forever=True)
    outcome = person.orchard("run", config(person))
    assert outcome.code == 0, outcome
    assert len(person.records()) == 20
    assert finishes(person, 3) == {finish}
    assert finishes(person, 4) == {"stop"}
    tries = [call for call in person.server.seen(CHAT) if asks(3, call.body)]
    assert len(tries) <= 3 * 2  # three for each cell


def test_the_first_prompt_may_be_the_one_that_is_refused(person: Person) -> None:
    bad = status(400, "I would rather not")
    person.server.on(CHAT, bad, when=lambda body: asks(0, body), forever=True)
    outcome = person.orchard("run", config(person, trees=1))
    assert outcome.code == 0, outcome
    assert len(person.records()) == 20


def test_a_server_that_refuses_all_of_a_run_stops_it_with_the_reason(person: Person) -> None:
    bad = status(400, "I would rather not")
    person.server.on(CHAT, bad, when=lambda body: "What is" in str(body), forever=True)
    person.server.on(CHAT, bad, when=lambda body: "Hello" in str(body), forever=True)
    assert "I would rather not" in person.orchard("run", config(person)).complaint


@pytest.mark.parametrize("bad", [status(400, "a text I cannot read"), status(500, "out of luck")])
def test_one_text_that_a_prm_refuses_ends_that_branch(person: Person, bad: Answer) -> None:
    person.server.on(POOLING, bad, when=lambda body: asks(3, body), forever=True)
    outcome = person.orchard("run", config(person))
    assert outcome.code == 0, outcome
    assert len(person.records()) == 20
    assert "refused" in finishes(person, 3)


def test_an_answer_that_is_bad_each_time_says_what_the_provider_said(person: Person) -> None:
    said = {"error": {"message": "Provider returned error", "code": 502, "metadata": {
            "raw": "the upstream model is out of order", "provider_name": "X"}}}  # fmt: skip
    bad = text(json.dumps(said), "application/json")
    person.server.on(CHAT, bad, when=lambda body: asks(3, body), forever=True)
    person.orchard("run", config(person))
    assert "the upstream model is out of order" in person.orchard("show", "runs/run").out
    person.server.rules.clear()
    assert person.orchard("resume", "runs/run").code == 0


def test_problems_that_are_answered_badly_at_once_and_first_do_not_stop_a_run(
    person: Person,
) -> None:
    """Twelve in a row come to nothing long before the first of the others is answered."""
    person.server.delay = 0.5
    person.problems(48)
    bad = text('{"error": {"message": "out of order", "code": 502}}', "application/json")
    odd = range(0, 48, 4)
    person.server.on(
        CHAT, bad, when=lambda body: any(asks(number, body) for number in odd), forever=True
    )
    cells = [{"policy": "policy", "strategy": "majority", "n": 4}]
    person.orchard("run", person.write_config(cells=cells, headline=None))
    errors = [record["error"] for record in person.records()]
    assert len(errors) == 48 and errors.count(None) == 36
    assert len(person.server.seen(CHAT)) < 48 + 12 * 2 + 20  # tries, controls and probes
