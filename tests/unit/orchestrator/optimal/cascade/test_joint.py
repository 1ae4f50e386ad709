"""Trials of several models, from the records of their runs."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from orchestrator.core.equivalence import SameByProblem
from orchestrator.core.records import Record
from orchestrator.core.voting import elect
from orchestrator.errors import ProfileError
from orchestrator.optimal.cascade.joint import JointTrials, joint_trials, measure_models
from orchestrator.optimal.cascade.plan import Look
from orchestrator.optimal.profiling.measured import USED

Run = Callable[..., list[Record]]

ALONE, PILOTS = (Look(policy="policy", prm=None, pilots=n) for n in (1, 4))
SCORED = Look(policy="policy", prm="prm", pilots=4)


def under(
    records: list[Record], policy: str, prm: str | None, parameters: int | None
) -> list[Record]:
    """The same records as those of another policy and PRM."""
    return [
        replace(
            each,
            cell=f"{policy}+{prm}/{each.cell}",
            policy=policy,
            policy_params=parameters,
            prm=prm,
        )
        for each in records
    ]


async def joint(records: list[Record], same: SameByProblem) -> JointTrials:
    return joint_trials(await measure_models(records, same), 4)


def used(trials: JointTrials, look: Look, field: str) -> float:
    return float(trials.drawn[look][..., USED.index(field)].mean())


async def test_each_look_uses_what_it_draws_and_only_scored_ones_ask_the_prm(
    run: Run, same: SameByProblem
) -> None:
    trials = await joint(run(30), same)
    assert trials.looks == (ALONE, PILOTS, SCORED)
    assert used(trials, ALONE, "policy_tokens") == pytest.approx(50, abs=5)
    assert used(trials, PILOTS, "policy_tokens") == used(trials, SCORED, "policy_tokens")
    assert used(trials, PILOTS, "policy_tokens") == pytest.approx(200, abs=10)
    assert used(trials, ALONE, "prompt_tokens") == 20
    assert used(trials, PILOTS, "prompt_tokens") == 40  # the greedy solution has its own request
    assert used(trials, PILOTS, "prm_tokens") == used(trials, ALONE, "prm_tokens") == 0
    assert used(trials, SCORED, "prm_tokens") == pytest.approx(400, abs=25)


async def test_a_look_at_the_question_alone_is_free_and_shows_its_length(
    run: Run, same: SameByProblem
) -> None:
    records = [replace(each, question_characters=10 * len(each.problem)) for each in run(30)]
    trials = await joint(records, same)
    question = Look(policy="policy", prm=None, pilots=0)
    assert trials.looks == (question, ALONE, PILOTS, SCORED)
    assert not trials.drawn[question].any()
    assert trials.shown[question].names == ("question_length",)
    lengths = trials.shown[question].features[..., 0]
    assert np.array_equal(
        np.exp(lengths).round()[:, 0], [10 * len(name) for name in trials.problems]
    )
    assert np.array_equal(trials.shown[question].right, trials.shown[ALONE].right)
    assert all("question_length" in trials.shown[look].names for look in trials.looks)


async def test_a_greedy_answer_pays_for_one_prompt_and_one_solution(
    run: Run, same: SameByProblem
) -> None:
    trials = await joint(run(30), same)
    (arm,) = [a for a, each in enumerate(trials.arms) if each.arm.strategy == "cot"]
    assert np.array_equal(trials.used[:, :, arm], trials.drawn[ALONE].astype(np.float32))
    assert trials.arms[arm].prm is None


async def test_arms_without_a_prm_pay_for_no_scores_and_those_of_a_prm_use_it(
    run: Run, same: SameByProblem
) -> None:
    trials = await joint(run(30, trees={4: 0.9}), same)
    prm_tokens = trials.used[..., USED.index("prm_tokens")].mean(axis=(0, 1))
    for arm, tokens in zip(trials.arms, prm_tokens, strict=True):
        assert (tokens > 0) == (arm.prm is not None)
    assert any(each.arm.strategy == "beam_search" for each in trials.arms)
    votes = {each.arm.vote.name for each in trials.arms if each.prm}
    assert "majority" not in votes


async def test_a_direct_search_is_what_its_own_cell_came_to(run: Run, same: SameByProblem) -> None:
    records = [
        replace(each, cached_tokens=50) if each.strategy == "beam_search" else each
        for each in run(30, trees={4: 0.5})
    ]
    grown = {each.problem: each for each in records if each.strategy == "beam_search"}
    trials = await joint(records, same)
    (direct, _) = [a for a, each in enumerate(trials.arms) if each.direct]
    for right, problem in zip(trials.right[:, :, direct], trials.problems, strict=True):
        leaves = grown[problem].leaves
        answers = [int(leaf.answer or 0) for leaf in leaves]
        winner = elect(trials.arms[direct].arm.vote, leaves, answers).winner
        assert winner is not None and set(right) == {float(bool(leaves[winner].correct))}
    tokens, cached = (
        trials.used[:, 0, direct, USED.index(field)] for field in ("policy_tokens", "cached_tokens")
    )
    assert tokens.tolist() == [grown[problem].policy_tokens for problem in trials.problems]
    assert set(cached.tolist()) == {30.0}  # its first prompt is in nobody's cache


async def test_policies_come_smallest_first_with_the_problems_all_of_them_have(
    run: Run, same: SameByProblem
) -> None:
    large = under(run(40, seed=1), "large", None, 9000)
    small = under(run(30), "small", "prm", 100)
    trials = await joint([*large, *small], same)
    assert [look.policy for look in trials.looks] == ["small", "small", "small", "large", "large"]
    assert len(trials.problems) == 30


async def test_equal_answers_of_two_policies_are_the_same_answer(
    run: Run, same: SameByProblem
) -> None:
    records = run(30)
    trials = await joint([*under(records, "one", None, 1), *under(records, "two", None, 2)], same)
    one, two = (Look(policy=name, prm=None, pilots=1) for name in ("one", "two"))
    assert np.array_equal(trials.shown[one].leading, trials.shown[two].leading)
    assert trials.shown[one].right.mean() == pytest.approx(0.5, abs=0.25)


async def test_a_policy_without_samples_is_named(run: Run, same: SameByProblem) -> None:
    lacking = [each for each in under(run(30), "large", None, 9) if each.n == 1]
    with pytest.raises(ProfileError, match="large: a profile needs cells"):
        await measure_models([*run(30), *lacking], same)
