"""The pooling route: whole solutions in one request, and a row of probabilities at each position.

vLLM's ``/pooling`` never reads the prefix cache, so every call pays for the whole path again.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TypeAlias

from orchestrator.core.fanout import fan_out
from orchestrator.core.node import Node
from orchestrator.endpoints.prm.base import Reading, ReadingOrError, apart, naming_nan, probability
from orchestrator.endpoints.prm.coalescing import Coalescer, Input, PoolingResult
from orchestrator.errors import BadResponse

Render: TypeAlias = Callable[[str, Sequence[str]], str]
"""From a question and the steps of a solution to the text a PRM reads."""

Pieces: TypeAlias = Sequence[Sequence[int]]
"""A solution's token ids, a piece for each step: its score is at the last token of its piece. The
first piece begins with the question."""


async def read_tags(
    pooling: Coalescer[list[ReadingOrError]],
    nodes: Sequence[Node],
    render: Render,
    *,
    column: int,
    family: str,
) -> list[ReadingOrError]:
    """Read texts of a server that answers a pair at every step tag; ``column`` is P(right).

    Raises ``BadResponse`` where the pairs are not one a step, and other ``EndpointError``.
    """

    def read(at: int, pooled: PoolingResult, url: str) -> Reading:
        rows, steps = pooled.rows, len(nodes[at].steps)
        if len(rows) != steps:
            raise BadResponse(
                f"{url} scored {len(rows)} steps of {steps}: is {family} the family "
                "of this PRM, and the server's step_tag_id that of its tag?",
                url=url,
            )
        return _reading([_cell(row, column, 2, url) for row in rows], pooled)

    return await ask_each(
        pooling, nodes, [render(node.question, node.steps) for node in nodes], read
    )


async def read_tokens(
    pooling: Coalescer[list[ReadingOrError]],
    nodes: Sequence[Node],
    pieces: Sequence[Pieces],
    *,
    column: int,
    columns: int,
) -> list[ReadingOrError]:
    """Read token ids of a server that answers a row of ``columns`` for every token.

    Raises ``BadResponse`` where the rows are not one a token, and other ``EndpointError``.
    """
    inputs = [tuple(token for piece in each for token in piece) for each in pieces]

    def read(at: int, pooled: PoolingResult, url: str) -> Reading:
        rows, ids = pooled.rows, inputs[at]
        if len(rows) != len(ids):
            raise BadResponse(
                f"{url} scored {len(rows)} of {len(ids)} tokens, and this PRM needs them all: "
                """serve it with --pooler-config '{"task": "token_classify"}'""",
                url=url,
            )
        ends = [end - 1 for end in accumulate(len(piece) for piece in pieces[at])]
        return _reading([_cell(rows[end], column, columns, url) for end in ends], pooled)

    return await ask_each(pooling, nodes, inputs, read)


async def ask_each(
    pooling: Coalescer[list[ReadingOrError]],
    nodes: Sequence[Node],
    inputs: Sequence[Input],
    read: Callable[[int, PoolingResult, str], Reading],
) -> list[ReadingOrError]:
    """What ``read`` makes of each of ``inputs``, which it has the number of. One that cannot be
    read while others can is asked for again, alone.

    Raises ``BadResponse`` where none can be read, and other ``EndpointError``.
    """

    def read_all(found: Sequence[PoolingResult], url: str) -> list[ReadingOrError]:
        outcomes: list[ReadingOrError] = []
        errors: list[BadResponse] = []
        for number, pooled in enumerate(found):
            try:
                outcomes.append(read(number, pooled, url))
            except BadResponse as error:
                outcomes.append(error)
                errors.append(error)
        is_incomplete = not all(pooled.rows for pooled in found)
        if errors and (is_incomplete or len(errors) == len(outcomes)):
            raise errors[0]
        return outcomes

    async def alone(number: int) -> ReadingOrError:
        def read_one(found: Sequence[PoolingResult], url: str) -> list[ReadingOrError]:
            return [read(number, found[0], url)]

        outcome = await apart(pooling.ask([inputs[number]], nodes[number], read_one))
        return outcome[0] if isinstance(outcome, list) else outcome

    with naming_nan(pooling.transport.endpoint.urls[0]):
        outcomes = await pooling.ask(inputs, nodes[0], read_all)
        bad = [number for number, each in enumerate(outcomes) if isinstance(each, BadResponse)]
        if not bad:
            return outcomes
        asked_again = dict(zip(bad, await fan_out(map(alone, bad)), strict=True))
    return [asked_again.get(number, each) for number, each in enumerate(outcomes)]


def _reading(scores: list[float], pooled: PoolingResult) -> Reading:
    return Reading(scores=scores, tokens=pooled.tokens, cached_tokens=pooled.cached_tokens)


def _cell(row: list[float | None] | float | None, column: int, columns: int, url: str) -> float:
    if not isinstance(row, list) or len(row) != columns:
        raise BadResponse(
            f"{url} answers rows that are not {'pairs of' if columns == 2 else 'single'} "
            "probabilities: is this the PRM's family, and token_classify its server's task?",
            url=url,
        )
    return probability(row[column], url)
