"""The two generating routes: a request in, choices out."""

import secrets
import time
from dataclasses import replace

from servers.tiny import wire
from servers.tiny.errors import BadRequest
from servers.tiny.jobs import Job, Progress, SamplingParams
from servers.tiny.logprobs import chat_logprobs, completion_logprobs, prompt_logprobs
from servers.tiny.prompts import chat_ids, check_length, prompts_of
from servers.tiny.served import Served
from servers.tiny.stopping import StopRule
from servers.tiny.ticket import JobTicket

_MOST_LOGPROBS = 20
_MOST_LOGPROB_IDS = 128
_MOST_CHOICES = 16384
_DEFAULT_MAX_TOKENS = 16  # OpenAI's, of /v1/completions


def completion_job(
    request: wire.CompletionRequest, served: Served, progress: Progress | None = None
) -> Job:
    """Raises ``BadRequest`` for what cannot be served."""
    if not request.prompt:
        raise BadRequest("Either prompt or prompt_embeds must be provided and non-empty.")
    if request.echo:
        raise BadRequest("echo is not supported by this server", param="echo")
    most = _DEFAULT_MAX_TOKENS if request.max_tokens is None else request.max_tokens
    prompts = prompts_of(request.prompt, served)
    logprob_ids = _logprob_ids(request, served)
    # Named tokens are reported in place of the likeliest, however many of those are asked for.
    logprobs = 0 if logprob_ids else request.logprobs
    sampling = _sampling(request, served, max_tokens=most, logprobs=logprobs)
    sampling = replace(sampling, logprob_ids=logprob_ids)
    return _job(prompts, sampling, served, progress)


def _logprob_ids(request: wire.CompletionRequest, served: Served) -> tuple[int, ...]:
    ids = tuple(request.logprob_token_ids or ())
    if ids and request.logprobs is None:
        raise BadRequest(
            "when using `logprob_token_ids`, `logprobs` must be set.", param="logprob_token_ids"
        )
    if len(ids) > _MOST_LOGPROB_IDS:
        raise BadRequest(
            f"Requested logprob_token_ids of length {len(ids)}, which is greater than max allowed: "
            f"{_MOST_LOGPROB_IDS}",
            param="logprob_token_ids",
        )
    wrong = [token for token in ids if not 0 <= token < served.vocabulary]
    if wrong:
        raise BadRequest(
            f"token_id(s) {wrong} in logprob_token_ids contain out-of-vocab token ids. Vocabulary "
            f"size: {served.vocabulary}",
            param="logprob_token_ids",
        )
    return ids


def chat_job(request: wire.ChatRequest, served: Served, progress: Progress | None = None) -> Job:
    """Raises ``BadRequest`` for what cannot be served."""
    ids = chat_ids(
        request.messages,
        served,
        add_generation_prompt=request.add_generation_prompt,
        continue_final_message=request.continue_final_message,
    )
    if request.top_logprobs and not request.logprobs:
        raise BadRequest("when using `top_logprobs`, `logprobs` must be set to true.")
    most = request.max_completion_tokens
    most = request.max_tokens if most is None else most
    sampling = _sampling(
        request,
        served,
        max_tokens=served.context if most is None else most,
        logprobs=(request.top_logprobs or 0) if request.logprobs else None,
    )
    return _job([ids], sampling, served, progress)


def _job(
    prompts: list[list[int]], sampling: SamplingParams, served: Served, progress: Progress | None
) -> Job:
    if served.generator is None:
        raise BadRequest(
            f"The model `{served.name}` is a process reward model and does not generate: "
            "use /pooling."
        )
    for ids in prompts:
        check_length(ids, served, output=sampling.max_tokens)
    return Job(prompts, sampling, JobTicket.open(), progress)


def _sampling(
    request: wire.GenerateRequest, served: Served, *, max_tokens: int, logprobs: int | None
) -> SamplingParams:
    n = 1 if request.n is None else request.n
    temperature = 1.0 if request.temperature is None else request.temperature
    top_p = 1.0 if request.top_p is None else request.top_p
    stops = [request.stop] if isinstance(request.stop, str) else request.stop or []
    seed = secrets.randbits(63) if request.seed is None else request.seed
    if n < 1:
        raise BadRequest(f"n must be at least 1, got {n}.", param="n")
    if n > _MOST_CHOICES:
        raise BadRequest(f"n must be at most {_MOST_CHOICES}, got {n}.", param="n")
    if not temperature >= 0:
        raise BadRequest(
            f"temperature must be non-negative, got {temperature}.", param="temperature"
        )
    if temperature == 0 and n > 1:
        raise BadRequest(f"n must be 1 when using greedy sampling, got {n}.", param="n")
    if not 0 < top_p <= 1:
        raise BadRequest(f"top_p must be in (0, 1], got {top_p}.", param="top_p")
    if max_tokens < 1:
        raise BadRequest(f"max_tokens must be at least 1, got {max_tokens}.", param="max_tokens")
    if not all(stops):
        raise BadRequest("stop cannot contain an empty string.", param="stop")
    if not -(2**63) <= seed < 2**63:
        raise BadRequest("seed must fit in 64 bits.", param="seed")
    _check_logprobs(logprobs, "logprobs", "sample logprobs")
    _check_logprobs(request.prompt_logprobs, "prompt_logprobs", "prompt logprobs")
    rule = StopRule.build(
        served.text,
        end_of_text=frozenset() if request.ignore_eos else served.end_of_text,
        strings=stops,
        tokens=request.stop_token_ids or [],
        included=request.include_stop_str_in_output,
    )
    return SamplingParams(
        n=n,
        temperature=temperature,
        top_p=top_p,
        max_tokens=max_tokens,
        seed=seed,
        rule=rule,
        logprobs=logprobs,
        prompt_logprobs=request.prompt_logprobs,
    )


def _check_logprobs(asked: int | None, param: str, what: str) -> None:
    if asked is not None and not 0 <= asked <= _MOST_LOGPROBS:
        raise BadRequest(
            f"Requested {what} of {asked}, which is greater than max allowed: {_MOST_LOGPROBS}",
            param=param,
        )


def usage_of(job: Job) -> wire.Usage:
    """Tokens of a finished job; a prompt counts once for all its choices."""
    prompt = sum(map(len, job.prompts))
    completion = sum(len(c.ids) for c in job.completions)
    details = wire.PromptTokensDetails(job.cached_tokens)
    return wire.Usage(prompt, prompt + completion, completion, details)


def completion_response(
    job: Job, request: wire.CompletionRequest, served: Served
) -> wire.CompletionResponse:
    choices = []

    def name(token: int) -> str:
        by_id = request.return_tokens_as_token_ids
        return f"token_id:{token}" if by_id else served.text.spelled(token)

    for index, completion in enumerate(job.completions):
        ending = completion.ending
        assert ending is not None, "a resolved job has ended every choice"
        choice = wire.CompletionChoice(
            index=index,
            text=ending.text,
            finish_reason=ending.finish_reason,
            stop_reason=ending.stop_reason,
        )
        if job.sampling.logprobs is not None:
            choice.logprobs = completion_logprobs(completion, name)
        if request.return_token_ids:
            choice.token_ids = completion.ids
            choice.prompt_token_ids = job.prompts[index // job.sampling.n]
        choice.prompt_logprobs = prompt_logprobs(job, index // job.sampling.n, served)
        choices.append(choice)
    return wire.CompletionResponse(
        f"cmpl-{secrets.token_hex(16)}", int(time.time()), served.name, choices, usage_of(job)
    )


def chat_response(job: Job, request: wire.ChatRequest, served: Served) -> wire.ChatResponse:
    choices = []
    for index, completion in enumerate(job.completions):
        ending = completion.ending
        assert ending is not None, "a resolved job has ended every choice"
        choice = wire.ChatChoice(
            index=index,
            message=wire.ChatMessage("assistant", ending.text),
            finish_reason=ending.finish_reason,
            stop_reason=ending.stop_reason,
        )
        if job.sampling.logprobs is not None:
            choice.logprobs = chat_logprobs(completion, served)
        if request.return_token_ids:
            choice.token_ids = completion.ids
        choices.append(choice)
    return wire.ChatResponse(
        f"chatcmpl-{secrets.token_hex(16)}",
        int(time.time()),
        served.name,
        choices,
        usage_of(job),
        prompt_token_ids=job.prompts[0] if request.return_token_ids else None,
        prompt_logprobs=prompt_logprobs(job, 0, served),
    )
