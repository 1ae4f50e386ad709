"""The problems the tiny models are trained on and tested with: chains of whole-number operations.

    Start with 10. Then A + 76, B * 2, C / 7. What is the result?

Each operation carries a label and every value stays within 0..199; ``/`` drops the remainder. A
solution restates one operation a step and carries it out, steps are parted by a blank line, and
the last one boxes the result. The number of operations is the difficulty.

Training, development and test problems are disjoint by construction: a hash of the question's text
assigns each problem to exactly one split, and ``draw`` returns only problems of the split it is
asked for.
"""

import hashlib
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

LIMIT = 200  # values run over 0..LIMIT-1
LABELS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SEPARATOR = "\n\n"
MAX_DEPTH = 12
TEST_DEPTHS = range(2, 11)

Operator = Literal["+", "-", "*", "/"]
OPERATORS: tuple[Operator, ...] = get_args(Operator)
Split = Literal["train", "dev", "test"]
_FREQUENCY: dict[Operator, int] = {"+": 2, "-": 2, "*": 3, "/": 3}

_QUESTION = re.compile(r"^Start with (\d+)\. Then (.*)\. What is the result\?$")
_OPERATION = re.compile(r"^([A-Z]) ([-+*/]) (\d+)$")
_STEP = re.compile(r"^Step ([A-Z]) ([-+*/]) (\d+): (\d+) ([-+*/]) (\d+) = (\d+)$")
_FINAL = re.compile(r"^Therefore, the final answer is: \$\\boxed\{(\d+)\}\$\.$")


def apply(operator: str, left: int, right: int) -> int:
    """Return ``left operator right``; ``/`` drops the remainder, and division by 0 gives 0."""
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case _:
            return left // right if right else 0


@dataclass(frozen=True, slots=True)
class Chain:
    """A start value and the operations applied to it in turn."""

    start: int
    operations: tuple[tuple[Operator, int], ...]

    @property
    def depth(self) -> int:
        return len(self.operations)

    @property
    def values(self) -> list[int]:
        """The value after each operation, ``depth`` of them."""
        values, value = [], self.start
        for operator, operand in self.operations:
            value = apply(operator, value, operand)
            values.append(value)
        return values

    @property
    def answer(self) -> str:
        return str(self.values[-1])

    @property
    def question(self) -> str:
        listed = ", ".join(f"{LABELS[i]} {o} {v}" for i, (o, v) in enumerate(self.operations))
        return f"Start with {self.start}. Then {listed}. What is the result?"

    @property
    def steps(self) -> list[str]:
        """The right solution, step by step, without separators."""
        value, steps = self.start, []
        for i, (operator, operand) in enumerate(self.operations):
            result = apply(operator, value, operand)
            steps.append(step_text(LABELS[i], operator, operand, value, operator, operand, result))
            value = result
        return [*steps, final_text(value)]

    @property
    def solution(self) -> str:
        return SEPARATOR.join(self.steps)


def step_text(
    label: str, operator: str, operand: int, left: int, done: str, right: int, result: int
) -> str:
    """One step: the instruction as restated, then the calculation as carried out."""
    return f"Step {label} {operator} {operand}: {left} {done} {right} = {result}"


def final_text(value: int) -> str:
    return f"Therefore, the final answer is: $\\boxed{{{value}}}$."


def parse(question: str) -> Chain:
    """Read a question back into its chain. Raises ``ValueError`` for any other text."""
    match = _QUESTION.match(question)
    if match is None:
        raise ValueError(f"not a chain of operations: {question[:60]!r}")
    operations: list[tuple[Operator, int]] = []
    for listed in match[2].split(", "):
        part = _OPERATION.match(listed)
        if part is None:
            raise ValueError(f"not an operation: {listed!r}")
        operations.append((part[2], int(part[3])))  # type: ignore[arg-type]
    return Chain(int(match[1]), tuple(operations))


def split_of(chain: Chain) -> Split:
    """The one split a problem belongs to: 80 % train, 10 % dev, 10 % test, by its text's hash."""
    bucket = hashlib.blake2b(chain.question.encode(), digest_size=2).digest()[0] % 10
    return "test" if bucket == 0 else "dev" if bucket == 1 else "train"


def generate(rng: random.Random, depth: int, operators: tuple[Operator, ...] = OPERATORS) -> Chain:
    """A chain of ``depth`` operations whose every value stays within 0..199."""
    start = value = rng.randint(2, 99)
    operations: list[tuple[Operator, int]] = []
    for _ in range(depth):
        possible = {
            "+": value < LIMIT - 1,
            "-": value > 1,
            "*": 2 <= value <= LIMIT // 2 - 1,
            "/": value >= 6,
        }
        choices = [o for o in operators if possible[o]]
        operator = rng.choices(choices, [_FREQUENCY[o] for o in choices])[0]
        match operator:
            case "+":
                operand = rng.randint(1, LIMIT - 1 - value)
            case "-":
                operand = rng.randint(1, value)
            case "*":
                operand = rng.randint(2, (LIMIT - 1) // value)
            case "/":
                operand = rng.randint(2, min(value, 40))
        operations.append((operator, operand))
        value = apply(operator, value, operand)
    return Chain(start, tuple(operations))


def draw(
    rng: random.Random,
    depth: int,
    split: Split,
    operators: tuple[Operator, ...] = OPERATORS,
) -> Chain:
    """A chain of ``depth`` operations that belongs to ``split``."""
    while True:
        chain = generate(rng, depth, operators)
        if split_of(chain) == split:
            return chain


def held_out(count: int, seed: int, depths: range = TEST_DEPTHS) -> Iterator[Chain]:
    """``count`` distinct test problems, the depths taking turns."""
    rng, seen = random.Random(seed), set[Chain]()
    for i in range(count):
        depth = depths[i % len(depths)]
        while (chain := draw(rng, depth, "test")) in seen:
            pass
        seen.add(chain)
        yield chain


def own_labels(chain: Chain, steps: list[str]) -> list[bool]:
    """Whether each step is right in itself, given the values stated so far.

    A step is right when it restates the right instruction, carries the value the step before it
    ended with, and calculates correctly; the last one when it boxes that value after exactly
    ``depth`` steps.
    """
    labels, value = [], chain.start
    for i, step in enumerate(steps):
        match = _STEP.match(step)
        if match is not None and i < chain.depth:
            operator, operand = chain.operations[i]
            right = step_text(
                LABELS[i], operator, operand, value, operator, operand,
                apply(operator, value, operand),
            )  # fmt: skip
            labels.append(step == right)
            value = int(match[7])
        else:
            labels.append(i == chain.depth and step == final_text(value))
    return labels


def whole_chain_right(chain: Chain, solution: str) -> bool:
    """Whether every step of a solution is right, not only its answer."""
    return solution.strip() == chain.solution


def stated_result(step: str) -> tuple[str, int, int] | None:
    """``(operator, right result, stated result)`` of a step's calculation, if it has one."""
    match = _STEP.match(step)
    if match is None:
        return None
    return match[5], apply(match[5], int(match[4]), int(match[6])), int(match[7])


def boxed(step: str) -> int | None:
    """The value a final step boxes."""
    match = _FINAL.match(step)
    return int(match[1]) if match else None
