"""What servers were seen to say, in their own words, and what it means."""

import pytest

from orchestrator.endpoints.http.wire import encode
from orchestrator.errors import (
    ContentFiltered,
    ContextOverflow,
    EndpointError,
    EndpointRefused,
    EndpointUnavailable,
)
from tests.unit.orchestrator.endpoints.transport.wordings import read


def openai(
    message: str, code: str | int | None = None, kind: str = "invalid_request_error"
) -> bytes:
    return encode({"error": {"message": message, "type": kind, "param": None, "code": code}})


def vllm(message: str, kind: str = "BadRequestError") -> bytes:
    return encode({"object": "error", "message": message, "type": kind, "param": None, "code": 400})


OVERFLOWS = [
    # By code, whatever the words
    (400, openai("Trop long.", "context_length_exceeded")),
    (400, openai("Invalid 'messages[1].content': string too long. Expected a string with maximum "
                 "length 10485760, but got a string with length 12000000 instead.",
                 "string_above_max_length")),
    (400, encode({"error": {"code": 400, "message": "no", "type": "exceed_context_size_error",
                            "n_prompt_tokens": 9000, "n_ctx": 4096}})),
    (400, openai("prompt token count of 168929 exceeds the limit of 168000",
                 "model_max_prompt_tokens_exceeded")),
    (413, b""),
    (413, b"<html><head><title>413 Request Entity Too Large</title></head></html>"),
    (413, encode({"type": "error", "error": {"type": "request_too_large",
                  "message": "Request exceeds the maximum size"}})),
    # OpenAI and those that speak as it does
    (400, openai("This model's maximum context length is 8192 tokens. However, your messages "
                 "resulted in 8227 tokens. Please reduce the length of the messages.")),
    (400, openai("Your input exceeds the context window of this model. Please adjust your input "
                 "and try again.")),
    (400, openai("Input tokens exceed the configured limit of 272000 tokens. Your messages "
                 "resulted in 300000 tokens. Please reduce the length of the messages.")),
    (400, openai("This endpoint's maximum context length is 131072 tokens. However, you requested "
                 "about 150000 tokens (100000 of text input, 50000 in the output).")),
    (400, openai("Input length (265330) exceeds model's maximum context length (262144).")),
    # vLLM, old and new
    (400, vllm("This model's maximum context length is 16384 tokens. However, you requested 122946 "
               "tokens (112946 in the messages, 10000 in the completion). Please reduce the length "
               "of the messages or completion.")),
    (400, openai("You passed 4097 input tokens and requested 0 output tokens. However, the model's "
                 "context length is only 4096 tokens, resulting in a maximum input length of 4096 "
                 "tokens. Please reduce the length of the input prompt.", 400, "BadRequestError")),
    (400, vllm("The decoder prompt (length 88049) is longer than the maximum model length of "
               "32768. Make sure that `max_model_len` is no smaller than the number of text "
               "tokens.")),
    (400, vllm("'max_tokens' or 'max_completion_tokens' is too large: 40000. This model's maximum "
               "context length is 32768 tokens and your request has 23 input tokens (40000 > 32768 "
               "- 23).")),
    (400, vllm("max_tokens must be at least 1, got -53.")),
    (400, vllm("The prompt (total length 9000) is too long to fit into the model (context length "
               "4096).")),
    (500, vllm("The decoder prompt (length 9254) is longer than the maximum model length of 4096.",
               "InternalServerError")),
    (400, vllm("max_tokens=5000 cannot be greater than max_model_len=max_total_tokens=4096. Please "
               "request fewer output tokens.")),
    (400, openai("This model's maximum context length is 262144 tokens. However, you requested 0 "
                 "output tokens and your prompt contains at least 262145 input tokens, for a total "
                 "of at least 262145 tokens. (parameter=input_tokens, value=262145)")),
    # SGLang
    (400, vllm("The input (61709 tokens) is longer than the model's context length (40960 "
               "tokens).")),
    (400, vllm("Requested token count exceeds the model's maximum context length of 8192 tokens. "
               "You requested a total of 9000 tokens: 1000 tokens from the input messages and 8000 "
               "tokens for the completion. Please reduce the number of tokens in the input "
               "messages or the completion to fit within the limit.")),
    (400, vllm("Input length (5000 tokens) exceeds the maximum allowed length (4096 tokens). Use a "
               "shorter input or enable --allow-auto-truncate.")),
    # llama.cpp and LM Studio
    (400, openai("request (133595 tokens) exceeds the available context size (131072 tokens), try "
                 "increasing it", 400, "invalid_request")),
    (400, openai("the request exceeds the available context size, try increasing it", 400)),
    (500, openai("Context size has been exceeded.", 500, "server_error")),
    (500, openai("input is too large to process. increase the physical batch size", 500)),
    (400, encode({"error": "The number of tokens to keep from the initial prompt is greater than "
                           "the context length. Try to load the model with a larger context "
                           "length, or provide a shorter input"})),
    (400, encode({"error": "Trying to keep the first 6269 tokens when context the overflows. "
                           "However, the model is loaded with context length of only 4096 tokens, "
                           "which is not enough."})),
    (400, encode({"error": "Reached context length of 4096 tokens with this model, but this model "
                           "does not currently support mid-generation context overflow."})),
    (400, openai("Requested tokens (4500) exceed context window of 4096")),
    (400, encode({"error": "Cannot truncate prompt with n_keep (8000) >= n_ctx (4096)"})),
    (500, openai("Input prompt is too big compared to KV size. Please try increasing KV size.")),
    # TGI, TEI, Ollama
    (422, encode({"error": "Input validation error: `inputs` must have less than 1024 tokens. "
                           "Given: 2048", "error_type": "validation"})),
    (422, encode({"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= "
                           "4096. Given: 100 `inputs` tokens and 5000 `max_new_tokens`",
                  "error_type": "validation"})),
    (400, encode({"error": "prompt too long; exceeded max context length by 12 tokens"})),
    (500, encode({"error": "the input length exceeds the context length"})),
    # Clouds
    (400, openai("Please reduce the length of the messages or completion.")),
    (400, encode([{"error": {"code": 400, "status": "INVALID_ARGUMENT", "message":
                  "The input token count (1196265) exceeds the maximum number of tokens allowed "
                  "(1048575)."}}])),
    (400, encode({"type": "error", "error": {"type": "invalid_request_error", "message":
                  "prompt is too long: 213462 tokens > 200000 maximum"}})),
    (400, encode({"type": "error", "error": {"type": "invalid_request_error", "message":
                  "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, "
                  "decrease input length or `max_tokens` and try again"}})),
    (400, encode({"object": "error", "type": "invalid_request_error", "message":
                  "Prompt contains 65673 tokens and 0 draft tokens, too large for model with 32768 "
                  "maximum context length"})),
    (400, encode({"message": "Input is too long for requested model."})),
    (400, encode({"message": "Too many input tokens. Max input tokens: 8192, request input token "
                             "count: 9001"})),
    (400, openai("This model's maximum prompt length is 131072 but the request contains 537812 "
                 "tokens.")),
    (400, openai("The total length of all messages is too long.")),
    (400, encode({"message": "too many tokens: total number of tokens in the prompt cannot exceed "
                             "4081 - received 5000."})),
    (400, openai("Invalid request: Your request exceeded model token limit: 131072 (requested: "
                 "150000)")),
    (400, openai("invalid params, context window exceeds limit (2013)")),
    (400, openai("Prompt exceeds max length", "1261")),
    (400, openai("<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, "
                 "129024]", "invalid_parameter_error")),
    (400, openai("Input length 131393 exceeds the maximum allowed input length of 131040 tokens.")),
    (400, openai("Prompt too long: 5152 tokens exceeds max_seq_len 2048 (leave room for output "
                 "tokens)")),
    (400, openai("Prompt has 150,000 tokens, but the configured context size is 128,000 tokens")),
    (400, encode({"error": {"code": 400, "status": "INVALID_ARGUMENT", "message":
                  "Unable to submit request because the input token count is 40000 but model only "
                  "supports up to 32768. Reduce the input token count and try again."}})),
    (400, encode({"message": "Input Tokens Exceeded: Number of input tokens exceeds maximum "
                             "length. Please update the input to try again."})),
    (413, openai("Request body too large for gpt-4o-mini model. Max size: 8000 tokens.",
                 "tokens_limit_reached")),
    (400, openai("The estimated number of input and maximum output tokens (9000) exceeded this "
                 "model context window limit (8192).")),
    (400, openai("prompt token count (9000) cannot exceed 4096. Total tokens + max_tokens cannot "
                 "exceed 8192")),
    (400, openai("Prompt has 9000 tokens, the maximum is 8191 tokens")),
    (400, openai("Request prompt has 9000 tokens in total, larger than the model input length "
                 "limit 8192.")),
    (500, openai("prompt length (9000) exceeds maximum input length (8192). Set log level to info "
                 "and check TRTGptModel logs for how maximum input length is set")),
    (400, openai("Prompt 超长", "1261")),
    # Through a gateway
    (400, openai("litellm.BadRequestError: litellm.ContextWindowExceededError: litellm."
                 "BadRequestError: Zu lang.\nmodel=x. context_window_fallback=None. "
                 "fallbacks=None.", "400")),
    (503, openai("litellm.ServiceUnavailableError: OpenAIException - Requested token count exceeds "
                 "the model's maximum context length of 131072 tokens.", "503")),
    (400, encode({"error": {"message": "Provider returned error", "code": 400, "metadata": {
                  "provider_name": "X", "raw": '{"error":{"message":"This model\'s maximum context '
                  'length is 4096 tokens."}}'}}})),
    # Words of servers not seen yet
    (400, openai("The conversation is too long for this deployment.")),
    (400, openai("12000 tokens are more than the context of this model, 8192.")),
    (400, openai("Sequence length 9001 is larger than model max sequence length 8192")),
    (422, encode({"detail": [{"loc": ["body", "messages"], "msg": "context window exceeded",
                              "type": "value_error"}]})),
]  # fmt: skip


@pytest.mark.parametrize(("status", "content"), OVERFLOWS)
def test_a_prompt_beyond_the_context_is_known_by_code_and_by_words(
    status: int, content: bytes
) -> None:
    assert type(read(status, content)) is ContextOverflow


@pytest.mark.parametrize(
    ("status", "content", "kind"),
    [
        # More tokens than a rate allows
        (413, openai("Request too large for model `llama-3.3-70b` in organization `org_1` service "
                     "tier `on_demand` on tokens per minute (TPM): Limit 6000, Requested 9000, "
                     "please reduce your message size and try again.", "rate_limit_exceeded",
                     "tokens"), EndpointRefused),
        (429, openai("Request too large for gpt-4o in organization org-1 on tokens per min (TPM): "
                     "Limit 30000, Requested 60000. The input or output tokens must be reduced in "
                     "order to run successfully.", "rate_limit_exceeded", "tokens"),
         EndpointRefused),
        (429, openai("Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000, Used "
                     "29000, Requested 2000. Please try again in 2s.", "rate_limit_exceeded",
                     "tokens"), EndpointUnavailable),
        (429, encode({"type": "error", "error": {"type": "rate_limit_error", "message": "This "
                      "request would exceed your organization's rate limit of 40,000 input tokens "
                      "per minute."}}), EndpointUnavailable),
        (429, encode({"message": "Too many tokens, please wait before trying again."}),
         EndpointUnavailable),
        # An answer longer than any this model gives
        (400, openai("max_tokens is too large: 100000. This model supports at most 16384 "
                     "completion tokens, whereas you provided 100000.", "invalid_value"),
         EndpointRefused),
        (400, encode({"type": "error", "error": {"type": "invalid_request_error", "message":
                      "max_tokens: 100000 > 64000, which is the maximum allowed number of output "
                      "tokens for claude-sonnet-4"}}), EndpointRefused),
        (400, openai("`max_tokens` must be less than or equal to `8192`, the maximum value for "
                     "`max_tokens` is less than the `context_window` for this model"),
         EndpointRefused),
        (400, openai("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]"),
         EndpointRefused),
        (400, encode({"message": "The maximum tokens you requested exceeds the model limit of "
                      "4096. Try again with a maximum tokens value that is lower than 4096."}),
         EndpointRefused),
        (422, encode({"error": "Input validation error: `max_new_tokens` must be strictly "
                               "positive", "error_type": "validation"}), EndpointRefused),
    ],
)  # fmt: skip
def test_tokens_that_are_too_many_for_something_else_are_no_overflow(
    status: int, content: bytes, kind: type[EndpointError]
) -> None:
    assert type(read(status, content)) is kind


FILTERED = [
    (400, encode({"error": {
        "message": "The response was filtered due to the prompt triggering Azure OpenAI's content "
                   "management policy. Please modify your prompt and retry.",
        "type": None, "param": "prompt", "code": "content_filter", "status": 400,
        "innererror": {"code": "ResponsibleAIPolicyViolation",
                       "content_filter_result": {"violence": {"filtered": True}}}}})),
    (400, encode({"error": {
        "message": "litellm.BadRequestError: litellm.ContentPolicyViolationError: "
                   "AzureException - The response was filtered.\nmodel=azure/gpt-4o. "
                   "content_policy_fallback=None. fallbacks=None.",
        "type": None, "param": None, "code": "400"}})),
    (400, encode({"error": {"message": "no", "code": "400", "provider_specific_fields": {
        "innererror": {"code": "ResponsibleAIPolicyViolation"}}}})),
    (500, openai("litellm.APIError: AzureException - The response was filtered due to the prompt "
                 "triggering Azure OpenAI's content management policy.", "500")),
    (400, openai("Invalid prompt: your prompt was flagged as potentially violating our usage "
                 "policy. Please try again with a different prompt.", "invalid_prompt")),
    (400, openai("Your request was rejected as a result of our safety system.",
                 "content_policy_violation")),
    (400, openai("Content Exists Risk", "invalid_request_error")),
    (400, openai("Input data may contain inappropriate content.", "data_inspection_failed",
                 "data_inspection_failed")),
    (400, encode({"type": "error", "error": {"type": "invalid_request_error",
                  "message": "Output blocked by content filtering policy"}})),
    (403, encode({"error": {"code": 403, "message": "openai/gpt-4o requires moderation on "
                  "OpenInference. Your input was flagged for \"harassment\".",
                  "metadata": {"reasons": ["harassment"], "flagged_input": "…"}}})),
    (400, encode([{"error": {"code": 400, "message": "The prompt was blocked: PROHIBITED_CONTENT",
                             "status": "INVALID_ARGUMENT"}}])),
    (400, openai("系统检测到输入或生成内容可能包含不安全或敏感内容", "1301")),
    (400, openai("input new_sensitive (1026)")),
    (400, openai("The request was rejected because it was considered high risk")),
    (400, openai("The request failed because the input text may contain sensitive information.",
                 "InputTextSensitiveContentDetected")),
    (400, encode({"code": "Client specified an invalid argument",
                  "error": "Content violates usage guidelines."})),
]  # fmt: skip


@pytest.mark.parametrize(("status", "content"), FILTERED)
def test_a_prompt_that_a_filter_stops_is_known_by_code_and_by_words(
    status: int, content: bytes
) -> None:
    assert type(read(status, content)) is ContentFiltered


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (openai("the provider's words"), "the provider's words"),
        (vllm("the provider's words"), "the provider's words"),
        (encode({"error": "the provider's words"}), "the provider's words"),
        (encode({"detail": "the provider's words"}), "the provider's words"),
        (encode({"message": "the provider's words"}), "the provider's words"),
        (encode([{"error": {"message": "the provider's words"}}]), "the provider's words"),
        (encode({"detail": [{"loc": ["body", "top_k"], "msg": "Not permitted", "type": "extra"}]}),
         "Not permitted (top_k)"),
        (encode({"object": "error", "message": {"detail": [{"loc": ["body", "n"], "msg": "No"}]}}),
         "No (n)"),
        (encode({"error": {"message": "Provider returned error", "code": 400, "metadata": {
                 "raw": '{"error":{"message":"the provider\'s words"}}'}}}),
         "the provider's words"),
        (encode({"error": {"message": "Provider returned error", "metadata": {
                 "raw": "the provider's words"}}}), "the provider's words"),
        (b"the provider's words", "the provider's words"),
        (b'{"error": {"message": "\xff"}}', '{"error"'),
    ],
)  # fmt: skip
def test_the_innermost_message_is_what_a_person_reads(content: bytes, words: str) -> None:
    assert f"): {words}" in str(read(400, content))


def test_a_rate_limit_is_one_whatever_it_says_of_lengths() -> None:
    body = openai("Please reduce the length of the messages or completion.")
    assert isinstance(read(400, body), ContextOverflow)
    assert isinstance(read(429, body), EndpointUnavailable)
