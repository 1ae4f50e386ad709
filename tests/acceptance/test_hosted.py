"""Hosted models as a person meets them: beside a local PRM, paid by the token."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.compose import shipped_config
from orchestrator.core.budget import Price
from orchestrator.prices import read_prices
from tests.acceptance.conftest import SEARCH, Outcome, Person
from tests.integration.misbehaving import running_beside
from tests.integration.standin_openai import OpenAI
from tests.integration.standin_openai import running_beside as openai_beside

WHOLE = [
    {"policy": ["gpt-4o", "o4-mini"], "strategy": "cot", "max_tokens": 400},
    {"policy": "gpt-4o", "strategy": "majority", "n": 4, "max_tokens": 400},
    {"policy": "o4-mini", "prm": "prm", "strategy": "best_of_n", "n": 4, "max_tokens": 400},
]


@pytest.fixture
def openai() -> Iterator[OpenAI]:
    with openai_beside() as server:
        yield server


@pytest.fixture
def person(tmp_path: Path, openai: OpenAI) -> Iterator[Person]:
    with running_beside() as local:
        yield Person(tmp_path, local, {"HOSTED_KEY": openai.key})


def write(person: Person, openai: OpenAI, cells: list[Any], **policy: Any) -> Path:
    hosted = {"url": f"{openai.url}/v1", "api": "openai", "api_key_env": "HOSTED_KEY"} | policy
    values = {
        "task": {"path": str(person.problems()), "question": "question", "answer": "answer"},
        "policies": {"gpt-4o": hosted, "o4-mini": hosted},
        "prms": {"prm": {"url": person.server.url, "family": "qwen_math"}},
        "cells": cells,
    }
    return person.write("run.yaml", yaml.safe_dump(values))


def paid(usages: Sequence[dict[str, Any]], price: Price) -> float:
    return sum(
        price.cost(
            prompt_tokens=usage["prompt_tokens"],
            cached_tokens=usage["prompt_tokens_details"]["cached_tokens"],
            written_tokens=usage["completion_tokens"],
        )
        for usage in usages
    )


def summary(person: Person) -> dict[str, Any]:
    return json.loads((person.home / "runs/run/summary.json").read_text())  # type: ignore[no-any-return]


def succeeded(outcome: Outcome) -> Outcome:
    assert outcome.code == 0, outcome
    return outcome


def test_whole_solutions_of_hosted_models_with_their_costs_and_what_stood_in(
    person: Person, openai: OpenAI
) -> None:
    outcome = succeeded(person.orchard("run", write(person, openai, WHOLE)))
    rows = {(row["policy"], row["strategy"]): row for row in summary(person)["rows"]}
    assert len(rows) == 4 and all(row["cost"] > 0 for row in rows.values())
    assert rows["o4-mini", "best_of_n"]["emulated"] == ["n"]
    assert rows["o4-mini", "cot"]["emulated"] == rows["gpt-4o", "majority"]["emulated"] == []
    assert rows["o4-mini", "cot"]["refused"] == ["temperature", "top_p"]
    assert "cost" in outcome.out and "Tokens and costs are means per problem." in outcome.out
    for note in (
        "Emulated for o4-mini, whose API lacks it: several samples, by separate requests.",
        "o4-mini does not take, and ran without: temperature, top_p.",
    ):
        assert note in " ".join(outcome.out.split())
    shown = succeeded(person.orchard("show", "runs/run"))
    assert "whose API lacks it" in shown.out and "cost" in shown.out
    for path in (person.home / "runs").rglob("*"):
        assert not path.is_file() or openai.key.encode() not in path.read_bytes(), path
    assert openai.key not in outcome.out + outcome.err


def test_a_search_step_by_step_has_to_be_asked_for_and_says_so_everywhere(
    person: Person, openai: OpenAI
) -> None:
    cells = [{"policy": "gpt-4o", "prm": "prm", "strategy": "beam_search", **SEARCH}]
    complaint = person.orchard("run", write(person, openai, cells)).complaint
    assert "gpt-4o is hosted and cannot go on with a solution" in complaint
    assert "`continuation: instructed`" in complaint
    config = write(person, openai, cells, continuation="instructed")
    outcome = succeeded(person.orchard("run", config, "--out", "runs/run"))
    assert "Emulated for gpt-4o" in outcome.out
    lines = (person.home / "runs/run/records.jsonl").read_text().splitlines()
    for record in map(json.loads, lines):
        assert record["emulated"] == ["continuation"] and record["cost"] > 0
        assert all(len(leaf["steps"]) == 3 for leaf in record["leaves"])


def test_max_cost_stops_cleanly_and_the_run_goes_on_with_more(
    person: Person, openai: OpenAI
) -> None:
    config = write(
        person, openai, [{"policy": "gpt-4o", "strategy": "cot", "max_tokens": 400}],
    )  # fmt: skip
    person.problems(60)
    price = read_prices(shipped_config("prices.yaml")).of("gpt-4o")
    assert price is not None
    stopped = succeeded(person.orchard("run", config, "--max-cost", "0.01", "--set", "trees=8"))
    assert "Stopped early: the run budget of $0.01 is used up" in stopped.out + stopped.err
    assert 0.009 < paid(openai.paid[4:], price) < 0.0105  # the first are the probes'
    finished = succeeded(person.orchard("run", config, "--max-cost", "1", "--json"))
    assert json.loads(finished.out)["rows"][0]["problems"] == 60
    assert openai.answered == 60 + 8  # two probes of two models, twice


def test_check_says_what_a_hosted_model_can_do_and_costs(person: Person, openai: OpenAI) -> None:
    outcome = succeeded(person.orchard("check", write(person, openai, WHOLE)))
    assert "$2.5 a million tokens in ($1.25 cached), $10 out" in outcome.out
    assert "emulated several samples, by separate requests" in outcome.out
    assert "refuses  stop, temperature, top_p: it is asked without" in outcome.out
    person.write("mine.yaml", "as_of: 2026-01-01\nmodels: {}\n")
    unknown = succeeded(person.orchard("check", "run.yaml", "--set", "prices=mine.yaml"))
    assert "unknown, so its cost counts as 0" in unknown.out


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        ({"api": "azure"}, "needs the `api_version` of its deployment"),
        ({"model": "gpt-5o"}, "does not serve the model 'gpt-5o'; did you mean 'gpt-4o'"),
        ({"api_key_env": "WRONG_KEY"}, "refuses the API key"),
        ({"api_key_env": "UNSET_KEY"}, "needs its API key: set $UNSET_KEY"),
        ({"model": "gpt-5o", "price": "o1-mega"}, "gpt-4o: no price is named 'o1-mega'"),
    ],
)
def test_each_mistake_is_one_line(
    person: Person, openai: OpenAI, policy: dict[str, Any], says: str
) -> None:
    person.environment["WRONG_KEY"] = "sk-wrong"
    config = write(person, openai, WHOLE, **policy)
    assert says in person.orchard("run", config).complaint


def test_a_cost_that_could_not_be_bounded_is_refused(person: Person, openai: OpenAI) -> None:
    config = write(person, openai, WHOLE, model="gpt-5o")
    complaint = person.orchard("run", config, "--max-cost", "5").complaint
    assert "a limit of the cost cannot be kept: gpt-4o has no price" in complaint
