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
