"""Why a server ended, from its log: one line with the cause and the fix."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """``permanent``: starting again will not help."""

    message: str
    permanent: bool


def diagnose(log: str, code: int | None) -> Diagnosis:
    """The cause in what one start of a server wrote, or in its exit code (None: it hung)."""
    if code is None:
        return Diagnosis(message="it stopped answering /health and was ended", permanent=False)
    last = next((m for m in reversed(re.findall(r"(\w*(?:Error|Exception): .*)", log))), "")
    return Diagnosis(message=f"it ended with code {code}: {last}", permanent=False)
