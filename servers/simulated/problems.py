"""What the simulated policies solve: sums whose answer can be read off the question.

    Start with 412. Then + 37, * 3, - 58. Keep the last three digits. What is the result?

The number of operations is the difficulty: a solution takes one step for each, and one to state
the answer. Of any other text a question is made too, whose number of steps and right answer are
drawn from it, so that runs on other tasks can be planned; their accuracy means nothing.
"""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from zlib import crc32

MODULUS = 1000
DEPTHS = range(3, 13)

_QUESTION = re.compile(
    r"Start with (\d+)\. Then (.*?)\. Keep the last three digits\. What is the result\?"
)


@dataclass(frozen=True, slots=True)
class Sum:
    """``values`` holds the right value after each operation; the last is the answer.

    ``draw`` is a number that depends on the question alone.
    """

    question: str
    values: tuple[int, ...]
    draw: int

    @property
    def depth(self) -> int:
        return len(self.values)

    @property
    def answer(self) -> str:
        return str(self.values[-1])


def generate(count: int, seed: int, depths: range = DEPTHS) -> Iterator[Sum]:
    """``count`` distinct sums, the depths taking turns."""
    source, seen = random.Random(seed), set[str]()
    while len(seen) < count:
        depth = depths[len(seen) % len(depths)]
        listed = ", ".join(
            f"{sign} {source.randint(2, 9) if sign == '*' else source.randint(10, 99)}"
            for sign in source.choices("+-*", k=depth)
        )
        question = (
            f"Start with {source.randint(100, 999)}. Then {listed}. "
            "Keep the last three digits. What is the result?"
        )
        if question not in seen:
            seen.add(question)
            yield parse(question)


@lru_cache(maxsize=65_536)
def parse(question: str) -> Sum:
    """The problem a question poses, whatever text it is."""
    draw = crc32(question.encode())
    match = _QUESTION.search(question)
    if match is None:
        source = random.Random(draw)
        depth = min(24, max(2, round(source.lognormvariate(2.0, 0.4))))
        return Sum(question, tuple(source.randrange(MODULUS) for _ in range(depth)), draw)
    value, values = int(match[1]), []
    for operation in match[2].split(", "):
        sign, operand = operation[0], int(operation[2:])
        value = value * operand if sign == "*" else value + operand * (1 if sign == "+" else -1)
        value %= MODULUS
        values.append(value)
    return Sum(question, tuple(values), draw)
