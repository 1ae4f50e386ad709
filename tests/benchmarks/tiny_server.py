"""How much faster the tiny server generates for many requests than for one at a time.

    python tests/benchmarks/tiny_server.py --model servers/tiny/models/policy-160k

The same requests (the tiny models' own task, one answer each, temperature 0.7) are sent one at a
time and ``--in-flight`` at a time, in turns, over real HTTP to one server. Prints one line of JSON
with the generated tokens per second of both, and their ratio. ``--compare`` also counts the answers
that differ between the two, which only rounding could make them do.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from servers.tiny.launch import Spec, serve  # noqa: E402
from servers.tiny.problems import TEST_DEPTHS, draw  # noqa: E402

MAX_TOKENS = 400
SINGLE_SHARE = 6  # one at a time takes every sixth request, or a round would take too long


def requests_of(count: int, seed: int) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    return [
        {
            "model": "policy",
            "messages": [
                {"role": "user", "content": draw(rng, rng.choice(TEST_DEPTHS), "dev").question}
            ],
            "max_tokens": MAX_TOKENS,
            "temperature": 0.7,
            "seed": seed * count + number,
            "return_token_ids": True,
        }
        for number in range(count)
    ]


async def measure(
    url: str, requests: Sequence[dict[str, Any]], in_flight: int
) -> tuple[int, float, list[list[int]]]:
    """Generated tokens, seconds, and every answer's token ids."""
    answers: list[list[int]] = [[] for _ in requests]
    waiting = iter(enumerate(requests))
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(url, connector=connector) as session:

        async def work() -> None:
            for number, request in waiting:
                async with session.post("/v1/chat/completions", json=request) as response:
                    response.raise_for_status()
                    answer = await response.json()
                    answers[number] = answer["choices"][0]["token_ids"]

        started = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(in_flight):
                group.create_task(work())
        seconds = time.perf_counter() - started
    return sum(map(len, answers)), seconds, answers


async def compare(url: str, *, count: int, in_flight: int, rounds: int) -> dict[str, Any]:
    totals = {1: [0, 0.0], in_flight: [0, 0.0]}
    answers_compared = tokens_compared = answers_different = 0
    await measure(url, requests_of(in_flight, seed=0), in_flight)
    for seed in range(1, rounds + 1):
        requests = requests_of(count, seed)
        alone_tokens, alone_seconds, alone = await measure(url, requests[::SINGLE_SHARE], 1)
        tokens, seconds, crowd = await measure(url, requests, in_flight)
        for key, more in ((1, (alone_tokens, alone_seconds)), (in_flight, (tokens, seconds))):
            totals[key][0] += more[0]
            totals[key][1] += more[1]
        answers_compared += len(alone)
        tokens_compared += alone_tokens
        answers_different += sum(x != y for x, y in zip(alone, crowd[::SINGLE_SHARE], strict=True))
    speeds = {key: tokens / seconds for key, (tokens, seconds) in totals.items()}
    return {
        "tokens_per_s_1": round(speeds[1]),
        f"tokens_per_s_{in_flight}": round(speeds[in_flight]),
        "ratio": round(speeds[in_flight] / speeds[1], 2),
        "answers_compared": answers_compared,
        "tokens_compared": tokens_compared,
        "answers_different": answers_different,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    shipped = ROOT / "servers" / "tiny" / "models" / "policy-160k"
    parser.add_argument("--model", type=Path, default=shipped)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--requests", type=int, default=384, help="in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of the server's compute")
    parser.add_argument("--prefix-cache-mb", type=int, help="0 measures without prefix cache")
    parser.add_argument("--compare", action="store_true", help="also report answers that differ")
    arguments = parser.parse_args()
    spec = Spec(
        models={"policy": arguments.model},
        threads=arguments.threads,
        prefix_cache_mb=arguments.prefix_cache_mb,
    )
    with serve(spec) as (server,):
        found = asyncio.run(
            compare(
                server.url,
                count=arguments.requests,
                in_flight=arguments.in_flight,
                rounds=arguments.rounds,
            )
        )
    if not arguments.compare:
        found = {key: value for key, value in found.items() if "_per_s" in key or key == "ratio"}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
