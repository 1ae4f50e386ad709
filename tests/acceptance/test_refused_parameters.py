"""Servers that do not take every parameter: what they refuse is left out, recorded and shown."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from tests.acceptance.conftest import Person
from tests.integration.misbehaving import CHAT, COMPLETIONS, Server, running_beside, status, text
from tests.integration.standin_openai import OpenAI
from tests.integration.standin_openai import running_beside as openai_beside

CELLS = [
    {"policy": "policy", "strategy": "majority", "n": 4, "max_tokens": 24},
    {"policy": "policy", "prm": "prm", "strategy": "beam_search", "n": 4, "width": 2,
     "max_depth": 4, "max_tokens": 24},
]  # fmt: skip
LITELLM = "litellm.UnsupportedParamsError: cohere does not support parameters: ['{}'], for model=x"


def refuse(server: Server, name: str) -> None:
    for route in (CHAT, COMPLETIONS):
        refusal = status(400, LITELLM.format(name))
        server.on(route, refusal, when=lambda body: name in body, forever=True)


def test_a_proxy_of_ones_own_that_refuses_seeds_is_asked_without_and_the_results_say_so(
    person: Person,
) -> None:
    refuse(person.server, "seed")
    config = person.write_config(cells=CELLS, headline=None)
    checked = person.orchard("check", config)
    assert checked.code == 0 and "refuses  seed: it is asked without" in checked.out
    outcome = person.orchard("run", config)
    assert outcome.code == 0, outcome
    assert "policy does not take, and ran without: seed." in " ".join(outcome.out.split())
    assert all(record["refused"] == ["seed"] for record in person.records())
    good = [call for call in person.server.seen(CHAT, COMPLETIONS) if call.answered]
    assert good and all("seed" not in call.body for call in good)


def test_logprobs_that_no_cell_asks_for_are_left_out_without_a_word(person: Person) -> None:
    refuse(person.server, "logprobs")
    outcome = person.orchard("run", person.write_config(cells=CELLS[:1], headline=None))
    assert outcome.code == 0 and "does not take" not in outcome.out


def test_logprobs_that_a_cell_asks_for_in_vain_are_named(person: Person) -> None:
    refuse(person.server, "logprobs")
    cells = [{**CELLS[0], "logprobs": True}]
    outcome = person.orchard("run", person.write_config(cells=cells, headline=None))
    assert outcome.code == 0
    assert "policy does not take, and ran without: logprobs." in " ".join(outcome.out.split())


def test_a_search_by_steps_is_refused_where_the_server_takes_no_stop_strings(
    person: Person,
) -> None:
    refuse(person.server, "stop")
    complaint = person.orchard("run", person.write_config(cells=CELLS, headline=None)).complaint
    assert "takes no stop strings, as beam_search needs" in complaint


def test_parameters_can_be_left_out_by_hand(person: Person) -> None:
    person.server.on(  # a refusal that names nothing
        CHAT, text("Bad Request", code=400), when=lambda body: "seed" in body, forever=True
    )
    config = person.write_config(cells=CELLS[:1], headline=None)
    assert "refuses the request (400)" in person.orchard("run", config).complaint
    outcome = person.orchard("run", config, "--set", "policies.policy.omit=[seed, top_p]",
                             "--set", "policies.large.omit=seed")  # fmt: skip
    assert outcome.code == 0, outcome
    assert "ran without: top_p, seed." in " ".join(outcome.out.split())
    asked = [call.body for call in person.server.seen(CHAT) if call.body["model"] == "policy"]
    assert not {"seed", "top_p"} & asked[-1].keys()


def test_an_unknown_parameter_to_omit_is_refused_with_the_nearest(person: Person) -> None:
    config = person.write_config()
    complaint = person.orchard("check", config, "--set", "policies.policy.omit=[sede]").complaint
    assert "policies.policy.omit.0: unknown parameter 'sede': did you mean \"seed\"?" in complaint


@pytest.fixture
def claude() -> Iterator[OpenAI]:
    def exclusive(body: dict[str, Any]) -> web.Response | None:
        if {"temperature", "top_p"} <= body.keys():
            said = "`temperature` and `top_p` cannot both be specified for this model."
            error = {"type": "invalid_request_error", "message": said}
            return web.json_response({"type": "error", "error": error}, status=400)
        return None

    with openai_beside(OpenAI(instead=exclusive)) as server:
        yield server


@pytest.fixture
def hosted(claude: OpenAI, tmp_path: Path) -> Iterator[Person]:
    with running_beside() as local:
        yield Person(tmp_path, local, {"HOSTED_KEY": claude.key})


def test_a_cloud_that_takes_either_a_temperature_or_a_top_p_is_given_the_temperature(
    hosted: Person, claude: OpenAI
) -> None:
    values = {
        "task": {"path": str(hosted.problems()), "question": "question", "answer": "answer"},
        "policies": {"gpt-4o": {"url": f"{claude.url}/v1", "api": "openai",
                                "api_key_env": "HOSTED_KEY"}},
        "cells": [{"policy": "gpt-4o", "strategy": "majority", "n": 2, "max_tokens": 400}],
    }  # fmt: skip
    outcome = hosted.orchard("run", hosted.write("run.yaml", yaml.safe_dump(values)))
    assert outcome.code == 0, outcome
    assert claude.calls[-1].body["temperature"] == 0.7
    assert "top_p" not in claude.calls[-1].body
