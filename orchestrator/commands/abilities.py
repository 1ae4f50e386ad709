"""What ``orchard check`` found, for a person to read."""

from collections.abc import Sequence
from typing import Any

from rich.text import Text

from orchestrator.report.data.wording import EMULATED
from orchestrator.wiring.needs import SAMPLING_PARAMETERS

_ABILITIES = {
    "continuation": "continuation",
    "ends_told": "step ends",
    "token_ids": "token ids",
    "completions": "completions",
    "n": "n samples a request",
    "samples_differ": "samples that differ",
    "seed_honoured": "seed",
    "logprobs": "logprobs",
}

_ROUTES = {
    "pooling": "whole paths (/pooling)",
    "prefix": "new steps alone (/v1/completions, from the prefix cache)",
    "chat": "verifications that are read (chat)",
}


_STYLES = {"problem": "red", "beware": "yellow"}


def abilities(endpoints: Sequence[dict[str, Any]]) -> Text:
    """A paragraph an endpoint: where it is, and what it can do or why it cannot work.

    Lines are never broken, so that a URL can be copied at any width of the terminal.
    """
    return Text("\n").join(_paragraph(found) for found in endpoints)


def _paragraph(found: dict[str, Any]) -> Text:
    failed = "error" in found
    text = Text()
    text.append("✗ " if failed else "✓ ", style="bold red" if failed else "bold green")
    text.append(found["name"], style="bold")
    text.append(f" ({'policy' if found['role'] == 'policy' else 'PRM'})\n")
    for label, value in _lines(found).items():
        text.append(f"    {label:<9}", style="dim")
        text.append(f"{value}\n", style=_STYLES.get(label, ""))
    return text


def _lines(found: dict[str, Any]) -> dict[str, str]:
    lines = {"at": "  ".join(found["urls"]), "model": found["model"]}
    if "error" in found:
        return {**lines, "problem": found["error"]}
    lines["context"] = (
        f"{found['context']} tokens" if found["context"] else "the server does not say"
    )
    lines |= _paid(found)
    if found["role"] == "prm":
        return {**lines, "can do": f"scores every step, by {_ROUTES[found['scored_by']]}"}
    can = [label for key, label in _ABILITIES.items() if found[key]]
    cannot = [label for key, label in _ABILITIES.items() if not found[key]]
    lines |= {"can do": ", ".join(can)} if can else {}
    lines |= {"cannot": ", ".join(cannot)} if cannot else {}
    if emulated := [EMULATED[each] for each in found["emulated"]]:
        lines["emulated"] = "; ".join(emulated)
    if refused := [each for each in found["refused"] if each in SAMPLING_PARAMETERS]:
        lines["refuses"] = f"{', '.join(refused)}: it is asked without"
    if found["remarks"]:
        lines["beware"] = "; ".join(found["remarks"])
    return lines


def _paid(found: dict[str, Any]) -> dict[str, str]:
    price = found["price"]
    if price is None:
        unknown = "unknown, so its cost counts as 0: write `price` beside its model"
        return {"price": unknown} if found["hosted"] else {}
    cached = price["input"] if price["cached_input"] is None else price["cached_input"]
    return {
        "price": f"${price['input']:g} a million tokens in (${cached:g} cached), "
        f"${price['output']:g} out"
    }
