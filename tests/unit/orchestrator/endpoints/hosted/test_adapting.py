"""Servers of one's own that refuse a parameter are asked without it from then on."""

import json
from typing import Any

from orchestrator.endpoints.hosted.adapting import AdaptingSender
from orchestrator.endpoints.hosted.dialect import Dialect
from orchestrator.endpoints.http.sender import HttpResponse

CHAT = "http://host/v1/chat/completions"
ASKED = {"model": "m", "messages": [], "seed": 1, "top_p": 1.0, "return_token_ids": True}


class Strict:
    """Refuses ``names``, one an answer; ``bodies`` are as they came."""

    def __init__(self, *names: str, status: int = 400) -> None:
        self.names, self.status = names, status
        self.bodies: list[bytes] = []

    async def __aenter__(self) -> "Strict":
        return self

    async def __aexit__(self, *exception: object) -> None:
        pass

    async def send(self, method: str, url: str, body: bytes | None) -> HttpResponse:
        self.bodies.append(body or b"")
        asked = json.loads(body or b"{}")
        for name in self.names:
            if name in asked:
                said = {"error": {"message": f"m does not support parameters: ['{name}']"}}
                return HttpResponse(status=self.status, content=json.dumps(said).encode())
        return HttpResponse(status=200, content=b"{}")


def own(server: Strict, **dialect: Any) -> AdaptingSender:
    return AdaptingSender(server, Dialect(extended=True, **dialect))


async def test_a_server_that_refuses_nothing_gets_the_very_bytes() -> None:
    server, body = Strict(), json.dumps(ASKED, indent=7).encode()
    assert (await own(server).send("POST", CHAT, body)).status == 200
    assert server.bodies == [body]


async def test_what_is_refused_is_left_out_at_once_and_from_then_on() -> None:
    server = Strict("seed", "return_token_ids", status=422)
    sender = own(server)
    for _ in range(2):
        assert (await sender.send("POST", CHAT, json.dumps(ASKED).encode())).status == 200
    assert sender.dialect.refused == ("return_token_ids", "seed")
    assert len(server.bodies) == 4
    assert json.loads(server.bodies[-1]) == {"model": "m", "messages": [], "top_p": 1.0}


async def test_what_the_config_omits_is_never_sent() -> None:
    server = Strict()
    await own(server, omitted=("seed", "top_p")).send("POST", CHAT, json.dumps(ASKED).encode())
    assert json.loads(server.bodies[0]).keys() == {"model", "messages", "return_token_ids"}


async def test_a_refusal_that_nothing_can_be_left_out_for_comes_back_as_it_is() -> None:
    server = Strict("messages")
    assert (await own(server).send("POST", CHAT, json.dumps(ASKED).encode())).status == 400
    assert len(server.bodies) == 1


async def test_other_routes_and_what_has_no_body_are_passed_on() -> None:
    server = Strict("seed")
    sender = own(server)
    assert (await sender.send("POST", "http://host/pooling", b'{"seed": 1}')).status == 400
    assert (await sender.send("GET", "http://host/v1/models", None)).status == 200
    assert len(server.bodies) == 2


async def test_a_prm_is_never_asked_without_the_logprobs_that_are_its_scores() -> None:
    server, body = Strict("logprobs"), b'{"model":"m","logprobs":2,"logprob_token_ids":[1,2]}'
    sender = own(server)
    assert (await sender.send("POST", "http://host/v1/completions", body)).status == 400
    assert server.bodies == [body] and not sender.dialect.refused
