r"""Where formulas start and end in prose: ``$…$``, ``$$…$$``, ``\(…\)``, ``\[…\]``."""

import re

MATH = (
    r"\$\$(?:[^$\\]|\\.)*\$\$|\$(?:[^$\\]|\\.)*\$|\\\[(?:(?!\\\]).)*\\\]|\\\((?:(?!\\\)).)*\\\)"
    r"|\\begin\{(?P<environment>[a-z]+\*?)\}(?:(?!\\end\{).)*\\end\{[a-z]+\*?\}"
)
"""A formula as LaTeX sets it apart; quadratic, so for short texts only."""

_MATH = re.compile(MATH, re.DOTALL)
_DELIMITER = re.compile(
    r"(?P<begin>\\begin\{[a-z]+\*?\})|(?P<end>\\end\{[a-z]+\*?\})|\$\$|\$|\\.", re.DOTALL
)
_CLOSES = {"$": "$", "$$": "$$", r"\)": r"\(", r"\]": r"\["}
_WORD = re.compile(r"(?<![\\A-Za-z{])[A-Za-z]{3,}(?![A-Za-z}])")
_MAX_PROSE = 500


def formula_at(text: str, position: int) -> tuple[int, int] | None:
    """Where the formula around a position starts and ends, in linear time; None outside of any."""
    opened: dict[str, int] = {}
    environments = 0
    for match in _DELIMITER.finditer(text):
        token, end = match[0], match.end()
        opening = _CLOSES.get(token)
        start = None
        if match["begin"]:
            environments += 1
            opened.setdefault("begin", match.start())
        elif match["end"] and environments:
            environments -= 1
            start = None if environments else opened.pop("begin")
        elif opening in opened:
            start = opened.pop(opening)
            if token == "$" and is_prose(text[start : min(end, start + _MAX_PROSE)]):
                opened["$"], start = match.start(), None  # the one before was money
        elif token in ("$", "$$", r"\(", r"\["):
            opened[token] = match.start()
        if start is not None and start <= position < end:
            return start, end
        if match.start() > position and not opened:
            return None
    return None


def is_prose(formula: str) -> bool:
    """Whether two dollars are money with words between them: $200 and $."""
    if not formula.startswith("$") or formula.startswith("$$"):
        return False
    bare = re.sub(r"\\[A-Za-z]+(?: ?\{[^{}]*\})?", "", formula)
    return re.match(r"\$\d.* \$", bare) is not None or _WORD.search(bare) is not None


def undelimited(text: str) -> str:
    """Without the dollars and brackets around formulas."""

    def inner(match: re.Match[str]) -> str:
        formula = match[0]
        if match["environment"] or is_prose(formula):
            return formula
        width = 2 if formula.startswith(("$$", "\\")) else 1
        return f" {formula[width:-width].strip()} "

    return _MATH.sub(inner, text)
