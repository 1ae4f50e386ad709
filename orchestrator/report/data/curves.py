"""The rows that tables and figures show: each strategy under one vote, the same at every N.

A run counts many votes a cell. Showing the best of them would be choosing on the evaluation
data, so a rule that does not use accuracy fixes the vote: the headline's vote, else the best path
by its last score (the paper's default node value). Samples without a PRM have two curves where they
came with log-probabilities: the majority's, and the vote's by their mean.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orchestrator.core.confidence import MEASURES
from orchestrator.core.records import AUTO
from orchestrator.core.rewards import REWARDS
from orchestrator.report.data.cells import BASELINE, size_order, strategy_order
from orchestrator.report.data.summary import Summary, SummaryRow
from orchestrator.strategies.building import label_of

BY_CONFIDENCE = "confidence vote"
"""The label of unscored samples that vote by how sure the policy was of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One strategy under one vote: a row for each N, smallest first."""

    label: str
    strategy: str
    vote: str
    rows: tuple[SummaryRow, ...]

    def at(self, n: int) -> SummaryRow | None:
        return next((row for row in self.rows if row.n == n), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A policy under a PRM: its searches, its routed cells, its own CoT, and the CoT of every
    larger policy.

    ``prm`` is None only for a policy that ran under none.
    """

    task: str
    policy: str
    policy_params: int | None
    prm: str | None
    curves: tuple[Curve, ...]
    routed: tuple[SummaryRow, ...]
    cot: SummaryRow | None
    larger: tuple[SummaryRow, ...]

    @property
    def largest_common_n(self) -> int | None:
        """The largest N that every curve has."""
        common = [{row.n for row in curve.rows} for curve in self.curves]
        return max(set.intersection(*common), default=None) if common else None


def panels(summary: Summary) -> list[Panel]:
    """A panel for each task, policy (from small to large) and PRM that ran a search. Cells across
    models are in none."""
    baselines = _baselines(summary)
    rows = [row for row in summary.rows if not row.models]
    found = []
    for task, params, policy in _policies(rows):
        own = [row for row in rows if (row.task, row.policy) == (task, policy)]
        prms: list[str | None] = [*sorted({row.prm for row in own if row.prm})] or [None]
        for prm in prms:
            # Majority voting needs no PRM, so it is shown under each of them.
            beside = [row for row in own if row.prm in (None, prm)]
            curves = curves_of(beside, summary)
            routed = tuple(row for row in beside if row.strategy == AUTO)
            if curves or routed:
                found.append(
                    Panel(
                        task=task,
                        policy=policy,
                        policy_params=params,
                        prm=prm,
                        curves=tuple(curves),
                        routed=routed,
                        cot=next((b for b in baselines if _is(b, task, policy)), None),
                        larger=tuple(b for b in baselines if _is_larger(b, task, policy, params)),
                    )
                )
    return found


def curves_of(rows: Sequence[SummaryRow], summary: Summary) -> list[Curve]:
    """The curves of ``rows``, without CoT."""
    strategies = sorted({row.strategy for row in rows} - {BASELINE}, key=strategy_order)
    found = []
    for strategy in strategies:
        own = [row for row in rows if row.strategy == strategy]
        for label, kinds in _variants(strategy, summary):
            vote = _vote({row.vote for row in own}, kinds, reward_of(summary))
            if vote is not None:
                # Of cells that differ only in settings, the first for each N is shown.
                by_n = {row.n: row for row in reversed(own) if row.vote == vote}
                curve = tuple(by_n[n] for n in sorted(by_n))
                found.append(Curve(label=label, strategy=strategy, vote=vote, rows=curve))
    return found


def _variants(strategy: str, summary: Summary) -> list[tuple[str, tuple[str, ...]]]:
    """The curves of a strategy: a label, and kinds of votes in order of preference."""
    if strategy == "majority":
        return [("majority", ("majority",)), (BY_CONFIDENCE, ("confident",))]
    if strategy == "best_of_n":
        return [("best-of-N", ("max",)), ("weighted vote", ("weighted",))]
    named = summary.headline.vote.rpartition("_")[0] if summary.headline else "max"
    return [(label_of(strategy), (named, "max", "weighted", "majority"))]


def reward_of(summary: Summary) -> str:
    """The reward that votes by scores are shown by: the headline's, else the last score."""
    return (summary.headline and summary.headline.vote.rpartition("_")[2]) or "last"


def _vote(counted: set[str], kinds: Sequence[str], reward: str) -> str | None:
    for kind in kinds:
        by: Sequence[str] = MEASURES if kind == "confident" else (reward, *REWARDS)
        for vote in [kind] if kind == "majority" else [f"{kind}_{name}" for name in by]:
            if vote in counted:
                return vote
    return None


def _policies(rows: Iterable[SummaryRow]) -> list[tuple[str, int | None, str]]:
    found = {(row.task, row.policy_params, row.policy) for row in rows}
    return sorted(found, key=lambda policy: (policy[0], size_order(policy[1], policy[2])))


def _baselines(summary: Summary) -> list[SummaryRow]:
    by_policy: dict[tuple[str, str], SummaryRow] = {}
    for row in summary.rows:
        if row.strategy == BASELINE:
            by_policy.setdefault((row.task, row.policy), row)
    return list(by_policy.values())


def _is(row: SummaryRow, task: str, policy: str) -> bool:
    return (row.task, row.policy) == (task, policy)


def _is_larger(row: SummaryRow, task: str, policy: str, params: int | None) -> bool:
    """Whether the policy is larger; so is any policy of unknown size, such as a hosted one."""
    if row.task != task or row.policy == policy:
        return False
    return params is None or row.policy_params is None or row.policy_params > params
