"""Requests to the tiny server, and what is asked there."""

import time
from collections.abc import Callable
from typing import Any

import httpx

KEY = "orchard-key"
PROMPT = "<|im_start|>user\nStart with 10. Then A + 76. What is the result?<|im_end|>\n"
MESSAGES = [{"role": "user", "content": "Start with 10. Then A + 76. What is the result?"}]


def post(http: httpx.Client, path: str, body: dict[str, Any], status: int = 200) -> Any:
    response = http.post(path, json=body)
    assert response.status_code == status, response.text
    return response.json()


def complete(http: httpx.Client, **body: Any) -> Any:
    defaults = {"model": "policy", "prompt": PROMPT, "max_tokens": 12, "seed": 1}
    return post(http, "/v1/completions", {**defaults, **body})


def error(http: httpx.Client, path: str, body: dict[str, Any], status: int) -> dict[str, Any]:
    found = post(http, path, body, status)["error"]
    assert found.keys() == {"message", "type", "param", "code"}
    assert found["code"] == status
    return dict(found)


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
