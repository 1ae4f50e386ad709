"""Which tree searches are measured further."""

from math import inf, nan

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.optimal.profiling.halving import reach, shortfalls, survivors

ERRORS = [[0.1, 0.1, 0.1]]


def test_what_is_on_a_front_falls_short_of_nothing() -> None:
    assert shortfalls([[0.5, 0.9, 0.7]], ERRORS, [[1.0, 2.0, 3.0]])[:2] == [0.0, 0.0]


def test_the_bin_where_a_search_is_best_counts() -> None:
    right, used = [[0.9, 0.5], [0.2, 0.6]], [[1.0, 2.0], [1.0, 2.0]]
    assert shortfalls(right, [[0.1, 0.1]] * 2, used) == [0.0, 0.0]


def test_gaps_are_in_standard_errors() -> None:
    assert round(shortfalls([[0.9, 0.5]], [[0.1, 0.2]], [[1.0, 2.0]])[1], 9) == 2.0


def test_a_bin_that_tells_nothing_of_a_search_is_left_out() -> None:
    assert shortfalls([[0.9, 0.5]], [[0.1, nan]], [[1.0, 2.0]])[1] == inf


def test_the_farther_half_is_dropped_unless_it_is_on_a_front() -> None:
    assert survivors({"a": 0.0, "b": 3.0, "c": 0.5, "d": 2.0}) == ["a", "c"]
    assert survivors({"a": 0.0, "b": 0.0, "c": 0.0, "d": 2.0}) == ["a", "b", "c"]


@given(st.dictionaries(st.text(max_size=3), st.floats(0.01, 9), min_size=1))
def test_whoever_is_dropped_is_farther_than_whoever_stays(shortfall: dict[str, float]) -> None:
    kept = survivors(shortfall)
    assert len(kept) == -(-len(shortfall) // 2)
    dropped = [shortfall[cell] for cell in shortfall.keys() - set(kept)]
    assert max(shortfall[cell] for cell in kept) <= min(dropped, default=inf)


def test_a_round_takes_its_share_of_what_is_left() -> None:
    assert reach(0, 100, 3000.0, 100.0, 3) == 10
    assert reach(10, 100, 3000.0, 100.0, 1) == 40
    assert reach(10, 20, 1e9, 100.0, 2) == 20
    assert reach(10, 100, -5000.0, 100.0, 1) == 10
