"""What a hosted model's API takes of a chat request: told by its refusals, and remembered.

OpenAI's reasoning models take ``max_completion_tokens`` in place of ``max_tokens``, and neither a
temperature nor stop strings; other clouds lack ``n``, seeds or log-probabilities. Each says so in
an error that names the parameter, so nothing is guessed from a model's name.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.endpoints.hosted.unsupported import unsupported
from orchestrator.endpoints.http.complaints import complaint

EXTENSIONS = frozenset(
    ("include_stop_str_in_output", "return_token_ids", "add_generation_prompt",
     "continue_final_message", "prompt_logprobs")
)  # fmt: skip
"""Fields of self-hosted servers, which hosted APIs refuse."""

OMITTABLE = (
    "n", "max_tokens", "temperature", "top_p", "seed", "stop", "logprobs", "top_logprobs"
)  # fmt: skip
"""Parameters a request can do without."""

OPTIONAL = frozenset((*OMITTABLE, "max_completion_tokens"))
"""Fields a request can do without, or under another name."""

_ALSO_OPTIONAL = frozenset(("include_stop_str_in_output", "return_token_ids", "prompt_logprobs"))
"""Of self-hosted servers' fields those that may be left out: the others say what is asked for."""

_OF_ANSWERS = re.compile(
    r"\bmax_?(?:completion_?|output_?|new_?)?tokens\b|\bmaximum tokens\b|"
    r"\b(?:completion|output) tokens\b",
    re.IGNORECASE,
)
_OF_BOTH = re.compile(r"\binputs? (?:tokens|length)\b|`inputs`|context[ -]length|prompt", re.I)
_AT_MOST = re.compile(
    r"(?:at most|less than or equal to|less or equal to|<=|≤|up to|(?:model|maximum|max) limit of"
    r"|(?:completion|output)?_?tokens(?: value)? >|\d >)\W{0,3}([\d,]*\d)"
    r"|\brange\b[^\d]{0,40}\b[01]\b[^\d]{1,24}([\d,]*\d)( \(exclusive\))?",
    re.IGNORECASE,
)
"""How OpenAI, Groq, DeepSeek, Anthropic, Gemini, Alibaba, Bedrock, Fireworks and those who speak
like them name the longest answer that a model may be asked for."""


def most_tokens(content: bytes) -> int | None:
    """The longest answer that a refusal says may be asked for; None where it is about something
    else, such as a prompt and its answer together."""
    said = complaint(content)
    named = (said.param or "").rpartition(".")[2]
    if named not in ("", "max_tokens", "max_completion_tokens"):
        return None
    if not _OF_ANSWERS.search(f"{said.text} {named}") or _OF_BOTH.search(said.text):
        return None
    if (found := _AT_MOST.search(said.text)) is None:
        return None
    most = int((found[1] or found[2]).replace(",", "")) - bool(found[3])
    return most or None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What an API takes of a request.

    ``refused`` are the parameters it does not take; without ``max_tokens`` it takes
    ``max_completion_tokens``. ``most_tokens`` is the longest answer it can be asked for.
    ``omitted`` are parameters that are left out because the config says so. ``defaults`` are values
    that need not be sent, since they are the API's own. ``extended`` says whether it may know what
    vLLM adds to the API, as servers of one's own may.
    """

    refused: tuple[str, ...] = ()
    most_tokens: int | None = None
    omitted: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    extended: bool = False

    @property
    def lacks(self) -> tuple[str, ...]:
        """The parameters it is asked without, for one reason or the other."""
        return tuple(sorted({*self.refused, *self.omitted}))

    @property
    def changes_nothing(self) -> bool:
        """Whether requests go out as they are."""
        return self.extended and not (self.lacks or self.defaults or self.most_tokens)

    def adapted(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """A chat request as this API takes it."""
        dropped = {*self.lacks, *(() if self.extended else EXTENSIONS)}
        adapted = {
            key: value
            for key, value in request.items()
            if key not in dropped and self.defaults.get(key, _NONE) != value
        }
        wanted = request.get("max_tokens")
        if wanted is not None and "max_tokens" not in self.omitted:
            most = wanted if self.most_tokens is None else min(wanted, self.most_tokens)
            name = "max_completion_tokens" if "max_tokens" in self.refused else "max_tokens"
            if name not in self.refused:
                adapted[name] = most
        return adapted

    def learned(self, sent: Mapping[str, Any], content: bytes) -> "Dialect":
        """This dialect and what the refusal ``content`` of ``sent`` adds to it, if anything."""
        if (most := most_tokens(content)) is not None:
            return replace(self, most_tokens=most)
        known = OPTIONAL | _ALSO_OPTIONAL if self.extended else OPTIONAL
        found = set(unsupported(content, sent, known))
        if "logprobs" in found:  # the other is nothing without it
            found.add("top_logprobs")
        return replace(self, refused=tuple(sorted({*self.refused, *found}))) if found else self


_NONE = object()
