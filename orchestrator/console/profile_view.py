"""Profiles as tables for the terminal: the routing table in words, samples, calibration, use."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from orchestrator.core.difficulty import BINS, Bin
from orchestrator.optimal.profile import PASS, Profile
from orchestrator.report.data.wording import amount, counted, dollars, model_name, percent

MOST_SIZES = 6
"""Numbers of samples, beside the single one, that fit on 80 columns; the largest are shown."""


def profile_report(profile: Profile, path: Path) -> RenderableType:
    """Everything ``orchard show`` prints about the profile at ``path``."""
    return Group(
        routing_table(profile),
        _titled("Independent samples by their number, resampled, % right", samples(profile)),
        _titled("Pass@1 as the pilots let expect, on problems it was not fitted to",
                calibration(profile)),
        _use(profile, path),
    )  # fmt: skip


def routing_table(profile: Profile) -> RenderableType:
    """The routing table in words, at each budget that changes something."""
    under = f" under {profile.prm.name}" if profile.prm else ""
    title = f"{model_name(profile.policy.name, profile.policy.parameters)}{under} on {profile.task}"
    measured = counted(len(profile.origin.problems), "problems")
    shares = ", ".join(f"{bin} {100 * profile.shares[bin].share:.0f} %" for bin in BINS)
    return _titled(f"{title}: routing by {measured} ({shares})", _by_budget(profile))


def _by_budget(profile: Profile) -> Table:
    paid = any(each.cost for each in profile.budgets)
    table = _table("tokens", "right %", "95 % interval", *(["$"] if paid else []))
    table.add_column("the strategy for easy; medium; hard", overflow="fold")
    last: list[str] = []
    for each in profile.budgets:
        words = [each.bins[bin].strategy for bin in BINS]
        if words == last:
            continue
        last = words
        table.add_row(
            amount(each.budget),
            percent(each.accuracy),
            _interval(each.low, each.high),
            *([dollars(each.cost).removeprefix("$")] if paid else []),
            "; ".join(_unlike_the_last(words)),
        )
    return table


def _unlike_the_last(words: Sequence[str]) -> Iterator[str]:
    """Each bin's strategy, or ``the same`` where the bin before has it too."""
    for i, word in enumerate(words):
        yield "the same" if i and word == words[i - 1] else word


def samples(profile: Profile) -> Table:
    """Accuracy of each vote, and pass@n, by number of samples n, with the interval at the most."""
    found = {(each.vote, each.n): each for each in profile.samples}
    ns = list(dict.fromkeys(n for _, n in found))
    ns = [*ns[:1], *ns[1:][-MOST_SIZES:]]
    table = _table("n", *map(str, ns), *(f"95 % interval\nat {n}" for n in ns[-1:]))
    for vote in dict.fromkeys(vote for vote, _ in found):
        row, most = [found[vote, n] for n in ns], found[vote, ns[-1]]
        table.add_row(
            "pass@n" if vote == PASS else vote,
            *(percent(each.accuracy) for each in row),
            _interval(most.low, most.high),
        )
    return table


def calibration(profile: Profile) -> RenderableType:
    """Predicted against measured rates, and how often a predicted bin was the true one."""
    found = profile.calibration
    curve = _table("predicted %", *(percent(predicted) for predicted, _, _ in found.curve))
    curve.add_row("measured %", *(percent(rate) for _, rate, _ in found.curve))
    curve.add_row("trials", *(amount(count) for _, _, count in found.curve))
    bins = _table("predicted bin", *(f"truly {bin} %" for bin in BINS))
    for bin in BINS:
        bins.add_row(bin, *_shares(found.confusion[bin]))
    return Group(curve, Text(f"mean squared error {found.brier:.3f}", style="dim"), Text(), bins)


def _shares(row: dict[Bin, float]) -> list[str]:
    return [f"{100 * row[bin]:.0f}" if any(row.values()) else "–" for bin in BINS]


def _use(profile: Profile, path: Path) -> RenderableType:
    budget = profile.budgets[len(profile.budgets) // 2].budget
    prm = f"prm: {profile.prm.name}, " if profile.prm else ""
    cell = (
        f"{{policy: {profile.policy.name}, {prm}strategy: auto, profile: {path}, "
        f"budget: {float(f'{budget:.2g}'):.0f}}}"
    )
    return Group(
        Text("Use it on other problems, with any budget (tokens a problem), as a cell:"),
        Text(f"  - {cell}\n", overflow="fold"),
    )


def _titled(title: str, content: RenderableType) -> RenderableType:
    return Group(Text(title, style="bold"), Padding(content, (0, 0, 1, 0)))


def _table(*numbers: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _interval(low: float, high: float) -> str:
    return f"[{percent(low)}, {percent(high)}]"
