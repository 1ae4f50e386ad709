"""A process that may open few files has fewer connections, and no server is blamed for it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.conftest import ORCHARD, Person
from tests.integration.many_requests import REQUESTS
from tests.integration.misbehaving import CHAT, Server, running_beside


@pytest.mark.parametrize("sender", ["aiohttp", "openai"])
@pytest.mark.parametrize(("soft", "hard"), [(64, 64), (120, 120), (64, 4096)])
def test_requests_are_as_many_at_once_as_files_may_be_open(
    sender: str, soft: int, hard: int
) -> None:
    with running_beside(Server(delay=0.5)) as server:
        program = [sys.executable, "-m", "tests.integration.many_requests"]
        done = subprocess.run(
            [*program, sender, str(soft), str(hard), server.url],
            capture_output=True, text=True, timeout=120, check=True,
            cwd=Path(__file__).parents[2],
        )  # fmt: skip
    outcome = json.loads(done.stdout)
    assert outcome["errors"] == [] and outcome["breakers"] == ["closed"]
    assert len(server.seen(CHAT)) == REQUESTS  # none had to be sent twice
    assert 20 <= server.most_in_flight <= hard
    assert outcome["seconds"] < 40.0  # it took minutes, waiting for a server that was well


def test_a_whole_run_goes_through_with_a_hundred_and_twenty_files(tmp_path: Path) -> None:
    with running_beside(Server(delay=0.1)) as server:
        person = Person(tmp_path, server)
        person.problems(150)
        config = person.write_config(
            headline=None,
            cells=[{"policy": "policy", "prm": "prm", "strategy": "best_of_n", "n": 4}],
        )
        run = subprocess.run(
            ["bash", "-c", f"ulimit -n 120 && exec {ORCHARD} run {config}"],
            cwd=person.home, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        assert len(person.records()) == 150
        assert all(record["error"] is None for record in person.records())
