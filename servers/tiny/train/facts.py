"""Every single calculation within 0..199, as tensors to draw training batches from."""

import torch
from torch import Tensor

from servers.tiny.problems import LIMIT, OPERATORS, apply

_MAX_DIVISOR = 40


def _table(operator: str) -> Tensor:
    rows = []
    for left in range(LIMIT):
        for right in range(LIMIT):
            result = apply(operator, left, right)
            used = {
                "+": True,
                "-": right <= left,
                "*": left >= 2 and 2 <= right < LIMIT // 2,
                "/": left >= 6 and 2 <= right <= min(left, _MAX_DIVISOR),
            }[operator]
            if used and 0 <= result < LIMIT:
                rows.append((left, OPERATORS.index(operator), right, result))
    return torch.tensor(rows)


TABLES: dict[str, Tensor] = {operator: _table(operator) for operator in OPERATORS}


def draw_facts(shares: dict[str, int], generator: torch.Generator) -> Tensor:
    """Rows ``(left, operator index, right, result)``: so many of each operator, in that order."""
    drawn = []
    for operator, count in shares.items():
        table = TABLES[operator]
        drawn.append(table[torch.randint(len(table), (count,), generator=generator)])
    return torch.cat(drawn)
