"""Whole trees against recorded ones, exactly. See ``tests/golden/README.md``."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from orchestrator.core.node import Node, root
from orchestrator.core.ports import Models
from orchestrator.strategies import DVTS, BeamSearch
from orchestrator.testing.fakes import FakePolicy, FakePRM, chains

GOLDEN = Path(__file__).parents[3] / "golden"
RECORD = os.environ.get("ORCHARD_GOLDEN") == "record"


async def tree(strategy: BeamSearch | DVTS) -> dict[str, list[Any]]:
    """Everything a search asked for and what came of it."""
    policy, prm = FakePolicy(script=chains(depth=4)), FakePRM()
    start = root("What is 6 * 7?", seed=2026, problem_id="golden")
    leaves = await strategy(start, Models(policy, prm))
    return {
        "grown": [
            {"path": list(asked.node.path), "seed": asked.node.seed, "n": asked.n}
            for asked in policy.requests
        ],
        "scored": [[list(node.path) for node in nodes] for nodes in prm.requests],
        "answers": [described(leaf) for leaf in leaves],
    }


def described(leaf: Node) -> dict[str, Any]:
    return {
        "path": list(leaf.path),
        "steps": list(leaf.steps),
        "scores": list(leaf.scores),
        "finish": leaf.finish,
        "tokens": leaf.tokens,
    }


def one_a_line(found: dict[str, list[Any]]) -> str:
    """JSON that diffs well: an entry a line."""
    parts = []
    for key, entries in found.items():
        lines = ",\n".join(f"  {json.dumps(entry)}" for entry in entries)
        parts.append(f'"{key}": [\n{lines}\n]')
    return "{" + ",\n".join(parts) + "}\n"


@pytest.mark.parametrize(
    ("name", "strategy"),
    [("beam_search", BeamSearch(n=8, width=4)), ("dvts", DVTS(n=8, width=4))],
)
async def test_the_tree_is_the_recorded_one(name: str, strategy: BeamSearch | DVTS) -> None:
    path, found = GOLDEN / f"{name}.json", await tree(strategy)
    if RECORD:
        path.write_text(one_a_line(found))
    assert found == json.loads(path.read_text())


@pytest.mark.parametrize("strategy", [BeamSearch(n=16), DVTS(n=16)])
async def test_a_search_repeated_is_the_same_tree(strategy: BeamSearch | DVTS) -> None:
    assert await tree(strategy) == await tree(strategy)
