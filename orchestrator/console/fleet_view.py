"""A fleet on the terminal: while it starts, and its state later."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from orchestrator.console.terminal import Terminal
from orchestrator.formats.durations import duration

if TYPE_CHECKING:
    from orchestrator.endpoints.admission.vllm_metrics import Metrics
    from servers.fleet.state import FleetState, ReplicaState

_PHASES = {
    "starting": "yellow",
    "ready": "bold green",
    "restarting": "yellow",
    "failed": "bold red",
    "stopped": "dim",
}


class LiveFleet:
    """Shows a fleet while it starts, live or as lines in a file or pipe. A context manager."""

    def __init__(self, console: Terminal) -> None:
        self.console = console
        self.started = time.monotonic()
        self._state: FleetState | None = None
        self._live: Live | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, state: "FleetState") -> None:
        """Show a change."""
        before, self._state = self._state, state
        if self.console.is_terminal:
            if self._live is None:
                self._live = Live(
                    get_renderable=self._render,
                    console=self.console,
                    refresh_per_second=4,
                    transient=True,
                )
                self._live.start()
            return
        for line in changes(before, state):
            elapsed = duration(time.monotonic() - self.started)
            self.console.print(f"{line}  ({elapsed})", soft_wrap=True)

    def _render(self) -> Table:
        grid = Table.grid(padding=(0, 1))
        if self._state is not None:
            grid.add_row(Spinner("dots"), f"starting {self._state.name}", *_elapsed(self.started))
            for replica in self._state.replicas:
                style = _PHASES[replica.phase]
                grid.add_row("", _name(replica), Text(_said(replica), style))
        return grid


def changes(before: "FleetState | None", now: "FleetState") -> list[str]:
    """One line for each replica that changed."""
    known = {_name(replica): _said(replica) for replica in before.replicas} if before else {}
    return [
        f"{_name(replica)}  {_said(replica)}"
        for replica in now.replicas
        if known.get(_name(replica)) != _said(replica)
    ]


def _elapsed(since: float) -> tuple[str]:
    return (duration(time.monotonic() - since),)


def _name(replica: "ReplicaState") -> str:
    return f"{replica.service} {replica.index}"


def _said(replica: "ReplicaState") -> str:
    return replica.phase + (f": {replica.problem}" if replica.problem else "")


def status_table(state: "FleetState", metrics: Mapping[str, "Metrics | None"]) -> Table:
    """One row per replica; ``metrics`` by URL, None where the replica does not answer."""
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    for column in ("replica", "state", "for", "on"):
        table.add_column(column, no_wrap=True)
    for column in ("restarts", "running", "waiting", "KV", "prefix hits"):
        table.add_column(column, justify="right", no_wrap=True)
    now = time.time()
    for replica in state.replicas:
        seen = metrics.get(replica.url)
        hits = seen.prefix_hit_ratio if seen else None
        table.add_row(
            _name(replica),
            Text(replica.phase, _PHASES[replica.phase]),
            duration(now - replica.since),
            f"GPU {','.join(map(str, replica.gpus))}" if replica.gpus else "CPU",
            str(replica.restarts),
            f"{seen.running:.0f}" if seen else "–",
            f"{seen.waiting:.0f}" if seen else "–",
            f"{seen.kv_cache_usage:.0%}" if seen else "–",
            "–" if hits is None else f"{hits:.0%}",
        )
    return table


def addresses(state: "FleetState") -> Text:
    """One line per replica, which can be copied at any terminal width."""
    width = max(len(replica.model) for replica in state.replicas)
    lines = [f"{r.role:<6}  {r.model:<{width}}  {r.url}/v1" for r in state.replicas]
    return Text("\n".join(lines))
