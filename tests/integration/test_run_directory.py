"""A run directory that several processes look at."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from orchestrator.errors import RunError
from orchestrator.storage.run_directory import RunDirectory
from orchestrator.storage.store import Store

LOOKING = """
import sys
from pathlib import Path
from orchestrator.storage.run_directory import RunDirectory
print("looking", flush=True)
seen = set()
while True:
    seen.add(RunDirectory(Path(sys.argv[1])).is_in_use)
"""

SLOWLY_LOOKING = """
import fcntl, sys, time
from pathlib import Path
with (Path(sys.argv[1]) / "records.jsonl").open("rb") as file:
    fcntl.flock(file, fcntl.LOCK_SH)
    print("looking", flush=True)
    time.sleep(0.3)
"""
"""One that the machine let wait in the middle of its look."""

HOLDING = """
import sys
from pathlib import Path
from orchestrator.storage.store import Store
with Store(Path(sys.argv[1])):
    print("holding", flush=True)
    sys.stdin.read()
"""


@contextmanager
def running(code: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def test_whoever_looks_at_a_run_in_a_loop_never_keeps_it_from_starting(tmp_path: Path) -> None:
    with Store(tmp_path):
        pass
    with ExitStack() as lookers:
        for _ in range(2):
            lookers.enter_context(running(LOOKING, tmp_path))
        for _ in range(300):
            with Store(tmp_path):
                pass


def test_a_run_that_starts_in_the_middle_of_a_look_waits_for_its_end(tmp_path: Path) -> None:
    with Store(tmp_path):
        pass
    with running(SLOWLY_LOOKING, tmp_path), Store(tmp_path) as store:
        assert store.is_empty


def test_a_run_of_another_process_is_seen_and_keeps_others_out_until_it_ends(
    tmp_path: Path,
) -> None:
    with running(HOLDING, tmp_path):
        assert RunDirectory(tmp_path).is_in_use
        with pytest.raises(RunError, match="in use by another orchard"), Store(tmp_path):
            pass
    assert not RunDirectory(tmp_path).is_in_use
    with Store(tmp_path):
        pass
