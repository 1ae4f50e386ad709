"""Strategies that stop when the rest would not change the answer."""

from dataclasses import dataclass

import pytest

from orchestrator.core.node import FORKS, Node, root
from orchestrator.core.ports import Models, Policy, Sampling
from orchestrator.core.problem import Problem
from orchestrator.core.task import Task
from orchestrator.errors import ConfigError
from orchestrator.runs.answers import AnsweringPolicy, AnswerReader
from orchestrator.strategies import DVTS, BeamSearch, BestOfN, MajorityVoting
from orchestrator.strategies.fallback import Fallback
from orchestrator.strategies.settings import Stop
from orchestrator.strategies.traits import FirstDraw
from orchestrator.testing.fakes import SEPARATOR, FakePolicy, FakePRM
from tests.unit.orchestrator.conftest import BoxTask

PROBLEM = Problem(id="p", question="What is 1 + 1?", answer="2")
ROOT = root(PROBLEM.question, seed=1, problem_id="p")


def reading(policy: Policy, prm: FakePRM, task: Task | None = None) -> Models:
    """What a strategy is given that goes by answers."""
    reader = AnswerReader(task or BoxTask(), PROBLEM)
    return Models(AnsweringPolicy(policy, reader), prm)


def answering(*answers: int) -> FakePolicy:
    """Solutions whose answers are these, in order of asking."""
    given = iter(answers)
    return FakePolicy(script=lambda node, index: rf"It is $\boxed{{{next(given)}}}$.")


async def samples(strategy: MajorityVoting | BestOfN, *answers: int, score: float = 1.0) -> int:
    policy = answering(*answers)
    prm = FakePRM(judge=lambda question, steps: score)
    leaves = await strategy(ROOT, reading(policy, prm))
    assert len({leaf.path for leaf in leaves}) == len(leaves)
    assert len({leaf.seed for leaf in leaves}) == len(leaves)
    return len(leaves)


async def test_a_majority_that_nothing_can_change_draws_no_more() -> None:
    certain = MajorityVoting(n=16, stop=Stop(rule="certain"))
    assert await samples(certain, *[2] * 16) == 12
    assert await samples(certain, *[2, 3] * 8) == 16


async def test_a_likely_enough_majority_draws_no_more() -> None:
    beta = MajorityVoting(n=64, stop=Stop(rule="beta", confidence=0.95))
    assert await samples(beta, *[2] * 64) == 4
    assert await samples(beta, 2, 2, 2, 3, *[2] * 60) == 8
    assert await samples(beta, *[2, 3] * 32) == 64


@pytest.mark.parametrize(("of_three", "drawn"), [(-6.0, 4), (-0.1, 8)])
async def test_a_vote_stops_by_how_sure_the_policy_is_where_its_stop_says_so(
    of_three: float, drawn: int
) -> None:
    """One of four samples differs, which settles the vote only if the policy is less sure of it."""
    policy = answering(2, 2, 2, 3, *[2] * 60)
    policy.likelihood = lambda seed, word: of_three if "3" in word else -0.1
    stop = Stop(rule="beta", confidence=0.9, vote="confident_mean")
    vote = MajorityVoting(n=16, logprobs=True, stop=stop)
    assert len(await vote(ROOT, reading(policy, FakePRM()))) == drawn


@pytest.mark.parametrize(
    ("stop", "complaint"),
    [
        (Stop(rule="beta", vote="confident_men"), 'did you mean "confident_mean"'),
        (Stop(rule="beta", vote="confident_mean"), "set `logprobs: true` beside"),
        (Stop(rule="beta", vote="weighted_last"), "asks for none: use best_of_n"),
        (Stop(rule="beta", vote="most_confident_mean"), "lets one solution decide"),
    ],
)
def test_a_stop_that_no_samples_can_follow_is_refused(stop: Stop, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as refused:
        MajorityVoting(n=16, stop=stop)
    assert refused.value.keys == ("stop", "vote")


def test_nothing_is_certain_where_samples_change_what_others_weigh() -> None:
    with pytest.raises(ConfigError, match="use `rule: beta`"):
        MajorityVoting(n=16, logprobs=True, stop=Stop(rule="certain", vote="borda_mean"))
    BestOfN(n=16, stop=Stop(rule="certain", vote="weighted_min"))


class NearTask(BoxTask):
    """Calls numbers equal that are at most a half apart."""

    async def same(self, problem: Problem, a: str, b: str) -> bool | None:
        return abs(float(a) - float(b)) <= 0.5


async def test_an_answer_that_joins_two_others_settles_a_vote_between_them() -> None:
    given = iter(["3.0", "3.8", "3.0", "3.8", "3.4", *["3.0", "3.8"] * 6])
    policy = FakePolicy(script=lambda node, index: rf"It is $\boxed{{{next(given)}}}$.")
    majority = MajorityVoting(n=16, stop=Stop(rule="beta", confidence=0.95))
    leaves = await majority(ROOT, reading(policy, FakePRM(), NearTask()))
    assert len(leaves) == 8


async def test_what_the_prm_does_not_believe_settles_nothing() -> None:
    beta = BestOfN(n=32, stop=Stop(rule="beta", confidence=0.95))
    assert await samples(beta, *[2] * 32, score=1.0) == 4
    assert await samples(beta, *[2] * 32, score=0.25) == 16
    assert await samples(beta, *[2] * 32, score=0.0) == 32


async def test_batches_end_at_n() -> None:
    odd = MajorityVoting(n=6, stop=Stop(rule="beta", confidence=0.99))
    assert await samples(odd, *[2, 3, 4, 5, 6, 7]) == 6


async def test_how_likely_the_question_is_is_asked_once_with_the_first_batch() -> None:
    asking = MajorityVoting(n=12, stop=Stop(rule="certain"), logprobs=True, question_logprob=True)
    policy = answering(*range(12))
    leaves = await asking(ROOT, reading(policy, FakePRM()))
    assert [each.sampling.question_logprob for each in policy.requests] == [True, False, False]
    assert all(each.sampling.logprobs for each in policy.requests)
    assert [leaf.question_logprob is None for leaf in leaves] == [False] * 4 + [True] * 8
    assert all(leaf.confidence for leaf in leaves)


async def test_without_a_rule_all_are_drawn_at_once_and_no_answer_is_read() -> None:
    policy = FakePolicy()
    assert not MajorityVoting(n=8).needs
    leaves = await MajorityVoting(n=8)(ROOT, Models(policy, FakePRM()))
    assert [request.n for request in policy.requests] == [8]
    assert all(leaf.answer is None for leaf in leaves)


async def test_a_beam_search_ends_when_the_best_finished_path_dominates() -> None:
    def script(node: Node, index: int) -> str:
        return f"good {index}" if index == 0 else f"worse {index}{SEPARATOR}"

    def judge(question: str, steps: tuple[str, ...]) -> float:
        return 0.9 if steps[-1].startswith("good") else 0.5

    policy = FakePolicy(script=script)
    search = BeamSearch(n=8, width=4, max_depth=5, stop="dominated")
    (leaf,) = await search(ROOT, Models(policy, FakePRM(judge=judge)))
    assert (leaf.text, len(policy.requests)) == ("good 0", 1)


async def test_a_beam_search_goes_on_while_an_open_path_is_worth_more() -> None:
    def script(node: Node, index: int) -> str:
        return f"done {index}" if index == 0 or node.steps else f"promising {index}{SEPARATOR}"

    def judge(question: str, steps: tuple[str, ...]) -> float:
        return 0.6 if steps == ("done 0",) else 0.9

    search = BeamSearch(n=8, width=4, max_depth=5, stop="dominated")
    leaves = await search(ROOT, Models(FakePolicy(script=script), FakePRM(judge=judge)))
    assert {len(leaf.steps) for leaf in leaves} == {2}


BETA = Stop(rule="beta", confidence=0.9)


async def test_a_tree_search_follows_where_all_samples_leave_the_vote_unsettled() -> None:
    followed = BestOfN(n=8, stop=BETA, then=Fallback(strategy="dvts", n=8, width=4))
    alone = DVTS(n=8, width=4)
    assert await samples(followed, *[2] * 8) == 4
    assert await samples(followed, *[2, 3] * 8) == 8 + 2
    policy, prm = FakePolicy(), FakePRM()
    grown = await followed(ROOT, reading(policy, prm))
    assert len(grown) == 8 + len(await alone(ROOT, Models(FakePolicy(), FakePRM())))
    assert {leaf.finish for leaf in grown[:8]} == {"stop"}


async def test_what_is_settled_by_those_to_come_needs_no_tree_search() -> None:
    followed = BestOfN(
        n=5, stop=Stop(rule="beta", confidence=0.99), then=Fallback(strategy="beam_search", n=4)
    )
    assert await samples(followed, *[2] * 5) == 4  # 0.97 sure, and one to come cannot change it


async def test_no_tree_search_follows_samples_that_were_lost() -> None:
    followed = BestOfN(n=8, stop=BETA, then=Fallback(strategy="dvts", n=8, width=4))
    policy = LosingPolicy(answering(*[2, 3] * 20), after=4)
    leaves = await followed(ROOT, reading(policy, FakePRM()))
    assert len(leaves) == 4


@dataclass
class LosingPolicy:
    """Every whole solution after the first few is lost, as a runner lets them be; steps are not."""

    policy: FakePolicy
    after: int
    given: int = 0

    async def extend(self, node: Node, n: int, sampling: Sampling) -> list[Node]:
        if sampling.until == "end" and self.given >= self.after:
            return []
        self.given += n
        return await self.policy.extend(node, n, sampling)


@pytest.mark.parametrize("stop", [None, Stop(rule="certain")])
def test_a_search_to_follow_needs_a_confidence_to_fall_short_of(stop: Stop | None) -> None:
    with pytest.raises(ConfigError, match=r"needs a `stop` with a confidence, for example \{rule"):
        BestOfN(n=8, stop=stop, then=Fallback(strategy="dvts"))


def test_a_search_to_follow_takes_the_settings_of_its_own() -> None:
    assert Fallback(strategy="beam_search", n=8, stop="dominated").search == BeamSearch(
        n=8, stop="dominated"
    )
    assert Fallback(strategy="dvts", n=8, max_depth=5).search == DVTS(n=8, max_depth=5)
    with pytest.raises(ConfigError, match="dvts takes no `stop`"):
        Fallback(strategy="dvts", stop="dominated")
    with pytest.raises(ConfigError, match="not a multiple of width"):
        Fallback(strategy="dvts", n=6)


@pytest.mark.parametrize("confidence", [0.5, 1.0, 0.0])
def test_a_confidence_that_is_none_is_refused(confidence: float) -> None:
    with pytest.raises(ConfigError, match=r"between 0\.5 and 1"):
        Stop(rule="beta", confidence=confidence)


@pytest.mark.parametrize(
    ("strategy", "first"),
    [
        (MajorityVoting(n=8), 8),
        (MajorityVoting(n=8, stop=Stop(rule="certain", batch=3)), 3),
        (MajorityVoting(n=2, stop=Stop(rule="certain", batch=3)), 2),
    ],
)
async def test_the_first_draw_is_a_batch_where_it_may_stop_early(
    strategy: MajorityVoting, first: int
) -> None:
    policy = answering(*[2] * 8)
    await strategy(ROOT, reading(policy, FakePRM()))
    assert strategy.traits.first_draw == FirstDraw(strategy.sampling, first)
    assert policy.requests[0].n == first


async def test_solutions_from_before_count_towards_n() -> None:
    for stop in (None, Stop(rule="beta", confidence=0.99)):
        policy = answering(*range(20))
        models = reading(policy, FakePRM())
        drawn = await models.policy.extend(ROOT, 3, MajorityVoting().sampling)
        leaves = await MajorityVoting(n=8, stop=stop).go_on(ROOT, models, drawn)
        assert (leaves[:3], len(leaves)) == (drawn, 8)
        assert leaves[3].path[0] == FORKS + 3
        asked = len(policy.requests)
        assert await MajorityVoting(n=3, stop=stop).go_on(ROOT, models, drawn) == drawn
        assert await MajorityVoting(n=2, stop=stop).go_on(ROOT, models, drawn) == drawn
        assert len(policy.requests) == asked


async def test_one_sample_that_is_an_answer_keeps_the_others_coming() -> None:
    """A prompt is turned down when all of a batch are, without a step."""

    class Filters:
        asked = 0

        async def extend(self, node: Node, n: int, sampling: Sampling) -> list[Node]:
            self.asked += 1
            given = [node.child(i, (), finish="filtered") for i in range(n - 1)]
            return [*given, node.child(n - 1, ("half an ans",), finish="filtered")]

    policy = Filters()
    strategy = MajorityVoting(n=8, stop=Stop(rule="beta", confidence=0.9, batch=4))
    assert (len(await strategy(ROOT, Models(policy, FakePRM()))), policy.asked) == (8, 2)
