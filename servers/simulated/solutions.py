"""What simulated models write: solutions of several steps, right as often as the model is able.

A step states its number and the value it comes to; the value says whether the path is still right,
so a path's state can be read off its last step, by any replica and after any restart. Everything
is drawn from numbers the caller derives from prompt and seed, never from time or order.

A token is five digits: ids 10000 to 75535 are two bytes of a question's text, 80000 to 89999
words, 90000 to 99999 signs. Ids of one width let a prompt be cut into blocks, compared and
continued as the bytes it came in, without ever being decoded.
"""

import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from statistics import NormalDist
from typing import NamedTuple
from zlib import crc32

from servers.simulated.problems import MODULUS, Sum, parse

SEPARATOR = "\n\n"
WIDTH = 6  # of an id with its comma

BEGIN, QUESTION, ANSWER, TURN, STEP_END = 90000, 90001, 90002, 90003, 90004
_NUMBERS, _VALUES = 91000, 92000  # of steps, and of what they come to
_FINAL_NUMBER = 999
_POOL = 4096
_WORDS = (
    *("so", "we", "take", "this", "and", "carry", "it", "on", "with", "care", "because", "each"),
    *("part", "of", "the", "sum", "must", "be", "kept", "as", "found", "before", "next", "one"),
    *("check", "that", "nothing", "is", "lost"),
)

_MIX, _MASK = 0x9E3779B97F4A7C15, (1 << 64) - 1


def mixed(number: int, index: int) -> int:
    """64 bits that look random, from a number and an index (SplitMix64)."""
    z = (number + (index + 1) * _MIX) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


_FILLER = " ".join(_WORDS[mixed(1, i) % len(_WORDS)] for i in range(2 * _POOL))
_FILLER_AT = [0, *(match.end() for match in re.finditer(" ", _FILLER))]
_FILLER_IDS = b"".join(
    b"%d," % (80000 + crc32(word.encode()) % 10_000) for word in _FILLER.split(" ")
)
_STEP = re.compile(r"Step (\d+): we come to (\d+)")
_STATED = re.compile(r"\$\\boxed\{(\d+)\}\$")
_STEPPING, _STATING = b"90005,90006,90007,90008,90009,", b"90010,90011,90012,90013,90014,"
_OVERHEAD = len(_STEPPING) // WIDTH + 3  # tokens of a step that are not filler


class State(NamedTuple):
    """How far a path has come: ``number`` steps, the last of which came to ``value``."""

    number: int = 0
    value: int | None = None


class Piece(NamedTuple):
    """One step as written. ``ids`` are its tokens as JSON numbers with commas after each."""

    text: str
    ids: bytes
    state: State
    is_last: bool

    @property
    def tokens(self) -> int:
        return len(self.ids) // WIDTH


@dataclass(frozen=True)
class Writer:
    """A policy's hand.

    ``skill`` is the chance that a solution of five operations is right, on average over problems;
    a problem's own chance is drawn from a Beta distribution around it, whose two parameters add up
    to ``spread``. Steps have ``step_tokens`` on average, log-normally.
    """

    skill: float = 0.4
    spread: float = 2.0
    step_tokens: float = 45.0
    step_sigma: float = 0.5
    _chances: dict[str, float] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def _lengths(self) -> list[int]:
        mean = math.log(self.step_tokens) - self.step_sigma**2 / 2
        normal = NormalDist(mean, self.step_sigma)
        return [max(_OVERHEAD + 1, round(math.exp(normal.inv_cdf((i + 0.5) / 1024))))
                for i in range(1024)]  # fmt: skip

    def chance(self, problem: Sum) -> float:
        """Of this problem's being solved by one sample."""
        known = self._chances.get(problem.question)
        if known is None:
            mean = self.skill ** (problem.depth / 5)
            source = random.Random(problem.draw)
            known = source.betavariate(self.spread * mean, self.spread * (1 - mean))
            if len(self._chances) >= 65_536:
                self._chances.clear()
            self._chances[problem.question] = known
        return known

    def step(self, problem: Sum, state: State, draw: int) -> Piece:
        """The step after ``state``; ``draw`` is 64 random bits."""
        depth, number = problem.depth, state.number
        length = self._lengths[draw & 1023]
        start = (draw >> 10) & (_POOL - 1)
        filler = length - _OVERHEAD
        text = _FILLER[_FILLER_AT[start] : _FILLER_AT[start + filler] - 1]
        ids = _FILLER_IDS[WIDTH * start : WIDTH * (start + filler)]
        if number >= depth:
            value = state.value if state.value is not None else problem.values[-1]
            return Piece(
                f"{text}. Therefore, the final answer is: $\\boxed{{{value}}}$.",
                ids + _STATING + state_ids(State(_FINAL_NUMBER, value)),
                State(number + 1, value),
                is_last=True,
            )
        value = self._value(problem, state, draw >> 22)
        return Piece(
            f"Step {number + 1}: we come to {value}, {text}{SEPARATOR}",
            ids + _STEPPING + state_ids(State(number + 1, value)),
            State(number + 1, value),
            is_last=False,
        )

    def _value(self, problem: Sum, state: State, draw: int) -> int:
        """The right value with the chance of one step, another otherwise; from a wrong value on
        everything stays wrong."""
        number = state.number
        right = problem.values[number]
        on_the_way = number == 0 or state.value == problem.values[number - 1]
        chance = self.chance(problem) ** (1 / problem.depth)
        if on_the_way and (draw & 0xFFFFFF) / 0x1000000 < chance:
            return right
        # Mistakes are alike, as those of real models are: a few of them are common.
        slip = 1 + min((draw >> 24) % 40, (draw >> 32) % 40)
        wrong = (right + 7 * slip + (0 if on_the_way else (state.value or 0))) % MODULUS
        return wrong if wrong != right else (right + 1) % MODULUS


@dataclass(frozen=True)
class SimulatedJudge:
    """A PRM's eye: scores of right and of wrong paths are normal in their log-odds, ``sharpness``
    standard deviations apart."""

    sharpness: float = 2.5

    _known: dict[tuple[int, str], tuple[float, float]] = field(
        default_factory=dict, compare=False, repr=False
    )

    @cached_property
    def _tables(self) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
        normal = NormalDist()
        deviates = [normal.inv_cdf((i + 0.5) / 1024) for i in range(1024)]

        def table(mean: float) -> list[tuple[float, float]]:
            scores = [round(1 / (1 + math.exp(-1.5 * (mean + z))), 6) for z in deviates]
            return [(round(1 - score, 6), score) for score in scores]

        return table(-self.sharpness / 2), table(self.sharpness / 2)

    def rows(self, problem: Sum, steps: Sequence[str]) -> list[tuple[float, float]]:
        """For each step, P(wrong) and P(right) of the path so far, as this PRM sees it."""
        known, draw, rows = self._known, problem.draw, []
        for step in steps:
            row = known.get((draw, step))
            if row is None:
                if len(known) >= 65_536:
                    known.clear()
                row = known[draw, step] = self._row(problem, step)
            rows.append(row)
        return rows

    def _row(self, problem: Sum, step: str) -> tuple[float, float]:
        state = read_step(step, State(problem.depth))
        right = state.number > 0 and state.value == problem.values[: state.number][-1]
        noise = mixed(problem.draw, crc32(step.encode())) & 1023
        return self._tables[right][noise]


def read_step(step: str, before: State) -> State:
    """The state after a step's text; a step of other hands comes to nothing that is right."""
    match = _STEP.search(step)
    if match is not None:
        return State(int(match[1]), int(match[2]))
    match = _STATED.search(step)
    return State(before.number + 1, int(match[1]) if match else None)


# Prompts as token ids


def state_ids(state: State) -> bytes:
    """The ids that end a step, and say how far its path has come."""
    value = 0 if state.value is None else state.value % MODULUS
    return b"%d,%d,%d," % (_NUMBERS + min(state.number, _FINAL_NUMBER), _VALUES + value, STEP_END)


def prompt_ids(question: str, system: str) -> bytes:
    """The ids of a chat that poses ``question``, a comma after each."""
    text = question.encode()
    if len(text) % 2:
        text += b" "
    pairs = b"".join(b"%d," % (10000 + 256 * text[i] + text[i + 1]) for i in range(0, len(text), 2))
    return b"%d,%s%d,%s%d,%d," % (BEGIN, word_ids(system), QUESTION, pairs, ANSWER, TURN)


@lru_cache(maxsize=1024)
def word_ids(text: str) -> bytes:
    """An id for each word of any text."""
    return b"".join(b"%d," % (80000 + crc32(word.encode()) % 10_000) for word in text.split())


def canonical(ids: bytes) -> bytes:
    """The numbers of a JSON array without its brackets, each of five digits with a comma after."""
    if len(ids) % WIDTH == WIDTH - 1 and b" " not in ids and ids[5:6] in (b",", b""):
        return ids + b","
    return b"".join(b"%05d," % int(number) for number in ids.split(b",") if number.strip())


_QUESTION_SIGN, _ANSWER_SIGN = b"%d," % QUESTION, b"%d," % ANSWER


def read_prompt(ids: bytes) -> tuple[Sum, State]:
    """What a prompt of ``canonical`` ids asks, and how far its answer has come."""
    start, end = ids.find(_QUESTION_SIGN), ids.find(_ANSWER_SIGN)
    if start < 0 or end < start:
        return parse(f"{crc32(ids)}"), State()
    state = State()
    if ids.endswith(b",90004,"):
        number = int(ids[-18:-13]) - _NUMBERS
        state = State(number, int(ids[-12:-7]) - _VALUES)
    return _question(ids[start + WIDTH : end]), state


@lru_cache(maxsize=65_536)
def _question(ids: bytes) -> Sum:
    numbers = [int(number) - 10000 for number in ids.split(b",") if number]
    text = bytes(byte for number in numbers for byte in divmod(number, 256) if byte < 256)
    return parse(text.decode(errors="replace").removesuffix(" "))
