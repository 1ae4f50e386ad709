"""Samples that are copies of one: asked for one by one, and labelled where that is in vain."""

from typing import Any

from tests.acceptance.conftest import Person
from tests.integration.misbehaving import CHAT, changed

CELLS = [{"policy": "policy", "strategy": "majority", "n": 4, "max_tokens": 400}]


def copied(good: Any) -> None:
    first = good["choices"][0]
    good["choices"] = [{**first, "index": i} for i in range(len(good["choices"]))]


def alike(good: Any) -> None:
    for choice in good["choices"]:
        choice["message"]["content"] = r"The answer is $\boxed{1}$."


def answers(person: Person) -> list[set[str]]:
    return [{"".join(leaf["steps"]) for leaf in record["leaves"]} for record in person.records()]


def test_samples_that_are_copies_are_asked_for_one_by_one_with_seeds_of_their_own(
    person: Person,
) -> None:
    person.server.on(CHAT, changed(copied), forever=True)
    config = person.write_config(cells=CELLS, headline=None)
    assert "cannot   n samples a request" in person.orchard("check", config).out
    outcome = person.orchard("run", config)
    assert outcome.code == 0, outcome
    assert all(len(texts) > 1 for texts in answers(person))
    assert all(record["emulated"] == ["n"] for record in person.records())
    assert "several samples, by separate requests" in " ".join(outcome.out.split())


def test_samples_that_are_all_the_same_are_called_so(person: Person) -> None:
    person.server.on(CHAT, changed(alike), forever=True)
    config = person.write_config(cells=CELLS, headline=None)
    assert "samples that differ" in person.orchard("check", config).out
    outcome = person.orchard("run", config)
    assert outcome.code == 0, outcome
    assert all(record["emulated"] == ["samples"] for record in person.records())
    assert "copies of one (it ignores seed and temperature)" in " ".join(outcome.out.split())


def test_one_sample_a_problem_needs_no_label(person: Person) -> None:
    person.server.on(CHAT, changed(alike), forever=True)
    cells = [{"policy": "policy", "strategy": "cot", "max_tokens": 400}]
    outcome = person.orchard("run", person.write_config(cells=cells, headline=None))
    assert outcome.code == 0 and "copies of one" not in outcome.out
