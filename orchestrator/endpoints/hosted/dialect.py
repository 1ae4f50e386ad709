"""What a hosted model's API takes of a chat request: told by its refusals, and remembered.

OpenAI's reasoning models take ``max_completion_tokens`` in place of ``max_tokens``, and neither a
temperature nor stop strings; other clouds lack ``n`` or seeds. Each says so with a 400 that names
the parameter, so nothing is guessed from a model's name.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from orchestrator.endpoints.wire import ErrorDetail, ErrorResponse

EXTENSIONS = frozenset(
    ("include_stop_str_in_output", "return_token_ids", "add_generation_prompt",
     "continue_final_message")
)  # fmt: skip
"""Fields of self-hosted servers, which hosted APIs refuse."""

OPTIONAL = frozenset(
    ("n", "max_tokens", "temperature", "top_p", "seed", "stop", "logprobs", "top_logprobs")
)
"""Fields a request can do without, or under another name."""

_UNSUPPORTED = ("unsupported_parameter", "unsupported_value", "unknown_parameter")
_NAMED = re.compile(
    r"(?:unsupported (?:parameter|value): |unknown parameter: |"
    r"unrecognized request arguments? supplied: )['\"]?(\w+)",
    re.IGNORECASE,
)
_AT_MOST = re.compile(r"at most (\d+) (?:completion|output) tokens", re.IGNORECASE)
_ONE_SAMPLE = re.compile(r"multiple candidates|\bn\b.{0,40}\bat most 1\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """``refused`` are the parameters it does not take; without ``max_tokens`` it takes
    ``max_completion_tokens``. ``most_tokens`` is the longest answer it can be asked for."""

    refused: tuple[str, ...] = ()
    most_tokens: int | None = None

    def adapted(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """A chat request as this API takes it."""
        dropped = {*self.refused, *EXTENSIONS}
        adapted = {key: value for key, value in request.items() if key not in dropped}
        if (wanted := request.get("max_tokens")) is not None:
            most = wanted if self.most_tokens is None else min(wanted, self.most_tokens)
            name = "max_completion_tokens" if "max_tokens" in self.refused else "max_tokens"
            adapted[name] = most
        return adapted

    def learned(self, sent: Mapping[str, Any], content: bytes) -> "Dialect":
        """This dialect and what the refusal ``content`` of ``sent`` adds to it, if anything."""
        error = _error(content)
        if error is None:
            return self
        if error.param in (None, "max_tokens", "max_completion_tokens") and (
            most := _AT_MOST.search(error.message)
        ):
            return replace(self, most_tokens=int(most[1]))
        named = _NAMED.search(error.message)
        parameter = (
            "n"
            if sent.get("n", 1) > 1 and _ONE_SAMPLE.search(error.message)
            else error.param
            if error.param in OPTIONAL and error.code in _UNSUPPORTED
            else named[1]
            if named
            else None
        )
        if parameter not in OPTIONAL or parameter not in sent:
            return self
        if parameter == "logprobs":  # the other is nothing without it
            return self._without("logprobs", "top_logprobs")
        return self._without(parameter)

    def _without(self, *parameters: str) -> "Dialect":
        return replace(self, refused=tuple(sorted({*self.refused, *parameters})))


def _error(content: bytes) -> ErrorDetail | None:
    try:
        error = msgspec.json.decode(content, type=ErrorResponse).error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return ErrorDetail(message=error) if isinstance(error, str) else error
