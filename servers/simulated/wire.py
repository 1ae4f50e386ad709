"""The JSON of vLLM's API, as far as a simulated replica reads and writes it."""

from typing import Annotated

import msgspec

Count = Annotated[int, msgspec.Meta(ge=1)]


class Refusal(Exception):
    """A request that is answered with an error: its HTTP ``status``, and what is wrong."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class GenerateRequest(msgspec.Struct, kw_only=True):
    model: str = ""
    n: Count | None = 1
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    temperature: float | None = 1.0
    seed: int | None = None
    stop: str | list[str] | None = None
    include_stop_str_in_output: bool = False
    return_token_ids: bool | None = None
    stream: bool | None = False


class CompletionRequest(GenerateRequest, kw_only=True):
    """``prompt``: a text, token ids, or a list of either; read as it came."""

    prompt: msgspec.Raw
    max_tokens: Count | None = 16


class Part(msgspec.Struct):
    text: str = ""


class Message(msgspec.Struct):
    role: str
    content: str | list[Part] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "".join(part.text for part in self.content)
        return self.content or ""


class ChatRequest(GenerateRequest, kw_only=True):
    messages: list[Message]
    continue_final_message: bool = False


class PoolingRequest(msgspec.Struct, kw_only=True):
    model: str = ""
    input: str | list[str]


class TokenizeRequest(msgspec.Struct, kw_only=True):
    prompt: str


class Details(msgspec.Struct):
    cached_tokens: int


class Usage(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: Details


class Choice(msgspec.Struct):
    index: int
    text: str
    finish_reason: str
    stop_reason: str | None
    token_ids: msgspec.Raw | None = None
    logprobs: None = None


class AssistantMessage(msgspec.Struct):
    content: str
    role: str = "assistant"


class ChatChoice(msgspec.Struct):
    index: int
    message: AssistantMessage
    finish_reason: str
    stop_reason: str | None
    token_ids: msgspec.Raw | None = None
    logprobs: None = None


class Completion(msgspec.Struct):
    model: str
    choices: list[Choice]
    usage: Usage
    id: str = "cmpl-simulated"
    object: str = "text_completion"
    created: int = 0


class Chat(msgspec.Struct):
    model: str
    choices: list[ChatChoice]
    usage: Usage
    prompt_token_ids: msgspec.Raw | None = None
    id: str = "chatcmpl-simulated"
    object: str = "chat.completion"
    created: int = 0


class PoolingItem(msgspec.Struct):
    index: int
    data: list[tuple[float, float]]
    object: str = "pooling"


class Pooling(msgspec.Struct):
    model: str
    data: list[PoolingItem]
    usage: Usage
    id: str = "pool-simulated"
    object: str = "list"
    created: int = 0


class ModelCard(msgspec.Struct):
    id: str
    max_model_len: int
    object: str = "model"
    created: int = 0
    owned_by: str = "simulated"


class ModelList(msgspec.Struct):
    data: list[ModelCard]
    object: str = "list"


class ErrorDetail(msgspec.Struct):
    message: str
    type: str
    code: int
    param: None = None


class ErrorBody(msgspec.Struct):
    error: ErrorDetail


class Tokens(msgspec.Struct):
    tokens: list[int]
    count: int
    max_model_len: int


encode = msgspec.json.Encoder().encode
decode_completion = msgspec.json.Decoder(CompletionRequest).decode
decode_chat = msgspec.json.Decoder(ChatRequest).decode
decode_pooling = msgspec.json.Decoder(PoolingRequest).decode
decode_tokenize = msgspec.json.Decoder(TokenizeRequest).decode


def usage(prompt: int, generated: int, cached: int) -> Usage:
    return Usage(prompt, generated, prompt + generated, Details(cached))


def error(status: int, message: str) -> bytes:
    return encode(ErrorBody(ErrorDetail(message, "simulated", status)))
