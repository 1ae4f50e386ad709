"""What happens to a tree when one of its requests fails for good."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from orchestrator.core.node import Node
from orchestrator.core.ports import PRM, Policy, Sampling
from orchestrator.core.rewards import Reward
from orchestrator.core.selection import best
from orchestrator.errors import CONCERNS_THE_RUN, BadResponse, EndpointError
from orchestrator.runs.ports.ends import missing

OnFailedBranch = Literal["drop", "refill", "fail"]
ON_FAILED_BRANCH: tuple[OnFailedBranch, ...] = get_args(OnFailedBranch)
"""``drop``: the search goes on with the other branches.

``refill``: another branch takes its place. For a path that cannot be grown, that is the best
sibling, by the strategy's own ``reward``, that the search passed over; for one of several samples
that are a request each, another draw from another seed. What nothing can replace (the root, the
last sibling, steps that could not be scored) is dropped.

``fail``: the tree ends and answers from what it has."""


@dataclass(slots=True)
class Branches:
    """The ports of one tree, under which a failing branch is not a failing tree.

    A failed ``extend`` or ``score`` returns no nodes. ``failed`` counts the lost branches,
    ``last_failure`` is why the last one was lost. ``reward`` ranks the siblings that may replace
    one. ``EndpointRefused`` and ``RateLimited`` always pass: they concern the run.
    """

    policy: Policy
    prm: PRM
    on_failure: OnFailedBranch
    reward: Reward = "last"
    failed: int = 0
    last_failure: EndpointError | None = None
    _passed_over: dict[tuple[int, ...], dict[tuple[int, ...], Node]] = field(default_factory=dict)

    async def extend(self, node: Node, n: int, sampling: Sampling) -> list[Node]:
        self._take(node)
        origin: Node | None = node
        while origin is not None:
            try:
                children = await self.policy.extend(origin, n, sampling)
            except EndpointError as failure:
                self._note(failure)
                await asyncio.sleep(0)  # until the search has begun to grow all it chose
                origin = self._substitute(node)
            else:
                if lost := missing(origin, children, n):
                    self._lose(lost, n)
                return children
        return []

    async def score(self, nodes: Sequence[Node]) -> list[Node]:
        if not nodes:
            return []
        try:
            scored = await self.prm.score(nodes)
        except EndpointError as failure:
            self._note(failure)
            return []
        if self.on_failure == "refill":
            for node in scored:
                if not node.is_finished:
                    self._passed_over.setdefault(node.path[:-1], {})[node.path] = node
        return scored

    def _lose(self, lost: int, n: int) -> None:
        if self.on_failure == "fail":
            raise BadResponse(f"{lost} of {n} samples came to no answer", url="")
        self.failed += lost

    def _note(self, failure: EndpointError) -> None:
        if self.on_failure == "fail" or isinstance(failure, CONCERNS_THE_RUN):
            raise failure
        self.failed += 1
        self.last_failure = failure

    def _take(self, node: Node) -> None:
        self._passed_over.get(node.path[:-1], {}).pop(node.path, None)

    def _substitute(self, node: Node) -> Node | None:
        siblings = self._passed_over.get(node.path[:-1], {})
        found = best(siblings.values(), 1, self.reward)
        if not found:
            return None
        self._take(found[0])
        return found[0]
