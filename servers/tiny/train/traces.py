"""Solutions with a label for every step: sampled from the policies, or right ones corrupted.

A step's label says whether it is right in itself, given the values stated before it
(``problems.own_labels``). ``target`` is the result the step should state, for the auxiliary loss.
"""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from servers.tiny.problems import (
    LABELS,
    LIMIT,
    MAX_DEPTH,
    OPERATORS,
    SEPARATOR,
    Chain,
    apply,
    draw,
    final_text,
    own_labels,
    stated_result,
    step_text,
)
from servers.tiny.runtime import Runtime
from servers.tiny.train.sampler import sample

NO_TARGET = -100
_SAMPLES = 4


@dataclass(frozen=True, slots=True)
class Trace:
    """One solution: its steps, whether each is right, and the result each should state."""

    chain: Chain
    steps: list[str]
    labels: list[bool]
    targets: list[int]


def sampled(
    policies: Sequence[Runtime], tokenizer: Any, count: int, rng: random.Random, *, split: str
) -> list[Trace]:
    """About ``count`` traces, in equal parts from each policy at temperatures 0.7 and 1."""
    problems = max(1, count // (len(policies) * 2 * _SAMPLES))
    traces = []
    for policy in policies:
        for temperature in (0.7, 1.0):
            chains = [draw(rng, rng.randint(2, MAX_DEPTH), split) for _ in range(problems)]  # type: ignore[arg-type]
            seed = rng.randrange(10**6)
            drawn = sample(
                policy, tokenizer, chains, n=_SAMPLES, temperature=temperature, seed=seed
            )
            for chain, texts in zip(chains, drawn, strict=True):
                for text in texts:
                    steps = [step for step in text.split(SEPARATOR) if step.strip()]
                    labels = own_labels(chain, steps)
                    traces.append(Trace(chain, steps, labels, [NO_TARGET] * len(steps)))
    return traces


@dataclass(slots=True)
class ErrorModel:
    """How far off wrong results are, by operator; what was seen is drawn four times in five."""

    seen: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def learn(cls, traces: Sequence[Trace]) -> "ErrorModel":
        model = cls()
        for trace in traces:
            for step, right in zip(trace.steps, trace.labels, strict=True):
                calculation = stated_result(step)
                if not right and calculation and calculation[1] != calculation[2]:
                    operator, truth, stated = calculation
                    model.seen[operator].append(stated - truth)
        return model

    def draw(self, operator: str, rng: random.Random) -> int:
        if self.seen[operator] and rng.random() < 0.8:
            return rng.choice(self.seen[operator])
        size = rng.choice((1, 1, 1, 2, 2, 3, 5, 8)) if operator == "/" else _geometric(rng)
        return rng.choice((-1, 1)) * size


def _geometric(rng: random.Random) -> int:
    if rng.random() < 0.15:
        return rng.randint(1, 100)
    size = 1
    while rng.random() < 0.5:
        size += 1
    return size


def corrupted(rng: random.Random, deepest: int, errors: ErrorModel, rate: float = 0.3) -> Trace:
    """A right solution in which each step goes wrong at ``rate``: its result, its instruction or
    the value it carries; later steps go on from what was stated."""
    depth = (
        rng.randint(1, deepest) if rng.random() < 0.5 else rng.randint((deepest + 1) // 2, deepest)
    )
    chain = draw(rng, depth, "train")
    value, steps, labels, targets = chain.start, [], [], []
    for i, (operator, operand) in enumerate(chain.operations):
        done, right, left, off = operator, operand, value, 0
        if rng.random() < rate:
            kind = rng.random()
            if kind < 0.12 and depth > 1:  # another step's instruction, or its number
                other, number = chain.operations[rng.randrange(depth)]
                done, right = (other, number) if rng.random() < 0.5 else (operator, number)
            elif kind < 0.15:
                done = rng.choice(OPERATORS)
            elif kind < 0.20:  # another value than the step before ended with
                left = rng.randrange(LIMIT)
            else:
                off = errors.draw(done, rng)
        stated = max(0, min(LIMIT - 1, apply(done, left, right) + off))
        truth = apply(operator, value, operand)
        steps.append(step_text(LABELS[i], done, right, left, done, right, stated))
        labels.append((done, right, left, stated) == (operator, operand, value, truth))
        targets.append(truth if 0 <= truth < LIMIT else NO_TARGET)
        value = stated
    final = value
    if rng.random() < 0.08:
        final = max(0, min(LIMIT - 1, value + rng.choice((-2, -1, 1, 2, 10))))
    return Trace(chain, [*steps, final_text(final)], [*labels, final == value], [*targets, value])
