"""The order of the wrappers around a policy and a PRM, outermost first; it stands nowhere else."""

from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.core.budget import Ledger, Price
from orchestrator.core.ports import Grader, Models
from orchestrator.core.rewards import Reward
from orchestrator.runs.answers import AnsweringPolicy
from orchestrator.runs.ports.branches import Branches, OnFailedBranch
from orchestrator.runs.ports.repeats import OncePRM
from orchestrator.runs.ports.watching import Watched
from orchestrator.runs.ports.wrappers import MeteredPolicy, MeteredPRM, Recorder


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a tree's requests cost, and what happens when one fails.

    ``one_per_request``: the policy's server gives one sample a request, so that ``n`` samples are
    expected to be ``n`` requests.
    """

    policy_price: Price | None = None
    prm_price: Price | None = None
    one_per_request: bool = False
    on_failed_branch: OnFailedBranch = "drop"


@dataclass(frozen=True, slots=True, kw_only=True)
class TreePorts:
    """The ports of one tree: ``models`` are what its strategy is given, ``recorder`` and
    ``branches`` know what happened."""

    models: Models
    recorder: Recorder
    branches: Branches


def tree_ports(
    models: Models,
    scope: Ledger,
    terms: Terms,
    *,
    reward: Reward = "last",
    answers: Grader | None = None,
    on_response: Callable[[], None] | None = None,
) -> TreePorts:
    """Wrap ``models`` for one tree, which is charged to ``scope``.

    With ``answers`` finished paths carry their answers. ``reward`` ranks the siblings that may
    stand in for a lost branch; ``on_response`` is called after each response.
    """
    metered = MeteredPRM(models.prm, scope, terms.prm_price)
    recorder = Recorder(
        MeteredPolicy(models.policy, scope, terms.policy_price, terms.one_per_request),
        OncePRM(metered) if answers else metered,
    )
    branches = Branches(recorder, recorder, terms.on_failed_branch, reward)
    outer = Models(AnsweringPolicy(branches, answers) if answers else branches, branches)
    if on_response is not None:
        watched = Watched(outer, on_response)
        outer = Models(watched, watched)
    return TreePorts(models=outer, recorder=recorder, branches=branches)
