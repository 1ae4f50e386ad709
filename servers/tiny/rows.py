"""The sequences being generated: one row of tensors each, always the first ``count`` rows."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from servers.tiny.runtime import MIN_ROWS, Runtime

_LENGTH_STEP = 64


class Rows:
    """State of the active sequences, kept dense so that a decoding step is one batch.

    It grows in rows and in length as needed; a removed row's place is filled from the end. Rows
    from ``count`` up to ``MIN_ROWS`` are computed too, on whatever finite numbers they hold.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.count = 0
        self.store = runtime.empty_store(MIN_ROWS, _LENGTH_STEP)
        self.lengths = torch.zeros(MIN_ROWS, dtype=torch.long)  # tokens in the store
        self.drawn = torch.zeros(MIN_ROWS, dtype=torch.long)  # tokens sampled
        self.last = torch.zeros(MIN_ROWS, dtype=torch.long)  # the token sampled last
        self.temperature = torch.zeros(MIN_ROWS)
        self.top_p = torch.zeros(MIN_ROWS)
        self.noise = torch.zeros(MIN_ROWS, runtime.context)

    def reserve(self, rows: int, length: int) -> None:
        """Make room for ``rows`` rows of ``length`` tokens."""
        have_rows, have_length = self.store.shape[1:3]
        if rows > have_rows:
            added = max(rows, 2 * have_rows) - have_rows
            self.store = F.pad(self.store, (0, 0, 0, 0, 0, added))
            self.lengths, self.drawn, self.last, self.temperature, self.top_p = (
                F.pad(t, (0, added))
                for t in (self.lengths, self.drawn, self.last, self.temperature, self.top_p)
            )
            self.noise = F.pad(self.noise, (0, 0, 0, added))
        if length > have_length:
            added = -(-length // _LENGTH_STEP) * _LENGTH_STEP - have_length
            self.store = F.pad(self.store, (0, 0, 0, added))

    def fork(self, parents: Sequence[int], length: int) -> None:
        """Copy the first ``length`` tokens of rows ``parents`` into the rows after the last."""
        if parents:
            end = self.count + len(parents)
            self.store[:, self.count : end, :length] = self.store[:, torch.tensor(parents), :length]
            self.lengths[self.count : end] = self.lengths[torch.tensor(parents)]
            self.count = end

    def remove(self, leaving: Sequence[int], length: int) -> list[tuple[int, int]]:
        """Drop rows; ``length`` is the longest row's. Returns the moves made, ``(from, to)``."""
        keep = self.count - len(leaving)
        gone = set(leaving)
        holes = [row for row in leaving if row < keep]
        movers = [row for row in range(keep, self.count) if row not in gone]
        if holes:
            to, source = torch.tensor(holes), torch.tensor(movers)
            self.store[:, to, :length] = self.store[:, source, :length]
            for t in (self.lengths, self.drawn, self.last, self.temperature, self.top_p):
                t[to] = t[source]
            self.noise[to] = self.noise[source]
        self.lengths[keep : self.count] = 0
        self.count = keep
        return list(zip(movers, holes, strict=True))

    def next_noise(self, first: int) -> Tensor:
        """The uniform number for the next token of each row from ``first`` on."""
        part = slice(first, self.count)
        noise = self.noise[part].gather(1, self.drawn[part, None])[:, 0]
        self.drawn[part] += 1
        return noise
