"""The JSON of OpenAI-compatible servers, as far as the orchestrator reads and writes it.

Every field a server may leave out has a default; what must be there (``choices``, ``data``) has
none, so a lying answer fails where it is decoded.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypedDict

import msgspec

from orchestrator.formats.chat import Messages

if TYPE_CHECKING:
    Count = int
else:
    Count = int | None
"""Of tokens, as servers send it: null is as good as left out, and 0 once it is read."""


class GenerateRequest(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What both generating routes take. ``n`` samples of at most ``max_tokens`` each."""

    model: str
    n: int = 1
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: list[str] | None = None
    include_stop_str_in_output: bool = False
    return_token_ids: bool = False
    prompt_logprobs: int | None = None


class SamplingFields(TypedDict):
    """What a policy sets of a ``GenerateRequest``."""

    model: str
    n: int
    max_tokens: int | None
    temperature: float
    top_p: float
    seed: int
    stop: list[str] | None
    include_stop_str_in_output: bool
    prompt_logprobs: int | None


class CompletionRequest(GenerateRequest, kw_only=True, omit_defaults=True):
    """``max_tokens`` null is all the room there is; left out, the API takes it for 16.

    ``logprobs`` counts the alternatives to tell beside each sampled token.
    """

    prompt: str | Sequence[int] | msgspec.Raw
    max_tokens: int | None = 16
    logprobs: int | None = None


class ChatRequest(GenerateRequest, kw_only=True, omit_defaults=True):
    messages: Messages
    add_generation_prompt: bool = True
    continue_final_message: bool = False
    logprobs: bool | None = None


class NextTokenRequest(msgspec.Struct, kw_only=True):
    """``/v1/completions`` for the log-probabilities of some tokens as the prompt's next one.

    vLLM's extensions name the tokens by id, so that no two spelled alike can be confused.
    """

    model: str
    prompt: str
    logprob_token_ids: Sequence[int]
    logprobs: int
    add_special_tokens: bool
    max_tokens: int = 1
    temperature: float = 0.0
    return_tokens_as_token_ids: bool = True


class PoolingRequest(msgspec.Struct, kw_only=True):
    """Inputs as texts or as token ids."""

    model: str
    input: Sequence[str | tuple[int, ...]]


class PoolingChatRequest(msgspec.Struct, kw_only=True):
    model: str
    messages: Messages


class TokenizeRequest(msgspec.Struct, kw_only=True):
    model: str
    prompt: str
    add_special_tokens: bool


class TokenizeChatRequest(msgspec.Struct, kw_only=True):
    """``/tokenize`` of a conversation whose last message is open."""

    model: str
    messages: Messages
    add_generation_prompt: bool = False
    continue_final_message: bool = True


class TokenDetails(msgspec.Struct):
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class Usage(msgspec.Struct):
    prompt_tokens: Count = 0
    completion_tokens: Count = 0
    total_tokens: Count = 0
    prompt_tokens_details: TokenDetails | None = None
    completion_tokens_details: TokenDetails | None = None

    def __post_init__(self) -> None:
        self.prompt_tokens = max(0, self.prompt_tokens or 0)  # some answer -1 for unknown
        self.completion_tokens = max(0, self.completion_tokens or 0)
        self.total_tokens = max(0, self.total_tokens or 0)

    @property
    def cached_tokens(self) -> int:
        details = self.prompt_tokens_details
        cached = (details.cached_tokens or 0) if details else 0
        return min(max(0, cached), self.prompt_tokens)

    @property
    def written_tokens(self) -> int:
        """All that was generated, what a reasoning model thought included.

        OpenAI counts those among the completion's tokens; some clouds beside them, which the total
        gives away.
        """
        details = self.completion_tokens_details
        thought = max(0, details.reasoning_tokens or 0) if details else 0
        beside = thought and self.prompt_tokens + self.completion_tokens + thought
        return self.completion_tokens + (thought if beside == self.total_tokens else 0)


if TYPE_CHECKING:
    Billed = Usage
else:
    Billed = Usage | None
"""A usage, as servers send it: null is as good as left out."""


class Answered(msgspec.Struct, kw_only=True):
    """What answers of models have in common: who gave them, and what they are billed at, which
    is nothing where the server does not tell."""

    model: str
    usage: Billed = msgspec.field(default_factory=Usage)

    def __post_init__(self) -> None:
        self.usage = self.usage or Usage()


class CompletionChoice(msgspec.Struct):
    """One sample; ``ends`` says what it comes to."""

    index: int
    text: str | None = None
    finish_reason: Any = None
    stop_reason: int | str | None = None
    error: Any = None
    token_ids: msgspec.Raw = msgspec.Raw()
    prompt_token_ids: msgspec.Raw = msgspec.Raw()
    logprobs: msgspec.Raw = msgspec.Raw()
    prompt_logprobs: msgspec.Raw = msgspec.Raw()


class CompletionResponse(Answered):
    choices: list[CompletionChoice]


class ChatMessage(msgspec.Struct):
    """``content`` may be a list of parts. What a reasoning parser took out of it stands in
    ``reasoning``, in ``reasoning_content`` of older servers; anything may stand in each of them."""

    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    refusal: Any = None
    tool_calls: Any = None
    function_call: Any = None


class ChatChoice(msgspec.Struct):
    """One sample; ``ends`` says what it comes to. A stop string that was met is a ``stop_reason``
    to vLLM, a ``matched_stop`` to SGLang."""

    index: int
    message: ChatMessage | None = None
    finish_reason: Any = None
    stop_reason: int | str | None = None
    matched_stop: int | str | None = None
    error: Any = None
    token_ids: msgspec.Raw = msgspec.Raw()
    logprobs: msgspec.Raw = msgspec.Raw()


class ChatResponse(Answered):
    choices: list[ChatChoice]
    prompt_token_ids: msgspec.Raw = msgspec.Raw()
    prompt_logprobs: msgspec.Raw = msgspec.Raw()


class SampledToken(msgspec.Struct):
    logprob: float | None = None


class SampleLogprobs(msgspec.Struct):
    """A choice's ``logprobs``: of chat they are its ``content``, of completions
    ``token_logprobs``."""

    content: list[SampledToken] | None = None
    token_logprobs: list[float | None] | None = None


class PromptToken(msgspec.Struct):
    """One token of a prompt, as vLLM tells it."""

    logprob: float | None = None
    decoded_token: str | None = None


class NextTokenLogprobs(msgspec.Struct):
    """``top_logprobs`` of the one token, by ``token_id:ID``."""

    top_logprobs: list[dict[str, float | None] | None]


class NextTokenChoice(msgspec.Struct):
    index: int
    logprobs: NextTokenLogprobs | None = None


class NextTokenResponse(Answered):
    choices: list[NextTokenChoice]


class PoolingItem(msgspec.Struct):
    """``data`` is a row for each position, or one row where a whole input is classified.

    A null is what becomes of NaN in JSON.
    """

    index: int
    data: list[list[float | None] | float | None]


class PoolingResponse(Answered):
    data: list[PoolingItem]


class TokenizeResponse(msgspec.Struct):
    tokens: list[int]


class ModelCard(msgspec.Struct):
    id: str
    max_model_len: int | None = None
    owned_by: str | None = None

    @property
    def is_simulated(self) -> bool:
        """Whether nothing is behind it but Orchard's model of a server."""
        return self.owned_by == "simulated"


class ModelList(msgspec.Struct):
    data: list[ModelCard]


class ErrorDetail(msgspec.Struct):
    message: str = ""
    type: str | None = None
    param: str | None = None
    code: int | str | None = None


class ErrorResponse(msgspec.Struct):
    error: ErrorDetail | str


def is_given(field: msgspec.Raw) -> bool:
    """Whether a server sent the field with a value, rather than null or not at all."""
    return bytes(field) not in (b"", b"null")


def token_part(listed: msgspec.Raw) -> bytes | None:
    """The numbers of a JSON list of token ids as they stand, ``b"12,7,9"``; None for null.

    Token ids only go back to the server that sent them, so they are never made into numbers, which
    took nearly half of the client's memory. Raises ``ValueError`` where it is no such list.
    """
    if not is_given(listed):
        return None
    text = bytes(listed).translate(None, b" \t\r\n")
    if text[:1] + text[-1:] != b"[]" or text[1:-1].translate(None, b"0123456789,"):
        raise ValueError("token_ids that are no list of numbers")
    return text[1:-1]


def token_list(parts: Sequence[bytes]) -> msgspec.Raw:
    """The JSON list of the token ids of all ``parts``, one after the other."""
    return msgspec.Raw(b"[" + b",".join(filter(None, parts)) + b"]")


def token_count(part: bytes) -> int:
    return part.count(b",") + 1 if part else 0


encode = msgspec.json.Encoder().encode
decode_any = msgspec.json.Decoder(Any).decode
