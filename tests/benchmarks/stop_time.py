"""How long Ctrl-C takes to stop a run of thousands of trees whose server has stopped answering.

    python tests/benchmarks/stop_time.py

The same run is stopped with few trees in flight too; the fastest of several counts. ``ratio`` is
that of many trees to few. Prints one JSON line.
"""

import argparse
import asyncio
import json
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from threading import Event
from typing import Any

from aiohttp import web

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.acceptance.conftest import Person  # noqa: E402
from tests.acceptance.test_runs import until  # noqa: E402
from tests.integration.misbehaving import CHAT, running_beside  # noqa: E402


def seconds(trees: int, waiting: int) -> float:
    """From the signal to the end of the process, once that many requests wait for an answer."""
    stuck, draw = Event(), random.Random(4)

    async def answer(request: web.Request, good: Any) -> web.StreamResponse:
        await asyncio.sleep(600 if stuck.is_set() else draw.uniform(0.5, 2.5))
        return web.json_response(good)

    with tempfile.TemporaryDirectory() as home, running_beside() as server:
        person = Person(Path(home), server)
        person.problems(4 * trees)
        config = person.write_config(
            policies={"policy": {"url": server.url, "prompt": "tiny"}},
            prms={},
            cells=[{"policy": "policy", "strategy": "cot"}],
            headline=None,
            trees=trees,
        )
        asks = "What is"
        server.on(CHAT, answer, when=lambda body: asks in json.dumps(body), forever=True)
        with person.start("run", config) as process:
            until(lambda: server.in_flight >= waiting, 120)
            stuck.set()
            since = time.monotonic()
            until(lambda: sum(call.at > since for call in server.calls) >= waiting // 2, 120)
            began = time.monotonic()
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
            return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trees", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    many = min(seconds(options.trees, options.trees // 3) for _ in range(options.rounds))
    few = min(seconds(10, 5) for _ in range(options.rounds))
    result = {"many_s": round(many, 2), "few_s": round(few, 2), "ratio": round(many / few, 2)}
    print(json.dumps({"benchmark": "stop_time", "trees": options.trees, **result}))


if __name__ == "__main__":
    main()
