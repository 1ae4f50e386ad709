import pytest

from orchestrator.commands.prm_evaluation.labelled_chains import ChainSet
from orchestrator.config.run import RunConfig, validate
from orchestrator.core.node import root
from orchestrator.core.problem import Problem
from orchestrator.errors import TaskError
from orchestrator.evaluation.drawing import DrawnSolution
from orchestrator.evaluation.samples import LabelledSolution
from orchestrator.wiring.problem_sets import CHAINS
from servers.tiny.problems import Chain

CHAIN = Chain(10, (("+", 5), ("*", 2), ("/", 4)))  # 15, 30, 7
PROBLEM = Problem(id="p", question=CHAIN.question, answer=CHAIN.answer)
SET = ChainSet(policy="policy", wanted={"p/policy": PROBLEM})


@pytest.fixture
def config() -> RunConfig:
    return validate(
        {"task": {"name": CHAINS}, "policies": {}, "cells": [{"policy": (), "strategy": "cot"}]},
        "test",
    )


def label(steps: list[str]) -> LabelledSolution | None:
    with_ends = tuple(step + "\n\n" for step in steps[:-1]) + tuple(steps[-1:])
    start = root(PROBLEM.question, seed=0, problem_id=PROBLEM.id)
    return SET.label(PROBLEM, start.child(0, with_ends, finish="stop"))


def changed(index: int, before: str, after: str) -> list[str]:
    steps = list(CHAIN.steps)
    assert before in steps[index]
    steps[index] = steps[index].replace(before, after)
    return steps


def test_a_right_solution_has_no_first_error() -> None:
    sample = label(CHAIN.steps)
    assert sample is not None
    assert (sample.label, sample.final_answer_correct, sample.generator) == (-1, True, "policy")


@pytest.mark.parametrize(
    ("steps", "first"),
    [
        (changed(0, "= 15", "= 16"), 0),
        (changed(1, "= 30", "= 31"), 1),
        (changed(2, "30 / 4", "31 / 4"), 2),  # carries on with a value nobody stated
        (changed(2, "/ 4:", "/ 5:"), 2),  # restates another instruction
        (changed(3, "7", "8"), 3),
        ([*CHAIN.steps[:2], CHAIN.steps[3]], 2),  # answers before it is done
        ([*CHAIN.steps, "And more."], 4),
    ],
)
def test_the_first_wrong_step_is_named(steps: list[str], first: int) -> None:
    sample = label(steps)
    assert sample is not None and sample.label == first


def test_a_wrong_chain_that_comes_to_the_right_answer_says_so() -> None:
    steps = changed(1, "= 30", "= 31")  # 31 / 4 is 7, too
    steps[2] = steps[2].replace("30 / 4", "31 / 4")
    sample = label(steps)
    assert sample is not None and (sample.label, sample.final_answer_correct) == (1, True)


@pytest.mark.parametrize("length", [0, 1, 3])
def test_a_solution_that_stops_early_without_an_error_is_no_sample(length: int) -> None:
    assert label(CHAIN.steps[:length]) is None


def test_problems_are_drawn_once_for_each_policy_and_its_settings(config: RunConfig) -> None:
    few = ChainSet.of(config, "policy", "policy-1", 3)
    more = ChainSet.of(config, "policy", "policy-1", 5)
    other = ChainSet.of(config, "policy", "policy-2", 5)
    drawn = [DrawnSolution(id=id, sample=None) for id in few.wanted]
    assert len(few.wanted) == 3 and few.undrawn(drawn) == {}
    assert len(more.undrawn(drawn)) == 2
    assert other.undrawn(drawn) == other.wanted


def test_what_did_not_end_is_left_out_and_counted(config: RunConfig) -> None:
    chains = ChainSet.of(config, "policy", "policy-1", 3)
    sample = label(CHAIN.steps)
    first, second, third = chains.wanted
    drawn = [
        DrawnSolution(id=third, sample=sample),
        DrawnSolution(id=first, sample=None),
        DrawnSolution(id="x", sample=sample),
    ]
    data = chains.data_set([*drawn, DrawnSolution(id=second, sample=sample)])
    assert len(data.samples) == 2
    assert "1 that did not come to their end are left out" in data.note
    with pytest.raises(TaskError, match="no solution of policy came to its end, out of 3"):
        chains.data_set(drawn[1:])
