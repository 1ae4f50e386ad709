"""A synthetic run: problems of known hardness, a PRM that mostly knows, tree searches that are as
good as they are made to be."""

import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from orchestrator.core.equivalence import Same, SameByProblem
from orchestrator.core.records import LeafRecord, Record

RIGHT = "7"


def same_text(problem: str) -> Same:
    """Equal answers are equal strings."""

    async def same(a: str, b: str) -> bool | None:
        return a == b

    return same


def _leaf(draw: random.Random, rate: float) -> LeafRecord:
    right = draw.random() < rate
    score = min(1.0, max(0.0, draw.gauss(0.7 if right else 0.4, 0.2)))
    tokens = draw.randint(40, 60)
    return LeafRecord(
        path=(),
        answer=RIGHT if right else str(draw.randint(10, 13)),
        correct=right,
        finish="stop",
        scores=(round(score, 6),),
        tokens=tokens,
        steps=(f"solution {draw.random()}",),
    )


def _record(
    problem: str, strategy: str, n: int, leaves: tuple[LeafRecord, ...], **settings: Any
) -> Record:
    written = sum(leaf.tokens for leaf in leaves)
    return Record(
        cell=f"policy+prm/{strategy}-{n}-{settings.get('temperature', 0.7)}",
        task="sums",
        policy="policy",
        policy_params=1000,
        prm="prm",
        prm_params=2000,
        strategy=strategy,
        n=n,
        settings={"n": n, "temperature": 0.7, "top_p": 1.0, "max_tokens": 100, **settings},
        problem=problem,
        level=None,
        verdicts={},
        policy_tokens=written,
        prompt_tokens=20,
        cached_tokens=0,
        prm_tokens=2 * written,
        requests=2,
        seconds=1.0,
        ran_out=None,
        leaves=leaves,
    )


def synthetic(
    problems: int = 60,
    *,
    samples: int = 16,
    trees: Mapping[int, float] | None = None,
    tried: int | None = None,
    seed: int = 0,
) -> list[Record]:
    """Records of the greedy solution and so many samples; ``trees`` maps the n of a beam search to
    how often each of its two leaves is right on the first ``tried`` problems."""
    found = []
    for number in range(problems):
        draw = random.Random(f"{seed}/{number}")
        rate = draw.random()
        leaves = tuple(_leaf(draw, rate) for _ in range(samples))
        found += [
            _record(f"p{number}", "best_of_n", 1, (_leaf(draw, rate),), temperature=0.0),
            _record(f"p{number}", "best_of_n", samples, leaves),
        ]
        for n, quality in (trees or {}).items():
            if tried is None or number < tried:
                grown = tuple(_leaf(draw, quality) for _ in range(2))
                found.append(_record(f"p{number}", "beam_search", n, grown, width=2))
    return found


@pytest.fixture(scope="session")
def run() -> Callable[..., list[Record]]:
    return synthetic


@pytest.fixture(scope="session")
def same() -> SameByProblem:
    return same_text
