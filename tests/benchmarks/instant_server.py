"""An OpenAI-compatible server that answers at once, so that only the client's cost is measured.

Every path ends after ``DEPTH`` steps with a boxed answer; steps differ, and so do their scores. A
``--faulty`` one answers one request in twenty with 500, breaks one off and lets one wait.
"""

import argparse
import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

DEPTH = 8
STEP_TOKENS = 40  # ids a step: about the length of a real solution step
TAG = "<extra_0>"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_counter, _requests = itertools.count(), itertools.count()


def _choices(n: int, depth: int) -> list[dict[str, object]]:
    choices = []
    for index in range(n):
        number = next(_counter)
        ids = [number % 50_000, *range(100, 99 + STEP_TOKENS)]
        last = depth >= DEPTH
        text = (
            f"Therefore, the final answer is: $\\boxed{{{number % 7}}}$."
            if last
            else f"Step {depth}: multiply {number} by {number + 1} and carry the rest.\n\n"
        )
        choices.append(
            {
                "index": index, "text": text, "message": {"role": "assistant", "content": text},
                "finish_reason": "stop", "stop_reason": None if last else "\n\n",
                "token_ids": ids, "logprobs": None,
            }
        )  # fmt: skip
    return choices


async def chat(request: web.Request) -> web.Response:
    """The first step, or the one after those of an open assistant message."""
    asked = _decode(await request.read())
    last = asked["messages"][-1]
    depth = 1 + (last["content"].count("\n\n") if last["role"] == "assistant" else 0)
    body = {
        "id": "x", "object": "chat.completion", "created": 0, "model": asked["model"],
        "choices": _choices(asked.get("n", 1), depth), "prompt_token_ids": list(range(120)),
        "usage": {"prompt_tokens": 120, "completion_tokens": STEP_TOKENS * asked.get("n", 1)},
    }  # fmt: skip
    return web.Response(body=_encode(body), content_type="application/json")


async def completions(request: web.Request) -> web.Response:
    asked = _decode(await request.read())
    length = len(asked["prompt"])
    body = {
        "id": "x", "object": "text_completion", "created": 0, "model": asked["model"],
        "choices": _choices(asked["n"], 1 + (length - 120) // STEP_TOKENS),
        "usage": {"prompt_tokens": length, "completion_tokens": STEP_TOKENS * asked["n"]},
    }  # fmt: skip
    return web.Response(body=_encode(body), content_type="application/json")


async def pooling(request: web.Request) -> web.Response:
    asked = _decode(await request.read())
    data = []
    for index, text in enumerate(asked["input"]):
        score = (next(_counter) * 7919 % 1000) / 1000
        rows = [[1 - score, score]] * text.count(TAG)
        data.append({"index": index, "object": "pooling", "data": rows})
    body = {
        "id": "x", "object": "list", "created": 0, "model": asked["model"], "data": data,
        "usage": {"prompt_tokens": 60 * len(data), "total_tokens": 60 * len(data)},
    }  # fmt: skip
    return web.Response(body=_encode(body), content_type="application/json")


@web.middleware
async def faulty(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    match next(_requests) % 20:
        case 3:
            return web.Response(status=500)
        case 9:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        case 15:
            await asyncio.sleep(0.2)
    return await handler(request)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--faulty", action="store_true")
    options = parser.parse_args()
    if options.faulty:  # its clients go away, too, which aiohttp logs
        logging.disable()
    app = web.Application(
        client_max_size=64 * 2**20, middlewares=[faulty] if options.faulty else []
    )
    app.router.add_post("/v1/chat/completions", chat)
    app.router.add_post("/v1/completions", completions)
    app.router.add_post("/pooling", pooling)
    web.run_app(app, host="127.0.0.1", port=options.port, print=None, access_log=None)


if __name__ == "__main__":
    main()
