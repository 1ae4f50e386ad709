"""Asking again as an API wants to be asked, for as long as it makes up its mind."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from orchestrator.endpoints.hosted.dialect import Dialect
from orchestrator.endpoints.hosted.unsupported import REFUSALS
from orchestrator.endpoints.http.complaints import complaint
from orchestrator.endpoints.http.sender import HttpResponse
from orchestrator.errors import BadResponse

_MAXIMA = 3
"""Limits of ``max_tokens`` that one request is adapted to; an API that has one names one."""

_TRIES = 16
"""More than there are parameters that an API may refuse one after the other."""


class Learning(Protocol):
    """Whoever keeps what an API taught."""

    dialect: Dialect


async def negotiate(
    learning: Learning,
    asked: Mapping[str, Any],
    send: Callable[[dict[str, Any]], Awaitable[HttpResponse]],
    url: str,
) -> HttpResponse:
    """The answer to a request, which is sent anew as long as its refusals teach something.

    Raises ``BadResponse`` where each of them wants it another way.
    """
    maxima = 0
    for _ in range(_TRIES):
        sent = learning.dialect.adapted(asked)
        answer = await send(sent)
        if answer.status not in REFUSALS:
            return answer
        before = learning.dialect
        learning.dialect = before.learned(sent, answer.content)
        if learning.dialect.adapted(asked) == sent:
            return answer
        maxima += learning.dialect.most_tokens != before.most_tokens
        if maxima > _MAXIMA:
            break
    raise BadResponse(
        f"{url} wants the same request another way each time: {complaint(answer.content).message}",
        url=url,
        is_final=True,
    )
