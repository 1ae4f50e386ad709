"""The JSON that goes over the wire, under vLLM's names. Unknown fields of a request are ignored."""

from typing import Literal

import msgspec
from msgspec import Struct

# msgspec reads one kind of list per field: what the list holds is checked where it is used.
PromptInput = str | list[int | str | list[int]]


class TextPart(Struct):
    type: str
    text: str = ""


class Message(Struct):
    role: str
    content: str | list[TextPart] | None = None


class StreamOptions(Struct):
    include_usage: bool | None = None


class GenerateRequest(Struct, kw_only=True):
    """What both generating routes take."""

    model: str | None = None
    n: int | None = 1
    stop: str | list[str] | None = None
    stop_token_ids: list[int] | None = None
    include_stop_str_in_output: bool = False
    ignore_eos: bool = False
    seed: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    return_token_ids: bool | None = None
    prompt_logprobs: int | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None


class CompletionRequest(GenerateRequest, kw_only=True):
    prompt: PromptInput | None = None
    logprobs: int | None = None
    logprob_token_ids: list[int] | None = None
    return_tokens_as_token_ids: bool | None = None
    echo: bool | None = None


class ChatFormat(Struct, kw_only=True):
    messages: list[Message] | None = None
    add_generation_prompt: bool = True
    continue_final_message: bool = False


class ChatRequest(GenerateRequest, kw_only=True):
    messages: list[Message]
    add_generation_prompt: bool = True
    continue_final_message: bool = False
    max_completion_tokens: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


class TokenizeRequest(ChatFormat, kw_only=True):
    model: str | None = None
    prompt: str | None = None
    return_token_strs: bool | None = None


class PoolingRequest(ChatFormat, kw_only=True):
    model: str | None = None
    input: PromptInput | None = None
    # A pooling request continues nothing unless it says so: vLLM's default for this route.
    add_generation_prompt: bool = False


class ScoringRequest(Struct, kw_only=True):
    query: str | list[int]
    items: list[str | list[int]]
    label_token_ids: list[int]
    model: str | None = None
    apply_softmax: bool = True
    item_first: bool = False


class PromptTokensDetails(Struct):
    cached_tokens: int


class Usage(Struct):
    prompt_tokens: int
    total_tokens: int
    completion_tokens: int
    prompt_tokens_details: PromptTokensDetails | None = None


class PromptToken(Struct):
    logprob: float
    rank: int
    decoded_token: str


PromptLogprobs = list[dict[str, PromptToken] | None]
"""Of each token of a prompt, and of the likeliest in its place, by their ids. Nothing is known of
the first."""


class CompletionLogprobs(Struct):
    text_offset: list[int]
    token_logprobs: list[float]
    tokens: list[str]
    top_logprobs: list[dict[str, float]]


class CompletionChoice(Struct):
    index: int
    text: str
    logprobs: CompletionLogprobs | None = None
    finish_reason: str | None = None
    stop_reason: int | str | None = None
    token_ids: list[int] | None = None
    prompt_logprobs: PromptLogprobs | None = None
    prompt_token_ids: list[int] | None = None


class CompletionResponse(Struct):
    id: str
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage | None = None
    object: Literal["text_completion"] = "text_completion"
    system_fingerprint: None = None


class ChatLogprob(Struct):
    token: str
    logprob: float
    bytes: list[int]


class ChatTokenLogprob(Struct):
    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[ChatLogprob]


class ChatLogprobs(Struct):
    content: list[ChatTokenLogprob]


class ChatMessage(Struct, omit_defaults=True):
    role: str | None = None
    content: str | None = None


class ChatChoice(Struct):
    index: int
    message: ChatMessage
    logprobs: ChatLogprobs | None = None
    finish_reason: str | None = None
    stop_reason: int | str | None = None
    token_ids: list[int] | None = None


class ChatResponse(Struct):
    id: str
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage
    object: Literal["chat.completion"] = "chat.completion"
    system_fingerprint: None = None
    prompt_logprobs: PromptLogprobs | None = None
    prompt_token_ids: list[int] | None = None


class ChatChunkChoice(Struct):
    index: int
    delta: ChatMessage
    logprobs: None = None
    finish_reason: str | None = None
    stop_reason: int | str | None = None
    token_ids: list[int] | None = None


class ChatChunk(Struct):
    id: str
    created: int
    model: str
    choices: list[ChatChunkChoice]
    usage: Usage | None = None
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    prompt_token_ids: list[int] | None = None


class TokenizeResponse(Struct):
    count: int
    max_model_len: int
    tokens: list[int]
    token_strs: list[str] | None = None


class PoolingData(Struct):
    index: int
    data: list[tuple[float, float]]
    object: Literal["pooling"] = "pooling"


class PoolingResponse(Struct):
    id: str
    created: int
    model: str
    data: list[PoolingData]
    usage: Usage
    object: Literal["list"] = "list"


class Score(Struct):
    index: int
    score: float
    object: Literal["score"] = "score"


class ScoringResponse(Struct):
    id: str
    created: int
    model: str
    data: list[Score]
    usage: Usage
    object: Literal["list"] = "list"


class ModelCard(Struct):
    id: str
    created: int
    root: str
    max_model_len: int
    object: Literal["model"] = "model"
    owned_by: Literal["vllm"] = "vllm"
    parent: None = None
    permission: list[str] = msgspec.field(default_factory=list)


class ModelList(Struct):
    data: list[ModelCard]
    object: Literal["list"] = "list"


class Error(Struct):
    message: str
    type: str
    param: str | None
    code: int


class ErrorResponse(Struct):
    error: Error
