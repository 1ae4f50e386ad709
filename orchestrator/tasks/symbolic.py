"""Equality of answers by algebra: math-verify, with sympy beneath. Runs in worker processes only.

It can take for ever and all memory on a short answer, so whoever calls it must be able to kill it.
math-verify's own time limits are off: they need signals in the main thread and cannot interrupt
a long multiplication.
"""

import logging
from functools import lru_cache
from typing import Any

from math_verify import parse, verify
from math_verify.parser import LatexExtractionConfig
from sympy import Expr, Float

from orchestrator.tasks.latex import tidy

# Each call without its own time limit would warn.
logging.getLogger("math_verify").setLevel(logging.ERROR)

_FORMULA = [LatexExtractionConfig(boxed_match_priority=-1)]
RELATIVE_TOLERANCE = 1e-4


def same(answer: str, reference: str) -> bool:
    """Whether two answers are mathematically equal. Any error of the parser is a no."""
    left, right = _parsed(tidy(answer)), _parsed(tidy(reference))
    if not left or not right:
        return False
    equal = verify(right, left, timeout_seconds=None, allow_set_relation_comp=True)
    return bool(equal) and _relatively_near(left[0], right[0])


@lru_cache(maxsize=4096)
def _parsed(text: str) -> list[Any]:
    """What math-verify reads: an expression where it can, and the text."""
    found: list[Any] = parse(f"${text}$", _FORMULA, parsing_timeout=None)
    return found


def _relatively_near(left: Any, right: Any) -> bool:
    """math-verify rounds to six places, at which all small numbers are the same."""
    if not all(isinstance(each, Expr) and each.is_number for each in (left, right)):
        return True
    if not any(each.has(Float) for each in (left, right)):
        return True
    difference = abs((left - right).evalf())
    return bool(difference <= RELATIVE_TOLERANCE * abs(right.evalf()))
