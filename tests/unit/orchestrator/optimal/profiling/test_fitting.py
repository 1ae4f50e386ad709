"""From records to a profile, and a profile to its file and back."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.core.confidence import Confidence
from orchestrator.core.equivalence import SameByProblem
from orchestrator.core.records import Record
from orchestrator.core.voting import ByConfidence
from orchestrator.errors import ProfileError
from orchestrator.optimal.arms import PAPER_VOTES
from orchestrator.optimal.profile import PASS, Profile, Resampled, check_fits, dumped, read
from orchestrator.optimal.profiling.accuracy_by_n import resampled
from orchestrator.optimal.profiling.fitting import FEWEST, fit_profile
from orchestrator.optimal.profiling.measuring import measure, sort_out
from orchestrator.optimal.profiling.trials import trials

Run = Callable[..., list[Record]]


async def test_a_search_that_always_wins_is_chosen_where_the_budget_lets(
    run: Run, same: SameByProblem
) -> None:
    found = await fit_profile(run(80, trees={4: 1.0, 8: 0.2}), same)
    strategies = {each.strategy for each in found.budgets[-1].bins.values()}
    assert any("beam search 4" in each for each in strategies)
    assert not any("beam search 8" in arm.strategy for arm in found.arms)
    assert found.budgets[-1].accuracy > found.budgets[0].accuracy


async def test_the_profile_that_is_read_is_the_one_that_was_written(
    run: Run, same: SameByProblem, tmp_path: Path
) -> None:
    found = await fit_profile(run(40, trees={4: 0.9}), same)
    path = tmp_path / "profile.yaml"
    path.write_text(dumped(found))
    again = read(path)
    assert dumped(again) == dumped(found)
    assert (again.task, again.policy, again.prm) == ("sums", found.policy, found.prm)
    path.write_text(dumped(again))
    assert read(path) == again and read(path).digest == again.digest


async def test_samples_are_drawn_as_they_were_measured_not_as_the_greedy_one(
    run: Run, same: SameByProblem
) -> None:
    greedy_first = sorted(run(40), key=lambda each: each.n)
    assert (await fit_profile(greedy_first, same)).sampling["temperature"] == 0.7


async def test_a_search_that_was_tried_on_a_part_is_judged_on_all_problems(
    run: Run, same: SameByProblem
) -> None:
    whole = await fit_profile(run(90, trees={4: 0.95}), same)
    part = await fit_profile(run(90, trees={4: 0.95}, tried=30), same)
    assert "beam search 4" in str(part.budgets[-1].bins)
    told, true = part.budgets[-1], whole.budgets[-1]
    assert told.low <= true.accuracy <= told.high
    assert told.high - told.low > true.high - true.low
    assert len(part.origin.problems) == 90


@pytest.mark.parametrize("returned", [False, True])
def test_votes_by_confidence_are_measured_where_log_probabilities_came_not_only_were_asked_for(
    run: Run, returned: bool
) -> None:
    sure = Confidence.level(-0.5) if returned else None
    records = [
        replace(
            record,
            settings={**record.settings, "logprobs": True},
            leaves=tuple(replace(leaf, confidence=sure) for leaf in record.leaves),
        )
        for record in run(2)
    ]
    cells = sort_out([*records, replace(records[-1], leaves=(), error="gone")])
    assert any(isinstance(vote, ByConfidence) for vote in cells.votes) is returned


async def test_a_search_tried_on_hardly_any_problem_is_left_out(
    run: Run, same: SameByProblem
) -> None:
    found = await fit_profile(run(40, trees={4: 1.0}, tried=3), same)
    assert all(arm.strategy != "beam_search" for arm in found.arms)


async def test_arms_that_were_not_tried_are_unknown_not_wrong(
    run: Run, same: SameByProblem
) -> None:
    records = run(30, trees={4: 1.0}, tried=10)
    cells = sort_out(records)
    found = trials(await measure(records, cells, same), cells.arms(4), 4)
    tree = next(i for i, arm in enumerate(found.arms) if arm.strategy == "beam_search")
    unknown = [bool(row) for row in (found.right[:, :, tree] != found.right[:, :, tree]).all(1)]
    assert unknown.count(True) == 20


async def test_fewer_samples_of_a_request_each_take_fewer_prompts(
    run: Run, same: SameByProblem
) -> None:
    """A prompt has 20 tokens here, be it that of one request or each of 16."""
    one = run(30, samples=16)
    each = [
        replace(record, emulated=("n",), prompt_tokens=20 * record.n, requests=record.n + 1)
        for record in one
    ]
    prompts = []
    for records in (one, each):
        cells = sort_out(records)
        found = trials(await measure(records, cells, same), cells.arms(4), 4)
        prompts.append(
            {
                (arm.strategy, arm.n): float(found.used[:, :, a, 1].max())
                for a, arm in enumerate(found.arms)
                if arm.stop is None
            }
        )
    assert prompts[0] == {arm: 20 * (1 + (arm[1] > 4)) for arm in prompts[0]}
    assert prompts[1] == {arm: pytest.approx(20 * max(4, arm[1])) for arm in prompts[0]}


async def test_what_fewer_samples_come_to_agrees_with_running_fewer(
    run: Run, same: SameByProblem
) -> None:
    async def told(samples: int, seed: int) -> dict[tuple[str, int], Resampled]:
        records = run(300, samples=samples, seed=seed)
        measured = await measure(records, sort_out(records), same)
        found = resampled([each.samples.leaves for each in measured], PAPER_VOTES)
        return {(each.vote, each.n): each for each in found}

    many, few = await told(16, seed=0), await told(4, seed=1)
    for vote in (*(each.name for each in PAPER_VOTES), PASS):
        # both are of 300 problems, other ones: their difference has the noise of both
        width = many[vote, 4].high - many[vote, 4].low
        assert many[vote, 4].accuracy == pytest.approx(few[vote, 4].accuracy, abs=0.75 * width)
        assert many[vote, 4].low <= many[vote, 4].accuracy <= many[vote, 4].high
    assert many[PASS, 1].accuracy == pytest.approx(many["majority", 1].accuracy, abs=0.01)
    assert {n for _, n in many} == {1, 2, 4, 8, 16}


async def test_too_few_problems_are_refused_in_a_line(run: Run, same: SameByProblem) -> None:
    with pytest.raises(ProfileError, match=f"12 problems .* too few .* {FEWEST} are the least"):
        await fit_profile(run(12), same)
    with pytest.raises(ProfileError, match="0 problems"):
        await fit_profile([replace(each, error="lost") for each in run(30)], same)


async def test_what_is_missing_is_named(run: Run, same: SameByProblem) -> None:
    without_greedy = [each for each in run(30) if each.n > 1]
    with pytest.raises(ProfileError, match="best_of_n with n: 1 and temperature: 0"):
        await fit_profile(without_greedy, same)
    with pytest.raises(ProfileError, match="some problem has 4 samples, and 8 are needed"):
        await fit_profile(run(30, samples=4), same)


@pytest.fixture(scope="module")
def profile(run: Run, same: SameByProblem) -> Profile:
    return asyncio.run(fit_profile(run(30), same))


@pytest.fixture
def written(profile: Profile, tmp_path: Path) -> Path:
    path = tmp_path / "profile.yaml"
    path.write_text(dumped(profile))
    return path


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda text: "just text", "is no profile: `orchard profile CONFIG` makes one"),
        (lambda text: "policies: {}\ncells: []", "is no profile"),
        (lambda text: "a: [", "cannot read the profile"),
        (lambda text: "\x00", "cannot read the profile"),
        (lambda text: text.replace("version: 1", "version: 9"), "version 9, and .* reads 1"),
        (lambda text: text.replace("pilots: 4", "pilots: many", 1), "damaged: .*pilots"),
        (lambda text: text + "spice: 3\n", "damaged: .*unknown field `spice`"),
        (lambda text: text[: text.index("\narms:")], "damaged: .*missing required"),
    ],
)
def test_a_file_that_is_no_good_profile_is_refused_in_a_line(
    written: Path, change: Callable[[str], str], complaint: str
) -> None:
    written.write_text(change(written.read_text()))
    with pytest.raises(ProfileError, match=complaint) as refusal:
        read(written)
    assert str(written) in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_profile_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"nowhere\.yaml: No such file"):
        read(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    ("named", "complaint"),
    [
        ({"task": "math500"}, "with the task 'sums', and this cell has 'math500'"),
        ({"policy": "larger"}, "with the policy 'policy', and this cell has 'larger'"),
        ({"prm": "other"}, "with the PRM 'prm', and this cell has 'other'"),
        ({"prm": None}, "with the PRM 'prm', and this cell has None"),
    ],
)
def test_a_profile_of_something_else_is_refused(
    written: Path, named: dict[str, str], complaint: str
) -> None:
    profile = read(written)
    fits = {"source": "p.yaml", "task": "sums", "policy": "policy", "prm": "prm"}
    check_fits(profile, **fits)
    with pytest.raises(ProfileError, match=complaint):
        check_fits(profile, **fits | named)


def test_a_profile_knows_the_problems_it_was_measured_on(written: Path) -> None:
    profile = read(written)
    assert profile.overlap("sums", ["p0", "p29", "p30"]) == 2
    assert profile.overlap("math500", ["p0"]) == 0
