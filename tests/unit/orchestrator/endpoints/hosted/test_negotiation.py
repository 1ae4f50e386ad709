"""How long an API is asked again as it wants to be asked."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count, cycle, repeat
from typing import Any

import pytest

from orchestrator.endpoints.hosted.adapting import AdaptingSender
from orchestrator.endpoints.hosted.dialect import Dialect
from orchestrator.endpoints.hosted.negotiation import negotiate
from orchestrator.endpoints.http.sender import HttpResponse
from orchestrator.errors import BadResponse

CHAT = "http://host/v1/chat/completions"
ASKED: dict[str, Any] = {"model": "m", "messages": [], "max_tokens": 8_000}


def too_large(most: int) -> HttpResponse:
    said = f"max_tokens is too large. This model supports at most {most} completion tokens."
    return HttpResponse(status=400, content=json.dumps({"error": {"message": said}}).encode())


@dataclass
class API:
    """Refuses each request but those that ``takes`` holds for."""

    maxima: Iterator[int]
    takes: Callable[[int], bool] = lambda most: False
    dialect: Dialect = field(default_factory=Dialect)
    asked: list[int] = field(default_factory=list)

    async def send(self, sent: dict[str, Any]) -> HttpResponse:
        self.asked.append(sent["max_tokens"])
        return (
            HttpResponse(status=200, content=b"{}") if self.takes(self.asked[-1]) else self.refuse()
        )

    def refuse(self) -> HttpResponse:
        return too_large(next(self.maxima))


async def test_an_api_that_refuses_its_own_maximum_is_not_asked_again() -> None:
    api = API(repeat(4_000))
    assert (await negotiate(api, ASKED, api.send, CHAT)).status == 400
    assert api.asked == [8_000, 4_000]


@pytest.mark.parametrize("maxima", [count(4_000, -1), cycle([4_000, 100])])
async def test_an_api_that_names_another_maximum_each_time_is_asked_a_few_times(
    maxima: Iterator[int],
) -> None:
    api = API(maxima)
    with pytest.raises(BadResponse, match=r"at most \d+ completion tokens") as caught:
        await negotiate(api, ASKED, api.send, CHAT)
    assert caught.value.is_final
    assert len(api.asked) <= 5


async def test_a_maximum_that_depends_on_the_prompt_is_followed() -> None:
    api = API(iter([4_000, 3_500]), takes=lambda most: most <= 3_500)
    assert (await negotiate(api, ASKED, api.send, CHAT)).status == 200
    assert api.asked == [8_000, 4_000, 3_500]


class Fickle:
    """A server of one's own behind a proxy that names another maximum each time."""

    def __init__(self) -> None:
        self.maxima, self.asked = count(4_000, -7), 0

    async def __aenter__(self) -> "Fickle":
        return self

    async def __aexit__(self, *exception: object) -> None:
        pass

    async def send(self, method: str, url: str, body: bytes | None) -> HttpResponse:
        self.asked += 1
        return too_large(next(self.maxima))


async def test_servers_of_ones_own_are_not_asked_for_ever_either() -> None:
    server = Fickle()
    sender = AdaptingSender(server, Dialect(extended=True))
    for _ in range(2):
        with pytest.raises(BadResponse, match="another way each time"):
            await sender.send("POST", CHAT, json.dumps(ASKED).encode())
    assert server.asked <= 10


async def test_three_maxima_of_one_request_are_followed_and_no_fourth() -> None:
    api = API(iter([4_000, 3_000, 2_000, 1_000]), takes=lambda most: most == 2_000)
    assert (await negotiate(api, ASKED, api.send, CHAT)).status == 200
    assert api.asked == [8_000, 4_000, 3_000, 2_000]
    api = API(iter([4_000, 3_000, 2_000, 1_000]), takes=lambda most: most == 1_000)
    with pytest.raises(BadResponse):
        await negotiate(api, ASKED, api.send, CHAT)
    assert api.asked == [8_000, 4_000, 3_000, 2_000]


async def test_every_parameter_may_be_refused_one_after_the_other() -> None:
    names = ["n", "temperature", "top_p", "seed", "stop", "logprobs", "max_tokens"]
    asked: dict[str, Any] = dict.fromkeys(names, 2) | {"model": "m"}
    learning = API(repeat(0))

    async def send(sent: dict[str, Any]) -> HttpResponse:
        left = [name for name in names if name in sent]
        if not left:
            return HttpResponse(status=200, content=b"{}")
        error = {"message": f"Unsupported parameter: '{left[0]}'", "param": left[0]}
        return HttpResponse(status=400, content=json.dumps({"error": error}).encode())

    assert (await negotiate(learning, asked, send, CHAT)).status == 200
    assert set(names) <= set(learning.dialect.refused)
