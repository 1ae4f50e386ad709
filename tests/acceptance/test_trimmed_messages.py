"""Chat templates that trim the open message, and servers that refuse one ending in white space."""

from pathlib import Path

import pytest
import yaml

from tests.acceptance.conftest import SEARCH, Person
from tests.integration.trimming import DEPTH, KEEPING, Server, running_beside

CELLS = [
    {"policy": "policy", "prm": "prm", "strategy": "beam_search", **SEARCH},
    {"policy": "policy", "strategy": "majority", "n": 2, "max_tokens": 400},
]


def begin(home: Path, server: Server, *cells: object, **policy: object) -> Person:
    person = Person(home, server)  # type: ignore[arg-type]
    values = {
        "task": {"path": str(person.problems())},
        "policies": {"policy": {"url": server.url, "prompt": "llama3", **policy}},
        "prms": {"prm": {"url": server.url, "family": "qwen_math"}},
        "cells": list(cells or CELLS),
    }
    person.write("run.yaml", yaml.safe_dump(values))
    return person


def leaves_are_whole(person: Person) -> bool:
    searched = [r for r in person.records() if r["strategy"] == "beam_search"]
    steps = [leaf["steps"] for record in searched for leaf in record["leaves"]]
    return bool(steps) and all(len(each) == DEPTH for each in steps)


@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.parametrize("refuses", [False, True])
@pytest.mark.parametrize("policy", [{}, {"continuation": "chat"}])
def test_the_lost_blank_line_is_put_back_where_the_server_renders_messages(
    tmp_path: Path, counts: bool, refuses: bool, policy: dict[str, str]
) -> None:
    with running_beside(Server(counts=counts, refuses=refuses)) as server:
        person = begin(tmp_path, server, **policy)
        assert person.orchard("check", "run.yaml").code == 0
        outcome = person.orchard("run", "run.yaml")
    assert outcome.code == 0, outcome
    assert leaves_are_whole(person)
    sent = [body["prompt"] for path, body in server.calls if path == "/v1/completions"][-1]
    assert "".join(map(chr, sent)).endswith(".\n\n")


@pytest.mark.parametrize("several", [True, False])
@pytest.mark.parametrize("refuses", [False, True])
def test_over_chat_alone_the_model_is_led_past_the_lost_blank_line(
    tmp_path: Path, refuses: bool, several: bool
) -> None:
    with running_beside(Server(renders=False, refuses=refuses, several=several)) as server:
        person = begin(tmp_path, server)
        checked = person.orchard("check", "run.yaml")
        assert checked.code == 0 and "each step takes two requests" in checked.out
        outcome = person.orchard("run", "run.yaml")
    assert outcome.code == 0, outcome
    assert leaves_are_whole(person)


def test_a_template_that_keeps_the_blank_line_is_gone_on_with_over_chat(tmp_path: Path) -> None:
    with running_beside(Server(template=KEEPING)) as server:
        person = begin(tmp_path, server)
        outcome = person.orchard("run", "run.yaml")
    assert outcome.code == 0, outcome
    assert leaves_are_whole(person)
    assert "/tokenize" not in [path for path, _ in server.calls]
