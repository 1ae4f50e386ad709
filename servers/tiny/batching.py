"""Which sequences to compute together."""

from collections.abc import Sequence

from servers.tiny.runtime import MIN_ROWS


def plan(lengths: Sequence[int], *, tokens: int) -> list[list[int]]:
    """Group sequences, by their index, into batches to be padded to their longest member.

    The shortest come first. A batch holds at most ``tokens`` tokens with its padding (or a single
    sequence), and no member of it more than doubles its first one's length, give or take a few.
    """
    batches: list[list[int]] = []
    longest_allowed = 0
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        length = max(lengths[index], MIN_ROWS)
        fits = length <= longest_allowed and (len(batches[-1]) + 1) * length <= tokens
        if fits:
            batches[-1].append(index)
        else:
            batches.append([index])
            longest_allowed = 2 * length + 8
    return batches
