"""Cross-fitting: evaluate routing on problems it was not fitted to. For each fold, predictor and
table are fitted to the others, and routing is evaluated on the fold itself.

The paper chooses and evaluates on the same problems, with their true difficulty known; ``oracle``
does that.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from orchestrator.optimal.allocation import Allocation, best_for_each, best_on_average
from orchestrator.optimal.difficulty.predictor import Predictor, fit
from orchestrator.optimal.profiling.measured import USED, tokens
from orchestrator.optimal.profiling.table import predicted_bins, tabulate, true_bins
from orchestrator.optimal.profiling.trials import Trials

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FOLDS = 5

Spread = Literal["average", "each"]
"""Whether a budget holds on average over problems or for each of them."""

SPREADS: dict[Spread, Callable[..., Allocation]] = {
    "average": best_on_average,
    "each": best_for_each,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutedResult:
    """The result of routing, per problem: how often it is ``right``, in 0..1, and what it ``used``,
    in the order of ``measured.USED``.

    Both are NaN for problems on which any arm that routing can choose was not tried.
    """

    right: "NDArray[np.float64]"
    used: "NDArray[np.float64]"

    @property
    def tokens(self) -> "NDArray[np.float64]":
        """Of policy and PRM together."""
        return tokens(self.used)


def folds(problems: int, seed: int = 0, count: int = FOLDS) -> list[list[int]]:
    """Split the indices of ``problems`` into ``count`` random parts of equal size."""
    order = list(range(problems))
    random.Random(seed).shuffle(order)
    return [sorted(order[part::count]) for part in range(count)]


def without(trials: Trials, held_out: Sequence[int]) -> Trials:
    """The trials of all problems except those at the indices ``held_out``."""
    out = set(held_out)
    return trials.of([i for i in range(len(trials.problems)) if i not in out])


def fit_predictor(trials: Trials, pilots: int) -> Predictor:
    return fit([each for row in trials.labelled for each in row], pilots)


def off_fold_predictions(trials: Trials, pilots: int, seed: int = 0) -> "NDArray[np.float64]":
    """The pass@1 of each trial, ``[p, t]``, predicted without its fold."""
    import numpy as np

    found = np.empty((len(trials.problems), len(trials.labelled[0])))
    for held_out in folds(len(trials.problems), seed):
        predictor = fit_predictor(without(trials, held_out), pilots)
        for i in held_out:
            found[i] = [predictor(each.shown) for each in trials.labelled[i]]
    return found


def cross_fitted(
    trials: Trials,
    budgets: Sequence[float],
    *,
    pilots: int,
    spread: Spread = "average",
    knowing: bool = False,
    seed: int = 0,
) -> list[RoutedResult]:
    """Evaluate label-free routing at each budget (tokens per problem), cross-fitted. With
    ``knowing`` the true difficulty replaces the predicted one."""
    parts = []
    for held_out in folds(len(trials.problems), seed):
        rest, test = without(trials, held_out), trials.of(held_out)
        if knowing:
            known, bins = true_bins(rest), true_bins(test)
        else:
            predictor = fit_predictor(rest, pilots)
            known, bins = (predicted_bins(each, predictor) for each in (rest, test))
        chosen = _choices(rest, known, budgets, spread)
        parts.append((held_out, [_outcome(test, bins, choice) for choice in chosen]))
    return _joined(len(trials.problems), parts, len(budgets))


def oracle(
    trials: Trials, budgets: Sequence[float], *, quantiles: bool = False
) -> list[RoutedResult]:
    """Evaluate routing by the true difficulty, on the problems it was chosen on, as in the paper.
    With ``quantiles`` the bins are thirds of the problems instead of fixed intervals."""
    bins = true_bins(trials, quantiles=quantiles)
    return [_outcome(trials, bins, each) for each in _choices(trials, bins, budgets, "average")]


def _choices(
    trials: Trials, bins: "NDArray[np.int64]", budgets: Sequence[float], spread: Spread
) -> list[Allocation]:
    table = tabulate(trials, bins)
    known = table.shares.tolist(), table.fronts, table.right.tolist(), table.tokens.tolist()
    return [SPREADS[spread](*known, budget) for budget in budgets]


def _outcome(trials: Trials, bins: "NDArray[np.int64]", choice: Allocation) -> RoutedResult:
    import numpy as np

    arms = np.array(choice.arms)[bins][:, :, None]
    # A problem counts only if all of the chosen arms were tried on it, whichever its own bin gets:
    # otherwise the bin of an arm that was tried on few problems would be underrepresented.
    missing = np.isnan(trials.right[:, :, list(choice.arms)]).any(axis=(1, 2))
    right = np.take_along_axis(trials.right, arms, 2)[:, :, 0].mean(axis=1)
    used = np.take_along_axis(trials.used, arms[..., None], 2)[:, :, 0].mean(axis=1)
    right[missing] = used[missing] = np.nan
    return RoutedResult(right=right, used=used)


def _joined(
    problems: int, parts: Sequence[tuple[list[int], list[RoutedResult]]], budgets: int
) -> list[RoutedResult]:
    import numpy as np

    found = []
    for budget in range(budgets):
        right, used = np.empty(problems), np.empty((problems, len(USED)))
        for held_out, outcomes in parts:
            right[held_out] = outcomes[budget].right
            used[held_out] = outcomes[budget].used
        found.append(RoutedResult(right=right, used=used))
    return found
