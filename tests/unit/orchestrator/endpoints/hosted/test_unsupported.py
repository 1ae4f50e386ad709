"""Errors as servers word them, and the parameters that each refuses."""

import json
from typing import Any

import pytest

from orchestrator.endpoints.hosted.dialect import OPTIONAL, Dialect
from orchestrator.endpoints.hosted.unsupported import unsupported

SENT = {
    "model": "m", "messages": [], "n": 2, "max_tokens": 900, "temperature": 0.7, "top_p": 0.9,
    "seed": 1, "stop": ["\n\n"], "logprobs": True, "top_logprobs": 2,
}  # fmt: skip


def openai(message: str, **detail: Any) -> Any:
    return {"error": {"message": message, "type": "invalid_request_error"} | detail}


def forbidden(*place: Any) -> Any:
    said = "Extra inputs are not permitted"
    return {"type": "extra_forbidden", "loc": ["body", *place], "msg": said, "input": 1}


LITELLM = (
    "litellm.UnsupportedParamsError: anthropic does not support parameters: {}, for "
    "model=claude-3-7-sonnet-20250219. To drop these, set `litellm.drop_params=True` or for proxy:"
    "\n\n`litellm_settings:\n drop_params: true`\n. \n If you want to use these params "
    "dynamically send allowed_openai_params=['{}'] in your request."
)
GEMINI = 'Invalid JSON payload received. Unknown name "seed": Cannot find field.'
EXCLUSIVE = "`temperature` and `top_p` cannot both be specified for this model. Please use only one"


@pytest.mark.parametrize(
    ("error", "names"),
    [
        # Moonshot, Anthropic: the value that is the default is the only one
        (openai("invalid temperature: only 1 is allowed for this model"), "temperature"),
        (openai("`temperature` may only be set to 1 when thinking is enabled."), "temperature"),
        # OpenAI
        (openai("You are not allowed to request logprobs from this model", param=None),
         "logprobs"),
        (openai("Unknown parameter: 'seed'.", code="unknown_parameter", param="seed"), "seed"),
        (openai("Unsupported value: 'temperature' does not support 0.7 with this model. Only the "
                "default (1) value is supported.", code="unsupported_value", param="temperature"),
         "temperature"),
        (openai("Unsupported parameter: 'max_tokens' is not supported with this model. Use "
                "'max_completion_tokens' instead.", code="unsupported_parameter",
                param="max_tokens"), "max_tokens"),
        # Groq, DeepSeek, vLLM on Gaudi, Gemini
        (openai("`logprobs` is not supported with this model"), "logprobs"),
        (openai("property 'top_p' is unsupported, did you mean 'top_k'?"), "top_p"),
        (openai("deepseek-reasoner does not support the parameter `logprobs`"), "logprobs"),
        (openai("Gaudi doesn't support logprobs. Please remove 'logprobs'/'top_logprobs' from your "
                "request to receive a response."), "logprobs top_logprobs"),
        (openai("Unable to submit request because Logprobs is not supported for this model."),
         "logprobs"),
        (openai("Logprobs is not enabled for models/gemini-2.5-pro", status="INVALID_ARGUMENT"),
         "logprobs"),
        # Mistral and other servers that validate with pydantic
        ({"detail": [forbidden("seed")]}, "seed"),
        ({"object": "error", "message": {"detail": [forbidden("seed"), forbidden("logprobs")]},
          "type": "invalid_request_error", "param": None, "code": None}, "seed logprobs"),
        ({"object": "Error", "detail": [forbidden("stop")], "message": [forbidden("stop")],
          "type": "invalid_request_error", "code": 3001}, "stop"),
        ({"object": "error", "message": "[{'type': 'extra_forbidden', 'loc': ('body', 'seed'), "
          "'msg': 'Extra inputs are not permitted', 'input': 800}]", "code": 400}, "seed"),
        # Gemini: a list, each field in a sentence of its own
        ([{"error": {"code": 400, "message": GEMINI + "\n" + GEMINI.replace("seed", "logprobs"),
                     "details": [{"fieldViolations": [{"description": GEMINI}]}]}}],
         "seed logprobs"),
        # xAI: the error is a string; through LiteLLM it is quoted in another
        ({"code": "Client specified an invalid argument",
          "error": "Argument not supported on this model: stop"}, "stop"),
        ({"error": "Model grok-4-1-fast-reasoning does not support parameter stop."}, "stop"),
        (openai('litellm.BadRequestError: XaiException - {"code":"Client specified an invalid '
                'argument","error":"Argument not supported on this model: stop"}. Received Model '
                "Group=xai_grok-4\nAvailable Model Group Fallbacks=None", code="400"), "stop"),
        # LiteLLM
        (openai(LITELLM.format("['seed']", "seed")), "seed"),
        (openai(LITELLM.format("['logprobs', 'top_logprobs']", "logprobs")),
         "logprobs top_logprobs"),
        (openai(LITELLM.format("{'seed': 12345}", "seed")), "seed"),
        # Claude: one of the two, by itself, through Bedrock, and quoted twice
        ({"type": "error", "error": {"type": "invalid_request_error", "message": EXCLUSIVE}},
         "top_p"),
        (openai("temperature and top_p cannot both be specified for this model."), "top_p"),
        (openai('litellm.BadRequestError: BedrockException - {"message":"The model returned the '
                f'following errors: {EXCLUSIVE}."}}'), "top_p"),
        (openai('{"error":{"type":"<nil>","message":"{\\"type\\":\\"error\\",\\"error\\":'
                f'{{\\"message\\":\\"{EXCLUSIVE}.\\"}}}}"}}}}'), "top_p"),
        ({"type": "error", "error": {"type": "invalid_request_error",
                                     "message": "seed: Extra inputs are not permitted"}}, "seed"),
        # Bedrock
        ({"message": "Malformed input request:\n#: extraneous key [seed] is not permitted\n#: "
          "extraneous key [logprobs] is not permitted, please reformat your input"},
         "seed logprobs"),
        # names of their own
        (openai("Model grok-4 does not support parameter topP."), "top_p"),
        # an error that also says what is taken
        (openai("Failed to deserialize the JSON body into the target type: unknown field "
                "`logprobs`, expected one of `model`, `messages`, `temperature`, `stop`"),
         "logprobs"),
        (openai("Unsupported parameter: seed. Supported parameters are: temperature, top_p, stop"),
         "seed"),
        (openai("Unrecognized parameter: stop (allowed: temperature, top_p, seed)"), "stop"),
        (openai("property 'seed' is unsupported, did you mean 'stop'?"), "seed"),
        # one of two that exclude each other, though only one of them is blamed
        (openai("temperature and top_p cannot be used together.", param="temperature"), "top_p"),
        (openai("Only one of temperature or top_p may be set"), "top_p"),
        # what a run can do without, whatever is wrong with it
        (openai("Invalid top_logprobs and logprobs value"), "logprobs top_logprobs"),
        (openai("Input should be null", param="seed"), "seed"),
        ({"detail": [{"type": "none_required", "loc": ["body", "logprobs"], "msg": "no"}]},
         "logprobs"),
        # one answer a request
        (openai("'n' : number must be at most 1"), "n"),
        (openai("Invalid n value (currently only n = 1 is supported)"), "n"),
        (openai("Multiple candidates is not enabled for this model"), "n"),
        (openai("n > 1 is not supported"), "n"),
        (openai("`n` must be 1 for this model"), "n"),
        (openai("Only one completion choice per request is available"), "n"),
        # OpenRouter passes the provider's own words on
        (openai("Provider returned error", code=400, metadata={
            "raw": '{"error":{"message":"Unsupported parameter: \'temperature\'"}}'}),
         "temperature"),
    ],
)  # fmt: skip
def test_the_parameters_an_error_refuses_are_read_off_it(error: Any, names: str) -> None:
    found = unsupported(json.dumps(error).encode(), SENT, OPTIONAL)
    assert sorted(found) == sorted(names.split())


@pytest.mark.parametrize(
    "error",
    [
        openai("This model's maximum context length is 8192 tokens. However, your messages "
               "resulted in 9000 tokens. Please reduce the length.", param="messages"),
        openai("Invalid value for 'temperature'", code="invalid_value", param="temperature"),
        openai("temperature must be between 0 and 1", param="temperature"),
        openai("max_tokens is not allowed to exceed 4096", param=None),
        openai("max_tokens is not allowed to exceed 4096", param="max_tokens"),
        openai("You asked how to plant a seed in the prompt"),
        openai("Unsupported parameter: 'messages'", code="unsupported_parameter",
               param="messages"),
        openai("This model does not support image input"),
        openai("Your prompt is not allowed by our policy", code="content_filter"),
        {"detail": [forbidden("messages", 0, "user", "name")]},
        {"detail": [{"type": "missing", "loc": ["body", "input"], "msg": "Field required",
                     "input": {"seed": 1, "temperature": 0.7, "text": "unsupported seed"}}]},
        {"error": "no"}, "no", [], None, 3,
    ],
)  # fmt: skip
def test_an_error_about_anything_else_refuses_no_parameter(error: Any) -> None:
    assert unsupported(json.dumps(error).encode(), SENT, OPTIONAL) == ()


@pytest.mark.parametrize("content", [b"", b"<html>'seed' not supported", b"\xff", b"[" * 100_000])
def test_what_cannot_be_read_refuses_no_parameter(content: bytes) -> None:
    assert unsupported(content, SENT, OPTIONAL) == ()


def test_an_error_may_be_mere_text() -> None:
    assert unsupported(b"Unsupported parameter: seed", SENT, OPTIONAL) == ("seed",)


def test_only_what_was_sent_can_be_refused() -> None:
    error = json.dumps(openai("Unsupported parameter: 'seed'")).encode()
    assert unsupported(error, {"model": "m", "messages": []}, OPTIONAL) == ()


def test_each_of_a_list_of_errors_speaks_for_its_own_parameter() -> None:
    bad_value = {"type": "less_than_equal", "loc": ["body", "temperature"], "msg": "at most 1"}
    error = json.dumps({"detail": [forbidden("seed"), bad_value]}).encode()
    assert unsupported(error, SENT, OPTIONAL) == ("seed",)


def test_a_server_that_takes_a_top_p_below_one_only_is_asked_without_the_one_that_is_none() -> None:
    said = {"error": "Input validation error: `top_p` must be > 0.0 and < 1.0. "}
    error = json.dumps(said | {"error_type": "validation"}).encode()
    assert unsupported(error, {**SENT, "top_p": 1.0}, OPTIONAL) == ("top_p",)
    assert unsupported(error, SENT, OPTIONAL) == ()


def test_a_bound_that_neither_name_is_taken_for_is_left_out() -> None:
    dialect = Dialect()
    for name, other in (("max_tokens", "max_completion_tokens"), ("max_completion_tokens", "x")):
        sent = dialect.adapted(SENT)
        assert name in sent and other not in sent
        refusal = openai(f"Unknown parameter: '{name}'.", code="unknown_parameter", param=name)
        dialect = dialect.learned(sent, json.dumps(refusal).encode())
    assert not {"max_tokens", "max_completion_tokens"} & dialect.adapted(SENT).keys()


def test_what_the_config_omits_and_what_is_the_apis_own_default_is_not_sent() -> None:
    dialect = Dialect(omitted=("seed", "max_tokens"), defaults={"top_p": 1.0})
    sent = dialect.adapted({**SENT, "top_p": 1.0})
    assert SENT.keys() - sent.keys() == {"seed", "max_tokens", "top_p"}
    assert dialect.adapted(SENT)["top_p"] == 0.9
    assert dialect.lacks == ("max_tokens", "seed")


@pytest.mark.parametrize(
    "message",
    [
        "Prefix caching with prompt logprobs not yet supported on VLLM V1.",
        "Requested prompt logprobs of 0, which is greater than max allowed: -1",
        "m does not support parameters: ['prompt_logprobs']",
    ],
)
def test_a_server_that_gives_no_logprobs_of_prompts_is_asked_without(message: str) -> None:
    sent = SENT | {"prompt_logprobs": 0}
    learned = Dialect(extended=True).learned(sent, json.dumps(openai(message)).encode())
    assert learned.refused == ("prompt_logprobs",)
    assert learned.adapted(sent).keys() == SENT.keys()
    assert Dialect().adapted(sent).keys() == SENT.keys()  # no hosted API has heard of it


def test_a_server_of_ones_own_may_lose_an_extension_but_not_the_wish_to_continue() -> None:
    own = Dialect(extended=True)
    asked = {**SENT, "return_token_ids": True, "continue_final_message": True}
    assert own.changes_nothing and own.adapted(asked) == asked
    refusal = {"detail": [forbidden("return_token_ids"), forbidden("continue_final_message")]}
    own = own.learned(asked, json.dumps(refusal).encode())
    assert own.refused == ("return_token_ids",)
    assert "continue_final_message" in own.adapted(asked)
