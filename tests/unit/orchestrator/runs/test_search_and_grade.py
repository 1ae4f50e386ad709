import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.core.budget import Ledger, Limits
from orchestrator.core.difficulty import independent_draws, independent_samples
from orchestrator.core.node import Node, Tree
from orchestrator.core.ports import Policy
from orchestrator.core.problem import Problem
from orchestrator.core.records import Record, Verdict
from orchestrator.core.task import Grade, Task
from orchestrator.core.voting import BY_SCORES
from orchestrator.errors import BadResponse, EndpointRefused, EndpointUnavailable
from orchestrator.runs.plan import Cell, Ports
from orchestrator.runs.ports.branches import OnFailedBranch
from orchestrator.runs.ports.one_per_request import SeparateSamples
from orchestrator.strategies.fallback import Fallback
from orchestrator.strategies.settings import Stop
from orchestrator.testing.fakes import SEPARATOR, FakePolicy, FakePRM, chains
from tests.unit.orchestrator.conftest import BoxTask

PROBLEM = Problem(id="p", question="What is 3 + 4?", answer="7", level="easy")
GONE = EndpointUnavailable("nothing answers", url="http://policy")


def one_finishes(node: Node, index: int) -> str:
    """Child 0 of the root answers 7; every other path goes on and on."""
    if not node.steps and index == 0:
        return r"So it is \boxed{7}."
    return f"Step {len(node.steps)} of {index} goes on{SEPARATOR}"


@pytest.fixture
def run(
    make_ports: Callable[..., Ports], make_cell: Callable[..., Cell], run_one_tree: Any
) -> Callable[..., Any]:
    async def run(
        policy: Policy,
        prm: FakePRM | None = None,
        *,
        strategy: str = "beam_search",
        limits: Limits | None = None,
        ledger: Ledger | None = None,
        task: Task | None = None,
        on_failed_branch: OnFailedBranch = "drop",
        **settings: Any,
    ) -> Record:
        cell, ports = make_cell(strategy, **settings), make_ports(policy, prm)
        found: Record = await run_one_tree(
            PROBLEM,
            cell,
            replace(ports, task=task or ports.task),
            policy=policy,
            prm=(prm or FakePRM()) if cell.prm else None,
            ledger=ledger,
            limits=limits or Limits(),
            seed=1,
            tree=Tree(key="tree"),
            on_failed_branch=on_failed_branch,
        )
        return found

    return run


async def test_a_record_says_what_was_run_what_it_cost_and_what_came_of_it(run: Any) -> None:
    policy, prm, ledger = FakePolicy(), FakePRM(), Ledger()
    record = await run(policy, prm, ledger=ledger, n=8)
    assert (record.problem, record.level, record.task) == ("p", "easy", "sums")
    assert (record.policy, record.policy_params, record.prm) == ("small", 1000, "prm")
    assert (record.strategy, record.n, record.settings["width"]) == ("beam_search", 8, 4)
    assert (record.ran_out, record.error) == (None, None)
    assert record.policy_tokens == policy.tokens == ledger.spent.policy_tokens
    assert record.prm_tokens == prm.tokens == ledger.spent.prm_tokens
    assert record.requests == len(policy.requests) + len(prm.requests) == ledger.spent.requests
    assert len(record.leaves) == 2
    assert set(record.verdicts) == {"majority", *(vote.name for vote in BY_SCORES)}


async def test_each_vote_elects_its_own_leaf(run: Any) -> None:
    def script(node: Node, index: int) -> str:
        return rf"Way {index} gives \boxed{{{7 if index == 2 else 5}}}."

    def judge(question: str, steps: tuple[str, ...]) -> float:
        return 0.9 if "7" in steps[-1] else 0.2

    record = await run(FakePolicy(script=script), FakePRM(judge=judge), strategy="best_of_n", n=4)
    assert record.verdicts["majority"] == Verdict(answer="5", correct=False)
    assert record.verdicts["max_last"] == Verdict(answer="7", correct=True)


async def test_a_solution_without_an_answer_is_wrong_and_elects_nobody(run: Any) -> None:
    record = await run(FakePolicy(script=lambda node, index: "I give up."), strategy="cot")
    assert record.verdicts == {"majority": Verdict(answer=None, correct=False)}
    assert (record.leaves[0].answer, record.leaves[0].correct) == (None, False)


class BusyTask(BoxTask):
    """Decides between equal spellings only."""

    async def same(self, problem: Problem, a: str, b: str) -> bool | None:
        return True if a == b else None


class ProvenTask(BoxTask):
    """Sees through magic."""

    async def grade(self, problem: Problem, text: str) -> Grade:
        return replace(await super().grade(problem, text), sound="Magic" not in text)


async def test_a_comparison_that_is_not_decided_is_counted_and_is_neither_right_nor_wrong(
    run: Any,
) -> None:
    def script(node: Node, index: int) -> str:
        return rf"\boxed{{{(7, 8, 8, 9)[index]}}}."

    record = await run(FakePolicy(script=script), strategy="majority", n=4, task=BusyTask())
    assert [leaf.correct for leaf in record.leaves] == [True, None, None, None]
    assert record.verdicts["majority"] == Verdict(answer="8", correct=None)
    assert record.undecided == 3  # 7 and 8, 7 and 9, 8 and 9


async def test_a_right_answer_by_a_wrong_way_is_not_sound(run: Any) -> None:
    policy = FakePolicy(script=lambda node, index: r"Magic: \boxed{7}.")
    record = await run(policy, strategy="cot", task=ProvenTask())
    assert record.verdicts["majority"] == Verdict(answer="7", correct=True, sound=False)


@pytest.mark.parametrize(
    ("limits", "ran_out"),
    [
        (Limits(requests=6), "requests"),
        (Limits(policy_tokens=100), "policy_tokens"),
        (Limits(prm_tokens=300), "prm_tokens"),
    ],
)
async def test_when_a_budget_runs_out_the_leaves_so_far_answer(
    run: Any, limits: Limits, ran_out: str
) -> None:
    record = await run(FakePolicy(script=one_finishes), limits=limits, n=8)
    assert (record.ran_out, record.error) == (ran_out, None)
    assert record.verdicts["max_last"] == Verdict(answer="7", correct=True)


def answering(*answers: int) -> FakePolicy:
    """Whole solutions with these answers, in order."""
    return FakePolicy(script=lambda node, index: rf"It is \boxed{{{answers[index]}}}.")


async def test_where_a_budget_ends_before_anything_was_scored_the_majority_decides(
    run: Any,
) -> None:
    record = await run(
        answering(7, 7, 7, 7, 3), strategy="best_of_n", limits=Limits(requests=1), n=5
    )
    assert (record.ran_out, {leaf.scores for leaf in record.leaves}) == ("requests", {()})
    assert record.verdicts["majority"] == Verdict(answer="7", correct=True)
    assert {record.verdicts[vote.name] for vote in BY_SCORES} == {
        Verdict(answer="7", correct=True, by="majority")
    }


async def test_a_prm_that_fails_for_some_leaves_the_vote_to_the_others(run: Any) -> None:
    """The second batch of an early-stopping best-of-N is never scored."""
    script = iter([3, 5, *[7] * 6])
    policy = FakePolicy(script=lambda node, index: rf"It is \boxed{{{next(script)}}}.")

    record = await run(
        policy, FakePRM(judge=lambda question, steps: 0.4 if "3" in steps[-1] else 0.6),
        strategy="best_of_n", n=8, limits=Limits(requests=3),
        stop=Stop(rule="beta", confidence=0.99, batch=2),
    )  # fmt: skip
    assert [bool(leaf.scores) for leaf in record.leaves] == [True, True, False, False]
    assert record.verdicts["max_last"] == Verdict(answer="5", correct=False)
    assert record.verdicts["weighted_last"] == Verdict(answer="5", correct=False)
    assert record.verdicts["majority"] == Verdict(answer="7", correct=True)


async def test_a_text_that_was_scored_before_is_no_unscored_one_when_the_time_is_up(
    run: Any,
) -> None:
    """The second batch repeats a text of the first, and the third is never drawn."""
    given = iter([3, 5, 3, 5, 5, 3])
    policy = FakePolicy(script=lambda node, index: rf"It is \boxed{{{next(given)}}}.")
    record = await run(
        policy, strategy="best_of_n", n=8, limits=Limits(requests=3),
        stop=Stop(rule="beta", confidence=0.99, batch=2),
    )  # fmt: skip
    assert record.ran_out == "requests"
    assert [bool(leaf.scores) for leaf in record.leaves] == [True] * 4


BETA = Stop(rule="beta", confidence=0.99, batch=4)


@pytest.mark.parametrize(
    ("strategy", "settings", "samples"),
    [
        ("majority", {"n": 8}, 8),
        ("best_of_n", {"n": 8}, 8),
        ("best_of_n", {"n": 1, "temperature": 0.0}, 0),
        ("majority", {"n": 8, "stop": BETA}, 4),
        ("best_of_n", {"n": 8, "stop": BETA, "then": Fallback(strategy="dvts", n=8)}, 4),
        ("best_of_n", {"n": 8, "stop": BETA, "then": Fallback(strategy="beam_search", n=4)}, 4),
        ("cot", {}, 0),
        ("beam_search", {"n": 8}, 0),
        ("dvts", {"n": 8}, 0),
    ],
)
async def test_a_record_tells_which_of_its_leaves_are_independent_samples(
    run: Any, strategy: str, settings: dict[str, Any], samples: int
) -> None:
    """Whole solutions are wrong and all different, what a search finds is right."""

    def script(node: Node, index: int) -> str:
        return rf"It is \boxed{{{node.seed + index}}}." if len(node.path) < 2 else r"\boxed{7}"

    record = await run(FakePolicy(script=script), strategy=strategy, **settings)
    found = independent_samples(record)
    assert (len(found), independent_draws(record)) == (samples, samples)
    assert len({leaf.path for leaf in found}) == samples
    assert not any(leaf.correct for leaf in found)


async def test_a_request_limit_is_never_passed(run: Any) -> None:
    policy, prm = FakePolicy(script=one_finishes), FakePRM()
    record = await run(policy, prm, limits=Limits(requests=7), n=8)
    assert record.requests == len(policy.requests) + len(prm.requests) == 7


async def test_of_the_leaves_so_far_the_best_scored_answers(run: Any) -> None:
    """A search that would have pruned a right answer has it still when it is cut short."""

    def script(node: Node, index: int) -> str:
        if not node.steps and index < 2:
            return rf"So it is \boxed{{{5 + 2 * index}}}."
        return f"Step {len(node.steps)} of {index}{SEPARATOR}"

    def judge(question: str, steps: tuple[str, ...]) -> float:
        return {"5": 0.2, "7": 0.4}.get(steps[-1][-3], 0.9)

    record = await run(
        FakePolicy(script=script), FakePRM(judge=judge), limits=Limits(requests=5), n=4
    )
    assert record.verdicts["max_last"].answer == "7"


async def test_a_tree_draws_on_the_runs_budget_too(run: Any) -> None:
    ledger = Ledger("run", Limits(requests=4))
    first = await run(FakePolicy(script=one_finishes), ledger=ledger, n=8)
    second = await run(FakePolicy(script=one_finishes), ledger=ledger, n=8)
    assert (first.ran_out, first.requests) == ("requests", 4)
    assert (second.ran_out, second.requests, second.leaves) == ("requests", 0, ())
    assert second.verdicts["majority"] == Verdict(answer=None, correct=False)


@pytest.mark.parametrize("error", [GONE, BadResponse("an HTML page", url="http://policy")])
async def test_when_an_endpoint_fails_the_leaves_so_far_answer_and_the_error_is_kept(
    run: Any, error: Exception
) -> None:
    policy = FakePolicy(script=one_finishes, failures={3: error})
    record = await run(policy, n=8, on_failed_branch="fail")
    assert (record.ran_out, record.error) == ("endpoint", str(error))
    assert record.verdicts["max_last"] == Verdict(answer="7", correct=True)


async def test_refill_goes_by_the_strategys_own_reward(run: Any) -> None:
    scores = dict(zip("abcdefgh", (0.9, 0.3, 0.2, 0.1, 0.95, 0.96, 0.99, 0.5), strict=True))

    def judge(question: str, steps: tuple[str, ...]) -> float:
        return scores[steps[-1][0]]

    def script(node: Node, index: int) -> str:
        level = "efgh" if node.steps else "abcd"
        return rf"\boxed{{{index}}}" if len(node.steps) == 2 else f"{level[index]}\n\n"

    scores["\\"] = 1.0
    policy = FakePolicy(script=script, failures={3: GONE})
    await run(policy, FakePRM(judge=judge), n=4, reward="min", on_failed_branch="refill")
    grown = [request.node.path for request in policy.requests]
    assert grown == [(), (0,), (0, 0), (0, 1)]  # the least score of three of them is 0.9


async def test_when_the_prm_fails_the_unscored_leaves_answer(run: Any) -> None:
    record = await run(FakePolicy(script=one_finishes), FakePRM(failures={1: GONE}), n=4)
    assert record.error == "nothing answers"
    assert record.verdicts["majority"].answer == "7"
    assert all(leaf.scores == () for leaf in record.leaves)


@pytest.mark.parametrize("strategy", ["cot", "majority", "best_of_n", "beam_search", "dvts"])
async def test_an_endpoint_that_never_answers_leaves_no_answer_but_a_record(
    run: Any, strategy: str
) -> None:
    failures: Mapping[int, Exception] = dict.fromkeys(range(1, 50), GONE)
    record = await run(FakePolicy(failures=failures), strategy=strategy)
    assert (record.error, record.leaves) == ("nothing answers", ())
    assert record.verdicts["majority"] == Verdict(answer=None, correct=False)
    assert record.requests == 0


async def test_a_refusal_passes_through_since_it_concerns_the_whole_run(run: Any) -> None:
    refused = EndpointRefused("wrong key", url="http://policy")
    with pytest.raises(EndpointRefused, match="wrong key"):
        await run(FakePolicy(failures={2: refused}), n=8)


async def test_a_failed_tree_leaves_nothing_reserved(run: Any) -> None:
    ledger = Ledger()
    await run(FakePolicy(script=chains(9), failures={4: GONE}), ledger=ledger, n=16)
    assert ledger.reserved.requests == ledger.reserved.policy_tokens == 0


async def test_a_tree_answers_from_what_it_has_when_its_time_is_up(run: Any) -> None:
    async def forever(node: Node) -> None:
        if node.steps:
            await asyncio.Event().wait()

    policy = FakePolicy(script=one_finishes, pause=forever)
    record = await run(policy, limits=Limits(seconds=0.05), n=8)
    assert (record.ran_out, record.error) == ("seconds", None)
    assert record.verdicts["max_last"] == Verdict(answer="7", correct=True)


async def test_a_lost_branch_is_in_the_record(run: Any) -> None:
    record = await run(FakePolicy(script=one_finishes, failures={3: GONE}), n=8)
    assert (record.ran_out, record.error, record.failed_branches) == (None, None, 1)
    assert record.verdicts["max_last"] == Verdict(answer="7", correct=True)


async def test_what_no_answer_is_built_on_was_wasted(run: Any) -> None:
    def script(node: Node, index: int) -> str:
        return rf"So it is \boxed{{{index}}}." if node.steps else f"Way {index} on{SEPARATOR}"

    record = await run(FakePolicy(script=script), strategy="dvts", n=8)
    assert len(record.leaves) == 2  # of 8 first steps of three words and 8 last ones of four
    assert (record.policy_tokens, record.wasted_tokens) == (56, 42)
    assert 0 < record.prm_wasted_tokens < record.prm_tokens


async def test_samples_that_all_vote_are_not_wasted(run: Any) -> None:
    policy = FakePolicy(script=lambda node, index: rf"It is \boxed{{{index}}}.")
    record = await run(policy, strategy="best_of_n", n=8)
    assert record.policy_tokens > 0 < record.prm_tokens
    assert (record.wasted_tokens, record.prm_wasted_tokens) == (0, 0)


async def test_a_draw_that_makes_up_for_a_lost_sample_forgets_none_that_was_paid(run: Any) -> None:
    policy = FakePolicy(script=lambda node, index: rf"It is \boxed{{{index}}}.", failures={3: GONE})
    limits = Limits(requests=9)  # which ends it before what was drawn last is scored
    record = await run(SeparateSamples(policy), strategy="best_of_n", n=8, limits=limits)
    assert (record.ran_out, len(policy.requests)) == ("requests", 9)
    assert len({leaf.path for leaf in record.leaves}) == len(record.leaves) == 8


async def test_a_branch_that_is_lost_later_was_wasted(run: Any) -> None:
    policy = FakePolicy(script=one_finishes, failures={2: GONE})
    record = await run(policy, strategy="dvts", n=8, max_depth=3)
    assert record.failed_branches == 1
    (leaf,) = record.leaves
    assert record.wasted_tokens == record.policy_tokens - leaf.tokens > 0
