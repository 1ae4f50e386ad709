"""The order of the wrappers around a policy and a PRM. It stands here and nowhere else.

Outermost first, from what a strategy calls to the endpoint:

    one tree          Watched           reports progress
                      AnsweringPolicy   reads the answers of finished paths
                      Branches          a failed branch is not a failed tree
                      Recorder          keeps the leaves there are
                      OncePRM           scores a repeated solution once
                      Metered…          charges the tree, within its limits
                      Timed…            across models: how long each has something to do
    all of a run      Shared…           draws and scores whole solutions once for all strategies
                      SeparateSamples   one sample a request, where the server gives no more
                      Journaled…        replays what was paid for
                      Counted…          counts what is really sent
                      Billed…           keeps the run's limit on money

An evaluation of PRMs has the last two, and charges each solution by one that meters.

So a tree is charged for what it uses, shared or replayed, and the bill holds what is really paid.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Self, TypeVar

from orchestrator.core.budget import Bill, Ledger, Price, Spend
from orchestrator.core.equivalence import Answers
from orchestrator.core.node import Node
from orchestrator.core.ports import PRM, Models, Policy, never
from orchestrator.core.rewards import Reward
from orchestrator.errors import EndpointError
from orchestrator.runs.answers import AnsweringPolicy, AnswerReader
from orchestrator.runs.ports.billing import BilledPolicy, BilledPRM
from orchestrator.runs.ports.branches import Branches, OnFailedBranch
from orchestrator.runs.ports.counting import CountedPolicy, CountedPRM
from orchestrator.runs.ports.ends import Ends
from orchestrator.runs.ports.metering import MeteredPolicy, MeteredPRM
from orchestrator.runs.ports.one_per_request import SeparateSamples
from orchestrator.runs.ports.recording import Recorder
from orchestrator.runs.ports.repeats import OncePRM
from orchestrator.runs.ports.replay import JournaledPolicy, JournaledPRM, Remembering
from orchestrator.runs.ports.sharing import Demand, SharedPolicy, SharedPRM
from orchestrator.runs.ports.watching import Watched

Port = TypeVar("Port")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunWide:
    """What the wrappers of a run share.

    ``prices`` and ``one_per_request`` are by the model's name. ``bill`` keeps the limit on money,
    ``sent`` adds up what is really sent, ``memory`` is the journal, None where there is none.
    """

    prices: Mapping[str, Price] = field(default_factory=dict)
    one_per_request: frozenset[str] = frozenset()
    on_failed_branch: OnFailedBranch = "drop"
    bill: Bill = field(default_factory=Bill)
    sent: Spend = field(default_factory=Spend)
    memory: Remembering | None = None


def stack(policy: Policy, *, name: str, demand: Demand, run: RunWide) -> SharedPolicy:
    """Wrap the policy ``name`` for all trees of a run, which ``demand`` so many solutions of it."""
    price, memory = run.prices.get(name), run.memory
    separate = name in run.one_per_request
    return SharedPolicy(
        _within(
            partial(SeparateSamples, on_failure=run.on_failed_branch) if separate else None,
            partial(JournaledPolicy, model=name, memory=memory, price=price) if memory else None,
            port=sent(policy, name=name, run=run),
        ),
        demand,
        name,
    )


def stack_prm(
    prm: PRM, *, name: str, draws: Callable[[str], Sequence[int]], run: RunWide
) -> SharedPRM:
    """Wrap the PRM ``name`` for all trees of a run that score one policy's solutions, of which
    ``draws`` says how many are drawn of a problem."""
    price, memory = run.prices.get(name), run.memory
    return SharedPRM(
        _within(
            partial(JournaledPRM, model=name, memory=memory, price=price) if memory else None,
            port=sent_prm(prm, name=name, run=run),
        ),
        draws,
    )


def sent(policy: Policy, *, name: str, run: RunWide) -> Policy:
    """Wrap the policy ``name`` where what is asked of it is really sent."""
    price = run.prices.get(name)
    return _within(
        partial(CountedPolicy, spent=run.sent),
        partial(BilledPolicy, price=price, bill=run.bill) if price else None,
        port=policy,
    )


def sent_prm(prm: PRM, *, name: str, run: RunWide) -> PRM:
    """Wrap the PRM ``name`` where what is asked of it is really sent."""
    price = run.prices.get(name)
    return _within(
        partial(CountedPRM, spent=run.sent),
        partial(BilledPRM, price=price, bill=run.bill) if price else None,
        port=prm,
    )


def _within(*layers: Callable[[Port], Port] | None, port: Port) -> Port:
    """``port`` within ``layers``, outermost first."""
    for layer in reversed(layers):
        if layer is not None:
            port = layer(port)
    return port


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

    @classmethod
    def of(cls, run: RunWide, policy: str, prm: str | None) -> Self:
        """Those of a run for one of its policies and PRMs."""
        return cls(
            policy_price=run.prices.get(policy),
            prm_price=run.prices.get(prm) if prm else None,
            one_per_request=policy in run.one_per_request,
            on_failed_branch=run.on_failed_branch,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TreePorts:
    """The ports of one tree: ``models`` are what its strategy is given, ``recorder`` and
    ``branches`` know what happened."""

    models: Models
    recorder: Recorder
    branches: Branches

    def leaves(self) -> list[Node]:
        """The nodes that nothing was grown from."""
        return self.recorder.leaves()

    def tokens_of(self, leaves: Sequence[Node]) -> tuple[int, int]:
        """Tokens of policy and PRM on the paths of ``leaves``."""
        return self.recorder.tokens_of(leaves)

    @property
    def ends(self) -> Ends:
        """How its samples ended."""
        return self.recorder.ends

    @property
    def failed(self) -> int:
        """How many branches were lost."""
        return self.branches.failed

    @property
    def last_failure(self) -> EndpointError | None:
        """Why the last one was lost."""
        return self.branches.last_failure


def tree_ports(
    models: Models,
    scope: Ledger,
    terms: Terms,
    *,
    prm_scope: Ledger | None = None,
    beside: Recorder | None = None,
    reward: Reward = "last",
    answers: AnswerReader | None = None,
    read: Answers | None = None,
    is_complete: Callable[[str], bool] = never,
    on_response: Callable[[], None] | None = None,
) -> TreePorts:
    """Wrap ``models`` for one tree, which is charged to ``scope``; ``prm_scope`` for its scores,
    where that is another.

    ``beside`` is the recorder of the same tree under another PRM. With ``answers`` finished paths
    carry their answers; ``read`` holds those of all trees of the problem, where it has several. A
    step that ``is_complete`` ends its path. ``reward`` ranks the siblings that may stand in for a
    lost branch; ``on_response`` is called after each response.
    """
    policy = MeteredPolicy(models.policy, scope, terms.policy_price, terms.one_per_request)
    prm = _within(
        OncePRM if answers else None,
        partial(MeteredPRM, ledger=prm_scope or scope, price=terms.prm_price),
        port=models.prm,
    )
    recorder = replace(beside, policy=policy, prm=prm) if beside else Recorder(policy, prm)
    branches = Branches(recorder, recorder, terms.on_failed_branch, reward)
    outer = Models(
        AnsweringPolicy(branches, answers, read) if answers else branches, branches, is_complete
    )
    if on_response is not None:
        watched = Watched(outer, on_response)
        outer = Models(watched, watched, is_complete)
    return TreePorts(models=outer, recorder=recorder, branches=branches)
