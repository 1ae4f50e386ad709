r"""Reading the answer out of a solution.

What is thought (``<think>``) is not said, and what follows in a problem that the model makes up is
not asked. Of the rest, the first of these that it has (paper, appendix; order of the authors'
code):

1. ``final answer is $…$. I hope``, as the Llama 3 prompt asks for
2. the last ``\boxed{…}`` that is closed and not empty
3. what follows the last ``answer is``, ``Answer:`` or ``####``
4. the last expression with a number, as a whole

A box that is never closed states no answer, nor does a number that only labels (step 2). Every
pattern is linear in the text, so a hostile one cannot stall the event loop.
"""

import re

from orchestrator.tasks.math.extracting.excerpts import chosen, excerpts, tidied
from orchestrator.tasks.math.reading.boxes import boxes, without_placeholders
from orchestrator.tasks.math.reading.delimiters import MATH, formula_at, undelimited
from orchestrator.tasks.math.terms import words

MAX_TEXT = 200_000
"""Characters read, from the end: well beyond the 32,768 tokens of the longest solutions."""

WINDOW = 500
"""Characters read after a phrase, and around a number: more is no answer."""

_HOPED = re.compile(r"final answer is:? ?\$((?:[^$\\]|\\.)*)\$ ?\.? ?I hope")
_STATED = re.compile(
    r"\b(?:answers?|(?:correct|right) (?:option|choice))\b[\"'*]*"
    r"(?: to (?:the|this) (?:problem|question))?"
    r"(?: (?:is|are|will be|would be|must be|should be|equals)\b| ?[:=]| [-–—] )"
    r"|^ ?####(?= ?[-+$\\(\d.])"
    r"|(?:答案|故选|应选) ?(?:是|为|[:：])? ?",
    re.IGNORECASE | re.MULTILINE,
)
_FIGURE = re.compile(r"\[asy\](?:(?!\[/?asy\]).)*\[/asy\]", re.DOTALL)
_FILLED_BOX = re.compile(r"\\(?:boxed|fbox) ?\{\s*[^\s}]")
_NEXT_PROBLEM = re.compile(
    r"\n[ #*]*(?:(?:Next|New) )?"
    r"(?:Problem|Question|Q|Exercise|User|Human|Instruction)\b[ \d]*\**[:.]"
    r"|</s>|<[|｜]?(?:endoftext|end[_▁]of[_▁](?:text|turn|sentence)|eot_id|im_end|end)[|｜]?>"
)
_SENTENCE = re.compile(rf"{MATH}|(?P<end>[.!?](?=[\s*]|$)|。|\n)", re.DOTALL)
_NUMBER = re.compile(r"(?:(?<![\w.])|(?<=frac)|(?<=sqrt))(?:\d+(?:[.,]\d+)*|\.\d+)")
_CHOICE = re.compile(r"\**\(?([A-H])(?:\)|\.(?= \S)|:(?= \S))")
_NOT_STATED = words(
    "correct incorrect wrong right not as found obtained clear obvious unique simple known valid"
    " reasonable consistent impossible what that this which we you it here there in on if because"
    " verified confirmed unclear unknown shown given stated derived computed calculated provided"
    " below above based close likely probably possible expected supposed still already"
)
_ADVERBS = words("therefore thus hence then so clearly simply just indeed also now actually")
_REASON = re.compile(r",? \b(?:because|since|as|for)\b|, whos?e?\b")
_INDIRECT = re.compile(r"(?:[a-z]+(?:ed|en)|the same) (?:as|by|to be|to) ")
_SIGN = re.compile(r" ?([-−–]) (?=[\d.$\\])")
_TEXT = re.compile(r"\\(?:text|textbf|mathrm|mbox) ?\{([^{}]*)\}")
_ALONE = re.compile(r"[\s*(]*([A-H]|[Yy]es|[Nn]o|[Tt]rue|[Ff]alse)[).*\s]*")
_OPERATORS = "-+*/^=<>_"
_MAX_WORDS = 6

MAX_STATED = 10
"""Phrases that are tried, from the last: "the answer is clear" states none."""


def extract(text: str) -> str | None:
    """The answer ``text`` states, or None where it states none or only an empty box."""
    text = _asked(_said(_FIGURE.sub(" ", without_placeholders(text[-MAX_TEXT:]))))
    for hoped in reversed(_HOPED.findall(text)):
        filled = [box for box in boxes(hoped).closed if box]
        if answer := filled[-1] if filled else hoped.strip():
            return answer
    closed, open_at = boxes(text)
    if closed:
        return next((_said_in(box) for box in reversed(closed) if box), None)
    if open_at is not None:
        return _stated(text[:open_at])
    if (at := text.rfind("\\begin{")) > text.rfind("\\end{"):
        return _stated(text[:at])
    if (alone := _ALONE.fullmatch(text)) is not None:
        return alone[1]
    return _stated(text) or _last(text)


def _said_in(box: str) -> str:
    r"""What the box states, where it holds a sentence: ``\boxed{\text{The answer is 5}}``."""
    if _STATED.search(box) is None:
        return box
    return _stated(_TEXT.sub(r"\1", box)) or box


def _said(text: str) -> str:
    """What follows the thoughts; what is before them where they do not end."""
    if "</think>" in text:
        return text.rpartition("</think>")[2]
    return text.partition("<think>")[0]


def _asked(text: str) -> str:
    """The text up to a further problem that the model poses itself after its answer."""
    answers = (pattern.search(text) for pattern in (_HOPED, _STATED, _FILLED_BOX))
    answered = min((each.start() for each in answers if each), default=len(text))
    further = _NEXT_PROBLEM.search(text, answered)
    return text[: further.start()] if further else text


def _stated(text: str) -> str | None:
    """The expression or words after the last phrase that states an answer."""
    for match in reversed(list(_STATED.finditer(text))[-MAX_STATED:]):
        answer = _phrase(text[match.end() : match.end() + WINDOW])
        if answer is not None:
            return answer
    return None


def _phrase(text: str) -> str | None:
    """What the rest of a sentence says."""
    if (sign := _SIGN.match(text)) is not None:  # a line of its own would be a list's
        text = sign[1] + text[sign.end() :]
    phrase = _sentence(text.lstrip(" :=*_}\n\t"))
    if not phrase:
        return None
    if (choice := _CHOICE.match(phrase)) is not None:
        return choice[1]
    _, is_but, instead = phrase.partition(" but ")
    if phrase.startswith("not ") and is_but:
        phrase = instead
    whole = undelimited(phrase).strip(" *_`:,;\"'")
    said = whole.casefold().split()
    while said and said[0].strip(",") in _ADVERBS:
        del said[0]
        whole = whole.partition(" ")[2]
    if not said or "answer" in said or said[0] in _NOT_STATED:
        return None
    if len(said) > 1 and said[0] in ("i", "a", "one"):
        return None
    phrase, whole = _INDIRECT.sub("", phrase, count=1), _INDIRECT.sub("", whole, count=1)
    excerpt = chosen(phrase)
    reason = _REASON.search(whole)
    if reason is not None and (excerpt is None or chosen(phrase[: reason.start()]) is None):
        whole = whole[: reason.start()].strip(" ,")
    elif excerpt is not None:
        return tidied(excerpt)
    return whole if len(whole.split()) <= _MAX_WORDS and whole[-1:] not in _OPERATORS else None


def _sentence(text: str) -> str:
    """The text up to the end of its sentence, of which formulas are part; a display may follow."""
    for match in _SENTENCE.finditer(text):
        if match["end"] is None:
            continue
        before, after = text[: match.start()], text[match.end() :]
        if match[0] == "\n" and re.match(r"\s*(?:\$\$|\\\[|\\begin)", after) and "$" not in before:
            continue
        if before.strip(" *"):
            return before
    return text


def _last(text: str) -> str | None:
    """The last expression that has a number and labels nothing."""
    last = None
    for match in _NUMBER.finditer(text):
        last = match
    if last is None:
        return None
    formula = formula_at(text, last.start())
    at, end = formula or last.span()
    window = max(0, at - WINDOW)
    start = max((m.end() for m in re.finditer(r"[.!?]\s|\n", text[window:at])), default=0) + window
    if start < at and (cut := formula_at(text, start)) is not None and cut[0] < start:
        start = min(cut[1], at)
    after = "" if formula else _sentence(text[end : end + WINDOW])
    for excerpt in reversed(excerpts(text[start:end] + after)):
        if not excerpt.is_label and any(map(str.isdigit, excerpt.text)):
            return tidied(excerpt)
    return None
