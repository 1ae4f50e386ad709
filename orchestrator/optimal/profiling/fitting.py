"""Fit a profile to the records of one policy and PRM."""

import math
from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

import msgspec

from orchestrator import __version__
from orchestrator.core.difficulty import BINS, difficulty
from orchestrator.core.equivalence import SameByProblem
from orchestrator.core.records import Record
from orchestrator.errors import ProfileError
from orchestrator.optimal.allocation import ParetoFront, best_on_average
from orchestrator.optimal.arms import Arm
from orchestrator.optimal.difficulty.predictor import FEWEST_PROBLEMS
from orchestrator.optimal.profile import (
    AtBudget,
    Calibration,
    Expected,
    InBin,
    Origin,
    Profile,
    ProfiledArm,
    ProfiledModel,
    Resampled,
    Share,
    Use,
    Worth,
    problem_digest,
)
from orchestrator.optimal.profiling.accuracy_by_n import resampled
from orchestrator.optimal.profiling.crossfit import (
    FOLDS,
    cross_fitted,
    fit_predictor,
    off_fold_predictions,
)
from orchestrator.optimal.profiling.fitting_gains import fit_gains
from orchestrator.optimal.profiling.measured import use_of
from orchestrator.optimal.profiling.measuring import measure, sort_out
from orchestrator.optimal.profiling.table import Table, predicted_bins, tabulate, true_bins
from orchestrator.optimal.profiling.trials import Trials, trials
from orchestrator.optimal.wording import in_words
from orchestrator.statistics import Z95, mean_interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PILOTS = 4

FEWEST = math.ceil(FEWEST_PROBLEMS * FOLDS / (FOLDS - 1))
"""The fewest problems that leave enough to fit a predictor to when one fold is held out."""

FEWEST_TRIED = 8
"""Tree searches that were tried on fewer problems are left out."""

GREEDY = 0
"""The index of the greedy answer, the first of ``sampling_arms``; it is tried on every problem."""

STEPS = 12
"""Number of budgets shown, from the pilots alone to the best arms."""


async def fit_profile(
    records: Sequence[Record], same: SameByProblem, *, pilots: int = PILOTS, seed: int = 0
) -> Profile:
    """The profile of one policy and PRM, from their records on one task. ``same`` compares the
    answers to each problem.

    Raises ``ProfileError`` if the records are not enough for a profile.
    """
    cells = sort_out(records)
    measured = await measure(records, cells, same)
    if len(measured) < FEWEST:
        raise ProfileError(
            f"{len(measured)} problems with a greedy solution and samples are too few for a "
            f"profile that holds for others: {FEWEST} are the least, some hundreds are better"
        )
    tried = Counter(cell for each in measured for cell in each.trees)
    arms = [
        (arm, cell)
        for arm, cell in cells.arms(pilots)
        if cell is None or tried[cell] >= FEWEST_TRIED
    ]
    found = trials(measured, arms, pilots, seed=seed)
    sample = next(record for record in records if record.cell == cells.samples)
    by_n = resampled([each.samples.leaves for each in measured], cells.votes)
    return profile_of(found, sample, pilots, digest(records), seed, by_n)


def profile_of(
    found: Trials,
    sample: Record,
    pilots: int,
    results: str,
    seed: int = 0,
    samples: Sequence[Resampled] = (),
) -> Profile:
    """Fit a profile to trials. ``sample`` is any record of the samples, ``results`` the digest of
    all records, and ``samples`` the accuracy of smaller n."""
    predictor = fit_predictor(found, pilots)
    bins = predicted_bins(found, predictor)
    table = tabulate(found, bins)
    policy = ProfiledModel(sample.policy, sample.policy_params)
    prm = ProfiledModel(sample.prm, sample.prm_params) if sample.prm else None
    arms = [_arm(found, table, i) for i in _worth_choosing(table)]
    return Profile(
        task=sample.task,
        policy=policy,
        prm=prm,
        pilots=pilots,
        sampling={key: sample.settings[key] for key in ("temperature", "top_p", "max_tokens")},
        predictor=predictor,
        calibration=_calibration(found, pilots, seed),
        shares={
            bin: Share(float(table.shares[b]), table.problems[b]) for b, bin in enumerate(BINS)
        },
        budgets=_at_budgets(found, table, policy, prm, pilots, seed),
        arms=arms,
        samples=list(samples),
        origin=Origin(
            orchard=__version__,
            results=results,
            problems=[problem_digest(sample.task, each) for each in found.problems],
        ),
        gains=fit_gains(found, predictor) or msgspec.UNSET,
    )


def digest(records: Sequence[Record]) -> str:
    """Identifies a run's results, independent of the order of records."""
    lines = sorted(blake2b(msgspec.json.encode(each)).digest() for each in records)
    return blake2b(b"".join(lines), digest_size=8).hexdigest()


def _worth_choosing(table: Table) -> list[int]:
    """The arms that are likely to be worth choosing in any bin, cheapest first."""
    arms = {arm for front in (*table.fronts, *table.rungs) for arm in front.likely}
    return sorted(arms, key=lambda arm: float(table.tokens[:, arm].mean()))


def _arm(found: Trials, table: Table, i: int) -> ProfiledArm:
    arm = found.arms[i]
    return ProfiledArm(
        strategy=arm.strategy,
        vote=arm.vote.name,
        settings=dict(arm.settings),
        bins={
            bin: InBin(
                route=_worth(i, table.fronts[b]),
                rung=_worth(i, table.rungs[b]),
                expected=float(table.right[b, i]),
                measured=float(table.measured[b, i]),
                error=float(table.errors[b, i]),
                use=use_of(table.used[b, i]),
            )
            for b, bin in enumerate(BINS)
            if i in {*table.fronts[b].likely, *table.rungs[b].likely}
        },
    )


def _worth(i: int, front: ParetoFront) -> Worth | None:
    return "sure" if i in front.sure else "likely" if i in front.likely else None


def _at_budgets(
    found: Trials,
    table: Table,
    policy: ProfiledModel,
    prm: ProfiledModel | None,
    pilots: int,
    seed: int,
) -> list[AtBudget]:
    shares, right, tokens = (each.tolist() for each in (table.shares, table.right, table.tokens))
    known = shares, table.fronts, right, tokens
    least = best_on_average(*known, 0.0).used
    most = best_on_average(*known, float("inf")).used
    budgets = [least * 1.02 * (most / least) ** (step / (STEPS - 1)) for step in range(STEPS)]
    shown = []
    for budget, routed in zip(
        budgets, cross_fitted(found, budgets, pilots=pilots, seed=seed), strict=True
    ):
        choice = best_on_average(*known, budget)
        use = use_of(sum(table.shares[b] * table.used[b, arm] for b, arm in enumerate(choice.arms)))
        rates = _for_all(routed.right, found.right[:, :, GREEDY].mean(axis=1))
        low, high = mean_interval(rates.tolist())
        shown.append(
            AtBudget(
                budget=budget,
                accuracy=float(rates.mean()),
                low=low,
                high=high,
                tokens=float(_for_all(routed.tokens, found.tokens[:, :, GREEDY].mean(1)).mean()),
                flops=_flops(use, policy, prm),
                seconds=use.seconds,
                cost=use.cost,
                bins={
                    bin: _expected(found.arms[arm], table, b, arm, policy, prm)
                    for (b, bin), arm in zip(enumerate(BINS), choice.arms, strict=True)
                },
            )
        )
    return shown


def _for_all(
    outcomes: "NDArray[np.float64]", greedy: "NDArray[np.float64]"
) -> "NDArray[np.float64]":
    """Extend ``outcomes``, which are NaN where an arm was not tried, to all problems: the result
    has the mean and the noise that outcomes of all of them would have.

    The gain over the greedy answer is estimated on the problems tried; the greedy answer is known
    for all (the difference estimator; Särndal et al. 1992, §6.3).
    """
    import numpy as np

    tried = ~np.isnan(outcomes)
    gain = np.where(tried, outcomes - greedy, 0.0)
    found: NDArray[np.float64] = greedy + gain * (len(tried) / max(1, tried.sum()))
    return found


def _expected(
    arm: Arm, table: Table, b: int, a: int, policy: ProfiledModel, prm: ProfiledModel | None
) -> Expected:
    right, error = float(table.right[b, a]), float(table.errors[b, a])
    use = use_of(table.used[b, a])
    return Expected(
        strategy=in_words(arm),
        accuracy=right,
        low=max(0.0, right - Z95 * error),
        high=min(1.0, right + Z95 * error),
        tokens=use.tokens,
        flops=_flops(use, policy, prm),
        seconds=use.seconds,
        cost=use.cost,
    )


def _flops(use: Use, policy: ProfiledModel, prm: ProfiledModel | None) -> float | None:
    is_known = policy.parameters is not None and (prm is None or prm.parameters is not None)
    return use.flops(policy, prm) if is_known else None


def _calibration(found: Trials, pilots: int, seed: int) -> Calibration:
    import numpy as np

    predicted = off_fold_predictions(found, pilots, seed)
    rates = np.array([[each.rate for each in row] for row in found.labelled])
    truth = true_bins(found)
    tenths = np.minimum(9, (predicted * 10).astype(int))
    guessed = np.vectorize(lambda rate: BINS.index(difficulty(rate)))(predicted)
    return Calibration(
        brier=float(((predicted - rates) ** 2).mean()),
        curve=[
            (float(predicted[inside].mean()), float(rates[inside].mean()), int(inside.sum()))
            for tenth in range(10)
            if (inside := tenths == tenth).any()
        ],
        confusion={
            bin: {
                true: float((truth[guessed == b] == t).mean()) if (guessed == b).any() else 0.0
                for t, true in enumerate(BINS)
            }
            for b, bin in enumerate(BINS)
        },
    )
