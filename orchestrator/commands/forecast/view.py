"""A forecast on the terminal."""

from rich.console import Console, Group
from rich.table import Table

from orchestrator.commands.forecast.forecast import UNCERTAINTY, Forecast
from orchestrator.commands.forecast.machines import HOSTED


def show(found: Forecast, step_tokens: float, console: Console) -> None:
    """The table, the totals, and the assumptions."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("endpoint", "fleet", "busy", "read", "cached", "generated"):
        table.add_column(title, justify="left" if title in ("endpoint", "fleet") else "right")
    for load in found.loads:
        table.add_row(
            load.endpoint,
            load.machines,
            "–" if load.busy is None else f"{load.busy:.0%}",
            _count(load.read_tokens),
            _count(load.cached_tokens),
            _count(load.generated_tokens),
        )
    money = "" if found.dollars is None else f", ${found.dollars:,.2f}"
    held_up = (
        f"{found.bottleneck} holds it up"
        if found.bottleneck
        else "no GPU is busy for half of the time: more trees in flight, or fewer GPUs"
    )
    shortest, longest = (_time(hours) for hours in found.hours_range)
    lines = [
        f"{found.problems:,} problems: about {_time(found.hours)} ({shortest} to {longest}), "
        f"{found.gpu_hours:,.2f} GPU hours{money}; {found.requests:,} requests; {held_up}.",
    ]
    if (stop := found.stop) is not None:
        lines.append(
            f"Its budget of {stop.allowed:,g} {stop.limit} ends it after some {stop.share:.0%} "
            "of that."
        )
    lines.append(
        f"An estimate: {found.simulated:,} stand-in problems in a model of the GPUs, steps of "
        f"{step_tokens:g} tokens, 9 steps a solution; a real fleet is within a factor of "
        f"{UNCERTAINTY:g}, and two fleets compare better than that."
    )
    if any(load.machines == HOSTED for load in found.loads):
        lines.append(
            "Hosted models: at 60 tokens/s a request, within the config's limits a minute; "
            "reasoning models write more than is counted here."
        )
    console.print(Group(table, "", *lines))


def _count(tokens: int) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if tokens >= size:
            return f"{tokens / size:.1f}{letter}"
    return str(tokens)


def _time(hours: float) -> str:
    if hours >= 1:
        return f"{hours:.1f} hours"
    return f"{hours * 60:.0f} minutes" if hours >= 1 / 30 else f"{hours * 3600:.0f} seconds"
