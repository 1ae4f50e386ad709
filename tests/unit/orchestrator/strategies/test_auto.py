"""What a config may say of the strategy that is chosen for each problem."""

from typing import Any

import pytest

from orchestrator.errors import ConfigError
from orchestrator.strategies import Auto

MEASURED: dict[str, Any] = {"profile": "digest", "budget": 2000.0}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"pilots": 2, "fallback_n": 8},
        MEASURED,
        MEASURED | {"budget": 1e-9, "spread": "each"},
        MEASURED | {"budget": 0.0, "unit": "cost"},
        MEASURED | {"pool": True, "unit": "seconds"},
    ],
)
def test_it_takes_a_budget_with_a_profile_or_neither(settings: dict[str, Any]) -> None:
    assert Auto(**settings).n == 0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"profile": "digest"}, "auto needs a `budget`"),
        ({"budget": 2000.0}, "only be routed by a measured `profile`"),
        ({"pool": True}, "only be routed by a measured `profile`"),
        (MEASURED | {"budget": 0.0}, "budget = 0.0 must be above 0"),
        (MEASURED | {"budget": 0.0, "unit": "cost", "pool": True}, "must be above 0"),
        (MEASURED | {"budget": -1.0}, "budget = -1.0 must be above 0"),
        (MEASURED | {"budget": float("inf")}, "budget = inf must be above 0, and a finite number"),
        (MEASURED | {"budget": float("nan")}, "budget = nan must be above 0, and a finite number"),
        (MEASURED | {"pool": True, "spread": "each"}, "leave `spread: each` out"),
        ({"pilots": 1}, "pilots = 1 must be at least 2"),
    ],
)
def test_what_nothing_can_be_routed_by_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Auto(**settings)


def test_left_alone_it_falls_back_on_sixteen_solutions_and_pools_nothing() -> None:
    auto = Auto()
    assert (auto.fallback_n, auto.pool, auto.pilots) == (16, False, None)
