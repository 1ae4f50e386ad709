from pathlib import Path

import pytest

from orchestrator.storage.journal import JOURNAL


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The journal of a run directory; there is none yet."""
    return tmp_path / JOURNAL
