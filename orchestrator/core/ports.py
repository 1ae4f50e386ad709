"""The ports: what search needs from the outside, as protocols.

One shape a call: one node in, its children out. Batching, coalescing, retries, metering and
journaling hide behind the port, each as a ``Policy`` or ``PRM`` that holds another.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from orchestrator.core.node import Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How to sample. ``until`` a step ends, or to the end of the solution.

    ``max_tokens`` bounds one such sample. ``logprobs`` asks for the log-probabilities of the
    sampled tokens (``Node.confidence``), ``question_logprob`` for those of the question's own
    (``Node.question_logprob``); both come with the samples, from servers that give them.
    """

    temperature: float
    top_p: float = 1.0
    max_tokens: int = 2048
    until: Literal["step", "end"] = "step"
    logprobs: bool = False
    question_logprob: bool = False


class Policy(Protocol):
    """The model that proposes steps."""

    async def extend(self, node: Node, n: int, sampling: Sampling) -> list[Node]:
        """Sample ``n`` continuations of the last turn of ``node``, in one request.

        The same node and sampling give the same children on a deterministic endpoint; a child's
        ``finish`` is set where its solution ends there. Fewer come back, or none, where a sample
        or the request failed for good and the search is to go on without. Raises
        ``EndpointError``.
        """
        ...


class PRM(Protocol):
    """The process reward model that judges steps."""

    async def score(self, nodes: Sequence[Node]) -> list[Node]:
        """Return the same nodes, each with one score a step of its last turn, in one request.

        None come back where that failed for good and the search is to go on without them. Raises
        ``EndpointError``.
        """
        ...


Need = Literal["prm", "continuation", "answers", "logprobs", "turns"]
"""What a strategy takes beside samples: a ``prm`` that scores them; a server that can continue a
solution (``continuation``); the ``answers`` of finished paths, which then carry them; how likely
samples are (``logprobs``); several user ``turns`` in one dialogue."""


def never(step: str) -> bool:
    """No step states the final answer: a solution ends where the model ends it."""
    return False


@dataclass(frozen=True, slots=True)
class Models:
    """What a strategy searches with: the ports of one tree.

    ``is_complete`` says of a step whether it states the final answer, so that none is to follow:
    ``Task.is_complete``.
    """

    policy: Policy
    prm: PRM
    is_complete: Callable[[str], bool] = never


class Trees(Protocol):
    """The trees of one problem, one for each policy that works on it: policies share no nodes."""

    def root(self, policy: str) -> Node:
        """Where the tree of the policy of this name begins."""
        ...

    def models(self, policy: str, prm: str | None) -> Models:
        """What this tree is grown with; where ``prm`` is None nothing is scored."""
        ...


class Strategy(Protocol):
    """A search: grows a tree from its root and returns the leaves that may answer."""

    @property
    def needs(self) -> frozenset[Need]:
        """What it needs of its models; checked before a run begins."""
        ...

    @property
    def n(self) -> int:
        """The budget N of the paper."""
        ...

    async def __call__(self, root: Node, models: Models) -> list[Node]: ...
