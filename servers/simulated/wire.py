"""The JSON of vLLM's API, as far as a simulated replica reads and writes it."""

from typing import Annotated

import msgspec

AtLeastOne = Annotated[int, msgspec.Meta(ge=1)]


class Refusal(Exception):
    """A request that is answered with an error: its HTTP ``status``, and what is wrong."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class GenerateCall(msgspec.Struct, kw_only=True):
    model: str = ""
    n: AtLeastOne | None = 1
    max_tokens: AtLeastOne | None = None
    max_completion_tokens: AtLeastOne | None = None
    temperature: float | None = 1.0
    seed: int | None = None
    stop: str | list[str] | None = None
    include_stop_str_in_output: bool = False
    return_token_ids: bool | None = None
    stream: bool | None = False


class CompletionCall(GenerateCall, kw_only=True):
    """``prompt``: a text, token ids, or a list of either; read as it came."""

    prompt: msgspec.Raw
    logprobs: int | None = None
    max_tokens: AtLeastOne | None = 16


class Part(msgspec.Struct):
    text: str = ""


class ChatTurn(msgspec.Struct):
    role: str
    content: str | list[Part] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "".join(part.text for part in self.content)
        return self.content or ""


class ChatCall(GenerateCall, kw_only=True):
    messages: list[ChatTurn]
    continue_final_message: bool = False
    logprobs: bool | None = None


class PoolingCall(msgspec.Struct, kw_only=True):
    model: str = ""
    input: str | list[str]


class TokenizeCall(msgspec.Struct, kw_only=True):
    prompt: str


class Details(msgspec.Struct):
    cached_tokens: int


class TokenUsage(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: Details


class TokenLogprobs(msgspec.Struct):
    """Of a sample over ``/v1/completions``."""

    token_logprobs: list[float]


class ChatToken(msgspec.Struct):
    logprob: float
    token: str = ""


class SampledLogprobs(msgspec.Struct):
    content: list[ChatToken]


class WrittenChoice(msgspec.Struct):
    index: int
    text: str
    finish_reason: str
    stop_reason: str | None
    token_ids: msgspec.Raw | None = None
    logprobs: TokenLogprobs | None = None


class AssistantMessage(msgspec.Struct):
    content: str
    role: str = "assistant"


class WrittenChatChoice(msgspec.Struct):
    index: int
    message: AssistantMessage
    finish_reason: str
    stop_reason: str | None
    token_ids: msgspec.Raw | None = None
    logprobs: SampledLogprobs | None = None


class CompletionBody(msgspec.Struct):
    model: str
    choices: list[WrittenChoice]
    usage: TokenUsage
    id: str = "cmpl-simulated"
    object: str = "text_completion"
    created: int = 0


class ChatBody(msgspec.Struct):
    model: str
    choices: list[WrittenChatChoice]
    usage: TokenUsage
    prompt_token_ids: msgspec.Raw | None = None
    id: str = "chatcmpl-simulated"
    object: str = "chat.completion"
    created: int = 0


class PoolingItem(msgspec.Struct):
    index: int
    data: list[tuple[float, float]]
    object: str = "pooling"


class PoolingBody(msgspec.Struct):
    model: str
    data: list[PoolingItem]
    usage: TokenUsage
    id: str = "pool-simulated"
    object: str = "list"
    created: int = 0


class ServedCard(msgspec.Struct):
    id: str
    max_model_len: int
    object: str = "model"
    created: int = 0
    owned_by: str = "simulated"


class ServedCards(msgspec.Struct):
    data: list[ServedCard]
    object: str = "list"


class ErrorDetail(msgspec.Struct):
    message: str
    type: str
    code: int
    param: None = None


class ErrorBody(msgspec.Struct):
    error: ErrorDetail


class TokenizeBody(msgspec.Struct):
    tokens: list[int]
    count: int
    max_model_len: int


encode = msgspec.json.Encoder().encode
decode_completion = msgspec.json.Decoder(CompletionCall).decode
decode_chat = msgspec.json.Decoder(ChatCall).decode
decode_pooling = msgspec.json.Decoder(PoolingCall).decode
decode_tokenize = msgspec.json.Decoder(TokenizeCall).decode


def usage(prompt: int, generated: int, cached: int) -> TokenUsage:
    return TokenUsage(prompt, generated, prompt + generated, Details(cached))


def error(status: int, message: str) -> bytes:
    return encode(ErrorBody(ErrorDetail(message, "simulated", status)))
