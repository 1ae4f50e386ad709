"""Equality of answers as far as it needs no algebra, in microseconds and linear time.

Conventions, for this module and the algebra behind it:

- Numbers are compared exactly: 27.0 is 27, and ½ is 0.5 is 1/2. Two decimals count as equal within
  1e-4 relative (the authors' tolerance), a decimal and a fraction within 1e-6 (0.333333 is 1/3).
- Units, degrees, currency and percent signs are dropped: 10\\% is 10, and is not 0.1. The authors
  also accept a factor of 100; that inflates scores, so it hides behind ``percent``.
- 52_8 is 52 where one side names no base; 52_8 is not 52_7.
- (1,2) is ordered, {1,2} and 1,2 are not; (1,2) is not [1,2], nor {1,2}. Bare 1,2 is (1,2).
- Words are compared without case: \\text{Evelyn} is evelyn; (C) is C.
"""

import re
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

from orchestrator.tasks.latex import MAX_ANSWER, compact, split_list, tidy

DECIMAL_TOLERANCE = Fraction(1, 10**4)
FRACTION_TOLERANCE = Fraction(1, 10**6)

_DECIMAL = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_RATIO = re.compile(r"([+-]?\d+)/(\d+)")
_FRAC = re.compile(r"([+-]?)(\d*)\\frac\{([+-]?\d+)\}\{([+-]?\d+)\}")
_BASED = re.compile(r"([0-9A-F]+)_(?:\{(\d+)\}|(\d+))")
_WORDS = re.compile(r"(?=.*[A-Za-z]{4})[A-Za-z]+(?: [A-Za-z]+)*")


def quick(answer: str, reference: str, *, percent: bool = False) -> bool | None:
    """Whether two answers are equal, or None where only algebra can tell."""
    if max(len(answer), len(reference)) > MAX_ANSWER:
        return answer.strip() == reference.strip()
    plain = _same_numbers(answer.strip(), reference.strip(), percent)
    if plain is not None:
        return plain  # nearly all comparisons of a run, so spare them the tidying
    left, right = tidy(answer), tidy(reference)
    if compact(left) == compact(right):
        return bool(left)
    if not left or not right:
        return False
    verdict = _same_numbers(compact(left), compact(right), percent)
    if verdict is None:
        verdict = _same_words(answer, reference, left, right)
    return _same_lists(left, right) if verdict is None else verdict


def number(text: str) -> tuple[Fraction, bool] | None:
    """The value of a plain number or fraction, and whether it is a decimal one."""
    if _DECIMAL.fullmatch(text) or _THOUSANDS.fullmatch(text):
        plain = text.replace(",", "")
        return Fraction(plain.rstrip(".")), "." in plain
    if (ratio := _RATIO.fullmatch(text)) and int(ratio[2]):
        return Fraction(int(ratio[1]), int(ratio[2])), False
    if (frac := _FRAC.fullmatch(text)) and int(frac[4]):
        value = int(frac[2] or 0) + Fraction(int(frac[3]), int(frac[4]))
        return -value if frac[1] == "-" else value, False
    return None


def _same_numbers(left: str, right: str, percent: bool) -> bool | None:
    a, b = number(left), number(right)
    if a is not None and b is not None:
        factors = (1, 100, Fraction(1, 100)) if percent else (1,)
        return any(_near((a[0] * factor, a[1]), b) for factor in factors)
    base_a, base_b = _BASED.fullmatch(left), _BASED.fullmatch(right)
    if base_a and base_b:
        return _digits_and_base(base_a) == _digits_and_base(base_b)
    if (base_a and b is not None) or (base_b and a is not None):
        return (base_a[1] if base_a else left) == (base_b[1] if base_b else right)
    return None


def _near(a: tuple[Fraction, bool], b: tuple[Fraction, bool]) -> bool:
    (left, left_decimal), (right, right_decimal) = a, b
    if left == right:
        return True
    if left_decimal and right_decimal:
        return abs(left - right) <= DECIMAL_TOLERANCE * abs(right)
    if left.denominator == 1 or right.denominator == 1:
        return False  # whole numbers are exact: 10000 is not 10001
    return (left_decimal or right_decimal) and abs(left - right) <= FRACTION_TOLERANCE * abs(right)


def _digits_and_base(match: re.Match[str]) -> tuple[str, str]:
    return match[1], match[2] or match[3]


def _same_words(answer: str, reference: str, left: str, right: str) -> bool | None:
    """Words are decided by spelling: to algebra "east" is a product, and equal to "seat"."""
    marked = any(r"\text" in raw or r"\mbox" in raw for raw in (answer, reference))
    words = [
        _WORDS.fullmatch(each) is not None or (marked and each.replace(" ", "").isalpha())
        for each in (left, right)
    ]
    if all(words):
        return left.casefold() == right.casefold()
    if any(words) and any(number(compact(each)) is not None for each in (left, right)):
        return False
    return None


def _same_lists(left: str, right: str) -> bool | None:
    """Tuples, sets and intervals, as far as their shapes and plain elements decide."""
    if r"\pm" in left or r"\pm" in right:
        return None  # stands for two elements
    a, b = split_list(left), split_list(right)
    if a is None or b is None:
        single, other = (left, b) if a is None else (right, a)
        # 1 is not 1,1, though as sets they were the same.
        return False if other is not None and number(compact(single)) is not None else None
    (shape_a, items_a), (shape_b, items_b) = a, b
    shapes = {shape_a, shape_b}
    if len(shapes) == 2 and shapes not in ({"", "()"}, {"", "{}"}):
        return False
    if len(items_a) != len(items_b):
        return False
    if shapes <= {"", "{}"}:
        return _same_bags(items_a, items_b)
    pairs = [_same_item(x, y) for x, y in zip(items_a, items_b, strict=True)]
    return False if False in pairs else None if None in pairs else True


def _same_item(left: str, right: str) -> bool | None:
    a, b = compact(tidy(left)), compact(tidy(right))
    return True if a == b else _same_numbers(a, b, percent=False)


def _same_bags(left: Sequence[str], right: Sequence[str]) -> bool | None:
    a, b = ([number(compact(tidy(each))) for each in items] for items in (left, right))
    if None in a or None in b:
        return None
    if Counter(x[0] for x in a if x) == Counter(x[0] for x in b if x):
        return True
    return None if any(x[1] for x in (*a, *b) if x) else False  # decimals may be near
