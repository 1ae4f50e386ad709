"""Hosted models as a person meets them: beside a local PRM, paid by the token."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from orchestrator.config.prices import read_prices
from orchestrator.config.reading import shipped_config
from orchestrator.console.exit_status import ExitStatus
from orchestrator.core.budget import Price
from orchestrator.report.data.wording import dollars
from tests.acceptance.conftest import SEARCH, Outcome, Person
from tests.integration.misbehaving import running_beside
from tests.integration.standin_openai import MODELS, OpenAI, completion
from tests.integration.standin_openai import running_beside as openai_beside

WHOLE = [
    {"policy": ["gpt-4o", "o4-mini"], "strategy": "cot", "max_tokens": 400},
    {"policy": "gpt-4o", "strategy": "majority", "n": 4, "max_tokens": 400},
    {"policy": "o4-mini", "prm": "prm", "strategy": "best_of_n", "n": 4, "max_tokens": 400},
]

PROBED_ALIKE = ("--set", "policies.o4-mini.price=gpt-4o")
"""What no cell asks is probed too, and then at the same price."""


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
    begin = ("run", config, "--set", "trees=8", *PROBED_ALIKE)
    stopped = person.orchard(*begin, "--max-cost", "0.01")
    assert stopped.code == ExitStatus.UNFINISHED
    assert "Stopped early: the run budget of $0.01 is used up" in stopped.out + stopped.err
    assert 0.009 < paid(openai.paid, price) < 0.0105
    finished = succeeded(person.orchard("run", config, "--max-cost", "1", "--json"))
    assert json.loads(finished.out)["rows"][0]["problems"] == 60
    assert openai.answered == 60 + 8  # two probes of two models, twice


def test_probes_are_on_the_bill_at_every_start_and_none_is_sent_where_it_is_used_up(
    person: Person, openai: OpenAI
) -> None:
    config = write(person, openai, [{"policy": "gpt-4o", "strategy": "cot", "max_tokens": 400}])
    price = read_prices(shipped_config("prices.yaml")).of("gpt-4o")
    assert price is not None
    succeeded(person.orchard("run", config, *PROBED_ALIKE))
    once = paid(openai.paid[:4], price)
    assert summary(person)["probes_cost"] == pytest.approx(once, abs=1e-4)
    used = summary(person)["rows"][0]["cost"]
    person.problems(8)
    more = ("resume", "runs/run", *PROBED_ALIKE)
    succeeded(person.orchard(*more))
    assert summary(person)["probes_cost"] == pytest.approx(2 * once, abs=1e-4)
    shown = succeeded(person.orchard("show", "runs/run", "--ledger")).out
    assert f"Cost of probing the endpoints, which is no cell's: {dollars(2 * once)}." in shown
    person.problems(12)
    asked = len(openai.paid)
    stopped = person.orchard(*more, "--max-cost", str(2 * used + once))
    assert stopped.code == ExitStatus.UNFINISHED
    assert "Stopped early: the run budget of" in stopped.out
    assert len(openai.paid) == asked


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
        ({"url": "{}/v1/v1"}, "/v1 stands in it twice; write the URL up to the first /v1"),
        ({"url": "{}/v1/chat/completions"}, "/v1 stands in it twice"),
        ({"url": "{}/v1?api-version=1"}, "write a URL without user, password or ?query"),
    ],
)
def test_each_mistake_is_one_line(
    person: Person, openai: OpenAI, policy: dict[str, Any], says: str
) -> None:
    person.environment["WRONG_KEY"] = "sk-wrong"
    if "url" in policy:
        policy = {**policy, "url": policy["url"].format(openai.url)}
    config = write(person, openai, WHOLE, **policy)
    assert says in person.orchard("run", config).complaint


def test_a_model_that_is_not_served_is_named_also_where_the_api_lists_none(
    person: Person, openai: OpenAI
) -> None:
    openai.lists = False
    complaint = person.orchard("run", write(person, openai, WHOLE, model="gpt-5o")).complaint
    assert "does not serve the model 'gpt-5o': The model `gpt-5o` does not exist" in complaint
    succeeded(person.orchard("run", write(person, openai, WHOLE[:1]), "--out", "runs/unlisted"))


@pytest.mark.parametrize("code", [200, 403, 502])
def test_a_proxy_that_answers_a_page_is_named(person: Person, openai: OpenAI, code: int) -> None:
    page = "<!DOCTYPE html><html><body>Please log in</body></html>"
    openai.instead = lambda body: web.Response(text=page, content_type="text/html", status=code)
    complaint = person.orchard("run", write(person, openai, WHOLE)).complaint
    assert "an HTML page, not the API" in complaint and "Please log in" not in complaint


@pytest.mark.parametrize(
    "changes",
    [
        {"api_version": "latest"},
        {"url": "{}/openai/deployments/mine"},
        {"url": "{}/openai/v1"},
        {"model": "another"},
    ],
)
def test_what_is_wrong_with_azure_is_named(person: Person, changes: dict[str, str]) -> None:
    with openai_beside(OpenAI(deployments={"mine": "gpt-4o"})) as azure:
        settings = {"api": "azure", "api_version": "2025-03-01-preview", "model": "mine"} | changes
        settings["url"] = settings.get("url", "{}").format(azure.url)
        complaint = person.orchard("run", write(person, azure, WHOLE, **settings)).complaint
    wanted = "has no deployment 'another'" if "model" in changes else "is `api_version` one that"
    assert wanted in complaint


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("models: {gpt-4o: {inptu: 1, output: 1}}", "models.gpt-4o: unknown key 'inptu'"),
        ("models: {gpt-4o: {input: cheap, output: 1}}", "models.gpt-4o.input: Input should be a"),
        ("models: {gpt-4o: {input: -1, output: 1}}", "greater than or equal to 0"),
        ("models: {gpt-4o: {input: 1}}", "models.gpt-4o.output: it is required"),
        ("model: {}", 'did you mean "models"?'),
        ("models: [", "is not YAML"),
    ],
)
def test_a_mistake_in_a_table_of_prices_is_named(
    person: Person, openai: OpenAI, table: str, says: str
) -> None:
    person.write("mine.yaml", f"as_of: 2026-01-01\n{table}\n")
    complaint = person.orchard("run", write(person, openai, WHOLE), "--prices=mine.yaml").complaint
    assert "mine.yaml" in complaint and says in complaint
    assert not openai.calls


@pytest.mark.parametrize("cost", ["0", "-1", "nan", "inf"])
def test_a_limit_that_is_none_is_refused(person: Person, openai: OpenAI, cost: str) -> None:
    config = write(person, openai, WHOLE)
    complaint = person.orchard("run", config, f"--max-cost={cost}").complaint
    assert "budget.cost: Input should be" in complaint and not openai.calls


def test_a_cost_that_could_not_be_bounded_is_refused(person: Person, openai: OpenAI) -> None:
    config = write(person, openai, WHOLE, model="gpt-5o")
    complaint = person.orchard("run", config, "--max-cost", "5").complaint
    assert "a limit of the cost cannot be kept: gpt-4o has no price" in complaint


def test_another_model_that_answers_is_recorded_and_shown_and_a_release_is_not_one(
    person: Person, openai: OpenAI
) -> None:
    def fall_back(body: dict[str, Any]) -> web.Response | None:
        asked = json.dumps(body["messages"])
        if not any(f"What is {i} + {i}" in asked for i in (1, 2)):
            return None  # as gpt-4o-2024-08-06
        answer = completion(body, MODELS["gpt-4o"]) | {"model": "openai/gpt-4o-mini"}
        openai.paid.append(answer["usage"])
        return web.json_response(answer)

    openai.instead = fall_back
    cells = [{"policy": "gpt-4o", "strategy": "majority", "n": 4, "max_tokens": 400}]
    outcome = succeeded(person.orchard("run", write(person, openai, cells)))
    found = {each["problem"]: each["other_models"] for each in person.records()}
    assert sorted(map(str, found.values())) == sorted(
        map(str, [{}, {}, {"openai/gpt-4o-mini": 4}, {"openai/gpt-4o-mini": 4}])
    )
    (row,) = summary(person)["rows"]
    assert (row["samples"], row["other_models"]) == (16, {"openai/gpt-4o-mini": 8})
    for said in (outcome.out, person.orchard("show", "runs/run").out):
        told = " ".join(said.split())
        assert "16 samples: 8 answered by openai/gpt-4o-mini." in told
        assert "50.0 % of 16 samples were answered by openai/gpt-4o-mini where gpt-4o was" in told
