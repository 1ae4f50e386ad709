"""The ports of a problem that goes from model to model: a tree for each policy."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from orchestrator.core.budget import Ledger
from orchestrator.core.equivalence import Answers
from orchestrator.core.node import Node
from orchestrator.core.ports import PRM, Models, Policy
from orchestrator.core.records import ModelUse
from orchestrator.errors import EndpointError
from orchestrator.runs.answers import AnswerReader
from orchestrator.runs.clock import Stopwatch
from orchestrator.runs.ports.ends import Ends
from orchestrator.runs.ports.metering import TimedPolicy, TimedPRM
from orchestrator.runs.ports.stack import Terms, TreePorts, tree_ports
from orchestrator.runs.ports.unscored import Unscored


@dataclass(frozen=True, slots=True, kw_only=True)
class AcrossModels:
    """What the trees of a problem may be grown with: policies by name, and the PRMs by name.

    ``terms`` are those of a policy under a PRM, or under none.
    """

    policies: Mapping[str, Policy]
    prms: Mapping[str, PRM]
    terms: Callable[[str, str | None], Terms]


@dataclass(frozen=True, slots=True)
class _Meter:
    """What one model is charged for, and how long it works."""

    ledger: Ledger
    watch: Stopwatch = field(default_factory=Stopwatch)


@dataclass(slots=True, kw_only=True)
class PolicyTrees:
    """The trees of one problem, which begin at ``start`` and are charged to ``scope``, each model
    by itself: ``core.ports.Trees``, and what became of them.

    Answers of all trees are read together, so that equal ones are equal whichever policy gave them.
    """

    models_of: AcrossModels
    start: Node
    scope: Ledger
    reader: AnswerReader
    on_response: Callable[[], None] | None = None
    _trees: dict[tuple[str, str | None], TreePorts] = field(default_factory=dict)
    _meters: dict[str, _Meter] = field(default_factory=dict)
    _answers: Answers = field(init=False)

    def __post_init__(self) -> None:
        self._answers = Answers(self.reader.same)

    def root(self, policy: str) -> Node:
        """Where a policy's tree begins. Its key is its own: policies at the same node of a problem
        share neither draws nor scores."""
        return replace(self.start, tree=replace(self.start.tree, key=self.key(policy)))

    def key(self, policy: str) -> str:
        """Names the tree of a policy in the journal."""
        return tree_key(self.start.tree.key, policy)

    def models(self, policy: str, prm: str | None) -> Models:
        """What a policy's tree is grown with under a PRM, or unscored."""
        ports = self._trees.pop((policy, prm), None) or self._ports(policy, prm)
        self._trees[policy, prm] = ports  # the last one is the one that was asked for last
        return ports.models

    def _ports(self, policy: str, prm: str | None) -> TreePorts:
        meter, judge = self._meter(policy), self._meter(prm) if prm else None
        beside = [ports for (name, _), ports in self._trees.items() if name == policy]
        return tree_ports(
            Models(
                TimedPolicy(self.models_of.policies[policy], meter.watch),
                TimedPRM(self.models_of.prms[prm], judge.watch) if prm and judge else Unscored(),
            ),
            meter.ledger,
            self.models_of.terms(policy, prm),
            prm_scope=judge.ledger if judge else None,
            beside=beside[-1].recorder if beside else None,
            answers=self.reader,
            read=self._answers,
            is_complete=self.reader.is_complete,
            on_response=self.on_response,
        )

    def _meter(self, model: str) -> _Meter:
        if model not in self._meters:
            self._meters[model] = _Meter(self.scope.scope(model))
        return self._meters[model]

    def used(self, leaves: Sequence[Node]) -> dict[str, ModelUse]:
        """What each model did, by its name; one policy grew ``leaves``."""
        return {
            name: ModelUse(
                policy_tokens=(spent := meter.ledger.spent).policy_tokens,
                prompt_tokens=spent.prompt_tokens,
                cached_tokens=spent.cached_tokens,
                prm_tokens=spent.prm_tokens,
                prm_cached_tokens=spent.prm_cached_tokens,
                cost=spent.cost,
                seconds=meter.watch.seconds,
                answered=self._grew(name, leaves),
            )
            for name, meter in self._meters.items()
        }

    def leaves(self) -> list[Node]:
        """Those of the policy that was asked last, if one of them is finished; else of the one
        before."""
        found: list[Node] = []
        for ports in reversed(self._trees.values()):
            leaves = ports.leaves()
            if any(leaf.is_finished for leaf in leaves):
                return leaves
            found = found or leaves
        return found

    def tokens_of(self, leaves: Sequence[Node]) -> tuple[int, int]:
        """Tokens of policies and PRMs on the paths of ``leaves``, which one policy grew: what any
        other drew has no vote."""
        for (policy, _), ports in self._trees.items():
            if self._grew(policy, leaves):
                return ports.tokens_of(leaves)
        return 0, 0

    def _grew(self, policy: str, leaves: Sequence[Node]) -> bool:
        return bool(leaves) and leaves[0].tree.key == self.key(policy)

    @property
    def ends(self) -> Ends:
        """How the samples of all policies ended."""
        total = Ends()
        for ends in {id(ports.ends): ports.ends for ports in self._trees.values()}.values():
            total.add(ends)
        return total

    @property
    def failed(self) -> int:
        """How many branches were lost."""
        return sum(ports.failed for ports in self._trees.values())

    @property
    def last_failure(self) -> EndpointError | None:
        """Why the tree that was asked last lost one, or one before it."""
        lost = (ports.last_failure for ports in reversed(self._trees.values()))
        return next((failure for failure in lost if failure is not None), None)


def tree_key(key: str, policy: str) -> str:
    """Names the tree of a policy, within the ``key`` of its problem in its cell."""
    return f"{key}/{policy}"
