"""No API key anywhere: not among the arguments of a process, in a file, or on the terminal."""

import json
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from tests.acceptance.conftest import KEY, Outcome, Person
from tests.integration.misbehaving import CHAT, COMPLETIONS, MODELS, POOLING, Server
from tests.integration.serving import self_signed, served_beside

ROOT = Path(__file__).resolve().parents[2]
CELLS = [
    {"policy": "policy", "prm": "prm", "strategy": "beam_search", "n": 4, "width": 2,
     "max_depth": 4, "max_tokens": 24},
    {"policy": "hosted", "strategy": "majority", "n": 4, "max_tokens": 24},
]  # fmt: skip


async def echo(request: web.Request, good: Any) -> web.StreamResponse:
    """The good answer, with the key in its headers, in its texts and beside them."""
    given = request.headers["Authorization"]
    for choice in good.get("choices", ()):
        said = choice.get("message", choice)
        name = "content" if "content" in said else "text"
        said[name] = said[name].replace(" of ", f" of {given} ")
    return web.json_response(good | {"authorization": given}, headers={"X-Echo": given})


async def fail(request: web.Request, good: Any) -> web.StreamResponse:
    given = request.headers["Authorization"]
    body = {"error": {"message": f"no capacity for {given}"}}
    return web.json_response(body, status=503, headers={"X-Echo": given})


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(key=KEY)
    for path in (CHAT, COMPLETIONS, POOLING):
        server.on(path, fail)
    for path in (CHAT, COMPLETIONS, POOLING, MODELS):
        server.on(path, echo, forever=True)
    with served_beside(server):
        yield server


@pytest.fixture
def person(tmp_path: Path, server: Server) -> Person:
    environment = {"ORCHARD_TEST_KEY": KEY, "XDG_STATE_HOME": str(tmp_path / "state")}
    return Person(tmp_path, server, environment)


def command_lines() -> Iterator[bytes]:
    """What `ps` shows to every user of the machine."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield path.read_bytes()


def watched(person: Person, *arguments: str | Path) -> Outcome:
    """A command's outcome, while whose processes are looked at all the time."""
    with person.start(*arguments) as process:
        looks = 0
        while process.poll() is None:
            assert not any(KEY.encode() in line for line in command_lines())
            looks += 1
            time.sleep(0.02)
        out, err = process.communicate(timeout=60)
    assert looks > 3
    return Outcome(process.returncode, out, err)


def assert_nowhere(person: Person, *outcomes: Outcome, but: tuple[Path, ...] = ()) -> None:
    for outcome in outcomes:
        assert KEY not in outcome.out + outcome.err
    files = {path for path in person.home.rglob("*") if path.is_file()} - {*but}
    assert files
    for path in files:
        assert KEY.encode() not in path.read_bytes(), path


def write(person: Person, **sections: Any) -> Path:
    at = {"url": person.server.url, "api_key_env": "ORCHARD_TEST_KEY"}
    policies = {
        "policy": {**at, "prompt": "tiny"},
        "hosted": {**at, "api": "openai", "model": "large", "prompt": "tiny"},
    }
    prms = {"prm": {**at, "family": "qwen_math"}}
    values = person.config(policies=policies, prms=prms, cells=CELLS, headline=None)
    return person.write("run.yaml", yaml.safe_dump(values | sections))


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked at in /proc")
def test_a_key_that_its_server_echoes_everywhere_is_nowhere_else(person: Person) -> None:
    config = write(person)
    checked = watched(person, "check", config)
    ran = watched(person, "run", config)
    shown = watched(person, "show", "runs/run")
    assert (checked.code, ran.code, shown.code) == (0, 0, 0), (checked, ran)
    assert {call.key for call in person.server.calls} == {f"Bearer {KEY}"}
    kept = [leaf for record in person.records() for leaf in record["leaves"]]
    assert any("Bearer ***" in step for leaf in kept for step in leaf["steps"])
    assert_nowhere(person, checked, ran, shown)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked at in /proc")
def test_nor_is_it_where_prms_are_evaluated_or_a_run_fails_on_what_a_server_says(
    person: Person,
) -> None:
    solution = {"id": "a", "problem": "1 + 1?", "steps": ["2", "2."], "label": -1}
    data = person.write("data.jsonl", json.dumps(solution | {"final_answer_correct": True}) + "\n")
    evaluated = watched(person, "prm-eval", write(person), "--data", data)
    assert evaluated.code == 0, evaluated
    person.server.rules.clear()
    for path in (CHAT, COMPLETIONS):
        person.server.on(path, fail, forever=True)
    failed = watched(person, "run", "run.yaml")
    assert "no capacity for Bearer ***" in failed.complaint
    assert_nowhere(person, evaluated, failed)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked at in /proc")
def test_the_key_of_a_fleet_is_in_its_own_file_and_nowhere_else(person: Person) -> None:
    stand_in = ROOT / "tests/integration/standin_vllm.py"
    python = person.write("python", f'#!/bin/sh\nexec {sys.executable} {stand_in} "$@"\n')
    python.chmod(0o755)
    model = {"source": str(ROOT / "servers/tiny/models/policy-160k"), "role": "policy",
             "prompt": "tiny", "context": 512, "parameters": 162816}  # fmt: skip
    fleet = {"name": "guarded", "python": str(python), "device": "cpu", "services": {"small": {}},
             "api_key_env": "ORCHARD_TEST_KEY"}  # fmt: skip
    values = {"models": {"small": model}, "servers": {"fleet": fleet}}
    config = person.write("fleet.yaml", yaml.safe_dump(values))
    try:
        up = watched(person, "servers", "up", config, "--detach")
        assert up.code == 0, up
        assert any(b"--served-model-name\0small" in line for line in command_lines())
        assert not any(KEY.encode() in line for line in command_lines())
        told = watched(person, "servers", "status", "--json")
    finally:
        down = person.orchard("servers", "down", "guarded")
    own = person.home / "state/orchard/fleets/guarded/key"
    assert own.stat().st_mode & 0o777 == 0o600 and own.parent.stat().st_mode & 0o777 == 0o700
    assert_nowhere(person, up, told, down, but=(own,))


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        (f"policies.policy.api_key_env={KEY}", "the environment variable that holds the key"),
        (f"policies.policy.api_key={KEY}", 'did you mean "api_key_env"?'),
        (f"policies.policy.url=http://me:{KEY}@localhost:1/v1", "without user, password or ?query"),
        (f"policies.policy.url=http://localhost:1/v1?key={KEY}", "without user, password or"),
        ("policies.policy.api_key_env=SPACED_KEY", "what $SPACED_KEY holds can be none"),
    ],
)
def test_a_key_where_none_belongs_is_refused_without_repeating_it(
    person: Person, setting: str, says: str
) -> None:
    person.environment["SPACED_KEY"] = f"Bearer {KEY}"
    outcome = person.orchard("run", write(person), "--set", setting)
    assert says in outcome.complaint
    assert_nowhere(person, outcome)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl signs the certificate")
@pytest.mark.parametrize("api", ["self-hosted", "openai"])
def test_tls_is_always_verified_and_by_the_authorities_one_names(tmp_path: Path, api: str) -> None:
    with served_beside(Server(), self_signed(tmp_path)) as server:
        person = Person(tmp_path, server)
        policy = {"url": server.url, "model": "policy", "api": api, "prompt": "tiny"}
        cells = [{"policy": "policy", "strategy": "cot", "max_tokens": 24}]
        config = person.write_config(
            policies={"policy": policy}, prms={}, cells=cells, headline=None
        )
        complaint = person.orchard("run", config).complaint
        assert "shows a certificate that is not trusted" in complaint
        assert "$SSL_CERT_FILE" in complaint and not server.calls
        for key in ("verify", "insecure", "tls", "ssl_verify"):
            setting = f"policies.policy.{key}=false"
            assert "unknown key" in person.orchard("run", config, "--set", setting).complaint
        person.environment["SSL_CERT_FILE"] = str(tmp_path / "certificate.pem")
        ran = person.orchard("run", config)
        assert ran.code == 0, ran
