"""Reading the answer out of a solution.

The first of these that the text has (paper, appendix; order of the authors' code):

1. ``final answer is $…$. I hope``, as the Llama 3 prompt asks for
2. the last ``\\boxed{…}`` or ``\\fbox{…}`` that is closed and not empty
3. what follows the last ``answer is``
4. the last number

Every pattern is linear in the text, so a hostile one cannot stall the event loop.
"""

import re

MAX_TEXT = 200_000
"""Characters read, from the end: well beyond the 32,768 tokens of the longest solutions."""

_HOPED = re.compile(r"final answer is:? ?\$([^$]*)\$ ?\.? ?I hope")
_BRACE = re.compile(r"\\(?:boxed|fbox)(?![a-zA-Z]) ?\{|\\.|[{}]", re.DOTALL)
_STATED = re.compile(r"\banswer is\b", re.IGNORECASE)
_MATH = re.compile(r"\$([^$]*)\$|\\\(((?:(?!\\\)).)*)\\\)")
_SENTENCE_END = re.compile(r"[.!?](?= |$)|\n")
_WORD = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{2,}")
_NUMBER = re.compile(r"(?<![\w.])(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|(?<![\w.])\.\d+")


def extract(text: str) -> str | None:
    """The answer ``text`` states, or None where it states none or only an empty box."""
    text = text[-MAX_TEXT:]
    hoped = _HOPED.findall(text)
    if hoped and (answer := _unboxed(hoped[-1])):
        return answer
    boxes = _boxes(text)
    if boxes:
        return next((box for box in reversed(boxes) if box), None)
    return _stated(text) or _last_number(text)


def _boxes(text: str) -> list[str]:
    """The contents of all closed boxes, in the order they open."""
    opened: list[tuple[int, bool]] = []
    boxes: dict[int, str] = {}
    for match in _BRACE.finditer(text):
        token = match[0]
        if token == "}":
            if opened:
                start, is_box = opened.pop()
                if is_box:
                    # One box in another would be copied once a level: keep the innermost.
                    boxes[start] = "" if _holds_box(boxes, start) else text[start : match.start()]
        elif token.endswith("{") and token != r"\{":
            opened.append((match.end(), len(token) > 1))
    return [boxes[start].strip() for start in sorted(boxes)]


def _holds_box(boxes: dict[int, str], start: int) -> bool:
    """Whether the box closed last opened within the one that opened at ``start``."""
    return bool(boxes) and next(reversed(boxes)) > start


def _unboxed(answer: str) -> str:
    boxes = _boxes(answer)
    return boxes[-1] if boxes else answer.strip()


def _stated(text: str) -> str | None:
    """The formula, number or phrase after the last ``answer is``."""
    end = None
    for match in _STATED.finditer(text):
        end = match.end()
    if end is None:
        return None
    rest = text[end : end + 500].lstrip(" :*\n")
    phrase = rest[: m.start()] if (m := _SENTENCE_END.search(rest)) else rest
    formula = _MATH.search(phrase)
    if formula:
        return (formula[1] or formula[2] or "").strip() or None
    phrase = phrase.strip(" *:")
    if _WORD.search(phrase) and (number := _last_number(phrase)):
        return number
    return phrase or None


def _last_number(text: str) -> str | None:
    """The last number that is not part of a name ("x2", "user77"), without thousands' commas."""
    last = None
    for match in _NUMBER.finditer(text):
        last = match
    if last is None:
        return None
    before = text[: last.start()][-2:]
    # A minus is a sign, unless something stands before it to subtract from.
    negative = before.endswith("-") and not re.match(r"[\w)}\]]", before[:-1])
    return ("-" if negative else "") + last[0].replace(",", "")
