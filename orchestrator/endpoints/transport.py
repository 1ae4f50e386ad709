"""Requests to one endpoint: encoded, sent to one of its replicas, retried, decoded."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeAlias, TypeVar, overload

import msgspec

from orchestrator.core.tree import Node
from orchestrator.endpoints.dispatcher import Dispatcher, Slot
from orchestrator.endpoints.hedging import Stragglers, hedged
from orchestrator.endpoints.rate_limits import Estimate, RateLimits
from orchestrator.endpoints.refusals import UNREADABLE, refusal, what_it_is
from orchestrator.endpoints.replicas import Replica
from orchestrator.endpoints.replicas_file import ReplicasFile
from orchestrator.endpoints.retry import WORTH_RETRYING, RetryPolicy, with_retries
from orchestrator.endpoints.sending import AiohttpSender, Answer, Sender, censored
from orchestrator.endpoints.status import Status
from orchestrator.endpoints.upkeep import Upkeep, roots
from orchestrator.endpoints.wire import ModelList, Usage, encode
from orchestrator.errors import BadResponse, EndpointError

T = TypeVar("T")
R = TypeVar("R")

Read: TypeAlias = Callable[[T, str], R]
"""From a decoded answer, and the URL it came from, to what was wanted of it. It raises
``BadResponse`` where that is not in it: a choice or a score too few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a model is served.

    ``urls`` are replicas of the same model, with or without a trailing ``/v1``; ``listed`` is the
    file they stand in, where they may change. ``model`` is its served name; ``timeout`` (seconds)
    bounds one request; ``concurrency`` bounds requests in flight, which else the servers' own load
    does, and ``requests_per_minute`` and ``tokens_per_minute`` their rate. ``hedge`` is the
    percentile of answers' times after which a request is sent a second time. ``checks_model`` says
    whether answers must name the model that was asked for, which those of hosted APIs need not: a
    deployment on Azure has a name of its own. ``api_key`` comes from the environment and is never
    written anywhere.
    """

    urls: tuple[str, ...]
    model: str
    api_key: str | None = field(default=None, repr=False)
    listed: Path | None = None
    name: str = ""
    timeout: float = 600.0
    concurrency: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    hedge: float | None = None
    checks_model: bool = True
    retry: RetryPolicy = field(default_factory=RetryPolicy)

    @property
    def bases(self) -> list[str]:
        """The replicas' roots, without ``/v1``."""
        return roots(self.urls)


@dataclass(slots=True, kw_only=True)
class Used:
    """Tokens of all that an endpoint answered, whether or not it could be used, as it bills them.

    ``cached_tokens`` of ``prompt_tokens`` were in a prefix cache.
    """

    prompt_tokens: int = 0
    cached_tokens: int = 0
    written_tokens: int = 0

    def add(self, usage: Usage) -> None:
        self.prompt_tokens += usage.prompt_tokens
        self.cached_tokens += usage.cached_tokens
        self.written_tokens += usage.written_tokens


class Transport:
    """Sends requests to one endpoint. An async context manager that owns its connections."""

    def __init__(self, endpoint: Endpoint, sender: Sender | None = None) -> None:
        self.endpoint = endpoint
        self._sender = sender or AiohttpSender(api_key=endpoint.api_key, timeout=endpoint.timeout)
        self._decoders: dict[type, msgspec.json.Decoder[object]] = {}
        self._stragglers = Stragglers(endpoint.hedge) if endpoint.hedge is not None else None
        self._upkeep: asyncio.Task[None] | None = None
        self.used = Used()
        self.dispatcher = Dispatcher(
            endpoint.model,
            endpoint.bases,
            cap=endpoint.concurrency,
            rates=RateLimits(endpoint.requests_per_minute, endpoint.tokens_per_minute),
            patience=endpoint.retry.patience,
        )

    async def __aenter__(self) -> Self:
        await self._sender.__aenter__()
        listed = self.endpoint.listed
        file = ReplicasFile(listed, self.endpoint.name) if listed is not None else None
        upkeep = Upkeep(self.dispatcher, self._sender, file)
        self._upkeep = asyncio.create_task(upkeep.run())
        return self

    async def __aexit__(self, *exception: object) -> None:
        if self._upkeep is not None:
            self._upkeep.cancel()
            await asyncio.wait([self._upkeep])
        await self._sender.__aexit__(*exception)

    def status(self) -> Status:
        """How the endpoint is doing."""
        return self.dispatcher.status()

    @overload
    async def post(
        self, path: str, payload: msgspec.Struct, answer: type[T], *, node: Node | None = None
    ) -> T: ...

    @overload
    async def post(
        self,
        path: str,
        payload: msgspec.Struct,
        answer: type[T],
        read: Read[T, R],
        *,
        node: Node | None = None,
    ) -> R: ...

    async def post(
        self,
        path: str,
        payload: msgspec.Struct,
        answer: type[T],
        read: Read[T, Any] | None = None,
        *,
        node: Node | None = None,
    ) -> Any:
        """POST ``payload``, decode the answer as ``answer`` and ``read`` it; failures are retried.

        What ``read`` raises is held against the replica as what cannot be decoded is. ``node`` is
        what the request is for: its question says which replica holds its prefix, its tree whose
        turn it is.

        Raises ``EndpointUnavailable`` or ``BadResponse`` after the last retry, and
        ``EndpointRefused`` or ``ContextOverflow`` at once.
        """
        dispatcher, request = self.dispatcher, _Request(path, payload, encode(payload))
        tried: tuple[Replica, ...] = ()

        async def attempt() -> Any:
            nonlocal tried
            estimate = request.estimate(dispatcher.rates) if dispatcher.rates.are_any else None
            slot = await dispatcher.admit(node, estimate, tried)
            try:
                exchange = self._exchange(slot, request, answer, read)
                if self._stragglers is None or self._stragglers.after is None:
                    return await exchange
                return await hedged(exchange, again(slot), self._stragglers.after)
            except WORTH_RETRYING:
                tried = (*tried, slot.replica)
                raise

        def again(slot: Slot) -> Callable[[], Coroutine[Any, Any, Any] | None]:
            async def elsewhere() -> Any:
                estimate = request.estimate(dispatcher.rates) if dispatcher.rates.are_any else None
                other = await dispatcher.admit(node, estimate, (*tried, slot.replica))
                return await self._exchange(other, request, answer, read)

            return lambda: elsewhere() if dispatcher.retry_budget.try_take() else None

        try:
            return await with_retries(attempt, self.endpoint.retry, dispatcher.retry_budget)
        except EndpointError as error:
            error.endpoint = self.endpoint.name
            raise

    async def _exchange(
        self, slot: Slot, request: "_Request", answer: type[T], read: Read[T, Any] | None
    ) -> Any:
        """One request to one replica, which learns how it went."""
        dispatcher, url, tokens = self.dispatcher, slot.replica.base + request.path, None
        try:
            said = await self._sender.send("POST", url, request.body)
            dispatcher.told(said.headers, slot)
            decoded = self._decode(self._content(said, url), answer, url)
            usage = getattr(decoded, "usage", None)
            if usage is not None:
                self.used.add(usage)
            answered = getattr(decoded, "model", None)  # /tokenize names none
            if answered is not None and self.endpoint.checks_model:
                self._check_model(answered, url)
            wanted = decoded if read is None else read(decoded, url)
            seconds = dispatcher.succeeded(slot, request.work(usage))
            if self._stragglers is not None:
                self._stragglers.took(seconds)
            if slot.passed is not None and usage is not None:
                tokens = request.learn(dispatcher.rates, usage)
            return wanted
        except WORTH_RETRYING as error:
            dispatcher.failed(slot, error)
            raise
        except EndpointError:
            dispatcher.answered(slot.replica)
            raise
        finally:
            if slot.passed is not None:
                dispatcher.rates.answered(slot.passed, tokens)
            dispatcher.release(slot)

    async def get(self, base: str, path: str, answer: type[T]) -> T:
        """GET from one replica, once."""
        url = base + path
        said = await self._sender.send("GET", url, None)
        return self._decode(self._content(said, url), answer, url)

    async def models(self, base: str) -> ModelList:
        """What one replica says it serves."""
        return await self.get(base, "/v1/models", ModelList)

    def _content(self, said: Answer, url: str) -> bytes:
        if said.status == 200:
            return said.content
        raise refusal(
            said.status,
            said.content,
            url=url,
            model=self.endpoint.model,
            retry_after=said.headers.get("Retry-After"),
            location=censored(said.headers.get("Location", ""), self.endpoint.api_key),
        )

    def _decode(self, content: bytes, answer: type[T], url: str) -> T:
        decoder = self._decoders.get(answer)
        if decoder is None:
            decoder = self._decoders[answer] = msgspec.json.Decoder(answer)
        try:
            return decoder.decode(content)  # type: ignore[return-value]
        except UNREADABLE as error:
            raise BadResponse(f"{url} {what_it_is(content)} ({error})", url=url) from error

    def _check_model(self, answered: str, url: str) -> None:
        """Hosted models answer under a dated name that starts with the one asked for."""
        if not answered.startswith(self.endpoint.model):
            raise BadResponse(
                f"{url} was asked for the model {self.endpoint.model!r} and answered as "
                f"{answered!r}: name the model it serves",
                url=url,
            )


@dataclass(slots=True)
class _Request:
    """What is sent, and what it takes. ``work`` has a unit of its own, in which servers compare:
    a token of the longest sample takes one, reading a prompt a 64th of that for each of its
    tokens, and any request 16."""

    path: str
    payload: msgspec.Struct
    body: bytes

    def work(self, usage: Usage | None) -> float:
        if usage is None:
            return 16.0
        read = usage.prompt_tokens - usage.cached_tokens
        return 16.0 + usage.completion_tokens / self._n + max(0, read) / 64

    def estimate(self, rates: RateLimits) -> Estimate:
        most = getattr(self.payload, "max_tokens", 0)
        return rates.estimator.estimate(len(self.body), self._n, most)

    def learn(self, rates: RateLimits, usage: Usage) -> float:
        """Tokens that it took in all."""
        rates.estimator.saw(len(self.body), self._n, usage.prompt_tokens, usage.completion_tokens)
        return usage.prompt_tokens + usage.completion_tokens

    @property
    def _n(self) -> int:
        return getattr(self.payload, "n", 1)
