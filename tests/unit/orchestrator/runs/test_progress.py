"""How far a run is."""

from dataclasses import dataclass

import pytest

from orchestrator.runs.progress import PoolProgress, RunProgress


@dataclass
class PartlyUsed:
    """A routing whose pool is used up so far."""

    share: float | None


@pytest.mark.parametrize(
    ("before", "share", "newly"),
    [(0.0, 0.25, 0.25), (0.5, 0.75, 0.5), (1.0, 1.0, 1.0), (0.0, None, 0.0)],
)
def test_of_a_pool_counts_what_was_left_when_the_session_began(
    before: float, share: float | None, newly: float
) -> None:
    assert PoolProgress(PartlyUsed(share), before).newly_used == newly  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("work", "done", "pools", "share"),
    [
        (0, 0, [], 0.0), (8, 2, [], 0.25), (8, 2, [0.5], 0.5), (8, 6, [0.5], 0.75),
        (8, 0, [0.5, 0.125], 0.125),
    ],
)  # fmt: skip
def test_a_session_is_as_far_as_its_problems_or_the_slowest_of_its_pools(
    work: int, done: int, pools: list[float], share: float
) -> None:
    shares = [PoolProgress(PartlyUsed(each), 0.0) for each in pools]  # type: ignore[arg-type]
    progress = RunProgress(total=9, already=0, work=work, work_done=done, pools=shares)
    assert progress.share == share
    assert (progress.finished, progress.in_flight) == (0, 0)
