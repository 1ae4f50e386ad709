"""``orchard prm-eval`` as a person runs it: on the embedded models, on files, and with mistakes."""

import json
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.config.reading import shipped_config
from tests.acceptance.conftest import KEY, ORCHARD, Outcome, Person
from tests.integration.misbehaving import POOLING, Server, changed, overflow, running_beside, status

FIGURES = ("reliability", "score_by_steps", "f1_by_threshold")


def samples(count: int, labels: Sequence[int] = (2, -1, 0, -1)) -> str:
    """A ProcessBench file whose labels take turns."""
    lines = [
        {
            "id": f"sample-{i}",
            "generator": "someone",
            "problem": f"What is {i} + {i}?",
            "steps": [f"First {i}.", f"Then {i}.", f"So it is {2 * i}."],
            "final_answer_correct": True,
            "label": labels[i % len(labels)],
        }
        for i in range(count)
    ]
    return "".join(json.dumps(line) + "\n" for line in lines)


def only_models(person: Person, **endpoint: Any) -> Path:
    """A config of nothing but a PRM."""
    prm = {"url": person.server.url, "family": "qwen_math", **endpoint}
    return person.write("prms.yaml", yaml.safe_dump({"prms": {"prm": prm}}))


def summary(person: Person, run: str = "runs/prm-eval-prms") -> dict[str, Any]:
    text = (person.home / run / "prm-eval.json").read_text()
    return json.loads(text, parse_constant=pytest.fail)  # type: ignore[no-any-return]


def scored(person: Person, run: str = "runs/prm-eval-prms") -> int:
    path = person.home / run / "scores.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


# The embedded models


@pytest.fixture(scope="module")
def chains(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Both embedded PRMs on chains, once: the directory and what was printed."""
    home = tmp_path_factory.mktemp("chains")
    arguments = [shipped_config("tiny.yaml"), "--data", "chains", "--samples", "150"]
    done = subprocess.run(
        [ORCHARD, "prm-eval", *arguments, "--set", "servers.tiny.replicas=1"],
        cwd=home, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return home / "runs" / "prm-eval-tiny", done.stdout


def test_the_embedded_prms_are_told_apart_on_a_bare_machine(chains: tuple[Path, str]) -> None:
    told = json.loads((chains[0] / "prm-eval.json").read_text(), parse_constant=pytest.fail)
    good, poor = told["rows"]
    assert (good["prm"], poor["prm"]) == ("prm-qwen", "prm-shepherd")
    assert good["samples"] == poor["samples"] >= 140 and good["failed"] == []
    assert 30 < good["wrong"] < 110
    assert good["first_error"]["f1"]["low"] > poor["first_error"]["f1"]["high"]
    assert good["calibration"]["brier"] < poor["calibration"]["brier"]
    assert poor["best"]["f1"]["value"] > poor["first_error"]["f1"]["value"]


def test_what_is_printed_says_what_to_conclude(chains: tuple[Path, str]) -> None:
    folder, printed = chains
    text = re.sub(r"[\s│]+", " ", printed)
    told = json.loads((folder / "prm-eval.json").read_text())
    for sentence in told["conclusions"]:
        assert sentence in text
    assert "solved by policy-160k at temperature 0.7, first wrong steps named by rule" in text
    assert "prm-qwen: the first wrong step" in text and "running minimum" in text
    for name in FIGURES:
        assert f"{name}.png" in printed
        assert (folder / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (folder / "figures" / f"{name}.svg").stat().st_size > 1000


# Files


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Person, Outcome]]:
    """Two files behind an API key, with ``--json``."""
    with running_beside(Server(key=KEY)) as server:
        person = Person(tmp_path_factory.mktemp("files"), server, {"ORCHARD_TEST_KEY": KEY})
        only_models(person, api_key_env="ORCHARD_TEST_KEY")
        person.write("gsm8k.jsonl", samples(60))
        person.write("math.jsonl", samples(20))
        data = ("--data", "gsm8k.jsonl", "--data", "math.jsonl")
        yield person, person.orchard("prm-eval", "prms.yaml", *data, "--json")


def test_json_is_all_there_is_on_stdout(finished: tuple[Person, Outcome]) -> None:
    person, outcome = finished
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out) == summary(person)
    assert "prm-eval.json" in outcome.err


def test_each_file_is_a_row_and_equal_solutions_are_paid_for_once(
    finished: tuple[Person, Outcome],
) -> None:
    person, _ = finished
    told = summary(person)
    assert [(row["data"], row["samples"], row["right"]) for row in told["rows"]] == [
        ("gsm8k", 60, 30),
        ("math", 20, 10),
    ]
    f1s = [row["first_error"]["f1"]["value"] for row in told["rows"]]
    assert told["mean_f1"]["prm"] == pytest.approx(sum(f1s) / 2)
    assert scored(person) == 60
    asked = [text for call in person.server.seen(POOLING) for text in call.body["input"]]
    assert len(asked) == 60 + 1  # and the probe


def test_a_second_evaluation_asks_nothing_and_another_threshold_neither(
    finished: tuple[Person, Outcome],
) -> None:
    person, outcome = finished
    requests, before = len(person.server.calls), summary(person)
    data = ("--data", "gsm8k.jsonl", "--data", "math.jsonl")
    again = person.orchard("prm-eval", "prms.yaml", *data, "--json")
    assert again.out == outcome.out
    table = person.orchard("prm-eval", "prms.yaml", *data, "--threshold", "0.9")
    assert "at 0.9" in table.out and all(len(line) <= 80 for line in table.out.splitlines())
    assert len(person.server.calls) == requests
    found = [row["first_error"]["wrong"]["value"] for row in summary(person)["rows"]]
    assert found != [row["first_error"]["wrong"]["value"] for row in before["rows"]]


def test_the_key_is_nowhere_in_what_it_leaves(finished: tuple[Person, Outcome]) -> None:
    person, outcome = finished
    files = [path for path in person.home.rglob("*") if path.is_file()]
    assert len(files) > 8 and KEY not in outcome.out + outcome.err
    assert not any(KEY.encode() in path.read_bytes() for path in files)


def test_other_settings_of_a_prm_are_scored_anew(person: Person) -> None:
    person.write("data.jsonl", samples(10))
    only_models(person)
    command = ("prm-eval", "prms.yaml", "--data", "data.jsonl")
    assert person.orchard(*command).code == 0
    falling = person.orchard(*command, "--set", "prms.prm.running_minimum=true")
    assert "running minimum" in falling.out and scored(person) == 20


def test_one_prm_and_the_first_samples_can_be_asked_for(person: Person) -> None:
    person.write("data.jsonl", samples(10))
    prm = {"url": person.server.url, "family": "qwen_math"}
    person.write("prms.yaml", yaml.safe_dump({"prms": {"prm": prm, "unheard": prm}}))
    arguments = ("--data", "data.jsonl", "--prm", "prm", "--samples", "4", "--out", "here")
    assert person.orchard("prm-eval", "prms.yaml", *arguments).code == 0
    (row,) = summary(person, "here")["rows"]
    assert (row["prm"], row["samples"]) == ("prm", 4)


# A stop


@pytest.fixture(params=[signal.default_int_handler, signal.SIG_IGN], ids=["foreground", "script"])
def sigint(request: pytest.FixtureRequest) -> Iterator[None]:
    """How a shell starts a command: in the background of a script it has SIGINT ignored."""
    before = signal.signal(signal.SIGINT, request.param)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("sigint")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_evaluation_prints_the_command_that_finishes_it(
    person: Person, number: signal.Signals
) -> None:
    person.server.delay = 0.1
    person.write("data.jsonl", samples(600))
    only_models(person)
    arguments = ("prms.yaml", "--data", "data.jsonl", "--set", "trees=4")
    with person.start("prm-eval", *arguments) as process:
        deadline = time.monotonic() + 30
        while scored(person) < 80 and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "")
    assert "Every score is kept" in out
    assert person.server.most_in_flight <= 4
    before = scored(person)
    assert 80 <= before < 600
    assert re.search(r"^\d+/600 solutions scored  \d+/s  \d+ s left$", out, re.MULTILINE), out

    program, *again = shlex.split(out.splitlines()[-1])
    assert program == "orchard"
    person.server.delay = 0
    person.server.calls.clear()
    assert person.orchard(*again).code == 0
    assert scored(person) == 600
    assert len(person.server.seen(POOLING)) == 600 - before + 1


# A budget

PRICE = {"input": 2.0, "output": 0.0}


def bill(person: Person) -> float:
    """USD that the server charges for all it was asked, the probes included."""
    return sum(call.tokens for call in person.server.seen(POOLING)) * PRICE["input"] * 1e-6


def test_a_limit_of_the_cost_ends_it_says_so_and_a_larger_one_goes_on(person: Person) -> None:
    person.write("data.jsonl", samples(100))
    only_models(person, price=PRICE)
    each = 20 * PRICE["input"] * 1e-6
    limit = 30.5 * each
    command = ("prm-eval", "prms.yaml", "--data", "data.jsonl")
    stopped = person.orchard(*command, "--set", f"budget.cost={limit}")
    assert (stopped.code, stopped.err) == (3, "")
    assert f"Stopped early: the run budget of ${limit:g} is used up." in stopped.out
    assert "Every score is kept" in stopped.out
    assert limit - each < bill(person) <= limit
    assert scored(person) == 30  # of which one stands for the probe

    again = person.orchard(*command, "--set", f"budget.cost={limit}")
    assert again.code == 3 and bill(person) <= limit + each
    assert stopped.out.splitlines()[-1].endswith("--set budget.cost=…")
    assert person.orchard(*command, "--set", "budget.cost=1").code == 0
    assert summary(person)["rows"][0]["samples"] == 100


@pytest.mark.parametrize(
    ("limit", "least", "most"),
    [("tokens", 10, 17), ("prm_tokens", 10, 17), ("requests", 200, 200)],
)
def test_every_limit_of_the_budget_holds(person: Person, limit: str, least: int, most: int) -> None:
    person.write("data.jsonl", samples(300))
    only_models(person)
    command = ("prm-eval", "prms.yaml", "--data", "data.jsonl", "--set", "trees=8")
    outcome = person.orchard(*command, "--set", f"budget.{limit}=200")
    assert outcome.code == 3
    assert f"the run budget of 200 {limit.replace('_', ' ')} is used up" in outcome.out
    assert least <= scored(person) <= most
    before = len(person.server.calls)
    assert person.orchard(*command, "--set", f"budget.{limit}=200").code == 3
    assert len(person.server.calls) == before  # nothing is left of it: not even a probe


def test_a_limit_of_the_time_ends_it(person: Person) -> None:
    person.write("data.jsonl", samples(300))
    only_models(person)
    person.server.delay = 0.1
    outcome = person.orchard(
        "prm-eval", "prms.yaml", "--data", "data.jsonl", "--set", "trees=2",
        "--set", "budget.seconds=1",
    )  # fmt: skip
    assert outcome.code == 3
    assert "the run budget of 1 seconds is used up" in outcome.out
    assert 0 < scored(person) < 40


def test_a_limit_of_the_cost_holds_for_solutions_that_are_drawn_too(person: Person) -> None:
    at = {"url": person.server.url, "prompt": "tiny", "price": PRICE}
    config = person.write_config(policies={"policy": at, "large": at})
    outcome = person.orchard(
        "prm-eval", config, "--data", "chains", "--samples", "50",
        "--set", "prms.prm.price.input=1", "--set", "prms.prm.price.output=0",
        "--set", "budget.cost=0.0005",
    )  # fmt: skip
    assert outcome.code == 3, outcome
    assert not person.server.seen(POOLING)[1:]


def test_a_limit_of_the_cost_needs_prices(person: Person) -> None:
    person.write("data.jsonl", samples(10))
    only_models(person)
    arguments = ("--data", "data.jsonl", "--set", "budget.cost=1")
    complaint = person.orchard("prm-eval", "prms.yaml", *arguments).complaint
    assert "a limit of the cost cannot be kept" in complaint
    assert not person.server.generated()


# Mistakes, of the person and of the PRM


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--data", "dta.jsonl"), "dta.jsonl: cannot be read: No such file or directory"),
        (("--data", "chains"), "takes its solutions from a policy: add one under `policies`"),
        (("--data", "data.jsonl", "--prm", "pmr"), "no prm is named 'pmr': did you mean \"prm\"?"),
        (("--data", "data.jsonl", "--data", "data.jsonl"), "two data sets are called 'data'"),
        (("--data", "data.jsonl", "--set", "prms={}"), "the config has no PRM to evaluate"),
        (("--data", "data.jsonl", "--set", "prms.prm.famly=x"), 'did you mean "family"?'),
        (("--data", "bad.jsonl"), "bad.jsonl, line 2: no field 'label'"),
        (("--data", "data.jsonl", "--out", "data.jsonl"), "name another --out"),
    ],
)
def test_a_mistake_is_one_line_and_costs_nothing(
    person: Person, arguments: tuple[str, ...], says: str
) -> None:
    good = person.write("data.jsonl", samples(4)).read_text()
    person.write("bad.jsonl", good.splitlines()[0] + '\n{"id": "x", "problem": "y", "steps": []}\n')
    only_models(person)
    assert says in person.orchard("prm-eval", "prms.yaml", *arguments).complaint
    assert not person.server.generated()


def test_a_policy_that_is_not_there_is_named(person: Person) -> None:
    config = person.write_config()
    complaint = person.orchard("prm-eval", config, "--data", "chains", "--policy", "lrge").complaint
    assert "no policy is named 'lrge': did you mean \"large\"?" in complaint


def test_a_policy_of_another_task_gives_no_chains(person: Person) -> None:
    """Its solutions are wrong from the first step on: every number they can give is given."""
    config = person.write_config()
    outcome = person.orchard("prm-eval", config, "--data", "chains", "--samples", "6")
    assert outcome.code == 0
    (row,) = summary(person, "runs/prm-eval-run")["rows"]
    assert (row["wrong"], row["right"], row["first_error"]["f1"]) == (6, 0, None)
    assert "all samples are wrong, so no F1" in re.sub(r"\s+", " ", outcome.out)


def test_samples_of_one_kind_give_what_they_can(person: Person) -> None:
    person.write("data.jsonl", samples(12, labels=(-1,)))
    only_models(person)
    outcome = person.orchard("prm-eval", "prms.yaml", "--data", "data.jsonl")
    assert (outcome.code, outcome.err) == (0, "")
    assert "nan" not in outcome.out.lower()
    assert "all samples are right, so no F1" in re.sub(r"\s+", " ", outcome.out)
    (row,) = summary(person)["rows"]
    assert (row["first_error"]["f1"], row["first_error"]["wrong"], row["best"]) == (None,) * 3
    assert row["first_error"]["right"] is not None


def test_a_sample_the_prm_fails_on_is_named_and_not_scored(person: Person) -> None:
    def asks(number: int) -> Callable[[dict[str, Any]], bool]:
        return lambda body: f"What is {number} + {number}?" in body["input"][0]

    one_short = changed(lambda good: good["data"][0]["data"].pop())
    person.server.on(POOLING, overflow(), when=asks(3), forever=True)
    person.server.on(POOLING, one_short, when=asks(5), forever=True)
    person.write("data.jsonl", samples(12))
    only_models(person)
    outcome = person.orchard("prm-eval", "prms.yaml", "--data", "data.jsonl")
    assert outcome.code == 0
    text = re.sub(r"\s+", " ", outcome.out)
    assert "not scored: sample-3: longer than the PRM's context." in text
    (row,) = summary(person)["rows"]
    assert row["samples"] == 10
    too_long, odd = row["failed"]
    assert too_long == {"sample": "sample-3", "reason": "longer than the PRM's context"}
    assert odd["sample"] == "sample-5" and "scored 2 steps of 3" in odd["reason"]


def test_a_prm_that_is_none_ends_it_before_it_begins(person: Person) -> None:
    person.server.on(POOLING, status(404), forever=True)
    person.write("data.jsonl", samples(12))
    only_models(person)
    complaint = person.orchard("prm-eval", "prms.yaml", "--data", "data.jsonl").complaint
    assert "does it serve this kind of model?" in complaint
    assert len(person.server.seen(POOLING)) == 1
