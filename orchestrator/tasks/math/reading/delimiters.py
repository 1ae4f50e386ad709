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
_WORD = re.compile(r"(?<![\\A-Za-z{])[a-z]{3,}(?![A-Za-z}])")
_MAX_PROSE = 500
_ALIGNED = ("align", "aligned", "gather", "gathered", "equation", "eqnarray", "split", "multline")


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
    return re.match(r"\$\d", bare) is not None and (
        bare.endswith(" $") or _WORD.search(bare) is not None
    )


def last_formula(text: str) -> str | None:
    """The last formula that LaTeX sets apart, None where there is none or nothing else."""
    found = [match[0] for match in _MATH.finditer(text) if not is_prose(match[0])]
    return found[-1] if found and found[-1] != text.strip() else None


def undelimited(text: str) -> str:
    """Without the dollars and brackets around formulas; of aligned lines what they come to."""

    def inner(match: re.Match[str]) -> str:
        formula = match[0]
        if match["environment"]:
            if match["environment"] == "cases":
                return _system(_rows(formula)) or formula
            is_aligned = match["environment"].rstrip("*") in _ALIGNED
            return f" {_outcome(formula)} " if is_aligned else formula
        if is_prose(formula):
            return formula
        width = 2 if formula.startswith(("$$", "\\")) else 1
        return f" {undelimited(formula[width:-width]).strip()} "

    return _MATH.sub(inner, text)


def _lines(body: str) -> list[str]:
    """The lines of an environment; those of matrices within are none."""
    lines, depth, start = [], 0, 0
    for match in re.finditer(r"\\begin|\\end|\\\\|\\.", body):
        depth += (match[0] == r"\begin") - (match[0] == r"\end")
        if match[0] == "\\\\" and depth == 0:
            lines.append(body[start : match.start()])
            start = match.end()
    return [*lines, body[start:]]


def _outcome(environment: str) -> str:
    """The last line of a calculation; all lines of a system."""
    plain = [line.replace("&", "").strip() for line in _rows(environment)]
    if not plain:
        return environment
    if any(line.startswith("=") for line in plain):
        return plain[-1].removeprefix("=").strip()
    return _system(plain) or plain[-1]


def _rows(environment: str) -> list[str]:
    body = environment[environment.index("}") + 1 : environment.rindex("\\end")]
    return [line.strip() for line in _lines(body) if line.strip()]


def _system(lines: list[str]) -> str | None:
    """The lines as a list, where each gives an unknown of its own: not for f(x) by cases."""
    names = [re.match(r"([A-Za-z]\w*) *=[^&]*$", line) for line in lines]
    if not all(names) or len({name[1] for name in names if name}) < len(names):
        return None
    return ", ".join(line.rstrip(",. ") for line in lines)
