"""A synthetic run: policies with a skill, problems with a hardness, PRMs with a noise."""

import math
import random
from collections.abc import Callable, Mapping

import pytest

from orchestrator.core.node import Node
from orchestrator.core.records import LeafRecord, Record, Verdict
from orchestrator.core.voting import BY_SCORES, Majority, elect

POLICIES = {"policy-160k": 163_968, "policy-430k": 429_568, "policy-2m": 2_160_256}
SKILL = {"policy-160k": 0.3, "policy-430k": 0.9, "policy-2m": 1.6}
PRMS = {"prm-qwen": 0.12, "prm-shepherd": 0.25}
GUIDANCE = {"majority": 0.0, "best_of_n": 0.0, "beam_search": 1.6, "dvts": 1.2}


def record(
    *,
    problem: str = "p0",
    policy: str = "policy-160k",
    strategy: str = "cot",
    n: int = 1,
    prm: str | None = None,
    leaves: tuple[LeafRecord, ...] = (),
    verdicts: dict[str, Verdict] | None = None,
    correct: bool = True,
    **changes: object,
) -> Record:
    """One record; ``correct`` is the verdict of its majority vote, where no verdicts are given."""
    if verdicts is None:
        verdicts = {"majority": Verdict(answer="7", correct=correct)}
    fields: dict[str, object] = {
        "cell": f"{policy}/{prm}/{strategy}/{n}",
        "task": "sums",
        "policy_params": POLICIES.get(policy),
        "prm_params": 163_968 if prm else None,
        "settings": {},
        "level": None,
        "verdicts": verdicts,
        "policy_tokens": 10,
        "prompt_tokens": 5,
        "cached_tokens": 0,
        "prm_tokens": 20 if prm else 0,
        "requests": 1,
        "seconds": 0.5,
        "ran_out": None,
    }
    return Record(
        problem=problem,
        policy=policy,
        strategy=strategy,
        n=n,
        prm=prm,
        leaves=leaves,
        **fields | changes,  # type: ignore[arg-type]
    )


def leaf(correct: bool, index: int = 0, scores: tuple[float, ...] = ()) -> LeafRecord:
    return LeafRecord(
        path=(index,),
        answer="7" if correct else f"{index % 4}",
        correct=correct,
        finish="stop",
        scores=scores,
        tokens=12,
        steps=(),
        sound=correct,
    )


def run(problems: int = 40, *, budgets: tuple[int, ...] = (4, 16, 64)) -> list[Record]:
    """Every policy by CoT and majority, and by every search under every PRM."""
    records = []
    for policy in POLICIES:
        for index in range(problems):
            records.append(_solve(policy, index, "cot", 1, None))
            for n in budgets:
                records.append(_solve(policy, index, "majority", n, None))
                for prm in PRMS:
                    for strategy in ("best_of_n", "beam_search", "dvts"):
                        records.append(_solve(policy, index, strategy, n, prm))
    random.Random(0).shuffle(records)
    return records


def _solve(policy: str, index: int, strategy: str, n: int, prm: str | None) -> Record:
    draw = random.Random(f"{policy}/{index}/{strategy}/{n}/{prm}")
    noise = PRMS.get(prm or "", 0.0)
    hardness = random.Random(index).gauss(0.6, 1.8)
    guidance = GUIDANCE.get(strategy, 0.4) * (1 - 2 * noise) * math.log2(max(n, 2)) / 6
    chance = 1 / (1 + math.exp(hardness - SKILL[policy] - guidance))
    count = n if strategy in ("cot", "majority", "best_of_n") else n // 4
    leaves = []
    for path in range(count):
        correct = draw.random() < chance
        scores = [min(max(draw.gauss(0.75 if correct else 0.5, noise), 0), 1) for _ in range(3)]
        leaves.append(leaf(correct, path, tuple(scores) if prm else ()))
    nodes = [Node(question="", seed=0, path=one.path, scores=one.scores) for one in leaves]
    classes = [int(one.answer or 0) for one in leaves]
    verdicts = {}
    for by in (Majority(), *BY_SCORES) if prm else (Majority(),):
        elected = leaves[elect(by, nodes, classes).winner or 0]
        sound = elected.correct and draw.random() < 0.9
        verdicts[by.name] = Verdict(answer=elected.answer, correct=elected.correct, sound=sound)
    growth = 3 if strategy in ("beam_search", "dvts") else 1
    tokens = 40 * n * growth
    return record(
        problem=f"sum-{index}", policy=policy, strategy=strategy, n=n, prm=prm,
        leaves=tuple(leaves), verdicts=verdicts, policy_tokens=tokens,
        prm_tokens=tokens * 2 if prm else 0, requests=growth * 3,
    )  # fmt: skip


def voted(
    right: Mapping[str, str], strategy: str = "best_of_n", n: int = 16, **changes: object
) -> list[Record]:
    """A cell in which each vote is ``right``, "1", or wrong on one problem after the other."""
    return [
        record(
            problem=f"p{i}",
            strategy=strategy,
            n=n,
            verdicts={vote: Verdict(answer="7", correct=each == "1") for vote, each in by_vote},
            **changes,  # type: ignore[arg-type]
        )
        for i in range(len(next(iter(right.values()))))
        for by_vote in [[(vote, each[i]) for vote, each in right.items()]]
    ]


@pytest.fixture(scope="session")
def make_voted() -> Callable[..., list[Record]]:
    return voted


@pytest.fixture(scope="session")
def make_record() -> Callable[..., Record]:
    return record


@pytest.fixture(scope="session")
def make_leaf() -> Callable[..., LeafRecord]:
    return leaf


@pytest.fixture(scope="session")
def make_run() -> Callable[..., list[Record]]:
    return run
