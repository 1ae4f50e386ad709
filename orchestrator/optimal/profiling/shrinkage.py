"""How far an arm's accuracy in a bin is to be believed: partial pooling over the arms.

The best of many arms, each measured on few problems, is partly the luckiest. So each accuracy is
drawn towards what the arm's accuracy over all bins lets expect, as far as noise alone would explain
that they differ (empirical Bayes; Efron & Morris 1975).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def pooled(
    right: "NDArray[np.float64]", errors: "NDArray[np.float64]", overall: "NDArray[np.float64]"
) -> "NDArray[np.float64]":
    """The accuracies to go by, as ``right[b, a]``, each with its standard error in ``errors``;
    ``overall[a]`` is the arm's over all problems. An arm of which a bin knows nothing, NaN, has
    there what is to be expected."""
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
