"""Which parameters of a request a server says it does not take, whatever shape its error has.

OpenAI names one in ``param``; Mistral and FastAPI in a ``loc``; Gemini, xAI, DeepSeek, Bedrock and
LiteLLM in a sentence, some of them in JSON that is quoted inside the message of another.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

REFUSALS = frozenset((400, 403, 405, 415, 422, 500, 501))
"""Statuses of such errors. OpenAI forbids logprobs with a 403; proxies make a 500 of anything."""

_SIGNS = re.compile(
    r"unsupported|(?:not|n't|cannot|no longer)\s+(?:\w+\s+){0,3}?"
    r"(?:support|permit|allow|accept|available|enabled|recogni[sz]|implement|valid\b|find field)"
    r"|un(?:known|recogni[sz]ed|expected)|extraneous|extra[_ ](?:forbidden|inputs?|fields?)"
    r"|additional propert|cannot both|cannot be (?:used|set|specified|combined)|deprecated"
    r"|mutually exclusive|only one of|(?:please|must) (?:remove|omit)|must be (?:omitted|unset)"
    r"|invalid (?:parameter|argument|field|option|key)s?\b"
    r"|\bonly (?:the default|`?[01](?:\.0)?`?)(?: \(\S+\))?(?: value)? is (?:allowed|valid)"
    r"|\b(?:may|can) only be (?:set to |equal to )?`?1\b(?!\.\d*[1-9]| or\b| to\b)",
    re.IGNORECASE,
)
_CODES = re.compile(
    r"unsupported_(?:parameter|value)|unknown_parameter|unsupportedparams|extra_forbidden"
    r"|extra_fields", re.IGNORECASE,
)  # fmt: skip
_OUT_OF_RANGE = re.compile(
    r"exceed|too (?:large|long|many|high|big|small)|greater|less than|maximum|at most|range"
    r"|between",
    re.IGNORECASE,
)
_EXCLUSIVE = re.compile(
    r"\bboth\b|together|only one|mutually exclusive|same time|simultaneous|combined", re.IGNORECASE
)
_ONE_SAMPLE = re.compile(
    r"(?<![\w\\])n\b.{0,60}?(?:at most|must be|should be|has to be|can only be|equal to"
    r"|exactly|only|up to|maximum|=|<)\D{0,24}\b(?:1|one)\b"
    r"|multiple (?:candidates|choices|completions|outputs|samples|generations)"
    r"|only (?:1|one) (?:candidate|choice|completion|output|sample|generation)",
    re.IGNORECASE,
)
_BELOW_ONE = re.compile(r"\btop_?p\b.{0,60}(?:<|less than|smaller than|below)\s*1", re.IGNORECASE)
"""TGI takes a ``top_p`` of 1, which cuts nothing off, only where it is left out."""

_ON_OTHERS = re.compile(
    r"\bexpected(?: one of|:)[^.\n;]*|did you mean[^.\n;]*|\buse \S+ instead"
    r"|(?:^|[.,;:(\n]\s*|\b(?:the|all|following|of|are|and)\s+)"
    r"(?:supported|allowed|valid|accepted|known|available|permitted|recogni[sz]ed)\b"
    r"(?:\s+\w+){0,2}\s*(?:\bare\b|\bis\b|\binclude\b|:)[^.\n;]*",
    re.IGNORECASE,
)
"""What an error says of other parameters: those that the server does take."""

_SENTENCES = re.compile(r"(?<=[.!?;])\s+|\n|\\+n")
_QUOTED = re.compile(r"""["'`\[(\\]{1,4}(\w+)["'`\])\\]{1,4}""")

_ALIASES = {
    "topp": "top_p", "maxtokens": "max_tokens", "maxoutputtokens": "max_tokens",
    "maxcompletiontokens": "max_completion_tokens", "stopsequences": "stop", "stopsequence": "stop",
    "candidatecount": "n", "responselogprobs": "logprobs", "toplogprobs": "top_logprobs",
    "randomseed": "seed",
}  # fmt: skip
_FIRST_TO_GO = ("top_logprobs", "logprobs", "top_p", "seed", "stop")
"""Of parameters that exclude each other, the one that a run misses least."""

_HARMLESS = ("top_logprobs", "logprobs", "prompt_logprobs", "seed")
"""Parameters that a run can do without whatever a server has against them."""

_LONGEST = 4_000
"""Bytes of a text that is no JSON and is looked through."""


def unsupported(content: bytes, sent: Mapping[str, Any], known: frozenset[str]) -> tuple[str, ...]:
    """The parameters among ``known`` that were ``sent`` and that the error ``content`` refuses.

    None where it is about something else: a value out of range, the prompt, the key.
    """
    said = _decoded(content)
    here = [name for name in sent if name in known]
    text = _ON_OTHERS.sub("", _text(said))
    if sent.get("n", 1) > 1 and _ONE_SAMPLE.search(text):
        return ("n",)
    if sent.get("top_p") == 1.0 and _BELOW_ONE.search(text):
        return ("top_p",)
    refusing = [sentence for sentence in _SENTENCES.split(text) if _refuses(sentence)]
    for sentence in refusing:
        names = _named(sentence, here)
        if len(names) > 1 and _EXCLUSIVE.search(sentence):
            return tuple(sorted(names, key=_loss)[:-1])
    named = {
        name
        for sentence in refusing
        for name in _named(sentence, here)
        if not _is_bound(name, sentence)
    }
    named.update(_placed(said))
    found = tuple(name for name in here if name in named)
    return found or tuple(name for name in here if name in _HARMLESS and _mentions(said, name))


def _decoded(content: bytes) -> Any:
    """An error's JSON, or its text where it is none."""
    try:
        return msgspec.json.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        is_page = content.lstrip()[:1] == b"<"
        return "" if is_page else content[:_LONGEST].decode(errors="replace")


def _is_bound(name: str, text: str) -> bool:
    """Whether a text finds fault with the size of a ``max_tokens``, not with its being there."""
    return name.startswith("max_") and bool(_OUT_OF_RANGE.search(text))


def _mentions(said: Any, name: str) -> bool:
    """Whether an error names a parameter as such, whatever it has against it."""
    text = _text(said)
    words = _QUOTED.findall(text) if name == "seed" else re.findall(r"\w+", text)
    return name in {*map(_parameter, words), *_placed(said, whatever=True)}


def _refuses(text: str) -> bool:
    return bool(_SIGNS.search(text) or _CODES.search(text))


def _loss(name: str) -> int:
    return _FIRST_TO_GO.index(name) if name in _FIRST_TO_GO else len(_FIRST_TO_GO)


def _named(sentence: str, here: Sequence[str]) -> list[str]:
    """The parameters that a sentence names: those in quotes or brackets, else as bare words."""
    quoted = {_parameter(word) for word in _QUOTED.findall(sentence)}
    if names := [name for name in here if name in quoted]:
        return names
    bare = {_parameter(word) for word in re.findall(r"(?<![\w\\])[A-Za-z_]+\b", sentence)}
    return [name for name in here if name in bare]


def _parameter(word: str) -> str:
    """The API's own name of a parameter: ``topP`` is ``top_p``; a capital N is no ``n``."""
    lower = word.lower() if len(word) > 1 else word
    return _ALIASES.get(lower.replace("_", ""), lower)


def _placed(said: Any, *, whatever: bool = False) -> Iterator[str]:
    """Parameters that a refusal, or ``whatever`` error, gives by themselves: in a ``param``, a
    ``field`` or a ``loc``."""
    if isinstance(said, dict):
        text = _text(said)
        for key, value in said.items():
            name = None
            if key in ("param", "parameter", "field") and isinstance(value, str):
                name = _parameter(value.removeprefix("body."))
            elif key == "loc" and isinstance(value, list):
                place = [part for part in value if part != "body"]
                name = _parameter(place[0]) if _is_name(place) else None
            else:
                yield from _placed(value, whatever=whatever)
            if name is not None and (whatever or _refuses(text)) and not _is_bound(name, text):
                yield name
    elif isinstance(said, list):
        for value in said:
            yield from _placed(value, whatever=whatever)


def _is_name(place: Sequence[Any]) -> bool:
    return len(place) == 1 and isinstance(place[0], str)


def _text(said: Any) -> str:
    """All that an error says. vLLM's "prompt logprobs" is the parameter ``prompt_logprobs``."""
    return re.sub(r"\bprompt logprobs\b", "prompt_logprobs", "\n".join(_strings(said)))


def _strings(said: Any) -> Iterator[str]:
    """All that an error says, without the request that some quote in it."""
    if isinstance(said, str):
        yield said
    elif isinstance(said, dict):
        for key, value in said.items():
            if key not in ("input", "loc", "ctx", "param", "url"):
                yield from _strings(value)
    elif isinstance(said, list):
        for value in said:
            yield from _strings(value)
