"""The name that a person may have meant."""

import difflib
from collections.abc import Iterable


def closest(name: str, known: Iterable[str], *, at_least: float = 0.6) -> str | None:
    """The one of ``known`` that is most like ``name``, in whatever case; None where none is as much
    alike as ``at_least`` (0 to 1)."""
    by_name = {each.casefold(): each for each in known}
    found = difflib.get_close_matches(name.casefold(), by_name, n=1, cutoff=at_least)
    return by_name[found[0]] if found else None
