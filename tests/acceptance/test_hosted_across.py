"""A local model first and a hosted one for what it cannot do, over the wire, to the cent."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from orchestrator.console.exit_status import ExitStatus
from orchestrator.core.budget import Price
from orchestrator.report.data.wording import dollars
from tests.acceptance.conftest import Person
from tests.integration.misbehaving import CHAT, Server, changed
from tests.integration.misbehaving import running_beside as local_beside
from tests.integration.standin_openai import MODELS, OpenAI, completion, error
from tests.integration.standin_openai import running_beside as openai_beside

MEASURED, ALL = 40, 100
PRICE = Price(input=2.5, cached_input=1.25, output=10.0)
"""Of gpt-4o in configs/prices.yaml."""

SLOW = 0.06
"""Seconds of every answer of the hosted model; the local one answers at once."""


def is_hard(question: str) -> bool:
    """Every fourth problem: the local model's answers differ there, and all are wrong."""
    return int(re.findall(r"What is (\d+)", question)[-1]) % 4 == 3


def reference(question: str) -> str:
    return str(int(re.findall(r"What is (\d+)", question)[-1]) % 7)


@dataclass(frozen=True, slots=True)
class Served:
    """A person beside a local model and a hosted one, with what the hosted one billed."""

    person: Person
    hosted: OpenAI

    @property
    def billed(self) -> float:
        """USD, by the hosted model's own count of tokens."""
        return sum(
            PRICE.cost(
                prompt_tokens=usage["prompt_tokens"],
                cached_tokens=usage["prompt_tokens_details"]["cached_tokens"],  # type: ignore[index]
                written_tokens=usage["completion_tokens"],
            )
            for usage in self.hosted.paid
        )

    def config(self, name: str, **sections: Any) -> Path:
        values = {
            "task": {"path": "problems.jsonl", "problems": MEASURED},
            "policies": {
                "local": {"url": self.person.server.url, "prompt": "tiny", "parameters": 1000},
                "gpt-4o": {
                    "url": f"{self.hosted.url}/v1", "api": "openai", "api_key_env": "HOSTED_KEY",
                },
            },
            "cells": [
                {"policy": ["local", "gpt-4o"], "strategy": "majority", "n": 8, "max_tokens": 400}
            ],
            "trees": 8,
            **sections,
        }  # fmt: skip
        return self.person.write(name, yaml.safe_dump(values, sort_keys=False))


@contextmanager
def served(home: Path) -> Iterator[Served]:
    local, hosted = Server(models=("local",)), OpenAI(delay=SLOW)

    def solved(good: Any, question: str, logprobs: bool) -> None:
        for choice in good["choices"]:
            text = choice["message"]["content"]
            mark = re.search(r"by (\d+)", text)[1]  # type: ignore[index]
            answer = f"{mark}" if is_hard(question) else reference(question)
            choice["message"]["content"] = re.sub(r"boxed\{\d+\}", f"boxed{{{answer}}}", text)
            if logprobs:
                logprob = -1.5 if is_hard(question) else -0.1
                tokens = [{"token": "x", "logprob": logprob - 0.01 * (int(mark) % 7)}] * 5
                choice["logprobs"] = {"content": tokens}

    async def by_difficulty(request: web.Request, good: Any) -> web.StreamResponse:
        body = await request.json()
        question, logprobs = json.dumps(body["messages"]), bool(body.get("logprobs"))
        return await changed(lambda answer: solved(answer, question, logprobs))(request, good)

    def right(body: dict[str, Any]) -> web.Response | None:
        if "logprobs" in body:
            said = "Unsupported parameter: 'logprobs' is not supported with this model."
            return error(400, said, code="unsupported_parameter", param="logprobs")
        answer = completion(body, MODELS["gpt-4o"])
        question = json.dumps(body["messages"])
        if "What is" not in question:
            return None
        for choice in answer["choices"]:
            message = choice["message"]
            message["content"] = re.sub(
                r"boxed\{\d+\}", f"boxed{{{reference(question)}}}", message["content"]
            )
        hosted.paid.append(answer["usage"])
        return web.json_response(answer)

    local.on(CHAT, by_difficulty, when=lambda body: "What is" in json.dumps(body), forever=True)
    hosted.instead = right
    with local_beside(local), openai_beside(hosted):
        person = Person(home, local, {"HOSTED_KEY": hosted.key})
        lines = [
            json.dumps({"question": (asked := f"What is {i} today?"), "answer": reference(asked)})
            for i in range(100, 100 + ALL)
        ]
        person.write("problems.jsonl", "\n".join(lines) + "\n")
        yield Served(person, hosted)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """With a profile across both models."""
    with served(tmp_path_factory.mktemp("hosted")) as found:
        found.config("run.yaml")
        outcome = found.person.orchard("profile", "run.yaml")
        assert outcome.code == 0, outcome
        found.person.write("said.txt", outcome.out + outcome.err)
        yield found


@pytest.fixture
def fresh(measured: Served) -> Served:
    """With nothing billed yet."""
    measured.hosted.paid.clear()
    measured.hosted.calls.clear()
    measured.person.server.calls.clear()
    return measured


def across(served: Served) -> dict[str, Any]:
    path = served.person.home / "runs/run-profile/profiles/problems-across.yaml"
    return yaml.safe_load(path.read_text())  # type: ignore[no-any-return]


def advised(served: Served, *goal: str) -> tuple[dict[str, Any], Path]:
    """What is advised, and the config of it."""
    out = Path(f"advised{goal[0]}{goal[1]}.yaml")
    told = served.person.orchard("advise", "runs/run-profile", *goal, "--json", "--out", out)
    assert told.code == 0, told
    return json.loads(told.out), out


def asked_hosted(served: Served) -> list[str]:
    """The questions that were sent to the hosted model, beside its probes."""
    bodies = [json.dumps(call.body.get("messages")) for call in served.hosted.calls]
    return [each for each in bodies if "What is" in each]


def summary(served: Served, run: str) -> dict[str, Any]:
    path = served.person.home / "runs" / run / "summary.json"
    return json.loads(path.read_text())  # type: ignore[no-any-return]


def test_the_profile_has_a_front_in_dollars_and_in_seconds_of_each_model_s_own_endpoint(
    measured: Served,
) -> None:
    profile = across(measured)
    assert list(profile["fronts"]) == ["cost", "seconds"]
    assert [each["name"] for each in profile["policies"]] == ["local", "gpt-4o"]
    cheapest, dearest = profile["fronts"]["cost"][0], profile["fronts"]["cost"][-1]
    assert (cheapest["came"]["cost"], cheapest["answers"]) == (0, {"local": 1.0})
    assert dearest["came"]["accuracy"] > cheapest["came"]["accuracy"]
    alone = {(each["policy"], each["strategy"]): each["came"] for each in profile["alone"]}
    local, hosted = (alone[policy, "the greedy answer"] for policy in ("local", "gpt-4o"))
    assert (local["cost"], local["accuracy"]) == (0, 0.75)
    assert hosted["accuracy"] == 1 and hosted["seconds"] > SLOW / 2
    assert local["seconds"] < hosted["seconds"]
    records = measured.person.records("runs/run-profile")
    greedy = [each for each in records if (each["policy"], each["n"]) == ("gpt-4o", 1)]
    assert sum(each["cached_tokens"] for each in greedy) > 0
    uncached = sum(
        PRICE.cost(
            prompt_tokens=each["prompt_tokens"],
            cached_tokens=0,  # as a run finds it that asks the model for the first time
            written_tokens=each["policy_tokens"],
        )
        for each in greedy
    )
    assert hosted["cost"] == pytest.approx(uncached / MEASURED)


def test_the_local_model_answers_what_it_can_and_the_hosted_one_is_paid_for_the_rest(
    fresh: Served,
) -> None:
    told, config = advised(fresh, "--cost", "1")
    assert told["sentence"].startswith("Serve local and gpt-4o, and look at")
    run = fresh.person.orchard("run", config, "--out", "runs/whole", "--set", "task.problems=null")
    assert run.code == 0, run
    records = fresh.person.records("runs/whole")
    assert len(records) == ALL - MEASURED
    handed = {each["problem"] for each in records if each["route"]["policy"] == "gpt-4o"}
    assert len(handed) == len(asked_hosted(fresh)) == (ALL - MEASURED) / 4
    assert all(is_hard(each) for each in asked_hosted(fresh))
    assert all(each["verdicts"]["auto"]["correct"] for each in records)
    for each in records:
        hosted = each["models"]["gpt-4o"]
        is_handed = each["problem"] in handed
        assert (hosted["cost"] > 0) == (hosted["seconds"] > SLOW / 2) == is_handed
        assert each["models"]["local"]["cost"] == 0
        assert each["cost"] == hosted["cost"]
    assert sum(each["models"]["local"]["seconds"] for each in records) > 0


def test_records_show_and_the_ledger_tell_the_dollars_that_were_billed(fresh: Served) -> None:
    _, config = advised(fresh, "--accuracy", "0.9")
    run = fresh.person.orchard("run", config, "--out", "runs/billed")
    assert run.code == 0, run
    spent = sum(each["cost"] for each in fresh.person.records("runs/billed"))
    probes = summary(fresh, "billed")["probes_cost"]
    assert spent + probes == pytest.approx(fresh.billed, abs=1e-5)
    (row,) = summary(fresh, "billed")["rows"]
    assert row["cost"] == pytest.approx(spent)
    (route,) = summary(fresh, "billed")["routes"]
    each = spent / row["problems"]
    assert route["models"]["gpt-4o"]["cost"] == pytest.approx(each, rel=1e-4)
    assert route["models"]["local"]["cost"] == 0
    ledger = fresh.person.orchard("show", "runs/billed", "--ledger").out
    assert f"Cost in all: {dollars(spent)}." in ledger
    (line,) = [line for line in ledger.splitlines() if line.startswith("auto")]
    assert line.split()[-1] == dollars(spent / row["problems"]).removeprefix("$")
    assert f"Cost of probing the endpoints, which is no cell's: {dollars(probes)}." in ledger
    shown = " ".join(fresh.person.orchard("show", "runs/billed").out.split())
    assert f"{dollars(each)}, " in shown.split("gpt-4o: ")[1]


def test_a_cap_on_money_ends_the_run_in_one_line_and_a_larger_one_goes_on_from_what_was_paid(
    fresh: Served,
) -> None:
    _, config = advised(fresh, "--cost", "1")
    begin = ("run", config, "--out", "runs/capped", "--set", "task.problems=null")
    stopped = fresh.person.orchard(*begin, "--max-cost", "0.002")
    assert stopped.code == ExitStatus.UNFINISHED, stopped
    said = [line for line in stopped.out.splitlines() if "Stopped early" in line]
    assert len(said) == 1 and "the run budget of $0.002 is used up" in said[0]
    assert 0.0015 < fresh.billed <= 0.002
    kept = {json.dumps(each["problem"]): each for each in fresh.person.records("runs/capped")}
    first = asked_hosted(fresh)
    assert len(kept) > len(first) > 0
    resumed = fresh.person.orchard("resume", "runs/capped", "--max-cost", "1")
    assert resumed.code == 0, resumed
    every = asked_hosted(fresh)
    assert len(every) == len(set(every)) == (ALL - MEASURED) / 4
    records = fresh.person.records("runs/capped")
    assert {each["problem"] for each in records} == {
        f"problems/{number}" for number in range(MEASURED + 1, ALL + 1)
    }
    spent = sum(each["cost"] for each in records)
    probes = summary(fresh, "capped")["probes_cost"]
    assert spent + probes == pytest.approx(fresh.billed, abs=1e-5)


def test_a_plan_for_nothing_asks_the_local_model_alone(fresh: Served) -> None:
    told, config = advised(fresh, "--cost", "0")
    assert told["sentence"].startswith("Serve local, ") and told["budget"] == 0
    run = fresh.person.orchard("run", config, "--out", "runs/free")
    assert run.code == 0, run
    assert not fresh.hosted.calls
    assert sum(each["cost"] for each in fresh.person.records("runs/free")) == 0


def test_a_profile_capped_in_money_says_how_to_go_on_and_pays_for_nothing_twice(
    fresh: Served,
) -> None:
    fresh.config("capped.yaml")
    stopped = fresh.person.orchard("profile", "capped.yaml", "--max-cost", "0.02")
    assert stopped.code == ExitStatus.UNFINISHED, stopped
    said = " ".join((stopped.out + stopped.err).split())
    assert "Stopped early: the run budget of $0.02 is used up; the profile is of what is" in said
    assert "orchard resume runs/capped-profile --set budget.cost=…" in said
    assert fresh.billed == pytest.approx(0.02, rel=0.05)
    goes_on = ("resume", "runs/capped-profile", "--set", "budget.cost=1")
    assert fresh.person.orchard(*goes_on).code == 0
    bodies = [json.dumps(call.body) for call in fresh.hosted.calls]
    asked = [each for each in bodies if "What is" in each]
    assert len(asked) == len(set(asked)) == 2 * MEASURED
    assert not any("logprobs" in each for each in asked)  # the hosted model refuses them


def test_the_key_is_in_no_file_and_in_nothing_said(measured: Served) -> None:
    key = measured.hosted.key.encode()
    found = [path for path in measured.person.home.rglob("*") if path.is_file()]
    assert any(path.name == "journal.sqlite" for path in found)
    assert not [path for path in found if key in path.read_bytes()]
    person = replace(measured.person, environment={"HOSTED_KEY": "sk-withdrawn-9876543210"})
    _, config = advised(measured, "--cost", "1")
    complaint = person.orchard("run", config, "--out", "runs/withdrawn").complaint
    assert "gpt-4o" in complaint and "sk-withdrawn" not in complaint
