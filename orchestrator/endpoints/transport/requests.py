"""One request to an endpoint: what is sent, how its answer is read, and what it takes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import msgspec

from orchestrator.endpoints.admission.rate_limits import RateLimits, TokenEstimate
from orchestrator.endpoints.http.wire import Usage, encode
from orchestrator.endpoints.transport.refusals import miscounted

T = TypeVar("T")
R = TypeVar("R")

Read: TypeAlias = Callable[[T, str], R]
"""From a decoded answer, and the URL it came from, to what was wanted of it. It raises
``BadResponse`` where that is not in it: a choice or a score too few."""

_TEXTS = ("messages", "prompt", "input")
_OF_ITS_OWN = (*_TEXTS, "seed")
_HARMLESS = "Hello"


@dataclass(slots=True)
class Request:
    """``payload`` goes to ``path``; the answer is decoded as ``answer`` and ``read``.

    ``work`` has a unit of its own, in which servers compare: a token of the longest sample takes
    one, reading a prompt a 64th of that for each of its tokens, and any request 16.
    """

    path: str
    payload: msgspec.Struct
    body: bytes
    answer: type[Any]
    read: Read[Any, Any] | None

    def work(self, usage: Usage | None) -> float:
        if usage is None:
            return 16.0
        read = usage.prompt_tokens - usage.cached_tokens
        return 16.0 + usage.completion_tokens / self._n + max(0, read) / 64

    def estimate(self, rates: RateLimits) -> TokenEstimate:
        most = getattr(self.payload, "max_tokens", 0)
        return rates.estimator.estimate(len(self.body), self._n, most)

    def learn(self, rates: RateLimits, usage: Usage) -> float:
        """Tokens that it took in all."""
        rates.estimator.observe(
            len(self.body), self._n, usage.prompt_tokens, usage.completion_tokens
        )
        return usage.prompt_tokens + usage.completion_tokens

    @property
    def kind(self) -> tuple[object, ...]:
        """How it asks, whatever it asks: requests of one kind differ in their text and seed."""
        fields = (each for each in self.payload.__struct_fields__ if each not in _OF_ITS_OWN)
        return (self.path, *(str(getattr(self.payload, each)) for each in fields))

    def with_harmless_text(self) -> "Request":
        """A request of the same kind that no server has a reason to refuse for what it says."""
        changed: dict[str, Any] = {}
        for name in _TEXTS:
            text = getattr(self.payload, name, None)
            if name == "messages" and text is not None:
                changed[name] = [{**each, "content": _HARMLESS} for each in text]
            elif name == "input" and text is not None:
                changed[name] = [_HARMLESS if isinstance(each, str) else each[:1] for each in text]
            elif text is not None:
                changed[name] = _HARMLESS
        payload = msgspec.structs.replace(self.payload, **changed)
        return Request(self.path, payload, encode(payload), self.answer, self._counted)

    def _counted(self, answer: Any, url: str) -> Any:
        choices = getattr(answer, "choices", None)
        if choices is not None and len(choices) != self._n:
            raise miscounted(len(choices), self._n, url)
        return answer

    @property
    def _n(self) -> int:
        return getattr(self.payload, "n", 1)
