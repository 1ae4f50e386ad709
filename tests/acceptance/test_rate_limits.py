"""A provider's rate limit, as a person meets it."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from orchestrator.console.exit_status import ExitStatus
from tests.acceptance.conftest import Person
from tests.integration.misbehaving import running_beside
from tests.integration.standin_openai import OpenAI, error
from tests.integration.standin_openai import running_beside as openai_beside

DAILY = (
    "Rate limit reached for gpt-4o on requests per day (RPD): Limit 200, Used 200, Requested 1. "
    "Please try again in 7h12m."
)
GOOGLES = {
    "error": {
        "code": 429,
        "message": "You exceeded your current quota.",
        "status": "RESOURCE_EXHAUSTED",
        "details": [
            {"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]},
            {"retryDelay": "1s"},
        ],
    }
}


def daily() -> web.Response:
    return error(429, DAILY, code="rate_limit_exceeded", headers={"Retry-After": "25920"})


def openrouters() -> web.Response:
    reset = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": f"{time.time() * 1e3 + 9e6:.0f}"}
    said = "Rate limit exceeded: free-models-per-day"
    return web.json_response(
        {"error": {"message": said, "metadata": {"headers": reset}}}, status=429
    )


def googles() -> web.Response:
    return web.json_response([GOOGLES], status=429)


class Quota:
    """Lets so many requests through, and says then that there are no more."""

    def __init__(self, requests: int, answer: Any) -> None:
        self.left, self.answer, self.refused = requests, answer, 0

    def __call__(self, body: dict[str, Any]) -> web.Response | None:
        if self.left > 0:
            self.left -= 1
            return None
        self.refused += 1
        return self.answer()  # type: ignore[no-any-return]


@pytest.fixture
def openai() -> Iterator[OpenAI]:
    with openai_beside() as server:
        yield server


@pytest.fixture
def person(tmp_path: Path, openai: OpenAI) -> Iterator[Person]:
    with running_beside() as local:
        yield Person(tmp_path, local, {"HOSTED_KEY": openai.key})


def write(person: Person, openai: OpenAI, **policy: Any) -> Path:
    hosted = {"url": f"{openai.url}/v1", "api": "openai", "api_key_env": "HOSTED_KEY"} | policy
    values = {
        "task": {"path": str(person.problems(30))},
        "policies": {"gpt-4o": hosted},
        "cells": [{"policy": "gpt-4o", "strategy": "majority", "n": 4, "max_tokens": 400}],
    }
    return person.write("run.yaml", yaml.safe_dump(values))


@pytest.mark.parametrize("answer", [daily, openrouters, googles])
def test_a_daily_limit_stops_the_run_at_once_and_the_rest_is_done_when_it_is_over(
    person: Person, openai: OpenAI, answer: Any
) -> None:
    config = write(person, openai)
    openai.instead = quota = Quota(20, answer)
    began = time.monotonic()
    outcome = person.orchard("run", config)
    assert time.monotonic() - began < 30.0
    assert outcome.code == ExitStatus.UNFINISHED
    said = " ".join((outcome.out + outcome.err).split())
    assert (
        "Stopped: gpt-4o: " in said and "a rate limit (" in said and "per day) that ends in" in said
    )
    assert "go on then with: orchard resume runs/run" in said
    assert "down" not in said and "Traceback" not in said
    assert quota.refused <= 64  # those that were under way, once each
    records = person.records()
    assert {each["failed_branches"] for each in records} == {0}
    paid = len(openai.paid)

    openai.instead = None
    assert person.orchard("resume", "runs/run").code == ExitStatus.FINISHED
    summary = json.loads((person.home / "runs/run/summary.json").read_text())
    assert summary["rows"][0]["problems"] == 30
    assert len(openai.paid) - paid <= 30 + 12  # none of those that were answered is asked again


def test_a_run_that_meets_the_limit_in_its_first_request_says_so_in_the_same_words(
    person: Person, openai: OpenAI
) -> None:
    config = write(person, openai)
    openai.instead = Quota(0, daily)
    outcome = person.orchard("run", config)
    assert outcome.code == ExitStatus.UNFINISHED
    said = " ".join((outcome.out + outcome.err).split())
    assert "(requests per day) that ends in 7 h 12 min, at " in said
    assert "orchard resume runs/run" in said


def test_a_limit_of_seconds_is_waited_for_and_nothing_is_lost(
    person: Person, openai: OpenAI
) -> None:
    config = write(person, openai)
    began = time.monotonic()

    def busy() -> web.Response | None:
        if time.monotonic() - began > 6.0:
            return None
        return error(429, "Please try again in 2s.", headers={"Retry-After": "2"})

    openai.instead = Quota(20, busy)
    outcome = person.orchard("run", config)
    assert outcome.code == ExitStatus.FINISHED
    assert {each["failed_branches"] for each in person.records()} == {0}


def test_patience_says_how_long_a_run_waits(person: Person, openai: OpenAI) -> None:
    config = write(person, openai, patience=1)
    openai.instead = Quota(
        20, lambda: error(429, "Please try again in 20s.", headers={"Retry-After": "20"})
    )
    outcome = person.orchard("run", config)
    assert outcome.code == ExitStatus.UNFINISHED
    assert "a run waits 1 s for a rate limit" in " ".join(outcome.out.split())
