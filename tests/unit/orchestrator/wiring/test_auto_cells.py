"""Cells of auto: the profile has to fit what it is used for."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from orchestrator.core.problem import Problem
from orchestrator.errors import ConfigError, OrchardError, ProfileError
from orchestrator.optimal.profile import dumped, read
from orchestrator.optimal.profiling.fitting import fit_profile
from orchestrator.runs.plan import Cell, NamedModel
from orchestrator.strategies import Auto
from orchestrator.wiring.auto_cells import routed
from tests.unit.orchestrator.optimal.conftest import same_text, synthetic


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("profile") / "profile.yaml"
    found.write_text(dumped(asyncio.run(fit_profile(synthetic(30), same_text))))
    return found


def cell(path: Path | None, **changes: Any) -> Cell:
    named: dict[str, Any] = {"task": "sums", "policy": "policy", "prm": "prm", "budget": 5000.0}
    named |= changes
    auto = {"profile": str(path), "budget": named["budget"]} if path else {}
    auto |= {key: named[key] for key in ("unit", "pool", "spread") if key in named}
    return Cell(
        task=named["task"],
        policies=(NamedModel(name=named["policy"]),),
        prms=(NamedModel(name=named["prm"]),),
        strategy_name="auto",
        strategy=Auto(**auto),
    )


OTHERS = [Problem(id=f"q{i}", question="", answer="7") for i in range(4)]


def test_a_cell_is_named_by_what_its_profile_holds_not_where_it_lies(path: Path) -> None:
    (found,) = routed([cell(path)], OTHERS)
    assert isinstance(found.strategy, Auto)
    assert found.strategy.profile == read(path).digest
    assert found.routing is not None and found.routing.sampling.temperature == 0.7


def test_all_pilots_bring_log_probabilities_where_an_arm_votes_by_them(
    path: Path, tmp_path: Path
) -> None:
    profile = read(path)
    first, *others = profile.arms
    voting = structs.replace(first, settings={**first.settings, "logprobs": True})
    changed = tmp_path / "profile.yaml"
    changed.write_text(dumped(structs.replace(profile, arms=[voting, *others])))
    for file, asked in ((path, False), (changed, True)):
        (found,) = routed([cell(file)], OTHERS)
        assert found.routing is not None and found.routing.sampling.logprobs is asked


@pytest.mark.parametrize(
    ("changes", "error", "complaint"),
    [
        ({"task": "math500"}, ProfileError, "was measured with the task 'sums'"),
        ({"policy": "larger"}, ProfileError, "was measured with the policy 'policy'"),
        ({"prm": "other"}, ProfileError, "was measured with the PRM 'prm'"),
        ({"budget": 3.0}, ProfileError, "less than the pilots take"),
        ({"unit": "cost", "budget": 1.0}, ConfigError, "models without a price"),
    ],
)
def test_a_profile_that_does_not_fit_is_refused_in_a_line(
    path: Path, changes: dict[str, Any], error: type[OrchardError], complaint: str
) -> None:
    with pytest.raises(error, match=complaint) as refusal:
        routed([cell(path, **changes)], OTHERS)
    assert "\n" not in str(refusal.value)


def test_a_pool_below_its_pilots_is_told_how_much_is_enough(path: Path) -> None:
    many = [Problem(id=f"q{i}", question="", answer="7") for i in range(9000)]
    with pytest.raises(ConfigError, match=r"its 9,000 problems take, about ") as refusal:
        routed([cell(path, pool=True)], many)
    enough = re.search(r"about ([\d,]+) tokens", str(refusal.value))
    assert enough
    (found,) = routed([cell(path, pool=True, budget=float(enough[1].replace(",", "")))], many)
    assert found.cap is not None and found.cap > 5000.0


def test_no_one_is_judged_on_the_problems_a_profile_was_measured_on(path: Path) -> None:
    mixed = [*OTHERS, Problem(id="p3", question="", answer="7")]
    with pytest.raises(ProfileError, match=r"1 of the 5 problems of sums .*`task\.skip`"):
        routed([cell(path)], mixed)


def test_a_profile_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"cannot read the profile .*gone\.yaml"):
        routed([cell(tmp_path / "gone.yaml")], OTHERS)
