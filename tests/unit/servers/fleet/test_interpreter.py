import sys
from pathlib import Path

import pytest

from servers.fleet import interpreter
from servers.fleet.interpreter import find_python
from servers.fleet.spec import FleetError


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def has_vllm(monkeypatch: pytest.MonkeyPatch, *, here: bool) -> None:
    found = object() if here else None
    monkeypatch.setattr(interpreter.importlib.util, "find_spec", lambda _: found)


def make_environment() -> Path:
    python = Path.cwd() / ".venv-vllm" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    return python


def test_the_one_given_is_taken_and_made_absolute(tmp_path: Path) -> None:
    (tmp_path / "python").touch()
    assert find_python(Path("python")) == tmp_path / "python"


def test_one_given_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(FleetError, match="the fleet's python nowhere/python does not exist"):
        find_python(Path("nowhere/python"))


def test_this_one_is_taken_where_it_has_vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    make_environment()
    has_vllm(monkeypatch, here=True)
    assert find_python(None) == Path(sys.executable)


def test_else_the_environment_of_its_own_without_following_its_link(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    python = make_environment()
    has_vllm(monkeypatch, here=False)
    assert find_python(None) == python


def test_without_any_the_error_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    has_vllm(monkeypatch, here=False)
    with pytest.raises(FleetError, match=r"pip install 'orchard-tts\[vllm\]'.*make vllm"):
        find_python(None)
