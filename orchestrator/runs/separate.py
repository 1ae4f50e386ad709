"""Servers that give one sample a request: ``n`` samples are ``n`` requests."""

from dataclasses import dataclass, replace

from orchestrator.core.fanout import fan_out
from orchestrator.core.ports import Policy, Sampling
from orchestrator.core.tree import Node, derive_seed
from orchestrator.errors import EndpointError, EndpointRefused


@dataclass(slots=True)
class SeparateSamples:
    """A policy asked for one sample a request, each with its own seed.

    Samples that fail are missing among the children, which keep their numbers; where all fail, the
    first failure is raised.
    """

    policy: Policy

    async def extend(self, node: Node, n: int, sampling: Sampling) -> list[Node]:
        if n == 1:
            return await self.policy.extend(node, n, sampling)
        asked = [replace(node, seed=derive_seed(node.seed, "sample", i)) for i in range(n)]
        answers = await fan_out(self._sample(one, sampling) for one in asked)
        samples = {i: child for i, child in enumerate(answers) if isinstance(child, Node)}
        if not samples:
            raise next(failure for failure in answers if isinstance(failure, EndpointError))
        prompts = sum(child.prompt_tokens for child in samples.values())
        cached = sum(child.cached_tokens for child in samples.values())
        return [
            replace(
                child,
                path=(*node.path, i),
                seed=derive_seed(node.seed, i),
                prompt_tokens=prompts,
                cached_tokens=cached,
            )
            for i, child in samples.items()
        ]

    async def _sample(self, node: Node, sampling: Sampling) -> Node | EndpointError:
        try:
            (child,) = await self.policy.extend(node, 1, sampling)
        except EndpointRefused:
            raise
        except EndpointError as failure:
            return failure
        return child
