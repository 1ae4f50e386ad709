from typing import Any

import pytest

from orchestrator.config.sections import quantity


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1e6", 1_000_000), ("2k", 2_000), ("2.5k", 2_500), ("1.5M", 1_500_000), ("3B", 3 * 10**9),
        ("5 G", 5 * 10**9), ("1_000", 1_000), (".5k", 500), (" 7 ", 7), ("-5", -5), ("1e-1", 0.1),
        ("0.25", 0.25), (12, 12), (1.5, 1.5), (None, None),
    ],
)  # fmt: skip
def test_a_quantity_may_be_written_with_an_exponent_or_a_multiple(written: Any, meant: Any) -> None:
    assert quantity(written) == meant
    assert type(quantity(written)) is type(meant)


@pytest.mark.parametrize("written", ["2kk", "2m", "k", "1e", "1,000", "5 tokens", "", "1e999999"])
def test_what_is_no_quantity_stays_as_it_is_and_is_refused_where_it_stands(written: str) -> None:
    assert quantity(written) == written
