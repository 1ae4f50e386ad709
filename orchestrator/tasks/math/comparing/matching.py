"""Verdicts of many comparisons together, where each may be open."""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

T = TypeVar("T", bound=Hashable)


def all_of(verdicts: Iterable[bool | None]) -> bool | None:
    is_open = False
    for verdict in verdicts:
        if verdict is False:
            return False
        is_open |= verdict is None
    return None if is_open else True


def without_common(left: Sequence[T], right: Sequence[T]) -> tuple[Sequence[T], Sequence[T]]:
    """What two lists do not have in common, word for word."""
    common = Counter(left) & Counter(right)
    return list((Counter(left) - common).elements()), list((Counter(right) - common).elements())


def can_pair(fits: Sequence[Sequence[bool]]) -> bool:
    """Whether each row can take a column of its own that fits (augmenting paths)."""
    taken: dict[int, int] = {}

    def place(row: int, tried: set[int]) -> bool:
        for column, fit in enumerate(fits[row]):
            if fit and column not in tried:
                tried.add(column)
                if column not in taken or place(taken[column], tried):
                    taken[column] = row
                    return True
        return False

    return all(place(row, set()) for row in range(len(fits)))
