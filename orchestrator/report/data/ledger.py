"""The ledger of a run for the terminal: tokens, FLOPs, money and time."""

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from orchestrator.core.compute import TotalFlops, training_flops
from orchestrator.report.data.shown import groups, row_name
from orchestrator.report.data.summary import Summary, SummaryRow
from orchestrator.report.data.wording import amount, dollars, model_name, scientific

TOKENS = (
    "policy\ntokens", "waste\n%", "prompt\ntokens", "hit\n%", "PRM\ntokens", "waste\n%", "hit\n%",
)  # fmt: skip
FLOPS = "FLOPs\nread", "FLOPs\nwrite", "FLOPs\nPRM"
TIME = "time\ns"
COST = "cost\n$"

NOTES = (
    "Means per problem. Samples that cells share count in each of them, and were paid for once.",
    "Waste: spent on nodes that lie on no returned solution's path, such as pruned beams, on "
    "pilots of a model that does not answer, and on billed answers that could not be used.",
    "Hit: found in a server's prefix cache, so not computed again.",
    "FLOPs: 2 × parameters × tokens; the policy's prefill (read) and decoding (write), the PRM's.",
)


def ledger(summary: Summary, trained: Mapping[str, float]) -> RenderableType:
    """The use of every cell, then of the run.

    ``trained`` maps policies to the tokens they were pre-trained on, where known.
    """
    rows = list({(row.task, row.cell): row for row in summary.rows}.values())
    if not rows:
        return Text("No records yet.")
    parts: list[RenderableType] = []
    for group in groups(rows):
        first = group[0]
        name = model_name(first.policy, first.policy_params)
        under = f"under {first.prm}" if first.prm else "without a PRM"
        parts.append(Text(f"{first.task}: {name} {under}", "bold"))
        parts.append(Padding(_table(group), (0, 0, 1, 0)))
    parts += [Text(line) for line in (*_totals(summary, rows), *_pretraining(rows, trained))]
    return Group(*parts, Text("\n".join(NOTES), style="dim"))


def _table(rows: Sequence[SummaryRow]) -> Table:
    """FLOPs and cost have columns where some cell knows its own: columns of dashes would leave a
    narrow terminal no room for the cost."""
    has_flops, paid = any(row.flops for row in rows), any(row.cost for row in rows)
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("strategy", min_width=8)
    headings = [*TOKENS, *(FLOPS if has_flops else ()), TIME, *([COST] if paid else [])]
    for heading in ("N", *headings):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        cells = [
            *_tokens(row),
            *(_flops(row) if has_flops else ()),
            f"{row.seconds / row.problems:.1f}",
            *([dollars(row.cost / row.problems).removeprefix("$")] if paid else []),
        ]
        table.add_row(row_name(row), str(row.n or "–"), *cells)
    return table


def _tokens(row: SummaryRow) -> Iterator[str]:
    each = row.problems
    yield amount(row.policy_tokens / each)
    yield _share(row.wasted_tokens, row.policy_tokens)
    yield amount(row.prompt_tokens / each)
    yield _share(row.cached_tokens, row.prompt_tokens)
    yield amount(row.prm_tokens / each) if row.prm else "–"
    yield _share(row.prm_wasted_tokens, row.prm_tokens)
    yield _share(row.prm_cached_tokens, row.prm_tokens)


def _flops(row: SummaryRow) -> Iterator[str]:
    each, flops = row.problems, row.flops
    yield scientific(flops.policy_prefill / each, 1) if flops else "–"
    yield scientific(flops.policy_decode / each, 1) if flops else "–"
    yield scientific(flops.prm / each, 1) if flops and row.prm else "–"


def _share(part: int | None, whole: int) -> str:
    """A share in percent; a dash if it is unknown or the whole is 0."""
    return "–" if part is None or not whole else f"{100 * part / whole:.0f}"


def _totals(summary: Summary, rows: Sequence[SummaryRow]) -> Iterator[str]:
    used = sum(row.policy_tokens for row in rows), sum(row.prm_tokens for row in rows)
    yield f"In all: {used[0]:,} policy tokens and {used[1]:,} PRM tokens."
    known = [row.flops for row in rows if row.flops]
    if len(known) == len(rows):
        yield f"FLOPs in all: {scientific(sum(flops.total for flops in known))}."
    else:
        yield "FLOPs of some cells are not known: name the `parameters` of every policy and PRM."
    if cost := sum(row.cost for row in rows):
        yield f"Cost in all: {dollars(cost)}."
    if summary.probes_cost:
        yield f"Cost of probing the endpoints, which is no cell's: {dollars(summary.probes_cost)}."
    if summary.wall_seconds is not None:
        yield (
            f"Wall clock: {summary.wall_seconds:,.1f} s under way, in which problems took "
            f"{sum(row.seconds for row in rows):,.1f} s side by side."
        )


def _pretraining(rows: Sequence[SummaryRow], trained: Mapping[str, float]) -> Iterator[str]:
    """Each policy's pre-training beside the inference of its cells, as in the paper's Table 4."""
    for policy in dict.fromkeys(row.policy for row in rows):
        own = [row for row in rows if row.policy == policy]
        totals = [total for row in own if (total := total_flops(row, trained)) is not None]
        if totals:
            used = [total.inference for total in totals]
            name, trained_with = model_name(policy, own[0].policy_params), totals[0].pretraining
            yield (
                f"{name} took {scientific(trained_with)} FLOPs to pre-train, on "
                f"{scientific(trained[policy], 1)} tokens; its cells "
                f"{scientific(min(used))} to {scientific(max(used))} each."
            )


def total_flops(row: SummaryRow, trained: Mapping[str, float]) -> TotalFlops | None:
    """Pre-training of a cell's policy and inference over its problems, PRM included.

    None unless both parameters and training tokens are known.
    """
    if row.flops is None or row.policy_params is None or row.policy not in trained:
        return None
    return TotalFlops(
        pretraining=training_flops(row.policy_params, trained[row.policy]),
        inference=row.flops.total,
    )
