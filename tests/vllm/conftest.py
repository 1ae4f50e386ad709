"""Real vLLM: which interpreter has it, and where its fleets keep their state."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vllm.models import WRITERS

PYTHON_VARIABLE = "ORCHARD_VLLM_PYTHON"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def vllm_python() -> Path:
    python = Path(os.environ.get(PYTHON_VARIABLE) or ROOT / ".venv-vllm" / "bin" / "python")
    if not python.exists():
        pytest.fail(f"{python} is not there: `make vllm` installs vLLM, or set ${PYTHON_VARIABLE}")
    return python


@pytest.fixture(scope="session", autouse=True)
def state_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Fleets of the tests are nobody else's."""
    home = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(home))
        patch.setenv("XDG_CACHE_HOME", str(home / "cache"))
        yield home


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The tiny checkpoints by family."""
    home = tmp_path_factory.mktemp("checkpoints")
    return {family: write(home / family) for family, write in WRITERS.items()}
