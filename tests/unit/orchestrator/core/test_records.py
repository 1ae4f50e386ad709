"""What a record says of itself."""

from collections.abc import Callable

import pytest

from orchestrator.core.records import POOL, RECORD_FORMAT, Record, Route

MakeRecord = Callable[..., Record]


def routed(*, cut: bool) -> Route:
    return Route(
        bin="easy", predicted=0.7, strategy="best_of_n", settings={}, vote="majority", rule="paper",
        cut=cut,
    )  # fmt: skip


def test_a_new_record_is_of_the_second_format(make_record: MakeRecord) -> None:
    assert make_record().format == RECORD_FORMAT == 2


@pytest.mark.parametrize(
    ("n", "ends", "has_holes"),
    [
        (2, {"unanswered": 1}, True),
        (1, {"unanswered": 1}, False),
        (2, {"length": 1}, False),
        (1, {}, False),
    ],
)
def test_a_record_has_holes_where_samples_that_were_no_answers_are_missing(
    make_record: MakeRecord, n: int, ends: dict[str, int], has_holes: bool
) -> None:
    assert make_record(n=n, ends=ends).has_holes is has_holes


@pytest.mark.parametrize(
    ("changes", "is_cut"),
    [
        ({}, False),
        ({"ran_out": POOL}, True),
        ({"ran_out": "tokens"}, False),
        ({"route": routed(cut=True)}, True),
        ({"route": routed(cut=False)}, False),
    ],
)
def test_a_record_is_cut_where_its_pool_was_used_up_before_it_was_done(
    make_record: MakeRecord, changes: dict[str, object], is_cut: bool
) -> None:
    assert make_record(**changes).is_cut is is_cut


def test_a_record_that_counts_nothing_says_so(make_record: MakeRecord) -> None:
    record = make_record()
    assert (record.samples, record.failed_branches, record.undecided) == (0, 0, 0)
    assert (record.prm_cached_tokens, record.cost, record.ended) == (0, 0.0, 0.0)
    assert (record.wasted_tokens, record.prm_wasted_tokens) == (None, None)


def test_records_differ_by_all_but_the_moment_of_their_end(make_record: MakeRecord) -> None:
    assert make_record(ended=1.0) == make_record(ended=2.0)
    assert make_record(cost=1.0) != make_record(cost=2.0)
