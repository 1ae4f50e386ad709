import gc

import pytest

from orchestrator.runs.collection import rare_collections


def test_collections_are_rare_inside_and_as_before_outside() -> None:
    before = gc.get_threshold()
    with rare_collections():
        assert gc.get_threshold()[0] > before[0]
    assert gc.get_threshold() == before


def test_they_are_as_before_after_a_failure_too() -> None:
    before = gc.get_threshold()
    with pytest.raises(ValueError, match="broken"), rare_collections():
        raise ValueError("broken")
    assert gc.get_threshold() == before
