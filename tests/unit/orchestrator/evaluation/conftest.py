"""Judged samples, from their scores and their label."""

import random

from orchestrator.evaluation.samples import ALL_RIGHT, LabelledSolution, ScoredSolution


def judged(
    scores: list[float], label: int = ALL_RIGHT, *, problem: str = "1 + 1?"
) -> ScoredSolution:
    steps = tuple(f"Step {i}." for i in range(len(scores)))
    sample = LabelledSolution(id=f"{problem}/{scores}", problem=problem, steps=steps, label=label)
    return ScoredSolution(sample=sample, scores=tuple(scores))


def synthetic(count: int = 400, *, sharpness: float = 3.0, seed: int = 0) -> list[ScoredSolution]:
    """Solutions of 1 to 8 steps, about half with an error; right steps score near 1, that error
    and what follows it near 0, the more so the larger the ``sharpness``."""
    rng = random.Random(seed)
    found = []
    for number in range(count):
        length = rng.randint(1, 8)
        label = rng.randrange(length) if rng.random() < 0.5 else ALL_RIGHT
        right = [label == ALL_RIGHT or i < label for i in range(length)]
        scores = [
            rng.betavariate(sharpness, 1) if is_right else rng.betavariate(1, sharpness)
            for is_right in right
        ]
        found.append(judged(scores, label, problem=f"problem {number}"))
    return found
