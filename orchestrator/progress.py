"""What a person sees while a run is under way: progress, rates and the time left."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.runs.scheduler import Progress

_FIRST_LINE, _LINE_EVERY = 1.0, 10.0  # seconds, where the output is no terminal


class LiveProgress:
    """Shows a run's progress on one line that renews itself, or as a line now and then when the
    output is a file or pipe. A context manager; ``tick`` is called after every record."""

    def __init__(self, progress: Progress, console: Console) -> None:
        self.progress = progress
        self.console = console
        self.started = time.monotonic()
        self._next_line = self.started + _FIRST_LINE
        self._live = (
            Live(get_renderable=self._render, console=console, refresh_per_second=4, transient=True)
            if console.is_terminal
            else None
        )

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def tick(self) -> None:
        now = time.monotonic()
        if self._live is None and now >= self._next_line:
            self._next_line = now + _LINE_EVERY
            self.console.print(self._text(), soft_wrap=True, highlight=False)

    def _text(self) -> str:
        progress, spent = self.progress, self.progress.spent
        elapsed = max(1e-3, time.monotonic() - self.started)
        return (
            f"{progress.already + progress.finished}/{progress.total} problems  "
            f"{progress.in_flight} trees in flight  "
            f"{spent.requests / elapsed:,.0f} requests/s  "
            f"{spent.policy_tokens / elapsed:,.0f} policy + {spent.prm_tokens / elapsed:,.0f} PRM "
            f"tokens/s  {_time_left(progress, elapsed)}"
        )

    def _render(self) -> Table:
        progress = self.progress
        grid = Table.grid(padding=(0, 1))
        done = progress.already + progress.finished
        bar = ProgressBar(total=max(1, progress.total), completed=done, width=20)
        grid.add_row(bar, Text(self._text()))
        grid.add_row(Text(""), Text(progress.cell, style="dim", overflow="ellipsis", no_wrap=True))
        return grid


def _time_left(progress: Progress, elapsed: float) -> str:
    """By the share of work done, a problem counting as much as its strategy's n."""
    if progress.work_done == 0:
        return "time left: unknown yet"
    seconds = elapsed * (progress.work - progress.work_done) / progress.work_done
    return f"{duration(seconds)} left"


def duration(seconds: float) -> str:
    """``75`` as ``1 min 15 s``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
