"""Cells of auto across models: the profile has to fit, and its budget picks the plan."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orchestrator.core.problem import Problem
from orchestrator.errors import ConfigError, OrchardError, ProfileError
from orchestrator.optimal.cascade.plan import Cascade
from orchestrator.optimal.profile import dumped, problem_digest
from orchestrator.optimal.routing.across import RoutingAcross
from orchestrator.optimal.routing.mixed import MixedRouting
from orchestrator.runs.plan import Cell, NamedModel
from orchestrator.strategies import Auto
from orchestrator.wiring.auto_cells import routed
from tests.unit.orchestrator.optimal.small_across import profile_of
from tests.unit.orchestrator.optimal.small_plan import GREEDY, PILOTS, small_plan
from tests.unit.orchestrator.optimal.small_profile import small_profile

PROBLEMS = [Problem(id=f"q{i}", question="", answer="7") for i in range(4)]
PLANS = {1e3: Cascade(pilots=PILOTS, first=GREEDY), 1e6: small_plan()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "across.yaml"
    found.write_text(dumped(profile_of(PLANS)))
    return found


def cell(path: Path, auto: dict[str, Any] | None = None, **changes: Any) -> Cell:
    named: dict[str, Any] = {"budget": 2e6, "unit": "flops", "policies": ("small", "large")}
    named |= {"prms": ("prm",), "task": "sums"} | changes
    return Cell(
        task=named["task"],
        policies=tuple(NamedModel(name=name) for name in named["policies"]),
        prms=tuple(NamedModel(name=name) for name in named["prms"]),
        strategy_name="auto",
        strategy=Auto(
            profile=str(path), budget=named["budget"], unit=named["unit"], **(auto or {})
        ),
    )


def test_the_budget_picks_the_plan_and_the_digest_names_the_cell(path: Path) -> None:
    for budget, plan in ((1e3, PLANS[1e3]), (1e6, PLANS[1e6]), (2e6, PLANS[1e6])):
        (found,) = routed([cell(path, budget=budget)], PROBLEMS)
        assert isinstance(found.across, RoutingAcross) and found.across.plan == plan
        assert found.routing is None
        assert (found.across.sampling.temperature, found.across.sampling.until) == (0.7, "end")
        assert f"profile{profile_of(PLANS).digest}" in found.id


def mixed(path: Path, problems: list[Problem], budget: float = 500_500.0) -> MixedRouting:
    (found,) = routed([cell(path, budget=budget)], problems)
    assert isinstance(found.across, MixedRouting)
    return found.across


def some(count: int) -> list[Problem]:
    return [Problem(id=f"q{i}", question="", answer="7") for i in range(count)]


def test_a_budget_between_two_plans_sends_a_share_of_the_problems_by_each(path: Path) -> None:
    for budget, share in ((500_500.0, 0.5), (101_000.0, 0.1001), (900_000.0, 0.8999)):
        across, problems = mixed(path, some(200), budget), some(200)
        dear = [each.id for each in problems if across.of(each.id) is across.dear]
        assert len(dear) == pytest.approx(share * 200, abs=3)
    assert (across.cheap.plan, across.cheap.name) == (PLANS[1e3], "cheap")
    assert (across.dear.plan, across.dear.name) == (PLANS[1e6], "dear")


def test_a_cell_that_gets_more_problems_keeps_the_plans_of_those_it_had(path: Path) -> None:
    few, many = mixed(path, some(30)), mixed(path, some(90))
    for problem in some(30):
        assert few.of(problem.id).name == many.of(problem.id).name
    assert few == mixed(path, some(30))


def test_the_first_problems_of_a_cell_are_all_that_count(path: Path) -> None:
    (found,) = routed([replace(cell(path, budget=500_500.0), problems=30)], some(90))
    assert found.across == mixed(path, some(30))


def test_a_question_alone_gets_the_dear_plan_with_the_chance_of_its_share(path: Path) -> None:
    alone = [mixed(path, [problem]).of(problem.id).name for problem in some(200)]
    assert alone.count("dear") == pytest.approx(100, abs=25)


def test_a_policy_may_be_asked_for_what_either_plan_asks_of_it(path: Path) -> None:
    across = mixed(path, some(4))
    large = [type(each).__name__ for each in across.searches_of("large")]
    small = [type(each).__name__ for each in across.searches_of("small")]
    assert (small, large) == (["CoT", "CoT", "BestOfN"], ["CoT", "BestOfN"])


@pytest.mark.parametrize(
    ("changes", "error", "complaint"),
    [
        ({"task": "math500"}, ProfileError, "was measured with the task 'sums'"),
        ({"policies": ("small", "middle", "large")}, ProfileError, "does not know middle"),
        ({"prms": ("other",)}, ProfileError, "with the PRMs prm, and does not know other"),
        ({"policies": ("large",)}, ProfileError, "does with large, prm alone: name more"),
        ({"budget": 3.0}, ProfileError, "less than the cheapest answer takes: 1000 is the least"),
        ({"unit": "cost"}, ProfileError, "no plans for a budget of cost, only of flops"),
    ],
)  # fmt: skip
def test_a_profile_that_does_not_fit_is_refused_in_a_line(
    path: Path, changes: dict[str, Any], error: type[OrchardError], complaint: str
) -> None:
    with pytest.raises(error, match=complaint) as refusal:
        routed([cell(path, **changes)], PROBLEMS)
    assert "\n" not in str(refusal.value)


def test_a_profile_of_one_policy_is_none_across_models(tmp_path: Path) -> None:
    alone = tmp_path / "alone.yaml"
    alone.write_text(dumped(small_profile()))
    with pytest.raises(ProfileError, match="no profile across models: `orchard profile CONFIG`"):
        routed([cell(alone)], PROBLEMS)


def test_a_cell_with_some_of_the_models_is_routed_by_plans_that_ask_no_other(path: Path) -> None:
    for changes in ({"policies": ("small",)}, {"prms": ()}):
        (found,) = routed([cell(path, **changes)], PROBLEMS)
        assert isinstance(found.across, RoutingAcross) and found.across.plan == PLANS[1e3]


@pytest.mark.parametrize("policies", [("small",), ("small", "large")])
@pytest.mark.parametrize(
    ("auto", "complaint"),
    [
        ({"pool": True}, "shares no pool: leave `pool` out"),
        ({"spread": "each"}, "leave `spread: each` out"),
        ({"pilots": 8}, "leave `pilots` out"),
    ],
)
def test_what_no_plan_across_models_keeps_to_is_refused(
    path: Path, policies: tuple[str, ...], auto: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        routed([cell(path, auto, policies=policies)], PROBLEMS)


def test_no_one_is_judged_on_the_problems_a_profile_was_measured_on(tmp_path: Path) -> None:
    measured = profile_of(PLANS)
    origin = msgspec.structs.replace(measured.origin, problems=[problem_digest("sums", "q2")])
    seen = tmp_path / "seen.yaml"
    seen.write_text(dumped(msgspec.structs.replace(measured, origin=origin)))
    with pytest.raises(ProfileError, match=r"1 of the 4 problems of sums .*`task\.skip`"):
        routed([cell(seen)], PROBLEMS)
    (found,) = routed([replace(cell(seen), problems=2)], PROBLEMS)
    assert found.across is not None


def test_a_profile_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises((ProfileError, ConfigError), match=r"cannot read the profile .*gone\.yaml"):
        routed([cell(tmp_path / "gone.yaml")], PROBLEMS)
