"""Mixtures of two plans: what they come to, what buys them, and which problems get which plan."""

import random

import msgspec
import pytest

from orchestrator.optimal.cascade.hull import Reached, on_hull
from orchestrator.optimal.cascade.mixture import Mixture, by_dear_plan, reaching, within
from orchestrator.optimal.cascade.plan import Cascade, ModelArm
from orchestrator.optimal.cascade.profile import AcrossProfile
from orchestrator.statistics import mean_interval
from tests.unit.orchestrator.optimal.small_across import GREEDY, came, profile_of, small_across
from tests.unit.orchestrator.optimal.small_plan import PILOTS

POINTS = small_across().fronts["flops"]
IDS = [f"q{i}" for i in range(400)]
PINNED = frozenset({"q0", "q2", "q4", "q5", "q7"})
"""Another choice would send the problems of runs that are resumed by other plans than before."""


def front(*reached: tuple[str, float, float]) -> AcrossProfile:
    """Greedy answers of policies, with their FLOPs and accuracies."""
    plans = {
        flops: Cascade(pilots=PILOTS, first=ModelArm(policy=name, prm=None, arm=GREEDY))
        for name, flops, _ in reached
    }
    found = profile_of(plans, policies=[name for name, _, _ in reached], prms=())
    points = [
        msgspec.structs.replace(point, came=came(accuracy, flops))
        for point, (_, flops, accuracy) in zip(found.fronts["flops"], reached, strict=True)
    ]
    return msgspec.structs.replace(found, fronts={"flops": points})


def test_a_budget_between_two_plans_is_met_by_mixing_them() -> None:
    mixture = within(small_across(), 1.6e4, "flops")
    assert (mixture.cheap, mixture.dear, mixture.share) == (POINTS[1], POINTS[2], 0.75)
    assert mixture.came.flops == 1.6e4


def test_two_points_of_one_plan_are_that_plan_for_all_problems() -> None:
    other = msgspec.structs.replace(POINTS[1], came=came(0.89, 1.2e4))
    mixture = Mixture(cheap=POINTS[1], dear=other, share=0.25)
    assert not mixture.is_of_two
    assert mixture.shares == [(1.0, other)]
    assert mixture.came.flops == 6e3


def test_everything_that_a_mixture_comes_to_is_linear_in_its_share() -> None:
    mixture = Mixture(cheap=POINTS[1], dear=POINTS[2], share=0.25)
    assert mixture.came.accuracy == pytest.approx(0.87)
    assert (mixture.came.low, mixture.came.high) == (pytest.approx(0.84), pytest.approx(0.89))
    assert (mixture.came.flops, mixture.came.seconds) == (8e3, 8.0)
    assert mixture.answers == pytest.approx({"small": 0.5625, "large": 0.4375})


def test_what_is_unknown_of_a_plan_is_unknown_of_its_mixtures() -> None:
    unknown = msgspec.structs.replace(POINTS[2].came, flops=None)
    dear = msgspec.structs.replace(POINTS[2], came=unknown)
    assert Mixture(cheap=POINTS[1], dear=dear, share=0.5).came.flops is None


@pytest.mark.parametrize("alike", [0.0, 0.5, 1.0])
def test_the_interval_of_a_mixture_is_no_narrower_than_that_of_its_outcomes(alike: float) -> None:
    draw = random.Random(3)
    cheap = [float(draw.random() < 0.6) for _ in range(300)]
    dear = [each if draw.random() < alike else float(draw.random() < 0.8) for each in cheap]
    own = mean_interval([0.5 * one + 0.5 * other for one, other in zip(cheap, dear, strict=True)])
    low, high = (sum(bounds) / 2 for bounds in zip(*map(mean_interval, (cheap, dear)), strict=True))
    assert high - low >= own.high - own.low - 0.002


def test_a_budget_at_or_above_the_dearest_plan_buys_it_for_every_problem() -> None:
    for budget in (2e4, 1e9):
        mixture = within(small_across(), budget, "flops")
        assert mixture.points == [POINTS[2]] and not mixture.is_of_two
        assert (mixture.came, mixture.answers) == (POINTS[2].came, POINTS[2].answers)


def test_a_budget_that_was_rounded_to_four_digits_buys_the_plan_it_was_made_for() -> None:
    assert within(small_across(), 4.003e3, "flops").points == [POINTS[1]]
    assert within(small_across(), 4.1e3, "flops").points == [POINTS[1], POINTS[2]]


def test_an_accuracy_between_two_plans_is_reached_by_mixing_them() -> None:
    mixture = reaching(small_across(), 0.87, "flops")
    assert mixture is not None and mixture.share == pytest.approx(0.25)
    assert mixture.came.accuracy == pytest.approx(0.87)


def test_an_accuracy_that_one_plan_has_takes_that_plan_alone() -> None:
    for accuracy, point in ((0.5, POINTS[0]), (0.86, POINTS[1]), (0.9, POINTS[2])):
        mixture = reaching(small_across(), accuracy, "flops")
        assert mixture is not None and mixture.points == [point]
    assert reaching(small_across(), 0.91, "flops") is None


def test_plans_that_a_mixture_of_others_beats_are_no_part_of_one() -> None:
    profile = front(("small", 100.0, 0.5), ("middle", 500.0, 0.55), ("large", 900.0, 0.9))
    mixture = within(profile, 500.0, "flops")
    assert mixture.points == [profile.fronts["flops"][0], profile.fronts["flops"][2]]
    assert mixture.came.accuracy == pytest.approx(0.7)
    cheaper = reaching(profile, 0.55, "flops")
    assert cheaper is not None and cheaper.came.flops == pytest.approx(200.0)


def test_a_mixture_asks_no_other_models_than_those_it_may() -> None:
    profile = front(("small", 100.0, 0.5), ("middle", 500.0, 0.8), ("large", 900.0, 0.9))
    small, middle, large = profile.fronts["flops"]
    assert within(profile, 700.0, "flops").points == [middle, large]
    mixture = within(profile, 700.0, "flops", ["small", "large"])
    assert (mixture.points, mixture.share) == ([small, large], 0.75)


def test_the_hull_starts_at_the_cheapest_point_and_rises_ever_less() -> None:
    points = [(3, 0.7), (1, 0.2), (1, 0.1), (2, 0.6), (4, 0.65), (6, 0.8), (5, 0.72)]
    assert on_hull(points, lambda point: Reached(*point)) == [
        (1, 0.2),
        (2, 0.6),
        (3, 0.7),
        (6, 0.8),
    ]


@pytest.mark.parametrize("share", [0.02, 0.25, 0.5, 0.618, 0.97])
def test_the_share_of_the_dear_plan_is_met_at_any_number_of_problems(share: float) -> None:
    for count in range(1, len(IDS)):
        dear = by_dear_plan(IDS[:count], share, "digest")
        assert len(dear) == pytest.approx(share * count, abs=3)


@pytest.mark.parametrize("turns", [2, 3, 5, 8, 23])
def test_problems_that_come_in_turns_get_the_dear_plan_alike(turns: int) -> None:
    dear = by_dear_plan(IDS, 0.5, "digest")
    for kind in range(turns):
        own = IDS[kind::turns]
        assert len(dear.intersection(own)) == pytest.approx(0.5 * len(own), abs=3)


def test_more_problems_and_a_larger_share_take_no_problem_off_the_dear_plan() -> None:
    whole = by_dear_plan(IDS, 0.5, "digest")
    assert by_dear_plan(IDS[:150], 0.5, "digest") == whole.intersection(IDS[:150])
    assert whole < by_dear_plan(IDS, 0.6, "digest")


def test_who_gets_the_dear_plan_is_the_same_in_every_version_and_another_for_other_profiles() -> (
    None
):
    assert by_dear_plan(IDS[:8], 0.5, "digest") == PINNED
    assert len({by_dear_plan(IDS[:8], 0.5, f"digest-{i}") for i in range(20)}) > 3


def test_no_problem_and_a_problem_of_any_text_are_fine() -> None:
    assert by_dear_plan([], 0.5, "digest") == frozenset()
    assert by_dear_plan(["a lone surrogate: \ud800"], 1.0, "digest")
