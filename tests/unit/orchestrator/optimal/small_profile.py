"""A profile made up for tests: what agrees is easy, and votes of more solutions are better."""

from orchestrator.core.difficulty import BINS, Bin
from orchestrator.optimal.difficulty.predictor import Logistic, Predictor, Weight
from orchestrator.optimal.profile import (
    Calibration,
    Gains,
    InBin,
    Origin,
    Profile,
    ProfiledArm,
    ProfiledModel,
    SearchGain,
    Share,
    Use,
)
from orchestrator.optimal.shared_budget.expected_gain import Change

PILOTS = 4

RIGHT: dict[Bin, tuple[float, ...]] = {
    "easy": (0.95, 0.97, 0.975), "medium": (0.5, 0.8, 0.85), "hard": (0.1, 0.2, 0.25),
}  # fmt: skip


def use(solutions: float) -> Use:
    """What so many of the fakes' solutions take: four words each, nine for the PRM to read, and a
    second a batch."""
    return Use(
        policy_tokens=4 * solutions,
        prompt_tokens=5 * 2,
        cached_tokens=0,
        prm_tokens=9 * solutions,
        prm_cached_tokens=0,
        cost=1e-6 * solutions,
        seconds=solutions / PILOTS,
    )


def small_profile(*, trees: bool = False, followed: bool = False) -> Profile:
    """Votes of 4, of up to 16 and of up to 64; with ``trees`` also a beam search of 16. Where
    ``followed``, DVTS goes on where 16 are not enough."""
    whole = {"temperature": 0.7, "top_p": 1.0, "max_tokens": 100}
    then = {"then": {"strategy": "dvts", "n": 16, "max_tokens": 100}} if followed else {}
    arms = [
        ("best_of_n", {**whole, "n": 4}, (4.0, 4.0, 4.0)),
        ("best_of_n", _until(whole, 16, 0.75) | then, (4.5, 8.0, 12.0)),
        ("best_of_n", _until(whole, 64, 0.99), (6.0, 30.0, 50.0)),
    ]
    if trees:
        arms.append(("beam_search", {"n": 16, "width": 4, "max_tokens": 100}, (90.0, 90.0, 90.0)))
    return Profile(
        task="sums",
        policy=ProfiledModel("small", 1000),
        prm=ProfiledModel("prm", 2000),
        pilots=PILOTS,
        sampling=whole,
        predictor=Predictor(
            pilots=PILOTS,
            intercept=0.0,
            weights={"agreement": Weight(mean=0.7, deviation=0.2, weight=2.0)},
        ),
        calibration=Calibration(brier=0.1, curve=[], confusion={}),
        shares={"easy": Share(0.5, 10), "medium": Share(0.4, 8), "hard": Share(0.1, 2)},
        budgets=[],
        samples=[],
        arms=[
            ProfiledArm(
                strategy=strategy,
                vote="weighted_last",
                settings=settings,
                bins={
                    bin: InBin(
                        route="sure",
                        rung="sure",
                        expected=(*RIGHT[bin], RIGHT[bin][-1] + 0.02)[i],
                        measured=RIGHT[bin][0],
                        error=0.01,
                        use=use(solutions[b]),
                    )
                    for b, bin in enumerate(BINS)
                },
            )
            for i, (strategy, settings, solutions) in enumerate(arms)
        ],
        origin=Origin(orchard="0", results="", problems=[]),
    )


def _until(whole: dict[str, float], n: int, confidence: float) -> dict[str, object]:
    return {**whole, "n": n, "stop": {"rule": "beta", "confidence": confidence, "batch": PILOTS}}


NEVER = Logistic(intercept=-50.0, weights={})


def _when(intercept: float, **weights: float) -> Logistic:
    return Logistic(
        intercept=intercept,
        weights={name: Weight(mean=0, deviation=1, weight=each) for name, each in weights.items()},
    )


def small_gains(*, trees: bool = False, odds: float = 4.0, searching: float = 4.0) -> Gains:
    """Up to 32 samples, voting by the PRM's scores. Doubt is worth going on for, by these log-odds,
    unless nothing is scored well; with ``trees`` a beam search is, by those of ``searching``."""
    search = SearchGain(
        strategy="beam_search",
        settings={"n": 16, "width": 4, "max_tokens": 100},
        use=use(90.0),
        change=Change(mends=_when(searching, doubt=2.0, best=2.0), spoils=NEVER),
    )
    return Gains(
        strategy="best_of_n",
        vote="weighted_last",
        settings={"temperature": 0.7, "top_p": 1.0, "max_tokens": 100, "n": 32},
        pilots=use(4.0),
        samples=Change(mends=_when(odds, doubt=2.0, best=2.0, ahead=0.5), spoils=NEVER),
        searches=[search] if trees else [],
        curve=[],
    )
