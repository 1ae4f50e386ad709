import io
from dataclasses import dataclass

import pytest

from orchestrator.console import progress as shown
from orchestrator.console.progress import LiveProgress, Pace, ticking
from orchestrator.console.terminal import Terminal
from orchestrator.core.ports import Sampling
from orchestrator.optimal.shared_budget.caps import Amount
from orchestrator.optimal.shared_budget.marginal_gain import PooledRouting
from orchestrator.optimal.shared_budget.pool import Pool
from orchestrator.runs.progress import PoolProgress, RunProgress
from servers.simulated import clock
from tests.unit.orchestrator.optimal.small_profile import small_profile


@dataclass
class Doing:
    what: str
    waits_for: str | None = None

    def __str__(self) -> str:
        return self.waits_for or self.what


def line(**statuses: Doing) -> LiveProgress:
    progress = RunProgress(total=10, already=0, work=10)
    progress.cell = "policy/cot"
    return LiveProgress(progress, Terminal(file=io.StringIO()), lambda: statuses)


def test_what_endpoints_do_stands_below_the_line() -> None:
    live = line(policy=Doing("412 in flight, 4/4 replicas"), prm=Doing("8 in flight"))
    assert live.below() == "policy: 412 in flight, 4/4 replicas  prm: 8 in flight  policy/cot"
    assert "time left" in live.text()


def test_what_needed_no_paying_again_is_told_beside_what_did() -> None:
    live = line()
    assert "replayed" not in live.text()
    live.progress.replayed.requests = 4812
    assert "0 trees in flight  4,812 replayed  " in live.text()


def test_a_pool_says_how_much_of_it_is_used_and_time_is_left_by_what_was_left_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = Pool(Amount(1000.0))
    routing = PooledRouting(
        small_profile(), pool, "tokens", Sampling(temperature=1.0, max_tokens=1)
    )
    pool.open(2, 2, used=400.0)
    live = line()
    live.progress.pools.append(PoolProgress(routing, routing.share))
    assert "  40 % of the pool used  " in live.text()
    assert live.text().endswith("time left: unknown yet")
    pool.finish(1, used=150.0)
    monkeypatch.setattr(LiveProgress, "elapsed", 10.0)
    assert "  55 % of the pool used  " in live.text()
    assert live.text().endswith("  30 s left")  # 10 s took a quarter of the 60 %


def test_what_a_run_waits_for_stands_where_its_time_left_did() -> None:
    down = Doing("", "all 2 replicas are down: waiting since 12 s")
    live = line(policy=down, prm=Doing("0 in flight"))
    assert live.text().endswith("policy: all 2 replicas are down: waiting since 12 s")
    assert "left" not in live.text()


def test_a_run_that_only_waits_still_says_so_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    live = line(policy=Doing("", "all 2 replicas are down: waiting since 12 s"))
    monkeypatch.setattr(live, "_next_line", 0.0)

    async def wait() -> None:
        async with ticking(live):
            await shown.asyncio.sleep(15.0)

    clock.run(wait())
    assert "all 2 replicas are down" in live.console.file.getvalue()  # type: ignore[attr-defined]


def test_the_time_left_does_not_grow_while_something_is_waited_for() -> None:
    pace = Pace()
    assert str(pace) == "time left: unknown yet"
    pace.observe(0.25, 100.0, is_waiting=False)
    assert str(pace) == "5 min 0 s left"
    for elapsed in (110.0, 200.0, 30_000.0):
        pace.observe(0.25, elapsed, is_waiting=True)
        assert str(pace) == "5 min 0 s left"


def test_a_long_wait_was_no_work_and_a_short_one_is_part_of_the_pace() -> None:
    pace = Pace()
    pace.observe(0.25, 100.0, is_waiting=True)
    pace.observe(0.25, 26_100.0, is_waiting=False)
    assert pace.left == pytest.approx(300.0)
    pace.observe(0.5, 26_200.0, is_waiting=False)
    assert pace.left == pytest.approx(200.0)
    pace.observe(0.5, 26_230.0, is_waiting=True)
    pace.observe(0.5, 26_260.0, is_waiting=False)
    assert pace.left == pytest.approx(260.0)


def test_what_is_done_during_a_wait_counts_at_the_pace_from_before() -> None:
    pace = Pace()
    pace.observe(0.25, 100.0, is_waiting=True)
    pace.observe(0.5, 500.0, is_waiting=True)
    assert pace.left == pytest.approx(100.0)


def test_a_line_that_is_renewed_while_an_endpoint_waits_keeps_its_time_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    status = Doing("3 in flight")
    live = line(policy=status)
    live.progress.work_done = 5
    monkeypatch.setattr(LiveProgress, "elapsed", 60.0)
    assert live.text().endswith("1 min 0 s left")
    status.waits_for = "waiting for a rate limit that ends in 5 min 0 s"
    monkeypatch.setattr(LiveProgress, "elapsed", 61.0)
    assert live.text().endswith("waiting for a rate limit that ends in 5 min 0 s")
    monkeypatch.setattr(LiveProgress, "elapsed", 361.0)
    live.tick()
    status.waits_for = None
    monkeypatch.setattr(LiveProgress, "elapsed", 362.0)
    assert live.text().endswith("1 min 1 s left")
