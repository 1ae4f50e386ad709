"""The pooling route: whole solutions in one request, and a row of probabilities at each position.

vLLM's ``/pooling`` never reads the prefix cache, so every call pays for the whole path again.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TypeAlias

from orchestrator.core.tree import Node
from orchestrator.endpoints.prm.base import Reading, naming_nan, probability
from orchestrator.endpoints.prm.coalescing import Coalescer, Pooled
from orchestrator.errors import BadResponse

Render: TypeAlias = Callable[[str, Sequence[str]], str]
"""From a question and the steps of a solution to the text a PRM reads."""

Pieces: TypeAlias = Sequence[Sequence[int]]
"""A solution's token ids, a piece for each step: its score is at the last token of its piece. The
first piece begins with the question."""


async def read_tags(
    pooling: Coalescer[list[Reading]],
    nodes: Sequence[Node],
    render: Render,
    *,
    column: int,
    family: str,
) -> list[Reading]:
    """Read texts of a server that answers a pair at every step tag; ``column`` is P(right).

    Raises ``BadResponse`` where the pairs are not one a step, and other ``EndpointError``.
    """

    def read(found: Sequence[Pooled], url: str) -> list[Reading]:
        readings = []
        for node, pooled in zip(nodes, found, strict=True):
            rows = pooled.rows
            if len(rows) != len(node.steps):
                raise BadResponse(
                    f"{url} scored {len(rows)} steps of {len(node.steps)}: is {family} the family "
                    "of this PRM, and the server's step_tag_id that of its tag?",
                    url=url,
                )
            scores = [_cell(row, column, 2, url) for row in rows]
            readings.append(_reading(scores, pooled))
        return readings

    with naming_nan(pooling.transport.endpoint.urls[0]):
        texts = [render(node.question, node.steps) for node in nodes]
        return await pooling.ask(texts, nodes[0], read)


async def read_tokens(
    pooling: Coalescer[list[Reading]],
    nodes: Sequence[Node],
    pieces: Sequence[Pieces],
    *,
    column: int,
    columns: int,
) -> list[Reading]:
    """Read token ids of a server that answers a row of ``columns`` for every token.

    Raises ``BadResponse`` where the rows are not one a token, and other ``EndpointError``.
    """
    inputs = [tuple(token for piece in each for token in piece) for each in pieces]

    def read(found: Sequence[Pooled], url: str) -> list[Reading]:
        readings = []
        for ids, each, pooled in zip(inputs, pieces, found, strict=True):
            rows = pooled.rows
            if len(rows) != len(ids):
                raise BadResponse(
                    f"{url} scored {len(rows)} of {len(ids)} tokens, and this PRM needs them all: "
                    """serve it with --pooler-config '{"task": "token_classify"}'""",
                    url=url,
                )
            ends = [end - 1 for end in accumulate(len(piece) for piece in each)]
            scores = [_cell(rows[at], column, columns, url) for at in ends]
            readings.append(_reading(scores, pooled))
        return readings

    with naming_nan(pooling.transport.endpoint.urls[0]):
        return await pooling.ask(inputs, nodes[0], read)


def _reading(scores: list[float], pooled: Pooled) -> Reading:
    return Reading(scores=scores, tokens=pooled.tokens, cached_tokens=pooled.cached_tokens)


def _cell(row: list[float | None] | float | None, column: int, columns: int, url: str) -> float:
    if not isinstance(row, list) or len(row) != columns:
        raise BadResponse(
            f"{url} answers rows that are not {'pairs of' if columns == 2 else 'single'} "
            "probabilities: is this the PRM's family, and token_classify its server's task?",
            url=url,
        )
    return probability(row[column], url)
