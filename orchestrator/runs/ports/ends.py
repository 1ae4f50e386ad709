"""How the samples of a tree end, counted at its ports, so that discarded samples count too."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from orchestrator.core.node import Finish, Node
from orchestrator.core.records import ENDS
from orchestrator.errors import BadResponse, EndpointError

AS_THEY_SHOULD: tuple[Finish | None, ...] = (None, "stop", "depth")

_OF_A_PROMPT: tuple[Finish | None, ...] = ("overflow", "filtered", "refused")


def stands_for_all(node: Node, children: Sequence[Node]) -> bool:
    """Whether the only child is not a sample, but the reason why a request has none: its prompt was
    too long, filtered or refused."""
    if len(children) != 1:
        return False
    (child,) = children
    return child.finish in _OF_A_PROMPT and child.steps == node.steps and not child.step_tokens


def missing(node: Node, children: Sequence[Node], n: int) -> int:
    """How many of ``n`` samples are lost."""
    return 0 if stands_for_all(node, children) else max(0, n - len(children))


@dataclass(slots=True)
class Ends:
    """``samples`` is how many were requested; ``counts`` is by what went wrong with them,
    ``models`` by the name of another model that answered, ``prm_models`` of another that scored."""

    samples: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    prm_models: Counter[str] = field(default_factory=Counter)

    def sampled(self, node: Node, children: Sequence[Node], n: int) -> None:
        """A request for ``n`` samples returned ``children``."""
        self.samples += n
        each = n if stands_for_all(node, children) else 1
        for child in children:
            if child.finish not in AS_THEY_SHOULD:
                self.counts[str(child.finish)] += each
            if child.model is not None:
                self.models[child.model] += 1
        self.counts["unanswered"] += missing(node, children, n)

    def failed(self, n: int, failure: EndpointError) -> None:
        """A request for ``n`` samples failed."""
        self.samples += n
        self.counts["unanswered" if isinstance(failure, BadResponse) else "failed"] += n

    def scored(self, nodes: Sequence[Node], scored: Sequence[Node]) -> None:
        """``nodes`` came back as ``scored``: some end because the PRM did not take them, some are
        without a score."""
        for end in _OF_A_PROMPT:
            before = sum(node.finish == end for node in nodes)
            self.counts[str(end)] += sum(node.finish == end for node in scored) - before
        self.counts["unscored"] += sum(node.unscored for node in scored)
        self.prm_models.update(node.prm_model for node in scored if node.prm_model is not None)

    def unscored(self, nodes: Sequence[Node]) -> None:
        self.counts["unscored"] += len(nodes)

    def add(self, other: "Ends") -> None:
        """Count those of another tree too."""
        self.samples += other.samples
        for mine, theirs in (
            (self.counts, other.counts),
            (self.models, other.models),
            (self.prm_models, other.prm_models),
        ):
            mine.update(theirs)

    def counted(self, leaves: Sequence[Node]) -> dict[str, int]:
        """All that is not 0, dead ends among ``leaves`` included."""
        dead = sum(leaf.finish == "dead_end" for leaf in leaves)
        found = self.counts | Counter(dead_end=dead)
        return {end: found[end] for end in ENDS if found[end]}
