"""A fleet's plan for the terminal: a memory bar for each GPU, and a row for each replica."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from servers.fleet.gpus import GIB, GPU
from servers.fleet.placement import PlacementPlan
from servers.fleet.spec import Placement

WEIGHTS, KV_CACHE, OVERHEAD, OTHERS, FREE = "█▒░x·"
"""What a bar is drawn with; the shades tell the parts apart without colour."""

_LEGEND = {
    WEIGHTS: "weights", KV_CACHE: "KV cache", OVERHEAD: "activations and runtime",
    OTHERS: "in use by others", FREE: "free",
}  # fmt: skip
_STYLES = ("cyan", "magenta", "green", "yellow", "blue")
_WIDEST = 100


def placement_table(plan: PlacementPlan, gpus: Sequence[GPU]) -> RenderableType:
    """What each GPU holds and what each replica gets, within 80 columns."""
    services = list(dict.fromkeys(placement.service for placement in plan.placements))
    styles = {name: _STYLES[at % len(_STYLES)] for at, name in enumerate(services)}
    table = _table(plan, styles)
    if not any(placement.gpus for placement in plan.placements):
        return table
    bars: list[RenderableType] = []
    for gpu in gpus:
        there = [placement for placement in plan.placements if gpu.index in placement.gpus]
        bars += [_heading(gpu, there), _Bar(_parts(gpu, there, styles)), Text()]
    return Group(*bars, _legend(bars), Text(), table)


@dataclass(frozen=True, slots=True)
class _Part:
    symbol: str
    size: int
    style: str


@dataclass(frozen=True, slots=True)
class _Bar:
    parts: Sequence[_Part]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        widths = cells([part.size for part in self.parts], min(options.max_width, _WIDEST))
        yield Text.assemble(
            *(
                (part.symbol * width, part.style)
                for part, width in zip(self.parts, widths, strict=True)
            )
        )


def cells(sizes: Sequence[int], width: int) -> list[int]:
    """Split ``width`` cells in proportion to ``sizes``, with at least one for each that is not 0.

    They add up to ``width`` where that leaves room.
    """
    total = sum(sizes)
    shares = [max(1, size * width // total) if size else 0 for size in sizes]
    by_loss = sorted(range(len(sizes)), key=lambda at: shares[at] * total - sizes[at] * width)
    for at in by_loss[: max(0, width - sum(shares))]:
        shares[at] += 1
    while sum(shares) > width and max(shares) > 1:
        shares[shares.index(max(shares))] -= 1
    return shares


def _parts(gpu: GPU, there: Sequence[Placement], styles: dict[str, str]) -> list[_Part]:
    parts = []
    for placement in there:
        style = styles[placement.service]
        parts += [
            _Part(WEIGHTS, placement.weights, style),
            _Part(KV_CACHE, placement.kv_cache, style),
            _Part(OVERHEAD, placement.overhead, style),
        ]
    free = gpu.memory - gpu.used - sum(part.size for part in parts)
    return [*parts, _Part(OTHERS, gpu.used, "red"), _Part(FREE, max(0, free), "dim")]


def _heading(gpu: GPU, there: Sequence[Placement]) -> Text:
    replicas = [f"{placement.service} {placement.replica}" for placement in there]
    text = Text(f"GPU {gpu.index}", style="bold")
    text.append(f"  {gpu.name}, {gpu.memory / GIB:.1f} GiB", style="not bold")
    text.append(f"  {', '.join(replicas) or 'nothing'}", style="not bold")
    return text


def _legend(bars: Sequence[RenderableType]) -> Text:
    drawn = {
        part.symbol for bar in bars if isinstance(bar, _Bar) for part in bar.parts if part.size
    }
    return Text(
        "   ".join(f"{symbol} {what}" for symbol, what in _LEGEND.items() if symbol in drawn),
        style="dim",
    )


def _table(plan: PlacementPlan, styles: dict[str, str]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("service", overflow="fold")
    table.add_column("replica", justify="right")
    table.add_column("GPUs", overflow="fold")
    for heading in ("weights\nGiB a GPU", "KV cache\nGiB a GPU", "KV cache\ntokens"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("whole\ncontexts", justify="right", no_wrap=True)
    for placement in plan.placements:
        name = Text(placement.service, style=styles[placement.service])
        table.add_row(name, str(placement.replica), *_figures(plan, placement))
    return table


def _figures(plan: PlacementPlan, placement: Placement) -> Iterator[str]:
    if not placement.gpus:
        yield from ("CPU", "–", "–", "–", "–")
        return
    yield _ranges(placement.gpus)
    yield f"{placement.weights / GIB:.1f}"
    yield f"{placement.kv_cache / GIB:.1f}"
    yield f"{plan.tokens(placement):,}"
    yield f"{plan.sequences(placement):,.1f}"


def _ranges(indices: Sequence[int]) -> str:
    """Ascending indices with consecutive ones merged: 0–3, 6."""
    runs: list[list[int]] = []
    for index in indices:
        if runs and index == runs[-1][-1] + 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    return ", ".join(
        f"{run[0]}–{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs
    )
