"""How an answer ended and what it says: the one place where a choice is read.

Servers and clouds name the ends of answers differently, and some answer 200 with a text that they
broke off. So only known ends are ends; all else is no answer, whatever text came with it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from orchestrator.core.stated import after_thought
from orchestrator.endpoints.http.wire import ChatChoice, CompletionChoice
from orchestrator.errors import BadResponse

AnyChoice = ChatChoice | CompletionChoice

End = Literal["stop", "length", "filtered", "refused"]

_NAMES: dict[End, tuple[str, ...]] = {
    "stop": (
        "stop", "eos", "eos_token", "eosfound", "stop_sequence", "stop_string", "stopstringfound",
        "stop_token", "end_turn", "endoftext", "end_of_text", "complete", "finish",
    ),
    "length": (
        "length", "max_tokens", "max_output_tokens", "max_completion_tokens", "max_length",
        "max_len", "max_context", "model_length", "model_context_window_exceeded", "context_length",
        "contextlengthreached", "maxpredictedtokensreached", "token_limit",
    ),
    "filtered": (
        "content_filter", "content_filtered", "safety", "recitation", "blocklist",
        "prohibited_content", "spii", "language", "image_safety", "guardrail_intervened",
        "sensitive", "error_toxic",
    ),
    "refused": ("refusal",),
}  # fmt: skip
"""Known ends by their names in small letters, as vLLM, SGLang, TGI, llama.cpp, LM Studio, Ollama,
OpenAI, Azure, Anthropic, Gemini, Mistral, DeepSeek, xAI, Together, Cohere, Bedrock, watsonx and
Zhipu write them."""

_ENDS = {name: end for end, names in _NAMES.items() for name in names}

_TOOLS = ("tool_calls", "tool_call", "tool_use", "function_call")
_PREFIX = re.compile(r"^(?:finish_?)?reason_")

AT_ONCE = 8
"""Tokens that a model writes at most where it ends without a word: the end of its turn, and what
templates put around an empty thought."""


def end_of(reason: object) -> End | None:
    """The end that a ``finish_reason`` names, in any case and spelling; None where it names none:
    null, ``abort``, ``error`` or a word that nobody knows yet."""
    return _ENDS.get(_name(reason))


def _name(reason: object) -> str:
    return _spelled(reason) if isinstance(reason, str) else ""


@lru_cache(maxsize=64)  # every sample has one of a few
def _spelled(reason: str) -> str:
    what = reason.partition(":")[0]  # Gemini appends its own word: "content_filter: OTHER"
    return _PREFIX.sub("", re.sub(r"[\W_]+", "_", what.strip().lower()))


@dataclass(frozen=True, slots=True)
class Said:
    """What a sample says, and how it ended: ``empty`` where the model ended without a word."""

    text: str
    end: End | Literal["empty"]


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Why a choice is no answer: what the server did and what to set, for a person, as the rest of
    a sentence that begins with its URL. ``may_pass``: asking again may help."""

    why: str
    may_pass: bool = True


@dataclass(frozen=True, slots=True)
class Contents:
    """What a choice holds: text, what a reasoning parser took out of it, the words of a refusal,
    and the name of a tool that was called."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    tool: str | None = None

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing that tokens could be billed for."""
        words = self.text + self.reasoning + self.refusal
        return not words.strip() and self.tool is None


def contents(choice: AnyChoice) -> Contents:
    """What a choice holds, whichever fields its server puts it in."""
    if isinstance(choice, CompletionChoice):
        return Contents(text=choice.text or "")
    message = choice.message
    if message is None:
        return Contents()
    parts = message.content if isinstance(message.content, list) else [message.content]
    return Contents(
        text="".join(_text(part) for part in parts if _kind(part) == "text"),
        reasoning=(
            _text(message.reasoning_content)
            or _text(message.reasoning)
            or "".join(_text(part) for part in parts if _kind(part) == "reasoning")
        ),
        refusal=(
            _text(message.refusal)
            or "".join(_text(part) for part in parts if _kind(part) == "refusal")
        ),
        tool=_tool(message.tool_calls or message.function_call),
    )


def _kind(part: Any) -> str:
    """Of a content part: "text", "reasoning", "refusal", or what else its type says."""
    if not isinstance(part, dict):
        return "text"
    kind = str(part.get("type", "text"))
    if kind in ("thinking", "reasoning", "reasoning_text", "summary_text"):
        return "reasoning"
    return "text" if kind == "output_text" else kind


def _text(part: Any) -> str:
    """The text of a part, or of parts within it."""
    if isinstance(part, str):
        return part
    if isinstance(part, list):
        return "".join(map(_text, part))
    if isinstance(part, dict):
        keys = ("text", "thinking", "reasoning", "refusal")
        return next((_text(part[key]) for key in keys if key in part), "")
    return ""


def _tool(calls: Any) -> str | None:
    """The name of the first tool that was called; None where none was."""
    if not calls:
        return None
    first = calls[0] if isinstance(calls, list) else calls
    called = first.get("function", first) if isinstance(first, dict) else None
    return str(called.get("name") or "?") if isinstance(called, dict) else "?"


def met(choice: AnyChoice) -> int | str | None:
    """The stop string or token a sample ended at, where its server names it."""
    if choice.stop_reason is None and isinstance(choice, ChatChoice):
        return choice.matched_stop
    return choice.stop_reason


def read_choice(
    choice: AnyChoice, *, step_ends: str | None = None, tokens: int | None = None
) -> Said | NoAnswer:
    """What a choice says: a whole solution, or a step, which ``step_ends`` ends. ``tokens`` were
    billed for it, None where that is not known.

    A whole solution comes without the thought before it; a step with what ends it, which some
    servers name but cut off.
    """
    if choice.error:
        return NoAnswer(f"broke off an answer: {_words(choice.error)}")
    found, end = contents(choice), end_of(choice.finish_reason)
    if end == "refused" or (found.refusal and (end or not found.text)):
        return Said("", "refused")
    if _name(choice.finish_reason) in _TOOLS or (found.tool and not found.text.strip()):
        return NoAnswer(
            f"called a tool ({found.tool or 'unnamed'}) where text was asked for: serve the model "
            "without tools (vLLM: without --enable-auto-tool-choice), or let a proxy in between "
            "send tool_choice: none",
            may_pass=False,
        )
    if end is None:
        return NoAnswer(_unended(choice.finish_reason))
    if end == "stop" and not found.text.strip():
        return _blank(choice, found, step_ends, tokens)
    if step_ends is None:
        answer = after_thought(found.text) or ""
        if end == "stop" and not answer:
            return NoAnswer("thought, and then said nothing", may_pass=False)
        return Said(answer, end)
    is_cut_off = met(choice) == step_ends and not found.text.endswith(step_ends)
    return Said(found.text + step_ends if is_cut_off else found.text, end)


def _blank(
    choice: AnyChoice, found: Contents, step_ends: str | None, tokens: int | None
) -> Said | NoAnswer:
    """What a choice without a word comes to."""
    if found.reasoning.strip():
        return NoAnswer(
            "put all of an answer in its reasoning field and left the content empty: serve the "
            "model without --reasoning-parser or with the one that belongs to it, or turn thinking "
            "off in its chat template",
            may_pass=False,
        )
    if (tokens or 0) > AT_ONCE:
        return NoAnswer(
            f"bills {tokens} tokens for an answer without text: is its chat template the model's "
            "own, and does no parser take the text away?"
        )
    if step_ends and (met(choice) == step_ends or found.text.endswith(step_ends)):
        return Said(step_ends, "stop")
    return Said("", "empty")


def no_answer(found: Sequence[NoAnswer], url: str) -> BadResponse:
    """The error of choices that are no answers: the first that may pass, if any may."""
    first = next((each for each in found if each.may_pass), found[0])
    return BadResponse(f"{url} {first.why}", url=url, is_final=not first.may_pass)


def _unended(reason: object) -> str:
    if reason is None:
        return (
            "does not say how an answer ended (finish_reason is null), so it may be cut: is the "
            "server up to date, and not about to stop?"
        )
    return f"ended an answer with finish_reason {str(reason)[:60]!r}, so it may be cut"


def _words(error: Any) -> str:
    """The provider's own words of an error inside a choice."""
    said = error.get("message") or error.get("code") if isinstance(error, dict) else error
    return " ".join(str(said or error).split())[:300]
