"""Values by their names: x = 2, y = 3, or (x, y) = (2, 3)."""

from collections.abc import Sequence
from itertools import pairwise

from orchestrator.tasks.math.terms import Listing, Named, Value


def assignments(value: Value) -> dict[str, Value] | None:
    """The values of x = 2, y = 3 or (x, y) = (2, 3) by name, in the order in which a bare list
    gives them; None where it names none or one alone."""
    if isinstance(value, Named):
        names = value.name.removeprefix("(").removesuffix(")").split(",")
        if len(names) == 1 or not isinstance(value.value, Listing):
            return None
        items = value.value.items
        return dict(zip(names, items, strict=True)) if len(names) == len(items) else None
    if not isinstance(value, Listing) or not value.items:
        return None
    named = {item.name: item.value for item in value.items if isinstance(item, Named)}
    if len(named) < len(value.items) or len(named) < 2:
        return None
    return dict(sorted(named.items())) if _are_neighbours(sorted(named)) else named


def _are_neighbours(names: Sequence[str]) -> bool:
    """Whether names are letters in a row, as x, y, z: whose values stand in that order."""
    return all(map(str.isalpha, names)) and all(
        len(a) == len(b) == 1 and ord(b) == ord(a) + 1 for a, b in pairwise(names)
    )
