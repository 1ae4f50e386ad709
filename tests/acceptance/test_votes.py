"""Who answers, where answers are nearly equal, come in another order or were never scored."""

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.acceptance.conftest import Outcome, Person
from tests.integration.counting import Counting, running_beside
from tests.integration.misbehaving import Server


@dataclass(slots=True)
class Answering(Counting):
    """Solutions that state these answers, in this order."""

    answers: tuple[str, ...] = ()

    def _chat(self, body: dict[str, Any]) -> dict[str, Any]:
        answer = Counting._chat(self, body)
        for choice in answer["choices"]:
            stated = self.answers[choice["index"] % len(self.answers)]
            choice["message"]["content"] = f"So it is $\\boxed{{{stated}}}$."
        return answer


@dataclass(frozen=True, slots=True)
class Run:
    person: Person
    outcome: Outcome

    @property
    def record(self) -> dict[str, Any]:
        (found,) = self.person.records()
        return found

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        summary = json.loads((self.person.home / "runs/run/summary.json").read_text())
        return {row["vote"]: row for row in summary["rows"]}


Start = Callable[..., Run]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Start]:
    """Best-of-N on one problem, whose answer is 7, where solutions state ``answers``."""
    with ExitStack() as stack:
        names = itertools.count()

        def start(answers: tuple[str, ...], **sections: Any) -> Run:
            server = stack.enter_context(running_beside(Answering(answers=answers)))
            home = tmp_path / str(next(names))
            home.mkdir()
            person = Person(home, Server())
            person.write(
                "problems.jsonl", json.dumps({"question": "Problem 1: what?", "answer": "7"}) + "\n"
            )
            values = {
                "task": {"path": "problems.jsonl"},
                "policies": {"policy": {"url": server.url, "prompt": "tiny"}},
                "prms": {"prm": {"url": server.url, "family": "qwen_math"}},
                "cells": [
                    {
                        "policy": "policy", "prm": "prm", "strategy": "best_of_n",
                        "n": len(answers), "max_tokens": 64,
                    }
                ],
                **sections,
            }  # fmt: skip
            person.write("run.yaml", yaml.safe_dump(values))
            return Run(person, person.orchard("run", "run.yaml"))

        yield start


@pytest.mark.parametrize(
    "answers", [("7", "7", "7", "7", "3"), ("3", "7", "7"), ("5", "3", "7.0", "7")]
)
def test_where_nothing_was_scored_the_majority_answers_and_the_run_says_so(
    run: Start, answers: tuple[str, ...]
) -> None:
    done = run(answers, problem_budget={"requests": 1})
    verdicts = done.record["verdicts"]
    assert {verdict["correct"] for verdict in verdicts.values()} == {True}
    assert {vote for vote, verdict in verdicts.items() if verdict["by"] == "majority"} == {
        *verdicts
    } - {"majority"}
    assert {vote: row["by_majority"] for vote, row in done.rows.items()}["weighted_last"] == 1
    for said in (done.outcome.out, done.person.orchard("show", "runs/run").out):
        assert "no solution was scored on 1 of 1 problem, and the majority decided" in " ".join(
            said.split()
        )


@pytest.mark.parametrize(
    "answers",
    [("9", "7.0000", "9", "7.0010", "7.0005"), ("9", "7.0005", "7.0010", "9", "7.0000")],
)
def test_near_answers_elect_the_same_in_whatever_order_they_come(
    run: Start, answers: tuple[str, ...]
) -> None:
    """7.0000, 7.0005 and 7.0010 are one answer by the one in the middle."""
    assert run(answers).record["verdicts"]["majority"]["answer"].startswith("7")
