"""its_hub 1.2.0's beam search on the server that ``step_cost.py`` measures the orchestrator on.

Its policy is its own client; its PRM, which it runs in the process on a GPU, is one request a level
of a tree here, by aiohttp, which is the least it could be over HTTP.
"""

import asyncio
import importlib
import logging
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp

PACKAGES = ("its_hub==1.2.0", "backoff==2.2.1", "requests")
AT_ONCE = 128
"""Trees at a time. It is dearer the more there are: 304 us a step at 8, 705 at 500, where
connections begin to fail."""


def install(folder: Path) -> None:
    """Put its_hub, without what it does not need here, into ``folder`` and on the path."""
    if not (folder / "its_hub").exists():
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "install"]
        subprocess.run([*pip, "--no-deps", "--target", str(folder), *PACKAGES], check=True)
    sys.path.append(str(folder))


class PoolingPRM:
    """Scores all paths of a level in one request."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url, self.session, self.steps = url, session, 0

    async def ascore(self, prompt: str, solutions: list[str]) -> list[float]:
        self.steps += len(solutions)
        texts = [f"{prompt}\n{solution}<extra_0>" for solution in solutions]
        body = {"model": "prm", "input": texts}
        async with self.session.post(f"{self.url}/pooling", json=body) as response:
            answer = await response.json()
        return [item["data"][-1][1] for item in answer["data"]]


async def measure(url: str, trees: int) -> float:
    """Its client CPU per generated step, in µs: beam search of N = 16, width 4."""
    algorithms = importlib.import_module("its_hub.core.algorithms.beam_search")
    models = importlib.import_module("its_hub.core.lms.openai_lm")
    generation = importlib.import_module("its_hub.core.lms.step_generation")
    logging.disable(logging.INFO)
    waiting = iter(range(trees))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        prm = PoolingPRM(url, session)
        policy: Any = models.OpenAICompatibleLanguageModel(
            endpoint=f"{url}/v1", api_key="none", model_name="policy"
        )
        steps = generation.StepGeneration(max_steps=40, step_token="\n\n", stop_token=r"\boxed")
        search = algorithms.BeamSearch(steps, prm, beam_width=4)

        async def worker() -> None:
            for number in waiting:
                await search.ainfer(policy, f"What is {number} times {number}?", budget=16)

        started = time.process_time()
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(worker())
        cpu = time.process_time() - started
        await policy.close()
    return 1e6 * cpu / prm.steps
