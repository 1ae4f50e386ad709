"""A cell of ``auto`` with several policies or PRMs is one cell across them."""

from typing import Any

import pytest

from orchestrator.errors import ConfigError
from tests.unit.orchestrator.small_config import valid

ACROSS = {"policy": ["small", "large"], "prm": "prm", "strategy": "auto", "profile": "it"}
ACROSS |= {"budget": 1e9, "unit": "flops"}


def test_a_list_of_policies_under_auto_is_one_cell() -> None:
    (cell,) = valid(cells=[ACROSS]).all_cells
    assert [each.name for each in cell.policies] == ["small", "large"]
    assert [each.name for each in cell.prms] == ["prm"]
    assert (cell.policy.name, cell.policy.parameters) == ("small, large", None)
    assert cell.id.startswith("small,large+prm/auto-profileit-budget1000000000.0-unitflops")


def test_a_cell_across_models_takes_several_prms_or_none() -> None:
    prms = {name: {"url": "http://c", "family": "qwen_math"} for name in ("prm", "other")}
    for prm in ([], "prm", ["prm", "other"]):
        (cell,) = valid(cells=[ACROSS | {"prm": prm}], prms=prms).all_cells
        assert len(cell.prms) == (1 if prm == "prm" else len(prm))


def test_other_strategies_of_the_same_list_are_still_combined() -> None:
    each = {"policy": ["small", "large"], "prm": "prm", "strategy": ["dvts", "beam_search"], "n": 4}
    both = valid(cells=[each, ACROSS]).all_cells
    names = [(cell.strategy_name, cell.policy.name) for cell in both]
    assert names == [
        ("dvts", "small"), ("beam_search", "small"), ("dvts", "large"), ("beam_search", "large"),
        ("auto", "small, large"),
    ]  # fmt: skip


def test_auto_of_one_policy_keeps_its_id_and_its_tokens() -> None:
    for one in ("small", ["small"]):
        group = {"policy": one, "prm": "prm", "strategy": "auto", "profile": "it", "budget": 9}
        (cell,) = valid(cells=[group]).all_cells
        assert cell.id == (
            "small+prm/auto-profileit-budget9.0-unittokens-spreadaverage-poolFalse-fallback_n16"
        )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"unit": "tokens"}, "in `unit: flops`, `cost` or `seconds`"),
        ({"pool": True}, "auto across models shares no pool: leave `pool` out"),
        ({"spread": "each"}, "leave `spread: each` out"),
        ({"pilots": 4}, "leave `pilots` out"),
        ({"policy": ["small", "small"]}, "small is there twice in `policy`"),
        ({"n": 4}, "auto takes no `n`"),
    ],
)
def test_what_one_cell_of_several_models_cannot_have_is_refused_in_a_line(
    changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        valid(cells=[ACROSS | changes])
    assert str(caught.value).startswith("run.yaml: cells.0: ")
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_the_published_rule_is_for_one_policy_and_prm() -> None:
    group = {"policy": ["small", "large"], "prm": "prm", "strategy": "auto"}
    with pytest.raises(ConfigError, match=r"needs a `profile` of them, which `orchard profile"):
        valid(cells=[group])
