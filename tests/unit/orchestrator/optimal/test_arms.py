"""What a run of many samples and tree searches lets a router choose among, and how it is said."""

import pytest

from orchestrator.core.voting import VOTES, ByConfidence, Confident, Majority, Max, Weighted
from orchestrator.optimal.arms import (
    CONFIDENCES,
    CONFIDENT_VOTES,
    PAPER_VOTES,
    POOR_PRM_VOTES,
    Arm,
    fallback_arms,
    sampling_arms,
    votes_of,
)
from orchestrator.optimal.routing.routed import strategy_of
from orchestrator.optimal.wording import in_words
from orchestrator.strategies import BestOfN, MajorityVoting

WHOLE = {"temperature": 0.7, "top_p": 1.0, "max_tokens": 100, "n": 64}
DVTS = {"n": 16, "width": 4}


def test_a_tree_search_follows_the_arms_that_stop_by_its_vote() -> None:
    arms = sampling_arms(WHOLE, 4)
    found = fallback_arms(arms, "dvts", DVTS, Max("last"))
    assert {(arm.strategy, arm.vote) for arm in found} == {("best_of_n", Max("last"))}
    assert {arm.n for arm in found} == {16, 32, 64}
    assert {arm.stop["confidence"] for arm in found if arm.stop} == set(CONFIDENCES[::2])
    assert len(set(map(str, found))) == len(found) == 3 * len(CONFIDENCES[::2])
    assert all(arm.has_fallback and arm.is_sampling for arm in found)
    assert not any(arm.has_fallback for arm in arms)


def test_every_arm_is_a_strategy_that_its_settings_build() -> None:
    arms = sampling_arms(WHOLE, 4, votes=votes_of(is_scored=True, has_logprobs=True))
    for arm in (*arms, *fallback_arms(arms, "dvts", DVTS, Weighted("last"))):
        strategy = strategy_of(arm)
        assert strategy.n == arm.n
        if arm.has_fallback:
            assert isinstance(strategy, BestOfN)
            assert strategy.then and strategy.then.search.n == 16


def test_arms_ask_for_no_log_probabilities_only_because_the_run_that_measures_them_does() -> None:
    measured = WHOLE | {"logprobs": True, "question_logprob": True}
    assert sampling_arms(measured, 4) == sampling_arms(WHOLE, 4)


def test_an_arm_that_votes_by_confidence_asks_for_log_probabilities_and_for_no_prm() -> None:
    greedy, *arms = sampling_arms(WHOLE, 4, votes=[Confident("mean")])
    assert "logprobs" not in greedy.settings
    assert {(arm.strategy, arm.settings["logprobs"]) for arm in arms} == {("majority", True)}
    assert all("prm" not in strategy_of(arm).needs for arm in arms)


def test_a_policy_without_a_prm_has_arms_that_go_by_its_confidence() -> None:
    unscored = votes_of(is_scored=False, has_logprobs=True)
    arms = sampling_arms(WHOLE, 4, votes=unscored)
    assert {arm.strategy for arm in arms} == {"cot", "majority"}
    assert {arm.vote for arm in arms} == {Majority(), *CONFIDENT_VOTES}
    for arm in arms:
        asks = isinstance(arm.vote, ByConfidence)
        assert bool(arm.settings.get("logprobs")) == asks
        assert arm.stopping_vote == (arm.vote if asks and arm.stop else Majority())
        built = strategy_of(arm)
        assert not isinstance(built, MajorityVoting) or built.stopping_vote == arm.stopping_vote
    assert votes_of(is_scored=False, has_logprobs=False) == (Majority(),)


def test_a_policy_under_a_prm_has_arms_that_mistrust_it() -> None:
    votes = votes_of(is_scored=True, has_logprobs=False)
    assert votes == (*PAPER_VOTES, *POOR_PRM_VOTES)
    arms = sampling_arms(WHOLE, 4, votes=POOR_PRM_VOTES)[1:]
    assert {arm.strategy for arm in arms} == {"best_of_n"}
    assert {arm.stopping_vote for arm in arms} == {Weighted("last")}


STOP = {"stop": {"rule": "beta", "confidence": 0.9, "batch": 4}}


@pytest.mark.parametrize(
    ("strategy", "settings", "vote", "words"),
    [
        ("cot", {}, "majority", "the greedy answer"),
        ("majority", {"n": 4}, "majority", "majority of 4"),
        ("majority", {"n": 64} | STOP, "majority", "majority of 64 until 90 % sure"),
        ("best_of_n", {"n": 16}, "max_last", "best of 16 by PRM-Last"),
        (
            "best_of_n",
            {"n": 16},
            "best_of_majority_last",
            "best of the frequent answers of 16 by PRM-Last",
        ),
        ("best_of_n", {"n": 16}, "pooled_last", "pooled vote of 16 by PRM-Last"),
        (
            "majority",
            {"n": 64} | STOP,
            "confident_mean",
            "confidence vote of 64 by mean log-probability until 90 % sure",
        ),
        (
            "majority",
            {"n": 8},
            "top_confident_lowest",
            "majority of the surest 50% of 8 by the lowest window",
        ),
        ("dvts", {"n": 16}, "max_last", "DVTS 16 with PRM-Last"),
        ("beam_search", {"n": 4}, "weighted_min", "beam search 4 with a vote by PRM-Min"),
        (
            "best_of_n",
            {"n": 32} | STOP | {"then": {"strategy": "beam_search", "n": 64}},
            "weighted_last",
            "weighted vote of 32 by PRM-Last until 90 % sure, else beam search 64",
        ),
    ],
)
def test_arms_in_words(strategy: str, settings: dict[str, object], vote: str, words: str) -> None:
    assert in_words(Arm(strategy=strategy, settings=settings, vote=VOTES[vote])) == words
