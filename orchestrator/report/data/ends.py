"""Unusual ends of samples (cut, filtered, refused, lost) in words."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from orchestrator.core.records import ENDS
from orchestrator.report.data.shown import row_name
from orchestrator.report.data.summary import SummaryRow
from orchestrator.report.data.wording import counted, percent

LARGE = 0.05
"""The share of a cell's samples from which a warning names the likely cause."""

OTHER_MODEL, OTHER_PRM = "other model", "other PRM"

_WORDS = {
    "length": "cut at max_tokens",
    "overflow": "too long for the context",
    "filtered": "stopped by a content filter",
    "refused": "refused",
    "empty": "without a word",
    "unanswered": "no answers",
    "failed": "lost",
    "unscored": "not scored",
    "dead_end": "dead ends",
}


class EndShare(NamedTuple):
    """``number`` of a cell's ``total`` samples (for dead ends: leaves) ended this way."""

    row: SummaryRow
    end: str
    number: int
    total: int

    @property
    def is_large(self) -> bool:
        return self.number >= LARGE * self.total

    @property
    def value(self) -> float:
        return self.number / self.total if self.total else 1.0


def shares(row: SummaryRow) -> Iterator[EndShare]:
    """Every unusual end in the order of ``ENDS``, then answers by other models."""
    for end in ENDS:
        if count := row.ends.get(end, 0):
            yield EndShare(row, end, count, row.leaves if end == "dead_end" else row.samples)
    if count := sum(row.other_models.values()):
        yield EndShare(row, OTHER_MODEL, count, row.samples)
    if count := sum(row.other_prm_models.values()):
        yield EndShare(row, OTHER_PRM, count, row.samples)


def ends_in_words(rows: Iterable[SummaryRow]) -> Iterator[str]:
    """A note for each cell that has samples with unusual ends."""
    for row in _cells(rows):
        parts = [f"{share.number:,} {_short(share)}" for share in shares(row)]
        if parts:
            yield f"{_name(row)}, {counted(row.samples, 'samples')}: {', '.join(parts)}."


def warnings(rows: Iterable[SummaryRow]) -> Iterator[str]:
    """A line for each policy and kind of end with a large share in any cell: the likely cause, and
    what to change."""
    large: defaultdict[tuple[str, str], list[EndShare]] = defaultdict(list)
    for row in _cells(rows):
        for share in shares(row):
            if share.is_large:
                large[row.policy, share.end].append(share)
    for found in large.values():
        worst = max(found, key=lambda share: (share.value, share.total))
        more = f" (and {counted(len(found) - 1, 'more cells')})" if len(found) > 1 else ""
        unit = "paths" if worst.end == "dead_end" else "samples"
        yield (
            f"{_name(worst.row)}{more}: {percent(worst.value)} % of {worst.total:,} {unit} "
            f"{_cause(worst)}"
        )


def _cells(rows: Iterable[SummaryRow]) -> Sequence[SummaryRow]:
    """One row of each cell: ends do not depend on the vote."""
    return list({(row.task, row.cell): row for row in rows}.values())


def _name(row: SummaryRow) -> str:
    under = f" under {row.prm}" if row.prm else ""
    return f"{row.policy} {row_name(row)}{f' N = {row.n}' if row.n else ''}{under}"


def _short(share: EndShare) -> str:
    if share.end == OTHER_MODEL:
        return f"answered by {', '.join(share.row.other_models)}"
    if share.end == OTHER_PRM:
        return f"scored by {', '.join(share.row.other_prm_models)}"
    return _WORDS[share.end]


def _cause(share: EndShare) -> str:
    row = share.row
    most = row.settings.get("max_tokens")
    bound = f"`max_tokens` ({most})" if most else "`max_tokens`"
    match share.end:
        case "length":
            return (
                f"were cut at max_tokens: raise {bound}; a model that thinks needs room for its "
                "thought too."
            )
        case "overflow":
            return (
                "did not fit into the context of policy or PRM: serve it with a longer one (vLLM: "
                "--max-model-len)."
            )
        case "filtered":
            return (
                "were stopped by the provider's content filter: loosen it for this deployment, or "
                "use another policy."
            )
        case "refused":
            return (
                "were refused by the model or its server: send it one of the problems by hand to "
                "see why, and look at `prompt`."
            )
        case "empty":
            return (
                "ended without a word: is the server's chat template the model's own, and `prompt` "
                "the one of its family?"
            )
        case "dead_end":
            return (
                "came to no usable next step: is the chat template the model's own (`orchard "
                f"check` tries it), and {bound} enough for a step?"
            )
        case "unanswered":
            return (
                "came back as no answer: they are missing, and `orchard resume` asks for them "
                f"again once the server is mended.{_last(row)}"
            )
        case "failed":
            return f"were lost, since their requests failed.{_last(row)}"
        case "unscored":
            why = _last(row)
            return f"could not be scored: has the PRM a fault, or the wrong `family`?{why}"
        case _:
            by, asked = (
                (f"answered by {', '.join(row.other_models)}", row.policy)
                if share.end == OTHER_MODEL
                else (f"scored by {', '.join(row.other_prm_models)}", row.prm)
            )
            return (
                f"were {by} where {asked} was asked for: its provider falls back on another "
                "model; pin one, or forbid fallbacks."
            )


def _last(row: SummaryRow) -> str:
    return f" The last failure: {row.failure}" if row.failure else ""
