"""Expected gains, as a profile measures them."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.core.equivalence import SameByProblem
from orchestrator.core.records import Record
from orchestrator.optimal.difficulty.evidence import Pilot
from orchestrator.optimal.profile import Gains, Profile, dumped, read
from orchestrator.optimal.profiling.fitting import fit_profile
from orchestrator.optimal.shared_budget.expected_gain import (
    AHEAD,
    HOPE,
    log,
    more_samples,
    standing,
)
from tests.unit.orchestrator.optimal.small_profile import small_profile

Run = Callable[..., list[Record]]

LIKELY, DIVIDED = (
    [Pilot(answer=0, scores=(0.8,), tokens=50)] * 4,
    [Pilot(answer=i % 2, scores=(0.75 - 0.3 * (i % 2),), tokens=50) for i in range(4)],
)


@pytest.fixture(scope="module")
def profile(run: Run, same: SameByProblem) -> Profile:
    """Of searches that are nearly always right and mostly wrong, and one hardly tried."""
    records = [*run(80, trees={4: 0.95, 8: 0.2}), *run(12, trees={12: 1.0})]
    return asyncio.run(fit_profile(records, same))


def gains(profile: Profile) -> Gains:
    assert isinstance(profile.gains, Gains)
    return profile.gains


def shown(drawn: list[Pilot], hope: float = 0.5) -> dict[str, float]:
    return {**standing(drawn, is_scored=True), HOPE: log(hope)}


def test_samples_gain_where_the_vote_is_divided_and_not_where_it_is_settled(
    profile: Profile,
) -> None:
    found = gains(profile)
    settled, divided = (
        max(step.gain for step in more_samples(found.samples, shown(each), 4, [8, 16], 1.0))
        for each in (LIKELY, DIVIDED)
    )
    assert divided > 2 * max(settled, 0.001)
    assert found.arm.n == 16 and found.vote in ("weighted_last", "max_last")


def test_a_search_that_is_nearly_always_right_gains_more_than_one_that_is_not(
    profile: Profile,
) -> None:
    by_n = {
        each.settings["n"]: each.change.gain(shown(DIVIDED)) for each in gains(profile).searches
    }
    assert by_n[4] > by_n[8] + 0.1


def test_cheaper_searches_come_first_and_those_hardly_tried_are_left_out(profile: Profile) -> None:
    found = gains(profile).searches
    assert {each.settings["n"] for each in found} == {4, 8}
    assert [each.use.tokens for each in found] == sorted(each.use.tokens for each in found)


def test_expected_gains_are_those_that_were_measured_off_the_folds(profile: Profile) -> None:
    curve = gains(profile).curve
    assert sum(count for _, _, count in curve) == 80 * 4 * 6  # ways, and steps among four sizes
    apart = [abs(expected - measured) for expected, measured, _ in curve]
    assert sum(apart) / len(apart) < 0.04


def test_gains_are_read_as_they_were_written(profile: Profile, tmp_path: Path) -> None:
    path = tmp_path / "profile.yaml"
    path.write_text(dumped(profile))
    again = read(path)
    assert gains(again).searches
    path.write_text(dumped(again))
    assert read(path) == again


def test_a_profile_without_expected_gains_is_read_and_written_as_before(tmp_path: Path) -> None:
    path = tmp_path / "profile.yaml"
    path.write_text(dumped(small_profile()))
    old = read(path)
    assert not isinstance(old.gains, Gains)
    assert "gains" not in dumped(old)


async def test_scores_are_not_needed(run: Run, same: SameByProblem) -> None:
    bare = [
        replace(
            each,
            prm=None,
            prm_params=None,
            prm_tokens=0,
            strategy="majority" if each.n > 1 else "cot",
            leaves=tuple(replace(leaf, scores=()) for leaf in each.leaves),
        )
        for each in run(30)
    ]
    found = gains(await fit_profile(bare, same))
    assert found.vote == "majority"
    assert found.samples.mends.weights.keys() == {"doubt", "disagreement", "drawn", HOPE, AHEAD}
