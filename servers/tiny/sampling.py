"""From logits to tokens, with noise that belongs to the request alone.

A token needs one uniform number, which a counter-based generator (splitmix64, Steele et al. 2014)
derives from the request's seed, the prompt's and the choice's index and the token's position. What
else happens to be in the batch cannot change it.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MASK = 2**64 - 1


def _mix(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finalizer of splitmix64."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def row_keys(seeds: Sequence[int], places: Sequence[tuple[int, int]]) -> NDArray[np.uint64]:
    """The generator's keys ``(rows,)``: each row has its request's seed, and its prompt's and
    choice's index within the request.
    """
    key = np.array([seed & _MASK for seed in seeds], np.uint64)
    for index in np.array(places, np.uint64).T:
        key = _mix(key + (index + np.uint64(1)) * _STEP)
    return key


def uniforms(keys: NDArray[np.uint64], count: int) -> Tensor:
    """Numbers ``(keys, count)`` in [0, 1), multiples of 2^-23; column ``i`` is for token ``i``."""
    counters = np.arange(1, count + 1, dtype=np.uint64) * _STEP
    bits = _mix(keys[:, None] + counters) >> np.uint64(41)
    return torch.from_numpy(bits.astype(np.float32) * np.float32(2**-23))


def sample(
    logits: Tensor, temperature: Tensor, noise: Tensor, *, top_p: Tensor | None, greedy: bool
) -> Tensor:
    """Token ids ``(rows,)`` of ``logits (rows, vocabulary)``, by inverting each row's distribution.

    ``temperature``, ``noise`` and ``top_p`` are ``(rows,)``; a temperature of 0 takes the likeliest
    token. ``greedy`` says whether any row does so; ``top_p`` is ``None`` where no row limits it.
    """
    if not greedy:
        scaled = logits / temperature[:, None]
    else:
        scaled = logits / torch.where(temperature == 0, 1.0, temperature)[:, None]
    probabilities = scaled.softmax(-1)
    if top_p is not None:
        probabilities = nucleus(probabilities, top_p)
    # Noise stays below 1 - 2^-23, so the target stays below the total whatever the rounding.
    cumulative = probabilities.cumsum(-1)
    target = noise[:, None] * cumulative[:, -1:]
    ids = torch.searchsorted(cumulative, target, right=True)[:, 0]
    return torch.where(temperature == 0, logits.argmax(-1), ids) if greedy else ids


def nucleus(probabilities: Tensor, top_p: Tensor) -> Tensor:
    """Zero all but the fewest likeliest tokens that together reach ``top_p`` (Holtzman 2019)."""
    ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
    before = ordered.cumsum(-1) - ordered
    kept = torch.where(before < top_p[:, None], ordered, 0.0)
    return torch.zeros_like(probabilities).scatter_(-1, order, kept)
