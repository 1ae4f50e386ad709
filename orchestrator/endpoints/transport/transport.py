"""Requests to one endpoint: encoded, sent to one of its replicas, retried, decoded."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self, overload

import msgspec

from orchestrator.core.node import Node
from orchestrator.endpoints.admission.dispatcher import Dispatcher
from orchestrator.endpoints.admission.queues import Slot
from orchestrator.endpoints.admission.rate_limits import RateLimits
from orchestrator.endpoints.admission.replicas import Replica
from orchestrator.endpoints.admission.replicas_file import ReplicasFile
from orchestrator.endpoints.admission.status import Status
from orchestrator.endpoints.admission.upkeep import Upkeep, roots
from orchestrator.endpoints.admission.waits import outlasting
from orchestrator.endpoints.http.complaints import UNREADABLE
from orchestrator.endpoints.http.connecting import censored, failure
from orchestrator.endpoints.http.model_names import is_same_model
from orchestrator.endpoints.http.retry import WORTH_RETRYING, RetryPolicy, with_retries
from orchestrator.endpoints.http.sender import AiohttpSender, HttpResponse, Sender
from orchestrator.endpoints.http.wire import ModelList, Usage, encode
from orchestrator.endpoints.transport.evidence import Evidence
from orchestrator.endpoints.transport.hedging import Stragglers
from orchestrator.endpoints.transport.refusals import error_in, is_blocked, refusal, unreadable
from orchestrator.endpoints.transport.requests import R, Read, Request, T
from orchestrator.endpoints.transport.tries import Tries
from orchestrator.errors import (
    BadResponse,
    ConfigError,
    ContentFiltered,
    EndpointError,
    EndpointUnavailable,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a model is served.

    ``urls`` are replicas of the same model, with or without a trailing ``/v1``; ``listed`` is the
    file they stand in, where they may change. ``model`` is its served name; ``timeout`` (seconds)
    bounds one request; ``concurrency`` bounds requests in flight, which else the servers' own load
    does, and ``requests_per_minute`` and ``tokens_per_minute`` their rate. ``hedge`` is the
    percentile of answers' times after which a request is sent a second time. ``checks_model`` says
    whether answers must name the model that was asked for, which those of hosted APIs need not;
    ``is_alias`` that ``model`` is a name of the user's own, such as a deployment's on Azure, which
    says nothing of what answers. ``api_key`` comes from the environment and is never
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
    is_alias: bool = False
    retry: RetryPolicy = field(default_factory=RetryPolicy)

    @property
    def bases(self) -> list[str]:
        """The replicas' roots, without ``/v1``."""
        return roots(self.urls)

    def other_model(self, answered: str) -> str | None:
        """The name of the model that answered, where it is another than the one asked for."""
        return None if self.is_alias or is_same_model(self.model, answered) else answered


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
        self._send = self._sender.send
        self._retry = endpoint.retry
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
            longest_pause=endpoint.retry.longest_retry_after,
        )
        self._evidence = Evidence(self.dispatcher, self._send_once, endpoint.retry.attempts)

    async def __aenter__(self) -> Self:
        await self._sender.__aenter__()
        listed = self.endpoint.listed
        file = ReplicasFile(listed, self.endpoint.name) if listed is not None else None
        upkeep = Upkeep(self.dispatcher, self._sender, file)
        self._upkeep = asyncio.create_task(upkeep.run())
        return self

    async def __aexit__(self, *exception: object) -> None:
        try:
            if self._upkeep is not None:
                self._upkeep.cancel()
                await asyncio.gather(self._upkeep, return_exceptions=True)
        finally:
            await self._sender.__aexit__(*exception)

    @contextmanager
    def in_a_hurry(self, retry: RetryPolicy, timeout: float) -> Iterator[None]:
        """Meanwhile requests fail early, after ``timeout`` seconds and the tries of ``retry``: what
        asks whether an endpoint works should not wait until it does. Such requests are no measure
        of how long others take, so none is hedged by theirs.
        """

        async def send(method: str, url: str, body: bytes | None) -> HttpResponse:
            try:
                async with asyncio.timeout(timeout):
                    return await self._sender.send(method, url, body)
            except TimeoutError as error:
                raise failure(error, url, timeout) from error

        stragglers, self._stragglers = self._stragglers, None
        self._send = send
        self._try(retry)
        try:
            yield
        finally:
            self._stragglers = stragglers
            self._send = self._sender.send
            self._try(self.endpoint.retry)

    def _try(self, retry: RetryPolicy) -> None:
        self._retry = retry
        self._evidence.attempts = retry.attempts
        self.dispatcher.set_patience(retry.patience, retry.longest_retry_after)

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

        What ``read`` raises is a failure as what cannot be decoded is. ``node`` is what the request
        is for: its question says which replica holds its prefix, its tree whose turn it is.

        Raises ``EndpointUnavailable`` or ``BadResponse`` after the last retry, ``RateLimited``
        where a rate limit outlasts that, and ``EndpointRefused``, ``ContextOverflow``,
        ``ContentFiltered`` or ``PromptRefused`` at once.
        """
        dispatcher = self.dispatcher
        tries = Tries(
            Request(path, payload, encode(payload), answer, read),
            node,
            dispatcher,
            self._evidence,
            self._exchange,
            self._stragglers,
            goes_elsewhere=self._retry.attempts > 1,
        )
        dispatcher.begun += 1
        try:
            return await with_retries(
                tries.attempt,
                self._retry,
                dispatcher.retry_budget,
                lambda: dispatcher.answered_at,
            )
        except EndpointError as error:
            if isinstance(error, EndpointUnavailable) and error.status == 429:
                error = outlasting(error, self._retry.longest_retry_after)
            error.endpoint = self.endpoint.name
            raise error
        finally:
            dispatcher.begun -= 1

    async def _send_once(self, replica: Replica, request: Request) -> Any:
        return await self._exchange(self.dispatcher.at(replica), request)

    async def _exchange(self, slot: Slot, request: Request) -> Any:
        """One request to one replica, which learns how it went."""
        dispatcher, url, tokens = self.dispatcher, slot.replica.base + request.path, None
        said: HttpResponse | None = None
        try:
            said = await self._send("POST", url, request.body)
            dispatcher.observe_headers(said.headers, slot)
            decoded: Any = self._decode(said, request.answer, url)
            usage = getattr(decoded, "usage", None)
            if usage is not None:
                self.used.add(usage)
            answered = getattr(decoded, "model", None)  # /tokenize names none
            if answered is not None and self.endpoint.checks_model:
                self._check_model(answered, url)
            wanted = decoded if request.read is None else request.read(decoded, url)
            seconds = dispatcher.succeeded(slot, request.work(usage))
            self._evidence.answered(request)
            if self._stragglers is not None:
                self._stragglers.record(seconds)
            if slot.passed is not None and usage is not None:
                tokens = request.learn(dispatcher.rates, usage)
            return wanted
        except WORTH_RETRYING as error:
            if said is not None and isinstance(error, BadResponse) and is_blocked(said.content):
                dispatcher.answered(slot.replica)
                raise ContentFiltered(f"{url} blocked the prompt", url=url) from error
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
        return self._decode(await self._send("GET", url, None), answer, url)

    async def models(self, base: str) -> ModelList:
        """What one replica says it serves."""
        return await self.get(base, "/v1/models", ModelList)

    async def serve_only_model(self) -> str:
        """Ask for the one model that the server lists, from now on, and return its name.

        Raises ``ConfigError`` where it lists none or several, and ``EndpointError``.
        """
        base = self.endpoint.bases[0]
        listed = [card.id for card in (await self.models(base)).data]
        if len(listed) != 1:
            raise ConfigError(
                f"{base} serves {', '.join(listed) or 'no model'}: name one with `model=`"
            )
        self.endpoint = replace(self.endpoint, model=listed[0])
        self.dispatcher.model = listed[0]
        return listed[0]

    def _decode(self, said: HttpResponse, answer: type[T], url: str) -> T:
        model = self.endpoint.model
        if not 200 <= said.status < 300:
            raise refusal(
                said.status,
                said.content,
                url=url,
                model=model,
                headers=said.headers,
                location=censored(said.headers.get("Location", ""), self.endpoint.api_key),
            )
        stated = error_in(said.content, url=url, model=model, headers=said.headers)
        if stated is not None:
            raise stated
        decoder = self._decoders.get(answer)
        if decoder is None:
            decoder = self._decoders[answer] = msgspec.json.Decoder(answer)
        try:
            return decoder.decode(said.content)  # type: ignore[return-value]
        except UNREADABLE as error:
            raise unreadable(said.content, error, url=url, headers=said.headers) from error

    def _check_model(self, answered: str, url: str) -> None:
        """Hosted models answer under a dated name that starts with the one asked for."""
        if not answered.startswith(self.endpoint.model):
            raise BadResponse(
                f"{url} was asked for the model {self.endpoint.model!r} and answered as "
                f"{answered!r}: name the model it serves",
                url=url,
                is_doubtful=False,
                is_final=True,
            )
