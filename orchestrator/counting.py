"""What a person sees while something is done so many times: how far it is and the time left."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.progress import duration

_FIRST_LINE, _LINE_EVERY = 1.0, 10.0  # seconds, where the output is no terminal


class Counting:
    """One line that renews itself, or a line now and then when the output is a file or pipe.

    A context manager; ``tick`` is called after each of ``total`` things called ``what``.
    """

    def __init__(self, what: str, total: int, console: Console) -> None:
        self.what = what
        self.total = total
        self.done = 0
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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def tick(self) -> None:
        self.done += 1
        now = time.monotonic()
        if not self.console.is_terminal and now >= self._next_line:
            self._next_line = now + _LINE_EVERY
            self.console.print(self._text(), soft_wrap=True, highlight=False)

    def _text(self) -> str:
        rate = self.done / max(1e-3, time.monotonic() - self.started)
        left = f"{duration((self.total - self.done) / rate)} left" if self.done else "time unknown"
        return f"{self.done:,}/{self.total:,} {self.what}  {rate:,.0f}/s  {left}"

    def _render(self) -> Table:
        grid = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=max(1, self.total), completed=self.done, width=20)
        grid.add_row(bar, Text(self._text()))
        return grid
