"""The two scoring routes: sequences in, step scores or label probabilities out."""

import math
import secrets
import time

from servers.tiny import wire
from servers.tiny.errors import BadRequest
from servers.tiny.prompts import chat_ids, check_length, prompts_of
from servers.tiny.scoring import ScoreJob
from servers.tiny.served import Served
from servers.tiny.ticket import JobTicket


def pooling_job(request: wire.PoolingRequest, served: Served) -> ScoreJob:
    """Raises ``BadRequest`` for what cannot be served."""
    if not served.scores_steps:
        raise BadRequest(f"The model `{served.name}` does not support the Pooling API.")
    if request.messages is not None:
        inputs = [
            chat_ids(
                request.messages,
                served,
                add_generation_prompt=request.add_generation_prompt,
                continue_final_message=request.continue_final_message,
            )
        ]
    elif request.input is not None:
        inputs = prompts_of(request.input, served)
    else:
        raise BadRequest("either input or messages must be given", param="input")
    for ids in inputs:
        check_length(ids, served, output=0)
    return ScoreJob(inputs, JobTicket.open())


def pooling_response(job: ScoreJob, served: Served) -> wire.PoolingResponse:
    data = [wire.PoolingData(index, steps) for index, steps in enumerate(job.steps)]
    return wire.PoolingResponse(
        f"pool-{secrets.token_hex(16)}", int(time.time()), served.name, data, _usage(job)
    )


def scoring_job(request: wire.ScoringRequest, served: Served) -> ScoreJob:
    """Raises ``BadRequest`` for what cannot be served. Too long a sequence loses its end."""
    if not served.is_causal:
        raise BadRequest(f"The model `{served.name}` does not support the Generative Scoring API")
    for token in request.label_token_ids:
        if not 0 <= token < served.vocabulary:
            raise BadRequest(
                f"label_token_id {token} is out of vocabulary range [0, {served.vocabulary}). "
                "Please provide valid token IDs."
            )
    if not request.label_token_ids:
        raise BadRequest("label_token_ids must contain at least one token ID.")
    if not request.items:
        raise BadRequest("items must contain at least one item.")
    query = _ids(request.query, served)
    inputs = []
    for item in request.items:
        ids = _ids(item, served)
        inputs.append((ids + query if request.item_first else query + ids)[: served.context])
        check_length(inputs[-1], served, output=0)
    return ScoreJob(inputs, JobTicket.open(), tuple(request.label_token_ids))


def scoring_response(
    job: ScoreJob, request: wire.ScoringRequest, served: Served
) -> wire.ScoringResponse:
    """Each item's probability of the first label, among the labels or the whole vocabulary."""
    data = []
    for index, logprobs in enumerate(job.label_logprobs):
        chances = [math.exp(logprob) for logprob in logprobs]
        score = chances[0] / sum(chances) if request.apply_softmax else chances[0]
        data.append(wire.Score(index, score))
    return wire.ScoringResponse(
        f"generative-scoring-{secrets.token_hex(16)}",
        int(time.time()),
        served.name,
        data,
        _usage(job),
    )


def _ids(given: str | list[int], served: Served) -> list[int]:
    if isinstance(given, list) and not given:
        return []
    return prompts_of(given if isinstance(given, str) else [*given], served)[0]


def _usage(job: ScoreJob) -> wire.Usage:
    prompt = sum(map(len, job.inputs))
    return wire.Usage(prompt, prompt, 0, wire.PromptTokensDetails(job.cached_tokens))
