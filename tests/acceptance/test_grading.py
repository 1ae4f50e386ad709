"""Grading as a person meets it: files of references, and answers that no algebra comes to an end
with."""

import json
from typing import Any

from tests.acceptance.conftest import Person
from tests.integration.misbehaving import CHAT, changed

CELLS = [{"policy": "policy", "strategy": "majority", "n": 4}]


def answering(person: Person, *texts: str) -> None:
    """Have the model say these, one after the other."""

    def say(good: dict[str, Any]) -> None:
        for i, choice in enumerate(good["choices"]):
            choice["message"]["content"] = texts[i % len(texts)]

    asks = changed(say)
    person.server.on(CHAT, asks, when=lambda body: "How many" in json.dumps(body), forever=True)


def asking(person: Person, *references: str) -> None:
    rows = [
        {"question": f"How many? ({i})", "answer": reference}
        for i, reference in enumerate(references)
    ]
    person.write("problems.jsonl", "\n".join(map(json.dumps, rows)) + "\n")


def test_references_that_are_whole_solutions_are_read_as_what_they_state(person: Person) -> None:
    asking(
        person,
        "She sold 24 in May.\nIn all 48 + 24 = <<48+24=72>>72.\n#### 72",
        r"Let $x$ be the number. Then $x = 60 + 12 = \boxed{72}$.",
        "72",
    )
    answering(person, r"It is \boxed{72}.")
    outcome = person.orchard("run", person.write_config(cells=CELLS, headline=None))
    assert outcome.code == 0, outcome
    assert all(record["verdicts"]["majority"]["correct"] for record in person.records())


def test_answers_of_another_meaning_do_not_share_a_vote(person: Person) -> None:
    asking(person, "5")
    answering(person, r"\boxed{5t}", r"\boxed{5\text{ dozen}}", r"\boxed{5}", r"\boxed{x=5}")
    outcome = person.orchard("run", person.write_config(cells=CELLS, headline=None))
    assert outcome.code == 0, outcome
    (record,) = person.records()
    assert record["verdicts"]["majority"]["correct"] is True
    assert [leaf["correct"] for leaf in record["leaves"]] == [False, False, True, True]


def test_a_comparison_that_never_ends_is_no_wrong_answer_is_counted_and_shown(
    person: Person,
) -> None:
    asking(person, "x+8")
    answering(person, r"\boxed{9^{9^{9^{9}}}}")
    config = person.write_config(cells=CELLS, headline=None)
    outcome = person.orchard("run", config)
    assert outcome.code == 0, outcome
    (record,) = person.records()
    assert [leaf["correct"] for leaf in record["leaves"]] == [None] * 4
    assert record["verdicts"]["majority"]["correct"] is None
    assert record["undecided"] == 1
    shown = person.orchard("show", "runs/run").out
    for said in (outcome.out, shown):
        assert "neither equal nor different: 1." in " ".join(said.split())
    summary = json.loads(person.orchard("show", "runs/run", "--json").out)
    assert (summary["undecided"], summary["rows"][0]["undecided"]) == (1, 1)


CAPITALS = """
import orchestrator as orchard


class Capitals(orchard.Task):
    instruction = orchard.Instruction(form='after "Answer:"')

    async def extract(self, problem, text):
        _, is_stated, answer = text.rpartition("Answer:")
        return answer.strip() if is_stated else None

    async def same(self, problem, a, b):
        return a.casefold() == b.casefold()
"""


def test_a_task_of_ones_own_words_the_prompts_and_grades_and_a_resumed_run_does_so_again(
    person: Person,
) -> None:
    person.write("own.py", CAPITALS)
    asking(person, "Paris", "Rome")
    answering(
        person, "By the Seine. Answer: PARIS", "Answer: paris", r"It is \\boxed{Rome}", "Rome"
    )
    small = {"policy": {"url": person.server.url, "parameters": 1000, "prompt": "qwen"}}
    sections: dict[str, Any] = {"policies": small, "prms": {}, "cells": CELLS, "headline": None}
    task = {"path": "problems.jsonl", "kind": "own:Capitals"}
    config = person.write_config(task=task | {"problems": 1}, **sections)
    assert person.orchard("run", config).code == 0
    assert person.orchard("resume", "runs/run", "--set", "task.problems=2").code == 0
    paris, rome = sorted(person.records(), key=lambda record: str(record["problem"]))
    assert [leaf["answer"] for leaf in paris["leaves"]] == ["PARIS", "paris", None, None]
    assert (paris["verdicts"]["majority"]["correct"], paris["undecided"]) == (True, 0)
    assert rome["verdicts"]["majority"] == {**rome["verdicts"]["majority"], "correct": False}
    asked = [call.body for call in person.server.seen(CHAT) if "How many" in str(call.body)]
    assert [body["messages"][0]["content"] for body in asked] == [
        'Please reason step by step, and put your final answer after "Answer:".'
    ] * 2
