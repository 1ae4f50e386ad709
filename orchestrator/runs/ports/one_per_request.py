"""For servers that give one sample per request: ``n`` samples are ``n`` requests."""

from dataclasses import dataclass, replace

from orchestrator.core.fanout import fan_out
from orchestrator.core.node import Node, Redraw, derive_seed
from orchestrator.core.ports import Policy, Sampling
from orchestrator.errors import CONCERNS_THE_RUN, EndpointError
from orchestrator.runs.ports.branches import OnFailedBranch
from orchestrator.runs.ports.charges import joined, with_failures


@dataclass(slots=True)
class SeparateSamples:
    """A policy asked for one sample per request, each with its own seed, each paying its prompt.

    A failed sample is missing among the children, which keep their numbers. ``refill`` first draws
    another in its place, once; ``fail`` raises its failure. Where all fail, the first is raised.
    """

    policy: Policy
    on_failure: OnFailedBranch = "drop"

    async def extend(self, node: Node, n: int, sampling: Sampling) -> list[Node]:
        if n == 1:
            return await self.policy.extend(node, n, sampling)
        answers = await fan_out(self._sample(node, i, sampling) for i in range(n))
        failures = [failure for failure in answers if isinstance(failure, EndpointError)]
        children = [
            replace(child, path=(*node.path, i), seed=derive_seed(node.seed, i), request=i)
            for i, child in enumerate(answers)
            if isinstance(child, Node)
        ]
        if not children:
            raise joined(failures)
        return [*children[:-1], with_failures(children[-1], failures)] if failures else children

    async def _sample(self, node: Node, number: int, sampling: Sampling) -> Node | EndpointError:
        draws: tuple[Redraw, ...] = ("sample", "refill")
        failures: list[EndpointError] = []
        for draw in draws[: 2 if self.on_failure == "refill" else 1]:
            try:
                (child,) = await self.policy.extend(node.redrawn(draw, number), 1, sampling)
            except EndpointError as error:
                if self.on_failure == "fail" or isinstance(error, CONCERNS_THE_RUN):
                    raise
                failures.append(error)
            else:
                return with_failures(child, failures) if failures else child
        return joined(failures)
