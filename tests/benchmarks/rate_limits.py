"""A limit of 500 requests and 30,000 tokens a minute: never exceeded, and hardly left unused.

In virtual time, against a server that takes seconds and answers of very different lengths. Three
loads one after another, ``MINUTES`` each: short answers, where requests are what runs out; long
ones, where tokens are; and both mixed. What counts is when a request arrives at the server, some of
which take longer on their way. Prints one JSON line: ``worst_minute`` is the greatest part of
either limit in any sliding minute, ``utilisation`` the least that a load made of the limit that
bounds it.
"""

import asyncio
import json
import random
from bisect import bisect_left
from itertools import accumulate

from orchestrator.core.fanout import fan_out
from orchestrator.core.node import Tree, root
from orchestrator.endpoints.http.sender import HttpResponse
from orchestrator.endpoints.http.wire import ChatRequest, ChatResponse
from orchestrator.endpoints.transport.transport import Endpoint, Transport
from servers.simulated.clock import run

REQUESTS, TOKENS = 500, 30_000
MINUTES = 10
TREES = 400
MAX_TOKENS = 2_048
PROMPT = 20
LOADS = {"requests": (10, 30), "tokens": (20, 400), "mixed": (1, 80)}
"""By what runs out, the shortest and longest answers, in tokens."""


class Server:
    """Answers as long as ``lengths`` says, in the time that takes; ``seen`` is when it got each
    request and what that took."""

    def __init__(self) -> None:
        self.lengths = (1, 1)
        self.random = random.Random(1)
        self.seen: list[tuple[float, int]] = []

    async def __aenter__(self) -> "Server":
        return self

    async def __aexit__(self, *exception: object) -> None:
        pass

    async def send(self, method: str, url: str, body: bytes | None) -> HttpResponse:
        if body is None:
            return HttpResponse(status=404, content=b"")
        await asyncio.sleep(self.random.uniform(0.0, 0.3))
        shortest, longest = self.lengths
        length = min(longest, shortest + int(self.random.expovariate(4 / (longest - shortest))))
        self.seen.append((asyncio.get_running_loop().time(), PROMPT + length))
        await asyncio.sleep(0.2 + 0.01 * length)
        usage = {"prompt_tokens": PROMPT, "completion_tokens": length}
        return HttpResponse(
            status=200, content=json.dumps({"model": "m", "choices": [], "usage": usage}).encode()
        )


async def drive(server: Server) -> dict[str, float]:
    """For each load, the part of its limit that it used."""
    endpoint = Endpoint(
        urls=("http://simulated",),
        model="m",
        requests_per_minute=REQUESTS,
        tokens_per_minute=TOKENS,
    )
    request = ChatRequest(
        model="m", messages=[{"role": "user", "content": "x" * 40}], max_tokens=MAX_TOKENS
    )
    loop = asyncio.get_running_loop()
    used: dict[str, float] = {}
    async with Transport(endpoint, server) as transport:

        async def tree(number: int, until: float) -> None:
            node = root(f"{number}", seed=1, problem_id="p", tree=Tree(number=number))
            while loop.time() < until:
                await transport.post("/v1/chat/completions", request, ChatResponse, node=node)

        for name, server.lengths in LOADS.items():
            began, before = loop.time() + 60.0, len(server.seen)
            try:
                async with asyncio.timeout(60.0 * (1 + MINUTES)):
                    await fan_out(tree(i, began + 60.0 * MINUTES) for i in range(TREES))
            except TimeoutError:
                pass
            seen = [each for each in server.seen[before:] if each[0] >= began]
            requests = len(seen) / (REQUESTS * MINUTES)
            tokens = sum(taken for _, taken in seen) / (TOKENS * MINUTES)
            used[name] = max(requests, tokens)
    return used


def worst_minute(seen: list[tuple[float, int]]) -> tuple[float, float]:
    """The most requests, and the most tokens, in any sliding minute."""
    seen = sorted(seen)
    times = [at for at, _ in seen]
    before = [0, *accumulate(taken for _, taken in seen)]
    requests = tokens = 0
    for last, at in enumerate(times):
        first = bisect_left(times, at - 60.0)
        requests = max(requests, last + 1 - first)
        tokens = max(tokens, before[last + 1] - before[first])
    return requests / REQUESTS, tokens / TOKENS


def main() -> None:
    server = Server()
    used = run(drive(server))
    requests, tokens = worst_minute(server.seen)
    result = {
        "worst_minute": round(max(requests, tokens), 4),
        "utilisation": round(min(used.values()), 4),
        "worst_requests": round(requests, 4),
        "worst_tokens": round(tokens, 4),
        **{f"utilisation_{name}": round(part, 4) for name, part in used.items()},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
