from dataclasses import replace

import pytest

from orchestrator.core.records import Verdict
from orchestrator.errors import RunError
from orchestrator.report.data.headline import HeadlineSpec
from orchestrator.report.data.summary import summarise
from orchestrator.report.tables.sentences import headline_sentences
from orchestrator.statistics import unseen

SPEC = HeadlineSpec(
    small="policy-160k", prm="prm-qwen", strategy="beam_search", n=16, vote="majority",
    large="policy-2m",
)  # fmt: skip


@pytest.fixture
def duel(make_record):
    """Two cells, from the problems each side gets right; the large side's come in reverse."""

    def records(ours: dict[str, bool], theirs: dict[str, bool], sound: bool | None = None):
        small = [
            make_record(
                problem=problem, strategy="beam_search", n=16, prm="prm-qwen",
                verdicts={"majority": Verdict(answer="7", correct=right, sound=right and sound)},
            )
            for problem, right in ours.items()
        ]  # fmt: skip
        large = [
            make_record(
                problem=problem, policy="policy-2m",
                verdicts={"majority": Verdict(answer="7", correct=right, sound=right and sound)},
            )
            for problem, right in reversed(theirs.items())
        ]  # fmt: skip
        return small + large

    return records


def numbers(rights: str) -> dict[str, bool]:
    return {f"p{i}": right == "1" for i, right in enumerate(rights)}


def headline(records, spec=SPEC):
    found = summarise(records, spec).headline
    assert found is not None
    return found


def test_problems_are_paired_by_name_not_by_order(duel):
    found = headline(duel(numbers("1100"), numbers("1100")))
    assert (found.difference, -found.ci_low, found.ci_high) == (0, unseen(4), unseen(4))


def test_only_problems_both_attempted_count(duel):
    found = headline(duel(numbers("111100000"), numbers("1001")))
    assert (found.problems, found.small_accuracy, found.large_accuracy) == (4, 1.0, 0.5)
    assert found.difference == 0.5


def test_the_headline_carries_names_and_sizes(duel):
    found = headline(duel(numbers("11"), numbers("10")))
    assert (found.small, found.small_params, found.prm, found.n) == (
        "policy-160k", 163_968, "prm-qwen", 16,
    )  # fmt: skip
    assert (found.large, found.large_params, found.vote) == ("policy-2m", 2_160_256, "majority")


def test_whole_chains_are_compared_where_they_are_known(duel):
    known = headline(duel(numbers("1110"), numbers("1000"), sound=True))
    assert known.sound_difference == 0.5
    unknown = headline(duel(numbers("1110"), numbers("1000")))
    assert unknown.sound_difference is None


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"n": 64}, "policy-160k beam_search N = 64 under prm-qwen on sums"),
        ({"prm": None}, "policy-160k beam_search N = 16 under no PRM on sums"),
        ({"large": "policy-7b"}, "policy-7b cot on sums"),
    ],
)
def test_a_missing_cell_is_named_with_those_that_exist(duel, changes, missing):
    spec = replace(SPEC, **changes)
    with pytest.raises(RunError) as raised:
        headline(duel(numbers("1"), numbers("1")), spec)
    assert missing in str(raised.value)
    assert "policy-160k beam_search N = 16 under prm-qwen on sums" in str(raised.value)
    assert "policy-2m cot N = 1 on sums" in str(raised.value)


def test_a_vote_that_was_not_counted_is_named(duel):
    spec = replace(SPEC, vote="max_avg")
    with pytest.raises(RunError, match=r"max_avg was not counted.*majority"):
        headline(duel(numbers("1"), numbers("1")), spec)


def test_cells_without_a_common_problem_cannot_be_compared(duel):
    with pytest.raises(RunError, match=r"no problem was attempted by both"):
        headline(duel({"a": True}, {"b": True}))


def test_several_tasks_need_the_headline_to_say_which(duel, make_record):
    records = [*duel(numbers("1"), numbers("1")), make_record(task="aime", cell="other")]
    with pytest.raises(RunError, match=r"must say its task.*aime, sums"):
        headline(records)


def test_two_cells_that_answer_to_one_name_are_refused(duel, make_record):
    twin = make_record(strategy="beam_search", n=16, prm="prm-qwen", cell="wider")
    with pytest.raises(RunError, match=r"several cells.*wider"):
        headline([*duel(numbers("1"), numbers("1")), twin])


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        ("1" * 40, "10" * 20, "The small policy with search beats the large one: +50.0 points"),
        ("1000" * 10, "1" * 40, "The large policy stays ahead"),
        ("1001" * 10, "0110" * 10, "neither is shown to be better: +0.0 points"),
    ],
)
def test_the_sentence_says_honestly_how_it_went(duel, ours, theirs, words):
    (sentence,) = headline_sentences(headline(duel(numbers(ours), numbers(theirs))))
    assert words in sentence
    assert "40 problems" in sentence
    assert sentence.startswith("policy-160k (0.16M) with beam search N = 16 under prm-qwen (0.16M)")
    assert "policy-2m (2.16M, 13.2× the parameters) with CoT" in sentence
