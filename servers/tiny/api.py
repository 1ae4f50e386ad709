"""The HTTP routes: OpenAI's and vLLM's, as vLLM answers them."""

import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import TypeVar

import msgspec
from aiohttp import web

from servers.tiny import wire
from servers.tiny.completions import chat_job, chat_response, completion_job, completion_response
from servers.tiny.errors import BadRequest, Failed, NotFound, RequestError
from servers.tiny.jobs import Job
from servers.tiny.prompts import chat_ids
from servers.tiny.scores import pooling_job, pooling_response, scoring_job, scoring_response
from servers.tiny.scoring import ScoreJob
from servers.tiny.served import Served
from servers.tiny.streaming import stream_chat, stream_completion
from servers.tiny.ticket import EngineDead
from servers.tiny.worker import Worker

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
R = TypeVar("R")

_encoder = msgspec.json.Encoder()
_BODY_LIMIT = 64 * 2**20


class Api:
    """Routes over loaded models and the worker that computes for them."""

    def __init__(self, models: Sequence[Served], worker: Worker, *, api_key: str | None) -> None:
        self._models = {served.name: served for served in models}
        self._worker = worker
        self._api_key = api_key
        self._started = int(time.time())

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._guard], client_max_size=_BODY_LIMIT)
        app.add_routes(
            [
                web.get("/health", self.health),
                web.get("/metrics", self.metrics),
                web.get("/v1/models", self.models),
                web.post("/tokenize", self.tokenize),
                web.post("/v1/completions", self.completions),
                web.post("/v1/chat/completions", self.chat),
                web.post("/pooling", self.pooling),
                web.post("/generative_scoring", self.scoring),
            ]
        )
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Check the key of /v1 and turn errors into OpenAI's shape."""
        if request.path.startswith("/v1") and not self._is_authorized(request):
            return _json({"error": "Unauthorized"}, 401)
        try:
            return await handler(request)
        except RequestError as error:
            return _error(error.message, error.type, error.status, error.param)
        except EngineDead as error:
            return _error(str(error), Failed.type, Failed.status)
        except web.HTTPException as error:
            return _error(error.reason, HTTPStatus(error.status).phrase, error.status)

    def _is_authorized(self, request: web.Request) -> bool:
        if self._api_key is None:
            return True
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        matches = secrets.compare_digest(key.encode(), self._api_key.encode())
        return scheme.lower() == "bearer" and matches

    def _served(self, name: str | None) -> Served:
        """The model of that name; without a name, the first."""
        if not name:
            return next(iter(self._models.values()))
        if name not in self._models:
            raise NotFound(f"The model `{name}` does not exist.", param="model")
        return self._models[name]

    async def health(self, _request: web.Request) -> web.Response:
        return web.Response(status=200 if self._worker.failure is None else 503)

    async def metrics(self, _request: web.Request) -> web.Response:
        lines = [line for s in self._models.values() for line in s.stats.lines(s.name)]
        return web.Response(text="\n".join(_typed_once(lines)) + "\n")

    async def models(self, _request: web.Request) -> web.Response:
        cards = [
            wire.ModelCard(s.name, self._started, str(s.folder), s.context)
            for s in self._models.values()
        ]
        return _json(wire.ModelList(cards))

    async def tokenize(self, http: web.Request) -> web.Response:
        request = await _body(http, wire.TokenizeRequest)
        served = self._served(request.model)
        if request.messages is not None:
            ids = chat_ids(
                request.messages,
                served,
                add_generation_prompt=request.add_generation_prompt,
                continue_final_message=request.continue_final_message,
            )
        elif request.prompt is not None:
            ids = served.text.encode(request.prompt)
        else:
            raise BadRequest("either prompt or messages must be given", param="prompt")
        strings = [served.text.string(i) for i in ids] if request.return_token_strs else None
        return _json(wire.TokenizeResponse(len(ids), served.context, ids, strings))

    async def completions(self, http: web.Request) -> web.StreamResponse:
        request = await _body(http, wire.CompletionRequest)
        served = self._served(request.model)
        if request.stream:
            return await stream_completion(http, request, served, self._submit)
        job = completion_job(request, served)
        self._submit(job, served)
        await job.ticket.wait()
        return _json(completion_response(job, request, served))

    async def chat(self, http: web.Request) -> web.StreamResponse:
        request = await _body(http, wire.ChatRequest)
        served = self._served(request.model)
        if request.stream:
            return await stream_chat(http, request, served, self._submit)
        job = chat_job(request, served)
        self._submit(job, served)
        await job.ticket.wait()
        return _json(chat_response(job, request, served))

    async def pooling(self, http: web.Request) -> web.Response:
        request = await _body(http, wire.PoolingRequest)
        served = self._served(request.model)
        job = pooling_job(request, served)
        await self._score(job, served)
        return _json(pooling_response(job, served))

    async def scoring(self, http: web.Request) -> web.Response:
        request = await _body(http, wire.ScoringRequest)
        served = self._served(request.model)
        job = scoring_job(request, served)
        await self._score(job, served)
        return _json(scoring_response(job, request, served))

    def _submit(self, job: Job, served: Served) -> None:
        assert served.generator is not None, "a job is only made for a model that generates"
        served.generator.submit(job)
        self._worker.wake()

    async def _score(self, job: ScoreJob, served: Served) -> None:
        served.scorer.submit(job)
        self._worker.wake()
        await job.ticket.wait()


async def _body(http: web.Request, shape: type[R]) -> R:
    try:
        return msgspec.json.decode(await http.read(), type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(str(error), type="Bad Request") from None


def _json(value: object, status: int = 200) -> web.Response:
    body = _encoder.encode(value)
    return web.Response(body=body, status=status, content_type="application/json")


def _error(message: str, type: str, status: int, param: str | None = None) -> web.Response:
    return _json(wire.ErrorResponse(wire.Error(message, type, param, status)), status)


def _typed_once(lines: Sequence[str]) -> list[str]:
    """Prometheus' text format wants one TYPE line a metric, before all its samples."""
    kinds: dict[str, list[str]] = {}
    samples: list[str] = []
    for line in lines:
        if line.startswith("#"):
            samples = kinds.setdefault(line, [])
        else:
            samples.append(line)
    return [line for kind, samples in kinds.items() for line in (kind, *samples)]
