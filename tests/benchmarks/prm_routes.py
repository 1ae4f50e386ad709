"""What the two routes of a "+"/"-" PRM make vLLM compute in a search that scores step by step.

    python tests/benchmarks/prm_routes.py --python .venv-vllm/bin/python

Beam searches (N = 16, M = 4, twelve steps of 20 to 60 tokens, questions of about 100) are run with
a scripted policy and a tiny random PRM of Math-Shepherd's layout, which vLLM serves twice: as the
language model it is, asked for the next token after each new step (prefix route), and behind
``/pooling``, which reads whole paths. Both searches take the same steps. Prints one line of JSON:
the prompt tokens each server computed (``prompt_tokens_total`` less ``prefix_cache_hits_total``),
and their ratio.
"""

import argparse
import asyncio
import json
import random
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from transformers import AutoTokenizer

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from orchestrator.core.budget import Ledger  # noqa: E402
from orchestrator.core.fanout import fan_out  # noqa: E402
from orchestrator.core.node import Node, derive_seed, root  # noqa: E402
from orchestrator.core.ports import Models  # noqa: E402
from orchestrator.endpoints.prm import MathShepherdPRM  # noqa: E402
from orchestrator.endpoints.prm.verdict import VerdictRoute  # noqa: E402
from orchestrator.endpoints.transport.transport import Transport  # noqa: E402
from orchestrator.runs.ports.metering import MeteredPRM  # noqa: E402
from orchestrator.strategies.beam_search import BeamSearch  # noqa: E402
from orchestrator.testing.fakes import SEPARATOR, FakePolicy  # noqa: E402
from tests.vllm import services  # noqa: E402
from tests.vllm.models import write_math_shepherd  # noqa: E402
from tests.vllm.product import endpoint  # noqa: E402
from tests.vllm.solutions import PLAIN  # noqa: E402

PROBLEMS = 6
STEPS = 12
WORDS = [word for step in PLAIN[:-1] for word in step.split()]  # without a box, which ends a search


class Disagreement(RuntimeError):
    """The product counts other tokens than the server."""


@dataclass(frozen=True, slots=True)
class Prose:
    """Random texts of so many tokens, by the PRM's tokenizer."""

    folder: Path

    def script(self, node: Node, index: int) -> str:
        rng = random.Random(derive_seed(node.seed, index))
        text = self.text(rng, rng.randint(20, 60))
        return text if len(node.steps) + 1 == STEPS else text + SEPARATOR

    def text(self, rng: random.Random, tokens: int) -> str:
        tokenizer, words = AutoTokenizer.from_pretrained(self.folder), [rng.choice(WORDS)]
        while len(tokenizer.encode(" ".join(words), add_special_tokens=False)) < tokens:
            words.append(rng.choice(WORDS))
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class Computed:
    """Prompt tokens computed, as the server counts them and as the product does; the scores."""

    server: int
    product: int
    scores: list[tuple[float, ...]]


async def search(url: str, model: str, prose: Prose, route: VerdictRoute) -> Computed:
    """Search all problems at once under one PRM, by one route."""
    before, ledger = await computed(url), Ledger()
    async with Transport(endpoint(url, model)) as transport:
        prm = MeteredPRM(MathShepherdPRM(transport=transport, route=route), ledger)
        rng = random.Random(0)
        roots = [
            root(prose.text(rng, 100), seed=1, problem_id=str(number)) for number in range(PROBLEMS)
        ]
        strategy = BeamSearch(n=16, width=4, max_depth=STEPS)
        leaves = await fan_out(
            strategy(start, Models(FakePolicy(script=prose.script), prm)) for start in roots
        )
    spent = ledger.spent
    return Computed(
        server=await computed(url) - before,
        product=spent.prm_tokens - spent.prm_cached_tokens,
        scores=[leaf.scores for tree in leaves for leaf in tree],
    )


async def computed(url: str) -> int:
    """Prompt tokens a server has computed since it started."""
    async with httpx.AsyncClient(trust_env=False) as client:
        text = (await client.get(f"{url}/metrics")).text
    return _total(text, "prompt_tokens_total") - _total(text, "prefix_cache_hits_total")


def _total(metrics: str, name: str) -> int:
    found = re.findall(rf"^vllm:{name}{{[^}}]*}} (\S+)$", metrics, re.MULTILINE)
    return int(sum(map(float, found)))


async def compare(prefix: str, pooling: str, folder: Path) -> dict[str, Any]:
    """Both routes, over the services ``shepherd`` and ``shepherd-pooling`` at these URLs.

    Raises ``Disagreement`` where the product's own count differs from the server's.
    """
    prose = Prose(folder)
    by_prefix = await search(prefix, "shepherd", prose, "prefix")
    by_path = await search(pooling, "shepherd-pooling", prose, "pooling")
    for name, found in (("prefix", by_prefix), ("pooling", by_path)):
        if found.server != found.product:
            raise Disagreement(
                f"{name} route: the server computed {found.server} prompt tokens, the product "
                f"counts {found.product}"
            )
    return {
        "prefix_tokens": by_prefix.server,
        "whole_path_tokens": by_path.server,
        "ratio": round(by_prefix.server / by_path.server, 3),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    default = ROOT / ".venv-vllm" / "bin" / "python"
    parser.add_argument("--python", type=Path, default=default, help="an interpreter with vLLM")
    python = parser.parse_args(arguments).python
    with tempfile.TemporaryDirectory() as home:
        folder = write_math_shepherd(Path(home))
        with services.fleet("prm-routes", python, *services.shepherd_twice(folder)) as up:
            (prefix,), (pooling,) = up.urls("shepherd"), up.urls("shepherd-pooling")
            print(json.dumps(asyncio.run(compare(prefix, pooling, folder))))


if __name__ == "__main__":
    main()
