"""What ``orchard check`` found, as a table."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

_ABILITIES = {
    "token_ids": "token ids",
    "continues": "continuation",
    "seed_honoured": "seed",
    "samples_differ": "n samples",
}


def abilities_table(endpoints: Sequence[dict[str, Any]]) -> Table:
    """One row an endpoint: whether it works, its context length and what it can do."""
    table = Table(box=None, pad_edge=False)
    for heading in ("endpoint", "model", "at", "context", "can do"):
        table.add_column(heading, overflow="fold")
    for found in endpoints:
        if "error" in found:
            can_do = Text(found["error"], style="red")
        elif found["role"] == "prm":
            can_do = Text("scores every step")
        else:
            can = [label for key, label in _ABILITIES.items() if found[key]]
            cannot = [label for key, label in _ABILITIES.items() if not found[key]]
            can_do = Text(", ".join(can) + (f"; not: {', '.join(cannot)}" if cannot else ""))
        table.add_row(
            found["name"],
            found["model"],
            "\n".join(found["urls"]),
            str(found.get("context") or "unknown"),
            can_do,
        )
    return table
