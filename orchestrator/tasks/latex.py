r"""One spelling for the LaTeX of answers: \dfrac12, \frac 1 2 and ½ all become \frac{1}{2}.

Each rule is one linear pass over a text of bounded length.
"""

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

MAX_ANSWER = 2_000
"""Characters; a longer answer equals only itself."""

_DELIMITERS = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"))
_UNICODE = {
    "−": "-", "–": "-", "×": r"\times ", "·": r"\cdot ", "÷": "/", "π": r"\pi ", "∞": r"\infty ",
    "∪": r"\cup ", "∩": r"\cap ", "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "∈": r"\in ",
    "±": r"\pm ", "√": r"\sqrt ", "²": "^2", "³": "^3", "°": "", "％": "", "，": ",",
    "\N{NO-BREAK SPACE}": " ", "\N{FRACTION SLASH}": "/",
}  # fmt: skip


def _separator(match: re.Match[str]) -> str:
    r"""Thin spaces vanish; ``\\`` parts a matrix's rows and stays; ``{,}`` is a comma."""
    if match[1]:
        return match[1]
    return {"{,}": ",", "~": " ", r"\quad": " ", r"\qquad": " ", "\\ ": " "}.get(match[0], "")


_REWRITES: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\\(?:left|right|[bB]igg?[lr]?|displaystyle|textstyle|limits)(?![a-zA-Z])\.?", ""),
        (r"(\\\\)|\\[!,;: ]|\{,\}|\\q?quad(?![a-zA-Z])|~", _separator),
        (r"\\?[$%]", ""),
        (r"\^ ?\{ ?\\(?:circ|degree) ?\}", ""),
        (r"\^ ?\\(?:circ|degree)(?![a-zA-Z])|\\degree(?![a-zA-Z])", ""),
        (r"\\[dtc]frac(?![a-zA-Z])", r"\\frac"),
        (r"\\dbinom(?![a-zA-Z])", r"\\binom"),
        (r"\\(?:mathbf|mathrm|mathit|boldsymbol|bm|textbf|textit) ?\{([^{}]*)\}", r"\1"),
        (r"\\frac ?(\d) ?(\d)", r"\\frac{\1}{\2}"),
        (r"\\frac ?(\d) ?\{", r"\\frac{\1}{"),
        (r"\\frac ?\{([^{}]*)\} ?(\d)", r"\\frac{\1}{\2}"),
        (r"\\frac ?\{ ?([^{}]*?) ?\} ?\{ ?([^{}]*?) ?\}", r"\\frac{\1}{\2}"),
        (r"\\sqrt ?(\d+)", r"\\sqrt{\1}"),
        (r"^[a-zA-Z] ?\\in(?![a-zA-Z]) ?", ""),
    )
)
_TEXT = re.compile(r"\\(?:text(?:rm|sf|tt|normal)?|mbox|hbox) ?\{([^{}]*)\}( ?\^ ?(?:\{\d\}|\d))?")
_ENCLOSED = re.compile(r"\( ?(-?[\w.]+) ?\)")
_SPACE = re.compile(r"(?<!\d) | (?!\d)")
_OPEN, _CLOSE = "([{", ")]}"


@lru_cache(maxsize=4096)
def tidy(answer: str) -> str:
    """The same answer in one spelling, without units and decoration. Spaces remain."""
    text = answer.strip().rstrip(".")
    for opening, closing in _DELIMITERS:
        if text.startswith(opening) and text.endswith(closing) and len(text) > len(opening) * 2 - 1:
            text = text[len(opening) : -len(closing)]
    if not text.isascii():
        text = "".join(map(_spell, text))
    text = _without_text(text)
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    text = " ".join(text.split()).rstrip(". ").replace(" and ", ", ").replace(" or ", ", ")
    enclosed = _ENCLOSED.fullmatch(text)
    return enclosed[1] if enclosed else text


def compact(text: str) -> str:
    """Without spaces, but for those between digits: for comparing spellings only."""
    return _SPACE.sub("", text)


def split_list(text: str) -> tuple[str, list[str]] | None:
    r"""``("(]", ["3", "4"])`` of ``(3,4]``; the shape of a bare list is empty. None for others."""
    text = text.strip().replace(r"\{", "{").replace(r"\}", "}")
    shape = ""
    if text[:1] in _OPEN and text[-1:] in _CLOSE and _closes_last(text):
        shape, text = text[0] + text[-1], text[1:-1]
    items, depth, start = [], 0, 0
    for i, character in enumerate(text):
        if character in _OPEN:
            depth += 1
        elif character in _CLOSE:
            depth -= 1
        elif character == "," and depth == 0:
            items.append(text[start:i].strip())
            start = i + 1
    items.append(text[start:].strip())
    return (shape, items) if len(items) > 1 else None


def _closes_last(text: str) -> bool:
    """Whether the bracket that opens the text is closed by its last character."""
    depth = 0
    for i, character in enumerate(text):
        depth += (character in _OPEN) - (character in _CLOSE)
        if depth == 0:
            return i == len(text) - 1
    return False


def _spell(character: str) -> str:
    vulgar = unicodedata.decomposition(character)
    if vulgar.startswith("<fraction>"):
        digits = "".join(chr(int(code, 16)) for code in vulgar.split()[1:])
        over, _, under = digits.partition("\N{FRACTION SLASH}")
        return rf"\frac{{{over}}}{{{under}}}"
    return _UNICODE.get(character, character)


def _without_text(text: str) -> str:
    r"""Drop ``\text{ cm}^2`` beside other content; keep it where it is all there is."""
    if not _TEXT.search(text):
        return text
    rest = _TEXT.sub(_joined, text)
    return rest if rest.strip(" .,") else _TEXT.sub(r"\1", text)


def _joined(match: re.Match[str]) -> str:
    return "," if match[1].strip() in ("and", "or", ", and", ", or") else " "
