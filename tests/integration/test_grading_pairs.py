"""Pairs of answers with their right verdicts, by kind, as they are read and compared in a run."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.core.problem import Problem
from orchestrator.tasks.math.comparing.equality import quick
from orchestrator.tasks.math.reading.boxes import reference
from orchestrator.tasks.math.task import MathTask

GOLDEN = Path(__file__).parents[1] / "golden" / "grading.jsonl"
PAIRS: list[dict[str, Any]] = [
    json.loads(line) for line in GOLDEN.read_text(encoding="utf-8").splitlines()
]
PROBLEM = Problem(id="p", question="?")
SIDES = ("gold", "answer")
SENTENCE = 4
"""Words from which on the gold of a completion is one itself."""


@pytest.fixture
async def grader() -> AsyncIterator[MathTask]:
    async with MathTask(seconds=30) as grader:
        yield grader


async def verdict(grader: MathTask, pair: dict[str, Any]) -> bool | None:
    gold: str | None = reference(pair["gold"])
    answer: str | None = pair["answer"]
    if pair.get("completion"):
        answer = await grader.extract(PROBLEM, pair["answer"])
        if len(pair["gold"].split()) >= SENTENCE:
            gold = await grader.extract(PROBLEM, pair["gold"])
    if answer is None or gold is None:
        return False
    found = await grader.same(PROBLEM, answer, gold)
    assert await grader.same(PROBLEM, gold, answer) is found
    return found


async def test_pairs_of_every_kind_are_judged_right(grader: MathTask) -> None:
    verdicts = await asyncio.gather(*(verdict(grader, pair) for pair in PAIRS))
    wrong = [
        pair for pair, found in zip(PAIRS, verdicts, strict=True) if found is not pair["equal"]
    ]
    assert wrong == []


def test_form_and_algebra_say_the_same_in_either_order() -> None:
    from orchestrator.tasks.math.comparing.symbolic import same  # loads sympy

    answers = [pair[side] for pair in PAIRS if not pair.get("completion") for side in SIDES]
    for left, right in itertools.pairwise(answers):
        verdict = quick(left, right)
        assert quick(right, left) is verdict, (left, right)
        if verdict is None:
            assert same(left, right) is same(right, left), (left, right)
