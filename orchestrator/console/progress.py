"""What a person sees while a run is under way: progress, rates and the time left."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.console.terminal import Terminal
from orchestrator.core.budget import Bill
from orchestrator.formats.durations import duration
from orchestrator.report.data.wording import dollars
from orchestrator.runs.plan import EndpointStatus
from orchestrator.runs.progress import RunProgress

_FIRST_LINE, _LINE_EVERY = 1.0, 10.0  # seconds, where the output is no terminal
_LONG_WAIT_S = 60.0


class LiveLine(ABC):
    """A live line on a terminal, and an occasional line in a file or pipe.

    Set what ``text`` needs before constructing this, which renders once. A context manager; call
    ``tick`` after every change.
    """

    def __init__(self, console: Terminal) -> None:
        self.console = console
        self.started = time.monotonic()
        self._next_line = self.started + _FIRST_LINE
        self._live = Live(
            get_renderable=self._render, console=console, refresh_per_second=4, transient=True
        )

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def tick(self) -> None:
        now = time.monotonic()
        if not self.console.is_terminal and now >= self._next_line:
            self._next_line = now + _LINE_EVERY
            self.console.print(self.text(), soft_wrap=True)

    @property
    def elapsed(self) -> float:
        """Seconds since it started, never 0."""
        return max(1e-3, time.monotonic() - self.started)

    @property
    @abstractmethod
    def done(self) -> int: ...

    @property
    @abstractmethod
    def total(self) -> int: ...

    @abstractmethod
    def text(self) -> str: ...

    def below(self) -> str:
        """The text below the line on a terminal."""
        return ""

    def _render(self) -> Table:
        grid = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=max(1, self.total), completed=self.done, width=20)
        grid.add_row(bar, Text(self.text()))
        if below := self.below():
            grid.add_row(Text(""), Text(below, style="dim", overflow="ellipsis", no_wrap=True))
        return grid


@dataclass(slots=True)
class Pace:
    """Estimates the time left from the share of the work that is done.

    Waiting for something is not counted as work, and leaves the estimate as it is.
    """

    left: float | None = None
    _share: float = 0.0
    _aside: float = 0.0
    _waiting_since: float | None = None

    def observe(self, share: float, elapsed: float, *, is_waiting: bool) -> None:
        """``share`` of the work is done ``elapsed`` seconds after its beginning."""
        if is_waiting:
            since = self._waiting_since = (
                elapsed if self._waiting_since is None else self._waiting_since
            )
        else:
            if self._waiting_since is not None and elapsed - self._waiting_since > _LONG_WAIT_S:
                self._aside += elapsed - self._waiting_since
            self._waiting_since, since = None, elapsed
        if share > 0 and not (is_waiting and share == self._share):
            self.left = (since - self._aside) * (1 - share) / share
        self._share = share

    def __str__(self) -> str:
        return "time left: unknown yet" if self.left is None else f"{duration(self.left)} left"


class LiveProgress(LiveLine):
    """A run's progress; ``tick`` is called after every record. ``statuses`` is as in ``Ports``."""

    def __init__(
        self,
        progress: RunProgress,
        console: Terminal,
        statuses: Callable[[], Mapping[str, EndpointStatus]] = dict,
    ) -> None:
        self.progress = progress
        self.statuses = statuses
        self._pace = Pace()
        super().__init__(console)

    @property
    def done(self) -> int:
        return self.progress.already + self.progress.finished

    @property
    def total(self) -> int:
        return self.progress.total

    def tick(self) -> None:
        self._observe()
        super().tick()

    def text(self) -> str:
        progress, spent, elapsed = self.progress, self.progress.spent, self.elapsed
        waits = self._observe()
        return (
            f"{self.done}/{self.total} problems  "
            f"{progress.in_flight} trees in flight  "
            f"{_pools(progress)}{_replayed(progress)}"
            f"{spent.requests / elapsed:,.0f} requests/s  "
            f"{spent.policy_tokens / elapsed:,.0f} policy + {spent.prm_tokens / elapsed:,.0f} PRM "
            f"tokens/s  {_paid(progress.bill)}{waits or self._pace}"
        )

    def below(self) -> str:
        endpoints = [f"{name}: {status}" for name, status in self.statuses().items()]
        return "  ".join([*endpoints, self.progress.cell])

    def _observe(self) -> str:
        """What the run waits for; updates the pace as well."""
        waits = self._waits()
        self._pace.observe(self.progress.share, self.elapsed, is_waiting=bool(waits))
        return waits

    def _waits(self) -> str:
        """What the run waits for other than its own work, or nothing."""
        waits = [(name, status.waits_for) for name, status in self.statuses().items()]
        return "; ".join(f"{name}: {why}" for name, why in waits if why is not None)


@asynccontextmanager
async def ticking(line: LiveProgress) -> AsyncIterator[None]:
    """Refresh a line also while nothing changes."""

    async def tick() -> None:
        while True:
            await asyncio.sleep(_LINE_EVERY)
            line.tick()

    task = asyncio.create_task(tick())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Counting(LiveLine):
    """How many of ``total`` things called ``what`` are done; ``tick`` is called after each."""

    def __init__(self, what: str, total: int, console: Terminal) -> None:
        self.what = what
        self._done, self._total = 0, total
        super().__init__(console)

    @property
    def done(self) -> int:
        return self._done

    @property
    def total(self) -> int:
        return self._total

    def tick(self) -> None:
        self._done += 1
        super().tick()

    def text(self) -> str:
        rate = self.done / self.elapsed
        left = f"{duration((self.total - self.done) / rate)} left" if self.done else "time unknown"
        return f"{self.done:,}/{self.total:,} {self.what}  {rate:,.0f}/s  {left}"


def _replayed(progress: RunProgress) -> str:
    """How many requests a resumed run replayed from its journal, if any."""
    return f"{progress.replayed.requests:,} replayed  " if progress.replayed.requests else ""


def _pools(progress: RunProgress) -> str:
    """How much of the shared budgets is used."""
    shares = ", ".join(f"{100 * pool.used:.0f} %" for pool in progress.pools)
    return f"{shares} of the pool{'s' if len(progress.pools) > 1 else ''} used  " if shares else ""


def _paid(bill: Bill) -> str:
    """What was paid so far, if anything: self-hosted models cost nothing."""
    if not bill.paid:
        return ""
    return f"{dollars(bill.paid)}{'' if bill.limit is None else f' of ${bill.limit:g}'}  "
