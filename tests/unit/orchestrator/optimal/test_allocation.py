"""Which arm each bin gets."""

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.optimal.allocation import ParetoFront, best_for_each, best_on_average

RIGHT = [[0.90, 0.95, 0.96], [0.20, 0.50, 0.80]]
USED = [[100.0, 400.0, 1600.0], [100.0, 400.0, 1600.0]]
SHARES = [0.75, 0.25]
FRONTS = [ParetoFront((0, 1, 2), (0, 1, 2))] * 2


def test_what_an_easy_bin_leaves_goes_to_the_hard_one() -> None:
    average = best_on_average(SHARES, FRONTS, RIGHT, USED, 475.0)
    assert average.arms == (0, 2)
    assert average.used == 475.0
    each = best_for_each(SHARES, FRONTS, RIGHT, USED, 475.0)
    assert each.arms == (1, 1)
    assert average.right > each.right


def test_likely_arms_get_what_the_sure_ones_leave() -> None:
    fronts = [ParetoFront((0,), (0, 1)), ParetoFront((0, 1), (0, 1, 2))]
    for choose, enough, arms in (
        (best_on_average, 175.0, (0, 1)),
        (best_on_average, 400.0, (1, 1)),
        (best_on_average, 700.0, (1, 2)),
        (best_for_each, 399.0, (0, 0)),
        (best_for_each, 400.0, (1, 1)),
        (best_for_each, 1600.0, (1, 2)),
    ):
        assert choose(SHARES, fronts, RIGHT, USED, enough).arms == arms


def test_where_nothing_fits_the_cheapest_is_taken() -> None:
    assert best_on_average(SHARES, FRONTS, RIGHT, USED, 1.0).arms == (0, 0)
    assert best_for_each(SHARES, FRONTS, RIGHT, USED, 1.0).arms == (0, 0)


TABLES = st.integers(1, 5).flatmap(
    lambda arms: st.tuples(
        st.lists(st.lists(st.floats(0, 1), min_size=arms, max_size=arms), min_size=3, max_size=3),
        st.lists(
            st.lists(st.floats(1, 1000), min_size=arms, max_size=arms), min_size=3, max_size=3
        ),
    )
)


@given(TABLES, st.floats(1, 2000), st.floats(1, 2000))
def test_more_budget_is_never_worse_and_no_budget_is_passed(
    tables: tuple[list[list[float]], list[list[float]]], one: float, other: float
) -> None:
    right, used = tables
    shares = [0.5, 0.3, 0.2]
    less, more = sorted((one, other))
    everything = tuple(range(len(right[0])))
    fronts = [ParetoFront(everything, everything)] * 3
    cheap, dear = (best_on_average(shares, fronts, right, used, budget) for budget in (less, more))
    least = best_on_average(shares, fronts, right, used, 0.0).used
    assert cheap.used <= max(less, least) * (1 + 1e-12)
    assert dear.right >= cheap.right - 1e-12 or dear.used < cheap.used
