"""What a person gets wrong, and what an endpoint does to them: one line each, and the way out."""

import copy
import json
import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.acceptance.conftest import KEY, Person
from tests.integration.misbehaving import (
    CHAT,
    MODELS,
    POOLING,
    Server,
    changed,
    html,
    running_beside,
    status,
)


def run(person: Person, *settings: str) -> str:
    """The complaint about a config that is right but for ``settings``."""
    config = person.home / "run.yaml"
    if not config.exists():
        person.write_config()
    return person.orchard("run", config, *(f"--set={setting}" for setting in settings)).complaint


# The config


@pytest.mark.parametrize(
    ("setting", "place", "fix"),
    [
        ("cells.0.strategy=beem_search", "cells.0.strategy", 'did you mean "beam_search"?'),
        ("headline.vote=max_lst", "headline.vote", 'did you mean "max_last"?'),
        ("cells.0.policy=polcy", "cells.0", "no policy is named 'polcy': did you mean \"policy\"?"),
        ("cells.2.prm=pmr", "cells.2", "no prm is named 'pmr': did you mean \"prm\"?"),
        ("prms.prm.family=qwen", "prms.prm.family", 'did you mean "qwen_math"?'),
        ("policies.policy.prompt=lama3", "policies.policy.prompt", 'did you mean "llama3"?'),
        ("policies.policy.urll=x", "policies.policy", 'did you mean "url"?'),
        ("polices.x=1", "unknown key 'polices'", 'did you mean "policies"?'),
        ("cells.2.widht=3", "cells.2", 'did you mean "width"?'),
        ("cells.2.n=5", "cells.2", "n = 5 is not a multiple of width = 2; try n = 4"),
        ("cells=", "cells", "should be a list"),
        ("seed=soon", "seed", "should be a valid integer"),
        ("task={name: math5000}", "'math5000'", "did you mean 'math500'?"),
        ("prms.prm.options.sytem=x", "prms.prm.options", "sytem"),
        ("policies.policy.api_key_env=ORCHARD_UNSET", "policy needs its API key", "$ORCHARD_UNSET"),
        ("policies.policy.url=[]", "policy has no `url`", "give it one"),
        ("headline.vote=max_lst", "headline.vote", 'did you mean "max_last"?'),
        ("headline.n=8", "headline: no cell is beam_search of policy", "add it to `cells`"),
        ("headline.large=policy2", "headline: no cell is cot of policy2", "or name another"),
        ("seed", "--set seed", "write --set key=value"),
        ("cells.9.n=4", "--set cells.9.n", "not one of its 3 items"),
        ("seed=[", "--set seed", "is not YAML"),
    ],
)
def test_a_mistake_in_the_config_is_named_with_its_place_and_its_fix(
    person: Person, setting: str, place: str, fix: str
) -> None:
    complaint = run(person, setting)
    assert place in complaint and fix in complaint
    assert not person.server.generated()
    assert not any(path.read_bytes() for path in person.home.glob("runs/*/records.jsonl"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("task: {name: chains\npolicies: [", "is not YAML"),
        ("- a\n- b\n", "must hold keys and values"),
        ("", "must hold keys and values"),
        ("include: nowhere.yaml\n", "nowhere.yaml: there is no such file, which run.yaml"),
        ("include: run.yaml\n", "includes itself"),
        ("seed: 1\n", "task: it is required (and 2 more)"),
        (None, "there is no such file"),
    ],
)
def test_a_config_that_is_none_is_named(person: Person, content: str | None, says: str) -> None:
    if content is not None:
        person.write("run.yaml", content)
    complaint = person.orchard("run", "run.yaml").complaint
    assert "run.yaml" in complaint and says in complaint


def test_a_folder_is_no_config(person: Person) -> None:
    assert "cannot be read: Is a directory" in person.orchard("check", ".").complaint


# The problems


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"question": "What is 2?"}', "no field 'answer' for the answer"),
        ('{"question": "What is 2?", "answer"', "not valid JSON"),
        ('["What is 2?", "2"]', "must be a JSON object"),
        ('{"question": "What is 2?", "answer": null}', "must be text or a number"),
    ],
)
def test_a_bad_line_of_a_problem_file_is_named_by_its_number(
    person: Person, line: str, says: str
) -> None:
    file = person.problems(2)
    file.write_text(file.read_text() + line + "\n")
    complaint = run(person)
    assert "problems.jsonl, line 3" in complaint and says in complaint
    assert not (person.home / "runs").exists()


def test_a_problem_file_that_is_not_there_is_named(person: Person) -> None:
    complaint = run(person, "task.path=problem.jsonl")
    assert "problem.jsonl: there is no such file (did you mean 'problems.jsonl'?)" in complaint


# The endpoints


def nobody() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def test_an_endpoint_that_is_down_is_named_and_so_is_what_to_look_at(person: Person) -> None:
    url = nobody()
    complaint = run(person, f"policies.large.url={url}")
    assert f"large: nothing answers at {url}" in complaint
    assert "is the server running, and the port right?" in complaint


def test_a_replica_that_is_down_is_named_and_the_run_goes_on_without_it(person: Person) -> None:
    url = nobody()
    other = url.replace("127.0.0.1", "127.0.0.2")
    urls = f"[{url}, {person.server.url}, {other}]"
    config = person.write_config()
    outcome = person.orchard("run", config, f"--set=policies.policy.url={urls}")
    assert outcome.code == 0, outcome
    first, second = outcome.err.splitlines()
    assert f"nothing answers at {url}/v1/models (connection refused)" in first
    assert "going on with 1 of 3 replicas" in first and other in second
    assert len(person.records()) == 20


@pytest.mark.parametrize(
    ("models", "key", "says"),
    [(("large",), None, "does not serve the model 'policy'"), (("policy",), KEY, "(401)")],
)
def test_a_replica_that_refuses_ends_the_run_though_others_answer(
    person: Person, models: tuple[str, ...], key: str | None, says: str
) -> None:
    with running_beside(Server(models=models, key=key)) as other:
        urls = f"[{person.server.url}, {nobody()}, {other.url}]"
        assert says in run(person, f"policies.policy.url={urls}")
    assert person.records() == []


@pytest.mark.parametrize(
    ("path", "answer", "says"),
    [
        (MODELS, html(), "answers an HTML page, not the API"),
        (CHAT, html(), "answers an HTML page, not the API"),
        (CHAT, changed(lambda good: good.update(model="gpt-2")), "answered as 'gpt-2'"),
        (CHAT, changed(lambda good: good["choices"].clear()), "returned no choices"),
        (POOLING, changed(lambda good: good["data"].clear()), "scored 0 steps of 2"),
        (POOLING, status(404), "does it serve this kind of model?"),
    ],
)
def test_an_endpoint_that_lies_ends_the_run_before_it_begins(
    person: Person, path: str, answer: Any, says: str
) -> None:
    person.server.on(path, answer, forever=True)
    complaint = run(person)
    assert says in complaint and person.server.url in complaint
    assert person.records() == []


def without_token_ids(good: Any) -> None:
    good.pop("prompt_token_ids", None)


def test_a_server_without_token_ids_cannot_be_made_to_continue_by_them(person: Person) -> None:
    person.server.on(CHAT, changed(without_token_ids), forever=True)
    complaint = run(person, "policies.policy.continuation=tokens")
    assert "policy does not return token ids" in complaint and "`continuation: chat`" in complaint


def test_a_search_its_server_cannot_carry_is_refused_before_it_begins(person: Person) -> None:
    def starts_over(good: Any) -> None:
        without_token_ids(good)
        good["usage"]["prompt_tokens"] = 9

    person.server.on(CHAT, changed(starts_over), forever=True)
    complaint = run(person)
    assert "cannot go on with a solution" in complaint and "use cot, majority or best" in complaint
    assert person.records() == []


def test_a_model_that_is_not_served_is_refused_with_the_nearest_that_is(person: Person) -> None:
    complaint = run(person, "policies.large.model=lrge")
    assert "large: " in complaint
    assert "does not serve the model 'lrge'; did you mean 'large'?" in complaint


def test_a_wrong_key_is_refused_and_never_shown(person: Person) -> None:
    person.server.key = KEY
    person.environment["ORCHARD_TEST_KEY"] = f"{KEY}-wrong"
    person.write_config()
    endpoints = ("policies.policy", "policies.large", "prms.prm")
    settings = [f"--set={name}.api_key_env=ORCHARD_TEST_KEY" for name in endpoints]
    for command in ("run", "check"):
        outcome = person.orchard(command, "run.yaml", *settings)
        assert outcome.code == 1
        assert "refuses the API key (401)" in outcome.out + outcome.err
        assert "`api_key_env`" in outcome.out + outcome.err
        assert KEY not in outcome.out + outcome.err
    files = [path for path in person.home.rglob("*") if path.is_file()]
    assert not any(KEY.encode() in path.read_bytes() for path in files)


def test_check_tells_good_endpoints_from_bad_ones(person: Person) -> None:
    config = person.write_config()
    good = person.orchard("check", config)
    assert (good.code, good.err) == (0, "")
    assert "continuation, step ends, token ids" in good.out
    assert "scores every step" in good.out
    assert "5 cells, 4 problems" in good.out
    assert all(person.server.url in line for line in good.out.splitlines() if " at " in line)
    url = nobody()
    bad = person.orchard("check", config, f"--set=prms.prm.url={url}", "--json")
    assert bad.code == 1
    found = json.loads(bad.out)
    assert (found["cells"], found["problems"]) == (5, 4)
    policy, large, prm = found["endpoints"]
    assert policy["token_ids"] and policy["context"] == 512 and "error" not in large
    assert prm["error"].startswith(f"nothing answers at {url}")
    assert not (person.home / "runs").exists()


# The run directory


@pytest.fixture
def damaged(person: Person) -> Path:
    folder = person.home / "runs" / "run"
    folder.mkdir(parents=True)
    person.write_config()
    (folder / "config.yaml").write_text((person.home / "run.yaml").read_text())
    (folder / "records.jsonl").write_text('{"cell": "half\n{"cell": "a"}\n\n')
    return folder


def test_a_damaged_record_is_named_by_its_line(person: Person, damaged: Path) -> None:
    for arguments in (("show", damaged), ("run", "run.yaml")):
        complaint = person.orchard(*arguments).complaint
        assert "records.jsonl, line 1 is damaged" in complaint and "delete that line" in complaint


def test_a_run_without_results_says_so(person: Person, damaged: Path) -> None:
    (damaged / "records.jsonl").write_text("")
    assert "holds no finished problem yet" in person.orchard("show", damaged).complaint


def test_what_is_no_run_directory_is_named(person: Person) -> None:
    file = person.problems()
    for path, says in ((Path("nowhere"), "No such file"), (file, "Not a directory")):
        complaint = person.orchard("show", path).complaint
        assert str(path) in complaint and says in complaint and "runs/demo" in complaint
    person.write_config()
    complaint = person.orchard("run", "run.yaml", "--out", file).complaint
    assert str(file) in complaint and "name another --out" in complaint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_run_directory_without_permission_is_named(person: Person, damaged: Path) -> None:
    damaged.chmod(0)
    try:
        for arguments in (("show", damaged), ("run", "run.yaml")):
            complaint = person.orchard(*arguments).complaint
            assert str(damaged.name) in complaint and "Permission denied" in complaint
    finally:
        damaged.chmod(0o700)


def test_a_run_of_another_config_is_not_continued(person: Person) -> None:
    cells = [{"policy": "policy", "strategy": "cot"}]
    config = person.write_config(cells=cells, headline=None)
    assert person.orchard("run", config).code == 0
    before = (person.home / "runs/run/records.jsonl").read_bytes()
    for change in ("seed=4", "policies.policy.url=http://127.0.0.1:1/v1"):
        outcome = person.orchard("run", config, "--set=seed=4", f"--set={change}")
        assert outcome.code == 1
        said, *changes = outcome.err.splitlines()
        assert "runs/run holds a run of another config" in said
        assert "or begin another with `orchard run CONFIG --out NEW_DIRECTORY`" in said
        assert changes == ["  seed: 0 → 4"]
    assert (person.home / "runs/run/records.jsonl").read_bytes() == before


def test_a_config_edited_in_its_run_directory_is_held_to_the_rule_of_the_command_line(
    person: Person,
) -> None:
    cells = [{"policy": "policy", "strategy": "cot"}]
    assert person.orchard("run", person.write_config(cells=cells, headline=None)).code == 0
    edited = person.home / "runs/run/config.yaml"
    begun, before = edited.read_text(), person.records()
    edited.write_text(f"{begun}seed: 4\n")
    for _ in range(2):  # nor is it forgotten over a refusal
        outcome = person.orchard("resume", "runs/run")
        said, *changes = outcome.err.splitlines()
        assert "runs/run holds a run of another config: set these keys back" in said
        assert (outcome.code, changes) == (1, ["  seed: 0 → 4"])
    assert person.records() == before
    assert person.orchard("run", edited, "--out", "runs/new").code == 0  # as the refusal says
    assert "seed: 4" in (person.home / "runs/new/config.yaml").read_text()
    edited.write_text(f"{begun}trees: 3\nbudget: {{requests: 900}}\n")
    assert person.orchard("resume", "runs/run").code == 0
    assert "trees: 3" in edited.read_text()


def test_an_endpoint_that_was_left_out_for_a_while_is_still_held_to_what_it_was(
    person: Person,
) -> None:
    cells = [{"policy": ["policy", "large"], "strategy": "cot"}]
    config = person.write_config(cells=cells, headline=None, prms={})
    assert person.orchard("run", config).code == 0
    edited = person.home / "runs/run/config.yaml"
    both = yaml.safe_load(edited.read_text())
    alone = copy.deepcopy(both)
    del alone["policies"]["large"]
    alone["cells"] = [{"policy": "policy", "strategy": "cot"}]
    edited.write_text(yaml.safe_dump(alone))
    assert person.orchard("resume", "runs/run").code == 0
    both["policies"]["large"]["model"] = "another"
    edited.write_text(yaml.safe_dump(both))
    outcome = person.orchard("resume", "runs/run")
    assert "  policies.large.model: None → another" in outcome.err.splitlines()


def test_results_of_which_nothing_says_what_they_were_begun_with_are_not_added_to(
    person: Person,
) -> None:
    cells = [{"policy": "policy", "strategy": "cot"}]
    assert person.orchard("run", person.write_config(cells=cells, headline=None)).code == 0
    (person.home / "runs/run/begun.json").unlink()
    assert "begun.json cannot be read" in person.orchard("resume", "runs/run").complaint


def test_a_run_that_never_began_does_not_hold_its_directory(person: Person) -> None:
    run(person, f"policies.policy.url={nobody()}")
    cells = [{"policy": "policy", "strategy": "cot"}]
    config = person.write_config(cells=cells, headline=None, seed=4)
    assert person.orchard("run", config).code == 0
    assert "seed: 4" in (person.home / "runs/run/config.yaml").read_text()


def test_two_runs_do_not_share_a_directory(person: Person) -> None:
    person.server.delay = 2.0  # however slowly the second one starts
    config = person.write_config()
    with person.start("run", config):
        deadline = time.monotonic() + 20
        while not person.server.seen(CHAT) and time.monotonic() < deadline:
            time.sleep(0.05)
        complaint = person.orchard("run", config).complaint
    assert "runs/run is in use by another orchard: wait for it" in complaint
