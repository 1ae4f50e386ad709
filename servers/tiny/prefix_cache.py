"""Keys and values of token prefixes seen before, so that a growing path pays for new tokens only.

A prefix is a chain of blocks of ``BLOCK`` tokens; a block is found by its parent and its tokens, so
paths that share a beginning share its blocks. The pool is bounded; the least recently used block
goes first.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

BLOCK = 8

Pair: TypeAlias = tuple[float, float]
_Key: TypeAlias = tuple[int, tuple[int, ...]]  # the parent's serial number (0: none), the tokens


@dataclass(frozen=True, slots=True)
class Block:
    serial: int  # never used twice, unlike the slot, so no child outlives its parent
    slot: int
    scores: tuple[Pair, ...]  # of the step tags in this block, in order


@dataclass(frozen=True, slots=True)
class Match:
    """The longest cached beginning of a sequence."""

    blocks: list[Block]

    @property
    def length(self) -> int:
        """Tokens that need no computing."""
        return len(self.blocks) * BLOCK

    @property
    def last(self) -> int:
        """Serial number of the last block; 0 where nothing matched."""
        return self.blocks[-1].serial if self.blocks else 0

    @property
    def scores(self) -> list[Pair]:
        return [pair for block in self.blocks for pair in block.scores]


class PrefixCache:
    """A pool of blocks for one model, of at most ``budget`` bytes; 0 turns it off."""

    def __init__(self, layers: int, width: int, budget: int) -> None:
        """``width`` numbers a token and layer: keys and values together."""
        self.capacity = budget // (layers * BLOCK * width * 4)
        self._pool = torch.empty(layers, self.capacity, BLOCK, width)
        self._free = list(range(self.capacity - 1, -1, -1))
        self._blocks: OrderedDict[_Key, Block] = OrderedDict()  # the least recently used first
        self._serial = 0

    @property
    def usage(self) -> float:
        """Share of the pool in use."""
        return len(self._blocks) / self.capacity if self.capacity else 0.0

    def match(self, ids: Sequence[int]) -> Match:
        """The longest cached prefix of ``ids`` that leaves at least the last token to compute."""
        found, keys, parent = list[Block](), list[_Key](), 0
        for at in range(0, len(ids) - BLOCK, BLOCK):
            key = (parent, tuple(ids[at : at + BLOCK]))
            block = self._blocks.get(key)
            if block is None:
                break
            found.append(block)
            keys.append(key)
            parent = block.serial
        for key in reversed(keys):  # a parent is always used later than its children
            self._blocks.move_to_end(key)
        return Match(found)

    def load(self, matches: Sequence[Match], store: Tensor, first: int) -> None:
        """Copy each match's keys and values into its row of a KV store, from row ``first`` on."""
        slots = [block.slot for match in matches for block in match.blocks]
        if not slots:
            return
        tokens = self._pool[:, torch.tensor(slots)].flatten(1, 2)
        at = 0
        for row, match in enumerate(matches, first):
            store[:, row, : match.length] = tokens[:, at : at + match.length]
            at += match.length

    def add(self, ids: Sequence[int], row: Tensor, scores: Sequence[tuple[int, Pair]] = ()) -> None:
        """Keep the full blocks of ``ids``; ``row (layers, >= len(ids), width)`` is their store.

        ``scores`` are the step tags' scores by position; those of blocks already cached may be
        missing.
        """
        if len(ids) // BLOCK > self.capacity:
            return
        parent, new, first, keys = 0, list[int](), 0, list[_Key]()
        for at in range(0, len(ids) - BLOCK + 1, BLOCK):
            key = (parent, tuple(ids[at : at + BLOCK]))
            block = self._blocks.get(key)
            if block is None:
                inside = tuple(pair for where, pair in scores if at <= where < at + BLOCK)
                self._serial += 1
                block = Block(self._serial, self._take_slot(), inside)
                self._blocks[key] = block
                first = first if new else at
                new.append(block.slot)
            else:
                self._blocks.move_to_end(key)
            parent = block.serial
            keys.append(key)
        for key in reversed(keys):
            self._blocks.move_to_end(key)
        if new:
            tokens = row[:, first : first + len(new) * BLOCK]
            self._pool[:, torch.tensor(new)] = tokens.unflatten(1, (len(new), BLOCK))

    def _take_slot(self) -> int:
        if self._free:
            return self._free.pop()
        return self._blocks.popitem(last=False)[1].slot
