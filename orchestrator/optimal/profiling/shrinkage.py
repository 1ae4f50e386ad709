"""Shrinkage of an arm's measured accuracy in a bin (partial pooling over the arms).

The best of many arms, each measured on few problems, is partly the luckiest. So each accuracy is
shrunk towards the value predicted from the arm's accuracy over all bins, more so where noise can
explain the difference (empirical Bayes; Efron & Morris 1975).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def shrunk(
    right: "NDArray[np.float64]", errors: "NDArray[np.float64]", overall: "NDArray[np.float64]"
) -> "NDArray[np.float64]":
    """Shrink the accuracies ``right[b, a]`` with standard ``errors[b, a]``.

    ``overall[a]`` is an arm's accuracy over all problems. Where ``right`` is NaN, since the arm was
    not tried in the bin, the result is the predicted value.
    """
    import numpy as np

    found = right.copy()
    for b in range(len(right)):
        known = ~np.isnan(right[b])
        mean, centred = right[b, known].mean(), overall - overall[known].mean()
        seen = centred[known]
        scale = (right[b, known] - mean) @ seen / max(1e-12, seen @ seen)
        expected = mean + scale * centred
        off = right[b] - expected
        noise = errors[b] ** 2 + 1e-9
        real = max(0.0, float(np.mean((off**2 - noise)[known])))
        found[b] = np.where(known, expected + off * real / (real + noise), expected)
    return np.clip(found, 0.0, 1.0)
