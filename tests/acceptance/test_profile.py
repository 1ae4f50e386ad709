"""Profiles as a person makes and uses them: measured, read, routed by, refused."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.acceptance.conftest import Person
from tests.acceptance.test_runs import until
from tests.integration.misbehaving import running_beside

CALIBRATION, ALL = 32, 40
PAIR = {"policy": "policy", "prm": "prm"}
CELLS = [
    {"policy": "policy", "strategy": "cot"},
    {**PAIR, "strategy": "best_of_n", "n": [2, 8]},
    {**PAIR, "strategy": "beam_search", "n": [4, 8], "width": 2, "max_depth": 4, "max_tokens": 24},
]
PROFILE = "runs/run-profile/profiles/problems-policy-prm.yaml"


@pytest.fixture(scope="module")
def profiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """Someone who measured a profile on the first problems of a file."""
    with running_beside() as server:
        person = Person(tmp_path_factory.mktemp("profiled"), server)
        person.problems(ALL)
        task = {"path": "problems.jsonl", "problems": CALIBRATION}
        person.write_config(task=task, cells=CELLS, headline=None)
        outcome = person.orchard("profile", "run.yaml")
        assert outcome.code == 0, outcome.err
        person.write("said.txt", outcome.out)
        yield person


def auto(person: Person, name: str, skip: int = CALIBRATION, **cell: Any) -> Path:
    routed = {**PAIR, "strategy": "auto", "profile": PROFILE, "budget": 400, **cell}
    task = {"path": "problems.jsonl", "skip": skip}
    return person.write_config(f"{name}.yaml", task=task, cells=[routed], headline=None)


def test_a_profile_says_what_it_takes_and_took_and_how_to_use_it(profiled: Person) -> None:
    text = (profiled.home / "said.txt").read_text()
    assert "1 profile on 32 problems: 8 samples and the greedy solution of each, 2 tree" in text
    assert "It took" in text and "tokens of policies and PRMs" in text
    assert "routing by 32 problems (easy" in text
    assert "pass@n" in text and "predicted bin" in text
    assert f"Figure   {PROFILE.removesuffix('.yaml')}-votes.png" in text
    used = text.split("Use it on other problems")[1].split("  - ")[1].split("}")[0]
    keys = yaml.safe_load(" ".join(used.split()) + "}")
    assert keys["strategy"] == "auto" and keys["budget"] > 0


def test_the_file_holds_what_was_promised(profiled: Person) -> None:
    profile = yaml.safe_load((profiled.home / PROFILE).read_text())
    assert len(profile["origin"]["problems"]) == CALIBRATION
    for each in profile["budgets"]:
        assert each["low"] <= each["accuracy"] <= each["high"]
        for bin in ("easy", "medium", "hard"):
            told = each["bins"][bin]
            assert told["low"] <= told["accuracy"] <= told["high"]
            assert told["strategy"] and told["tokens"] > 0 and told["seconds"] >= 0


def test_it_is_not_measured_twice(profiled: Person) -> None:
    before = len(profiled.server.generated())
    again = profiled.orchard("profile", "run.yaml", "--json")
    assert again.code == 0, again.err
    assert len(profiled.server.generated()) == before
    told, plans = json.loads(again.out)
    assert plans["path"] == "runs/run-profile/profiles/problems-across.yaml"
    assert told["path"] == PROFILE and told["policy"]["name"] == "policy"


def test_from_the_run_it_is_the_same_again(profiled: Person) -> None:
    outcome = profiled.orchard("profile", "runs/run-profile", "--out", "elsewhere")
    assert outcome.code == 0, outcome.err
    copy = profiled.home / "elsewhere/problems-policy-prm.yaml"
    assert copy.read_text() == (profiled.home / PROFILE).read_text()


def test_problems_are_routed_by_it_and_shown_where_they_went(profiled: Person) -> None:
    auto(profiled, "routed")
    outcome = profiled.orchard("run", "routed.yaml")
    assert outcome.code == 0, outcome.err
    records = profiled.records("runs/routed")
    assert len(records) == ALL - CALIBRATION
    assert all(each["route"]["rule"] == "profile" for each in records)
    shown = profiled.orchard("show", "runs/routed").out
    assert "Routing of policy" in shown and "400 tokens a problem" in shown
    assert "auto" in outcome.out


def test_a_policy_without_a_prm_has_a_profile_and_is_routed_by_it(profiled: Person) -> None:
    cells = [{"policy": "policy", "strategy": "majority", "n": 8}]
    task = {"path": "problems.jsonl", "problems": CALIBRATION}
    profiled.write_config("alone.yaml", task=task, cells=cells, headline=None)
    outcome = profiled.orchard("profile", "alone.yaml")
    assert outcome.code == 0, outcome.err
    path = "runs/alone-profile/profiles/problems-policy.yaml"
    profile = yaml.safe_load((profiled.home / path).read_text())
    assert profile["prm"] is None
    auto(profiled, "unscored", prm=[], profile=path)
    outcome = profiled.orchard("run", "unscored.yaml")
    assert outcome.code == 0, outcome.err
    records = profiled.records("runs/unscored")
    assert len(records) == ALL - CALIBRATION
    assert {each["route"]["rule"] for each in records} == {"profile"}
    assert sum(each["prm_tokens"] for each in records) == 0


def test_a_single_policy_has_plans_to_be_advised_by_and_routed_by(profiled: Person) -> None:
    advice = profiled.orchard("advise", "runs/run-profile", "--tokens", "100000")
    assert advice.code == 0, advice.err
    assert advice.out.startswith("Serve policy") and " tokens" in advice.out
    (cell,) = yaml.safe_load((profiled.home / "advised.yaml").read_text())["cells"]
    assert (cell["unit"], cell["policy"]) == ("tokens", ["policy"])
    outcome = profiled.orchard("run", "advised.yaml")
    assert outcome.code == 0, outcome.err
    records = profiled.records("runs/advised")
    assert len(records) == ALL - CALIBRATION
    assert all(each["route"]["policy"] == "policy" for each in records)
    refused = auto(profiled, "pooled", profile=cell["profile"], budget=100_000, pool=True)
    assert "leave `pool` out" in profiled.orchard("run", refused.name).complaint


def test_a_run_that_measured_shows_its_routing_table(profiled: Person) -> None:
    shown = profiled.orchard("show", "runs/run-profile").out
    assert "routing by 32 problems (easy" in shown
    assert "Unfinished" not in shown


def test_within_a_cap_it_takes_no_more_and_searches_fewer_problems(profiled: Person) -> None:
    whole = profiled.records("runs/run-profile")
    sampled = sum(spent(each) for each in whole if each["strategy"] == "best_of_n")
    cap = (sampled + sum(map(spent, whole))) // 2
    person = Person(profiled.home / "capped", profiled.server)
    person.home.mkdir()
    person.problems(CALIBRATION)
    person.write_config(cells=CELLS, headline=None)
    outcome = person.orchard("profile", "run.yaml", "--tokens", str(cap))
    assert outcome.code == 0, outcome.err
    assert f"at most {cap:,} tokens" in outcome.out and "tree searches were tried on" in outcome.out
    records = person.records("runs/run-profile")
    assert sampled < sum(map(spent, records)) <= cap
    searched = [each for each in records if each["strategy"] == "beam_search"]
    assert 0 < len(searched) < 2 * CALIBRATION


def test_a_capped_profile_that_was_stopped_is_resumed_as_it_would_have_gone_on(
    profiled: Person, person: Person
) -> None:
    cap = sum(map(spent, profiled.records("runs/run-profile"))) * 3 // 4
    person.problems(CALIBRATION)
    config = person.write_config(cells=CELLS, headline=None, trees=4)
    begin = ("profile", config, "--tokens", str(cap))
    assert person.orchard(*begin).code == 0
    run = person.home / "runs/run-profile"
    run.rename(person.home / "runs/whole")
    whole = person.records("runs/whole")
    person.server.delay = 0.02
    person.server.calls.clear()
    with person.start(*begin) as process:
        until(lambda: len(person.server.generated()) > 100)
        process.send_signal(signal.SIGINT)
        process.wait(30)
    assert person.orchard("show", "runs/run-profile").out.endswith(
        "Its profiles are not fitted yet. Go on with:\n  orchard resume runs/run-profile\n"
    )
    person.server.delay = 0.0
    resumed = person.orchard("resume", "runs/run-profile")
    assert resumed.code == 0, resumed.err
    assert "routing by 32 problems (easy" in resumed.out and f"Profile  {PROFILE}" in resumed.out
    assert searched(person.records("runs/run-profile")) == searched(whole)
    assert len(whole) < 4 * CALIBRATION and sum(map(spent, whole)) <= cap
    assert (person.home / PROFILE).exists()
    refused = person.orchard("run", config, "--out", "runs/run-profile").complaint
    assert "holds a profile, no run: go on with `orchard resume runs/run-profile`" in refused


def searched(records: list[dict[str, Any]]) -> dict[str, Any]:
    """What came of each problem in each cell, without the tokens: scores that travel together
    share theirs by the length of their texts."""
    return {each["cell"] + each["problem"]: each["verdicts"] for each in records}


def test_a_run_that_profiles_were_fitted_to_is_still_an_unfinished_run(profiled: Person) -> None:
    samples = {**PAIR, "strategy": "best_of_n"}
    cells = [{**samples, "n": 8}, {**samples, "n": 1, "temperature": 0}]
    config = profiled.write_config("ordinary.yaml", cells=cells, headline=None)
    assert profiled.orchard("run", config, "--set", f"task.problems={CALIBRATION}").code == 0
    assert profiled.orchard("profile", "runs/ordinary").code == 0
    kept = profiled.home / "runs/ordinary/config.yaml"
    kept.write_text(kept.read_text().replace(f"problems: {CALIBRATION}", f"problems: {ALL}"))
    assert profiled.orchard("show", "runs/ordinary").out.endswith(
        f"Unfinished: {2 * (ALL - CALIBRATION)} problems of its cells to go. Go on with:\n"
        "  orchard resume runs/ordinary\n"
    )


def spent(record: dict[str, Any]) -> int:
    return int(record["policy_tokens"] + record["prm_tokens"])


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nowhere.yaml"], "nowhere.yaml"),
        (["run.yaml", "run.yaml"], "name one config"),
        (["runs/run-profile", "--tokens", "9"], "--tokens and --set are for a config"),
        (["run.yaml", "--set", "task.problems=9"], "9 problems are too few"),
        (["run.yaml", "--tokens", "90"], "a cap of 90 tokens is less than the samples alone"),
        (
            ["run.yaml", "--set", "cells=[{policy: policy, prm: prm, strategy: auto}]"],
            "cells of auto alone",
        ),
    ],
)
def test_what_cannot_be_measured_is_refused_in_a_line(
    profiled: Person, arguments: list[str], complaint: str
) -> None:
    assert complaint in profiled.orchard("profile", *arguments).complaint


def test_the_problems_it_was_measured_on_are_refused(profiled: Person) -> None:
    config = auto(profiled, "overlapping", skip=CALIBRATION - 2)
    complaint = profiled.orchard("run", config.name).complaint
    assert "2 of the 10 problems of problems are those that" in complaint


def test_a_profile_of_another_policy_is_refused(profiled: Person) -> None:
    config = auto(profiled, "other", policy="large")
    assert "was measured with the policy 'policy'" in profiled.orchard("run", config.name).complaint


def test_skipping_all_problems_is_refused(profiled: Person) -> None:
    config = auto(profiled, "nothing", skip=99)
    assert "task.skip = 99 leaves none" in profiled.orchard("run", config.name).complaint
