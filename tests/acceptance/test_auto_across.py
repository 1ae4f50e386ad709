"""A cell of ``strategy: auto`` across models as a person meets it: run, killed, resumed, shown."""

import json
import random
import signal
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.core.voting import Weighted
from orchestrator.optimal.arms import Arm
from orchestrator.optimal.cascade.plan import Cascade, Look, ModelArm, PlannedLook
from orchestrator.optimal.profile import dumped
from tests.acceptance.conftest import SEARCH, Person
from tests.acceptance.test_resume import beyond, ended, is_lost, tokens
from tests.acceptance.test_runs import until
from tests.integration.misbehaving import CHAT, COMPLETIONS, status
from tests.unit.orchestrator.optimal.small_across import profile_of
from tests.unit.orchestrator.optimal.small_plan import GREEDY, PILOTS, VOTE, by

PROBLEMS = 24

BEAMS = ModelArm(
    policy="large",
    prm="prm",
    arm=Arm(strategy="beam_search", settings=SEARCH, vote=Weighted("last")),
)


def plan() -> Cascade:
    """Pilots of ``policy``, scored; where they disagree, a beam search of ``large``."""
    agreement = by("policy/agreement", mean=0.6, weight=40.0, pilots=PILOTS)
    look, vote = Look(policy="policy", prm="prm", pilots=PILOTS), replace(VOTE, policy="policy")
    planned = PlannedLook(look=look, predictor=agreement, limits=(0.5,), actions=(BEAMS, vote))
    return Cascade(pilots=PILOTS, first=0, looks=(planned,))


@pytest.fixture(autouse=True)
def profile(person: Person) -> Path:
    """Of the person's own policies, PRM and task."""
    person.problems(PROBLEMS)
    greedy = Cascade(pilots=PILOTS, first=replace(GREEDY, policy="policy"))
    plans = {1e3: greedy, 1e6: plan()}
    across = profile_of(plans, task="problems", policies=("policy", "large"))
    return person.write("across.yaml", dumped(across))


def config(person: Person, **changes: Any) -> Path:
    cell = {
        "policy": ["policy", "large"], "prm": ["prm"], "strategy": "auto",
        "profile": "across.yaml", "budget": 1e6, "unit": "flops", **changes,
    }  # fmt: skip
    return person.write_config(cells=[cell], headline=None, trees=4)


def latest(person: Person, run: str = "runs/run") -> list[dict[str, Any]]:
    """The last record of each problem, without its times."""
    found = {record["problem"]: record for record in person.records(run)}
    for record in found.values():
        record |= {"seconds": 0, "ended": 0}
        record["models"] = {
            name: use | {"seconds": 0} for name, use in record["models"].items()
        }  # fmt: skip
    return [found[problem] for problem in sorted(found)]


def test_show_names_the_model_that_answered_each_bin(person: Person) -> None:
    run = person.orchard("run", config(person))
    assert run.code == 0, run
    answered = Counter(record["route"]["policy"] for record in latest(person))
    assert set(answered) == {"policy", "large"}
    shown = person.orchard("show", "runs/run")
    assert "Routing of policy, large under prm, 1e6 FLOPs a problem" in shown.out
    said = " ".join(shown.out.split())
    assert f"policy: {PROBLEMS} problems, of which it answered {answered['policy']};" in said
    assert "large, beam search 4 with a vote by PRM-Last" in said
    summary = json.loads(person.orchard("show", "runs/run", "--json").out)
    (cell,) = summary["routes"]
    assert cell["models"]["large"]["answered"] == answered["large"]
    (row,) = summary["rows"]
    assert row["policy"] == "policy, large" and row["models"] == ["policy", "large", "prm"]
    ledger = person.orchard("show", "runs/run", "--ledger")
    assert "pilots of a model that does not answer" in " ".join(ledger.out.split())


def test_a_budget_between_two_plans_sends_its_share_of_the_problems_by_each(
    person: Person,
) -> None:
    half = config(person, budget=500_500)
    assert person.orchard("run", half, "--out", "runs/half").code == 0
    by_plan: dict[str, list[dict[str, Any]]] = {"cheap": [], "dear": []}
    for record in latest(person, "runs/half"):
        by_plan[record["route"]["plan"]].append(record)
    assert len(by_plan["dear"]) == pytest.approx(PROBLEMS / 2, abs=3)
    assert all(not record["route"]["looks"] for record in by_plan["cheap"])
    assert person.orchard("run", config(person), "--out", "runs/dear").code == 0
    alone = {record["problem"]: record for record in latest(person, "runs/dear")}
    for record in by_plan["dear"]:
        assert record["leaves"] == alone[record["problem"]]["leaves"]
    words = " ".join(person.orchard("show", "runs/half").out.split())
    dear, cheap = len(by_plan["dear"]), len(by_plan["cheap"])
    assert f"two plans are mixed: {dear} problems by the dear one, {cheap} by the cheap" in words


def test_advice_between_two_plans_is_a_config_that_mixes_them(
    person: Person, profile: Path
) -> None:
    measured = person.home / "runs" / "measured"
    (measured / "profiles").mkdir(parents=True)
    config(person).rename(measured / "config.yaml")
    profile.rename(measured / "profiles" / "problems-across.yaml")
    advised = person.orchard("advise", "runs/measured", "--accuracy", "0.85", "--json")
    said = json.loads(advised.out)
    assert "mix two plans: for 50 % of the problems, look at" in said["sentence"]
    assert (said["budget"], said["came"]["accuracy"]) == (500_500, pytest.approx(0.85))
    assert [plan["share"] for plan in said["plans"]] == pytest.approx([0.5, 0.5])
    assert person.orchard("run", "advised.yaml", "--out", "runs/run").code == 0
    plans = Counter(record["route"]["plan"] for record in latest(person))
    assert plans["dear"] == pytest.approx(PROBLEMS / 2, abs=3)


def test_a_run_killed_and_stopped_grows_the_same_trees_and_pays_for_nothing_twice(
    person: Person,
) -> None:
    person.server.delay = 0.02
    auto = config(person)
    assert person.orchard("check", auto).code == 0
    probes = [call.body for call in person.server.generated()]
    person.server.calls.clear()
    assert person.orchard("run", auto, "--out", "runs/whole").code == 0
    whole = tokens(beyond(probes, person.server.generated()))
    draw, paid, lost = random.Random(4), Counter[str](), Counter[str]()
    ends = [signal.SIGKILL, signal.SIGINT, signal.SIGKILL, None]
    for start, end in enumerate(ends):
        person.server.calls.clear()
        with person.start(*(("resume", "runs/run") if start else ("run", auto))) as process:
            more = len(probes) + draw.randrange(10, 30)
            until(lambda more=more: len(person.server.generated()) >= more or ended(process))
            stopped = float("inf")
            if end is not None and process.poll() is None:
                stopped = time.monotonic()
                process.send_signal(end)
            process.communicate(timeout=60)
        calls = beyond(probes, person.server.generated())
        paid += tokens(calls)
        lost += tokens([call for call in calls if is_lost(call, stopped)])
    assert latest(person) == latest(person, "runs/whole")
    for model in ("policy", "large", "prm"):
        assert 0 < paid[model] <= 1.01 * whole[model] + lost[model]


def test_a_model_that_goes_down_is_one_clear_line_and_resume_finishes(person: Person) -> None:
    auto = config(person)
    assert person.orchard("run", auto, "--out", "runs/whole").code == 0
    for path in (CHAT, COMPLETIONS):
        person.server.on(
            path,
            status(401, "this key was withdrawn"),
            when=lambda body: body["model"] == "large" and "What is 1" in json.dumps(body),
            forever=True,
        )
    complaint = person.orchard("run", auto).complaint
    assert "this key was withdrawn" in complaint and "orchard resume runs/run" in complaint
    person.server.rules.clear()
    assert person.orchard("resume", "runs/run").code == 0
    assert latest(person) == latest(person, "runs/whole")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"unit": "tokens"}, "in `unit: flops`, `cost` or `seconds`"),
        ({"pool": True}, "shares no pool"),
        ({"budget": 10}, "less than the cheapest answer takes: 1000 is the least"),
        ({"profile": "nowhere.yaml"}, "cannot read the profile nowhere.yaml"),
    ],
)
def test_a_mistake_is_one_line(person: Person, changes: dict[str, Any], said: str) -> None:
    assert said in person.orchard("run", config(person, **changes)).complaint
