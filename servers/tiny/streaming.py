"""Server-sent events: a chunk for every step's tokens, as vLLM streams them."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec
from aiohttp import web

from servers.tiny import wire
from servers.tiny.completions import chat_job, completion_job, usage_of
from servers.tiny.errors import BadRequest
from servers.tiny.jobs import Job, Progress
from servers.tiny.served import Served
from servers.tiny.stopping import SampleEnd

Submit: TypeAlias = Callable[[Job, Served], None]
_Event: TypeAlias = tuple[int, int, SampleEnd | None]

_encoder = msgspec.json.Encoder()


@dataclass(slots=True)
class _Choice:
    """One choice's text so far; what could still become a stop string is held back."""

    served: Served
    held: int
    ids: list[int] = field(default_factory=list)
    sent: int = 0

    def add(self, token: int, ending: SampleEnd | None) -> str:
        """The text to send after this token."""
        self.ids.append(token)
        if ending is not None:
            text = ending.text
        else:
            text = self.served.text.decode(self.ids).rstrip("\ufffd")
            text = text[: max(self.sent, len(text) - self.held)]
        delta, self.sent = text[self.sent :], max(self.sent, len(text))
        return delta


async def stream_completion(
    http: web.Request, request: wire.CompletionRequest, served: Served, submit: Submit
) -> web.StreamResponse:
    if request.logprobs is not None or request.prompt_logprobs is not None:
        raise BadRequest("logprobs are not supported with stream by this server")
    events = _Events()
    job = completion_job(request, served, events.put)
    submit(job, served)
    identity = f"cmpl-{secrets.token_hex(16)}", int(time.time()), served.name

    def chunk(index: int, token: int, text: str, ending: SampleEnd | None, first: bool) -> bytes:
        choice = wire.CompletionChoice(
            index=index,
            text=text,
            finish_reason=ending.finish_reason if ending else None,
            stop_reason=ending.stop_reason if ending else None,
        )
        if request.return_token_ids:
            choice.token_ids = [token]
            choice.prompt_token_ids = job.prompts[index // job.sampling.n] if first else None
        return _encoder.encode(wire.CompletionResponse(*identity, [choice]))

    def closing() -> bytes:
        return _encoder.encode(wire.CompletionResponse(*identity, [], usage_of(job)))

    return await _send(http, request, served, job, events, chunk, closing)


async def stream_chat(
    http: web.Request, request: wire.ChatRequest, served: Served, submit: Submit
) -> web.StreamResponse:
    if request.logprobs or request.prompt_logprobs is not None:
        raise BadRequest("logprobs are not supported with stream by this server")
    events = _Events()
    job = chat_job(request, served, events.put)
    submit(job, served)
    identity = f"chatcmpl-{secrets.token_hex(16)}", int(time.time()), served.name

    def chunk(index: int, token: int, text: str, ending: SampleEnd | None, first: bool) -> bytes:
        choice = wire.ChatChunkChoice(
            index=index,
            delta=wire.ChatMessage("assistant" if first else None, text),
            finish_reason=ending.finish_reason if ending else None,
            stop_reason=ending.stop_reason if ending else None,
            token_ids=[token] if request.return_token_ids else None,
        )
        prompt = job.prompts[0] if first and request.return_token_ids else None
        return _encoder.encode(wire.ChatChunk(*identity, [choice], prompt_token_ids=prompt))

    def closing() -> bytes:
        return _encoder.encode(wire.ChatChunk(*identity, [], usage_of(job)))

    return await _send(http, request, served, job, events, chunk, closing)


class _Events:
    """Tokens on their way from the compute thread to the event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[_Event] = asyncio.Queue()

    @property
    def put(self) -> Progress:
        def put(index: int, token: int, ending: SampleEnd | None) -> None:
            self._loop.call_soon_threadsafe(self._queue.put_nowait, (index, token, ending))

        return put

    async def until_finished(self, job: Job) -> AsyncIterator[_Event]:
        """Every choice's tokens, until all have ended or the job has failed."""
        unfinished = len(job.completions)
        failed = asyncio.ensure_future(job.ticket.wait())
        try:
            while unfinished:
                event = asyncio.ensure_future(self._queue.get())
                await asyncio.wait({event, failed}, return_when=asyncio.FIRST_COMPLETED)
                if not event.done() and self._queue.empty():
                    event.cancel()
                    await failed
                    raise AssertionError("a finished job has sent every token")
                index, token, ending = await event
                unfinished -= ending is not None
                yield index, token, ending
        finally:
            failed.cancel()


async def _send(
    http: web.Request,
    request: wire.GenerateRequest,
    served: Served,
    job: Job,
    events: _Events,
    chunk: Callable[[int, int, str, SampleEnd | None, bool], bytes],
    closing: Callable[[], bytes],
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    held = max((len(stop) - 1 for stop in job.sampling.rule.strings), default=0)
    choices = [_Choice(served, held) for _ in job.completions]
    try:
        await response.prepare(http)
        async for index, token, ending in events.until_finished(job):
            first = not choices[index].ids
            text = choices[index].add(token, ending)
            await _event(response, chunk(index, token, text, ending, first))
        if request.stream_options and request.stream_options.include_usage:
            await _event(response, closing())
        await response.write(b"data: [DONE]\n\n")
    except BaseException:
        job.ticket.cancelled = True
        raise
    return response


async def _event(response: web.StreamResponse, data: bytes) -> None:
    await response.write(b"data: " + data + b"\n\n")
