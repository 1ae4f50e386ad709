"""Comparing the product's scores with a reference's."""

import statistics
from collections.abc import Sequence

import torch

from tests.vllm.references import Score
from tests.vllm.solutions import Solution

# A GPU multiplies float32 matrices in tensor cores, with fewer bits.
TOLERANCE = 1e-2 if torch.cuda.is_available() else 1e-4
SPREAD = 0.05


def worst(scores: Sequence[float], reference: Score, solution: Solution) -> float:
    """The largest difference at any step. The reference's own scores must vary, or there is nothing
    to agree on."""
    expected = reference(solution.question, solution.steps)
    assert len(scores) == len(expected) == len(solution.steps), solution.name
    return max(abs(a - b) for a, b in zip(scores, expected, strict=True))


def spread(reference: Score, solutions: Sequence[Solution]) -> float:
    """The standard deviation of a reference's scores over all steps."""
    return statistics.stdev(
        score for each in solutions for score in reference(each.question, each.steps)
    )
