"""The command itself: its help, its version, and what it needs to answer."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator import __version__
from tests.acceptance.conftest import Person

WITHOUT_MODELS = """
import sys
for name in ("torch", "transformers", "tokenizers", "safetensors", "datasets"):
    sys.modules[name] = None
import orchestrator
from orchestrator.cli.main import main
sys.argv = ["orchard", *{arguments}]
main()
"""


def without_models(home: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], float]:
    """Run the command where the embedded models' packages do not import; and its seconds."""
    started = time.monotonic()
    script = WITHOUT_MODELS.replace("{arguments}", repr(list(arguments)))
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=home, capture_output=True, text=True, timeout=60
    )
    return ended, time.monotonic() - started


@pytest.mark.parametrize("command", ["demo", "run", "show", "check"])
def test_every_command_has_a_help(person: Person, command: str) -> None:
    assert command in person.orchard("--help").out
    outcome = person.orchard(command, "--help")
    assert (outcome.code, outcome.err) == (0, "")
    assert f"orchard {command}" in outcome.out and "--json" in outcome.out


def test_the_version_is_printed(person: Person) -> None:
    assert person.orchard("--version").out == f"orchard {__version__}\n"


def test_an_unknown_command_names_the_nearest(person: Person) -> None:
    outcome = person.orchard("rnu")
    assert outcome.code == 2
    assert "Did you mean 'run'" in outcome.err and "Traceback" not in outcome.err


def test_help_answers_at_once_and_without_torch(tmp_path: Path) -> None:
    ended, seconds = without_models(tmp_path, "--help")
    assert ended.returncode == 0, ended.stderr
    assert "orchard demo" in ended.stdout
    assert seconds < 3


def test_the_embedded_models_say_what_to_install(tmp_path: Path) -> None:
    ended, _ = without_models(tmp_path, "demo", "--quick")
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "pip install 'orchard-tts[tiny]'" in ended.stderr


def test_endpoints_elsewhere_need_no_torch(person: Person) -> None:
    config = person.write_config()
    ended, _ = without_models(person.home, "check", str(config))
    assert (ended.returncode, ended.stderr) == (0, "")
