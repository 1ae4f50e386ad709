import pytest

from orchestrator.formats.closest import closest


@pytest.mark.parametrize(
    ("name", "found"),
    [("beem_search", "beam_search"), ("DVTS", "dvts"), ("Cot", "cot"), ("something", None)],
)
def test_the_name_most_like_the_one_that_is_not_known(name: str, found: str | None) -> None:
    assert closest(name, ["cot", "dvts", "beam_search"]) == found


def test_how_much_alike_it_must_be_is_the_callers() -> None:
    assert closest("math", ["math500"], at_least=0.9) is None
    assert closest("math", ["math500"]) == "math500"
