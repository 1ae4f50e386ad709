"""The compute thread: what it does when work fails, and how it ends."""

import pytest

from servers.tiny.ticket import EngineDead, JobTicket
from servers.tiny.worker import Worker


class Failing:
    """A lane whose first piece of work breaks."""

    def __init__(self) -> None:
        self.tickets: list[JobTicket[None]] = []

    def step(self) -> bool:
        if self.tickets:
            raise ZeroDivisionError("out of numbers")
        return False

    def fail(self, error: Exception) -> None:
        for ticket in self.tickets:
            ticket.fail(error)


async def test_a_failure_answers_whoever_waits_and_whoever_comes_later() -> None:
    lane = Failing()
    worker = Worker([lane], threads=1)
    worker.start()
    waiting: JobTicket[None] = JobTicket.open()
    lane.tickets.append(waiting)
    worker.wake()
    with pytest.raises(EngineDead, match="out of numbers"):
        await waiting.wait()
    assert isinstance(worker.failure, ZeroDivisionError)
    with pytest.raises(EngineDead):
        worker.wake()


async def test_an_idle_worker_ends_when_told() -> None:
    worker = Worker([Failing()], threads=1)
    worker.start()
    worker.stop(timeout=5)
    assert worker.failure is None
