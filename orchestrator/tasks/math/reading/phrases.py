"""Words: answers that are no formula, and when letters are words rather than products."""

import re

from orchestrator.tasks.math.reading.formulas import FormulaReader
from orchestrator.tasks.math.reading.latex import END, TEXT
from orchestrator.tasks.math.reading.tokens import NAMES, Token, tokenise
from orchestrator.tasks.math.shapes import formula
from orchestrator.tasks.math.terms import Unreadable, Value, Words

WORDS = re.compile(r"[^\W\d_]+(?:(?: |-|')[^\W\d_]+)*\.?")
"""Words alone: letters with single spaces, hyphens or apostrophes between them."""

_MARKED = re.compile(f"{TEXT}[^{END}]*{END}")


def words_of(text: str, said: str) -> Words | None:
    """Words where the answer is nothing else, each letter of a product where it may be one."""
    if not WORDS.fullmatch(said):
        return None
    runs = re.findall(r"[^\W\d_]+", said)
    is_marked = text != said
    if is_marked and re.search(r"(?:^|\W)[^\W\d_](?:\W|$)", _MARKED.sub(" ", text)):
        return None  # x \text{ cm}
    if not is_marked:
        if all(len(run) == 1 for run in runs):
            return None
        try:
            if len(runs) == 1 and len(said) <= 3 and said not in NAMES:
                return Words(said, formula(FormulaReader(tokenise(said)[:-1], _none).whole()))
            if any(token.kind == "name" for token in tokenise(said)):
                return None  # \sin x, \pi r
        except Unreadable:
            pass
    elif len(runs) == 1 and tokenise(text)[0].kind == "name":
        return None
    return Words(" ".join(said.rstrip(".").split()))


def _none(tokens: list[Token]) -> Value:
    raise Unreadable
