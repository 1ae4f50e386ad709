"""Automatic prefix caching as vLLM does it: blocks of 16 tokens under a key of all that precedes
them, the least recently used given up first. Only keys are kept; there is nothing behind them."""

from collections import OrderedDict
from collections.abc import Sequence

BLOCK = 16


class BlockCache:
    """Blocks ``held`` by prompts being worked on, and ``idle`` ones that stay until room is short.

    ``queries`` and ``hits`` count prompt tokens, each request's prompt once.
    """

    __slots__ = ("held", "hits", "idle", "queries")

    def __init__(self) -> None:
        self.held: dict[int, int] = {}
        self.idle: OrderedDict[int, None] = OrderedDict()
        self.queries = 0
        self.hits = 0

    def known(self, keys: Sequence[int], tokens: int) -> int:
        """Of a prompt's ``tokens``, how many its leading blocks have; never all of them, since
        the last one must be computed to go on from."""
        held, idle, blocks = self.held, self.idle, len(keys)
        # a block is given up before those that precede it, so the last one known vouches for all
        while blocks and (key := keys[blocks - 1]) not in held and key not in idle:
            blocks -= 1
        return min(blocks, (tokens - 1) // BLOCK) * BLOCK

    def hold(self, keys: Sequence[int]) -> None:
        """A prompt begins: its blocks are not given up until it is released."""
        held, idle = self.held, self.idle
        for key in keys:
            if key in held:
                held[key] += 1
            else:
                held[key] = 1
                idle.pop(key, None)

    def release(self, keys: Sequence[int]) -> None:
        """A prompt has ended; a path's last blocks are given up before its first ones."""
        held, idle = self.held, self.idle
        for key in reversed(keys):
            users = held[key]
            if users > 1:
                held[key] = users - 1
            else:
                del held[key]
                idle[key] = None

    def keep(self, keys: Sequence[int]) -> None:
        """Blocks that a sample leaves behind, before its prompt's are released."""
        held, idle = self.held, self.idle
        for key in reversed(keys):
            if key not in held:
                idle[key] = None
                idle.move_to_end(key)

    def shrink(self, blocks: int) -> None:
        """Give up idle blocks beyond so many."""
        idle = self.idle
        while len(idle) > blocks:
            idle.popitem(last=False)


def block_keys(ids: bytes, width: int, before: int = 0) -> list[int]:
    """Keys of the full blocks of ``ids``, tokens of ``width`` bytes each, after block ``before``.

    A key depends on its block and all that precede it.
    """
    step, keys, key = BLOCK * width, [], before
    for start in range(0, len(ids) - step + 1, step):
        key = hash((key, ids[start : start + step]))
        keys.append(key)
    return keys
