"""Errors a request can meet, and their shape on the wire: vLLM's.

RequestError           an HTTP status and an OpenAI error object
├── BadRequest         400
├── NotFound           404
└── Failed             500
"""


class RequestError(Exception):
    """Answered as ``{"error": {message, type, param, code}}``."""

    status = 500
    type = "InternalServerError"

    def __init__(self, message: str, *, param: str | None = None, type: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        if type is not None:
            self.type = type


class BadRequest(RequestError):
    status = 400
    type = "BadRequestError"


class NotFound(RequestError):
    status = 404
    type = "NotFoundError"


class Failed(RequestError):
    """The engine cannot answer, through no fault of the request."""


def too_long(context: int, prompt: int, output: int) -> BadRequest:
    return BadRequest(
        f"This model's maximum context length is {context} tokens. However, you requested {output} "
        f"output tokens and your prompt contains at least {prompt} input tokens, for a total of at "
        f"least {prompt + output} tokens. Please reduce the length of the input prompt or the "
        "number of requested output tokens.",
        param="input_tokens",
    )
