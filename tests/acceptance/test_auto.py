"""``strategy: auto`` as a person meets it: with and without a profile, killed, stopped, pooled."""

import json
import signal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orchestrator.optimal.profile import Profile, ProfiledModel, dumped
from orchestrator.optimal.routing.published import LABEL
from tests.acceptance.conftest import Person
from tests.acceptance.test_resume import timeless
from tests.acceptance.test_runs import until
from tests.unit.orchestrator.optimal.small_profile import small_profile

PROBLEMS = 40


@pytest.fixture(autouse=True)
def profile(person: Person) -> Path:
    """Of the person's own policy, PRM and task."""
    person.problems(PROBLEMS)
    return person.write(
        "profile.yaml", dumped(theirs(ProfiledModel("policy", 1000), ProfiledModel("prm", 2000)))
    )


def theirs(policy: ProfiledModel, prm: ProfiledModel) -> Profile:
    return msgspec.structs.replace(small_profile(), task="problems", policy=policy, prm=prm)


def config(person: Person, **settings: Any) -> Path:
    cell = {"policy": "policy", "prm": "prm", "strategy": "auto", **settings}
    return person.write_config(cells=[cell], headline=None, trees=4)


def latest(person: Person, run: str = "runs/run") -> list[dict[str, Any]]:
    return list({record["problem"]: record for record in person.records(run)}.values())


def tokens(records: list[dict[str, Any]]) -> int:
    return sum(record["policy_tokens"] + record["prm_tokens"] for record in records)


def test_without_a_profile_the_authors_rule_holds_and_is_labelled_so(person: Person) -> None:
    shown = person.orchard("run", config(person, fallback_n=4))
    assert shown.code == 0, shown
    routes = [record["route"] for record in person.records()]
    assert {route["rule"] for route in routes} == {LABEL}
    assert {route["strategy"] for route in routes} == {"beam_search"}
    assert LABEL in " ".join(shown.out.split())
    (cell,) = json.loads(person.orchard("show", "runs/run", "--json").out)["routes"]
    bins = cell["bins"].values()
    assert sum(found["problems"] for found in bins) == PROBLEMS
    assert {way["strategy"] for found in bins for way in found["ways"]} == {"beam_search"}
    assert json.loads((person.home / "runs/run/summary.json").read_text())["routes"] == [cell]


def test_a_killed_run_of_auto_grows_the_same_trees_and_decides_alike(person: Person) -> None:
    person.server.delay = 0.02
    auto = config(person, profile="profile.yaml", budget=1000)
    assert person.orchard("run", auto, "--out", "runs/whole").code == 0
    for kill in (20, 50):
        person.server.calls.clear()
        with person.start("resume", "runs/run") if kill > 20 else person.start("run", auto):
            until(lambda kill=kill: len(person.server.generated()) > kill)
    assert person.orchard("resume", "runs/run").code == 0
    assert timeless(latest(person)) == timeless(latest(person, "runs/whole"))


def test_a_pool_keeps_its_cap_over_a_stop_and_all_have_answers_meanwhile(person: Person) -> None:
    person.server.delay = 0.02
    assert person.orchard("run", config(person, fallback_n=4)).code == 0
    a_problem = tokens(person.records()) / PROBLEMS
    cap = round(3 * PROBLEMS * a_problem)
    auto = config(person, profile="profile.yaml", budget=cap, pool=True)
    person.server.calls.clear()
    with person.start("run", auto, "--out", "runs/pool") as process:
        until(lambda: len(person.server.generated()) > 3 * PROBLEMS + 30)
        process.send_signal(signal.SIGINT)
        process.wait(30)
    stopped = latest(person, "runs/pool")
    assert len(stopped) == PROBLEMS
    assert all(len(record["leaves"]) >= 4 for record in stopped)
    assert any(record["error"] for record in stopped)
    assert person.orchard("resume", "runs/pool").code == 0
    finished = latest(person, "runs/pool")
    assert not any(record["error"] for record in finished)
    assert tokens(stopped) < tokens(finished) <= cap


def test_a_larger_cap_goes_on_from_what_was_paid_for(person: Person) -> None:
    assert person.orchard("run", config(person, fallback_n=4)).code == 0
    cap = 2 * tokens(person.records())
    asked, used = [], []
    for budget in (cap, 2 * cap, cap):
        person.server.calls.clear()
        auto = config(person, profile="profile.yaml", budget=budget, pool=True)
        assert person.orchard("run", auto, "--out", "runs/pool").code == 0
        bodies = [json.dumps(call.body) for call in person.server.generated()]
        asked.append(
            {each for each in bodies if '"content": "What is' in each}
        )  # samples, no probes
        used.append(tokens(latest(person, "runs/pool")))
    assert used[0] <= cap < used[1] == used[2] <= 2 * cap
    assert len(asked[0]) > PROBLEMS and len(asked[1]) > PROBLEMS and not asked[2]
    assert not asked[0] & asked[1]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"profile": "profile.yaml", "budget": 100, "pool": True}, "raise `budget`, which is one"),
        ({"profile": "profile.yaml", "budget": 1}, "is less than the pilots take"),
        ({"profile": "nowhere.yaml", "budget": 900}, "cannot read the profile nowhere.yaml"),
        ({"profile": "profile.yaml"}, "auto needs a `budget`"),
        ({"profile": "profile.yaml", "budget": 900, "pilots": 8}, "leave `pilots` out"),
        ({"budget": 900}, "leave `budget` and `pool` out"),
    ],
)
def test_a_mistake_is_one_line(person: Person, settings: dict[str, Any], said: str) -> None:
    assert said in person.orchard("run", config(person, **settings)).complaint


def test_a_budget_of_flops_needs_to_know_the_models_sizes(person: Person) -> None:
    person.write("sizeless.yaml", dumped(theirs(ProfiledModel("policy"), ProfiledModel("prm"))))
    for more in ({}, {"pool": True}):
        auto = config(person, profile="sizeless.yaml", budget=1e12, unit="flops", **more)
        assert "`parameters` of the policy and the PRM" in person.orchard("run", auto).complaint
