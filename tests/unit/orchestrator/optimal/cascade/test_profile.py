"""A profile across models: its file, what a budget buys, and what it is refused for."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import yaml

from orchestrator.core.budget import Price
from orchestrator.core.equivalence import SameByProblem
from orchestrator.core.records import AUTO, Record
from orchestrator.errors import ProfileError
from orchestrator.optimal.cascade.across import across_profile, measurements
from orchestrator.optimal.cascade.mixture import within
from orchestrator.optimal.cascade.plan import Cascade
from orchestrator.optimal.cascade.profile import (
    AcrossProfile,
    check_fits_across,
    filed,
    is_across,
    read_across,
    used,
)
from orchestrator.optimal.profile import dumped
from tests.unit.orchestrator.optimal.cascade.test_joint import under
from tests.unit.orchestrator.optimal.small_plan import BEAMS

Run = Callable[..., list[Record]]

PRICES = {"large": Price(input=1.0, output=4.0)}


@pytest.fixture(scope="module")
def profile(run: Run, same: SameByProblem) -> AcrossProfile:
    records = [*under(run(40), "small", "prm", 100), *under(run(40, seed=1), "large", None, 9000)]

    async def profiled() -> AcrossProfile:
        return across_profile(await measurements(records, same, PRICES), records)

    return asyncio.run(profiled())


def test_the_profile_that_is_read_is_the_one_that_was_written(
    profile: AcrossProfile, tmp_path: Path
) -> None:
    path = tmp_path / "across.yaml"
    path.write_text(dumped(profile))
    again = read_across(path)
    assert is_across(path)
    assert dumped(again) == dumped(profile)
    assert again.prms[0].name == "prm" and again.policies[1].price == PRICES["large"]
    for points in again.fronts.values():
        for point in points:
            assert again.plan(point).arms


async def test_a_single_policy_has_plans_in_tokens_too_and_no_other_front_to_compare(
    run: Run, same: SameByProblem
) -> None:
    records = run(40, trees={4: 0.9})
    alone = across_profile(await measurements(records, same, {}), records)
    assert list(alone.fronts) == ["tokens", "flops", "seconds"]
    assert not alone.spans_models
    strategies = {each.strategy for each in alone.alone}
    assert AUTO not in strategies and "beam search 4 with PRM-Last" in strategies


async def test_a_single_policy_under_two_prms_is_compared_under_each(
    run: Run, same: SameByProblem
) -> None:
    records = [*under(run(40), "small", "prm", 9), *under(run(40), "small", "other", 9)]
    found = across_profile(await measurements(records, same, {}), records)
    assert found.spans_models
    assert {each.prm for each in found.alone if each.strategy == AUTO} == {"prm", "other"}


def test_an_arm_s_file_says_where_it_starts_without_pilots() -> None:
    plans = [Cascade(pilots=4, first=each) for each in (BEAMS, replace(BEAMS, direct=True))]
    _, _, (continuing, direct) = filed(plans)
    assert "direct" not in msgspec.to_builtins(continuing)
    assert msgspec.to_builtins(direct)["direct"] is True
    assert (continuing.model_arm, direct.model_arm) == (BEAMS, replace(BEAMS, direct=True))


def test_a_front_rises_with_what_it_uses_in_every_unit_that_is_known(
    profile: AcrossProfile,
) -> None:
    assert profile.fronts.keys() == {"flops", "cost", "seconds"}
    for unit, points in profile.fronts.items():
        came = [(used(point.came, unit), point.came.accuracy) for point in points]
        assert came == sorted(came)
        for point in points:
            assert point.came.low <= point.came.accuracy <= point.came.high
            assert sum(point.answers.values()) == pytest.approx(1.0)


async def test_a_free_policy_stands_before_a_hosted_one_and_answers_alone_for_nothing(
    run: Run, same: SameByProblem
) -> None:
    local, hosted = run(40, samples=8), run(40, samples=8, seed=1)
    records = [*under(local, "local", None, 100), *under(hosted, "hosted", None, None)]
    prices = {"hosted": Price(input=1.0, output=4.0)}
    found = across_profile(await measurements(records, same, prices), records)
    assert [each.name for each in found.policies] == ["local", "hosted"]
    first = found.fronts["cost"][0]
    assert first.came.cost == 0 and first.answers == {"local": 1.0}
    assert within(found, 0.0, "cost").points == [first]


def test_a_budget_buys_the_most_accurate_plan_it_pays_for(profile: AcrossProfile) -> None:
    points = profile.fronts["flops"]
    assert within(profile, 1e15, "flops").points == [points[-1]]
    assert within(profile, used(points[0].came, "flops"), "flops").points == [points[0]]
    with pytest.raises(ProfileError, match="less than the cheapest answer takes"):
        within(profile, 1.0, "flops")
    with pytest.raises(ProfileError, match="no plans for a budget of tokens"):
        within(profile, 1.0, "tokens")


def test_other_tasks_and_other_models_are_refused(profile: AcrossProfile) -> None:
    fits = {"source": "p.yaml", "task": "sums", "policies": ["large", "small"], "prms": ["prm"]}
    check_fits_across(profile, **fits)  # type: ignore[arg-type]
    check_fits_across(profile, **(fits | {"policies": ["large"], "prms": []}))  # type: ignore[arg-type]
    for change, reason in (
        ({"task": "other"}, "the task 'sums'"),
        ({"policies": ["small", "huge"]}, "does not know huge"),
        ({"prms": ["other"]}, "the PRMs prm, and does not know other"),
    ):
        with pytest.raises(ProfileError, match=reason):
            check_fits_across(profile, **(fits | change))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("version: 1\n", "no profile across models"),
        ("version: 9\nfronts: {}\n", "of version 9"),
        ("version: 1\nfronts: {}\n", "is damaged"),
        ("fronts: [", "cannot read"),
    ],
)
def test_files_that_are_none_are_refused_with_the_reason(
    text: str, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "across.yaml"
    path.write_text(text)
    with pytest.raises(ProfileError, match=reason):
        read_across(path)


def test_a_cell_with_some_of_the_models_gets_the_best_plan_that_does_with_them(
    profile: AcrossProfile,
) -> None:
    (point,) = within(profile, 1e15, "flops", ["small"]).points
    assert profile.models(point) == {"small"}
    with pytest.raises(ProfileError, match="no plan of the profile does with prm alone"):
        within(profile, 1e15, "flops", ["prm"])


def test_a_file_is_parsed_once_until_it_changes(
    profile: AcrossProfile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, parsed, parse = tmp_path / "across.yaml", [], yaml.SafeLoader.get_single_data

    def counted(loader: yaml.SafeLoader) -> object:
        parsed.append(loader)
        return parse(loader)

    monkeypatch.setattr(yaml.SafeLoader, "get_single_data", counted)
    for times, task in enumerate(("sums", "chains"), start=1):
        path.write_text(dumped(msgspec.structs.replace(profile, task=task)))
        assert is_across(path) and read_across(path).task == read_across(path).task == task
        assert len(parsed) == times
