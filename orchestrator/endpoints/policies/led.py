"""Continuation over chat on servers that trim the open message, or refuse its white space.

The model then writes the lost blank line itself, and no stop string may be sent yet, or the sample
would end there. So the first few tokens are drawn without one; where a step goes on after them, it
is drawn to its end with one, as the continuation of a message that ends in the midst of the step.
"""

from dataclasses import replace

from orchestrator.core.fanout import fan_out
from orchestrator.core.node import Node, derive_seed
from orchestrator.core.ports import Sampling
from orchestrator.endpoints.http.wire import ChatResponse
from orchestrator.endpoints.policies.http_policy import CHAT, ChatPolicy
from orchestrator.errors import CONCERNS_THE_RUN, EndpointError

LEAD_TOKENS = 16


class LedPolicy(ChatPolicy):
    """Draws the beginnings of steps in one request, and the rest of each in one of its own.

    A step whose rest fails for good is missing among the children; where that is all of them the
    first failure is raised.
    """

    async def _ask(self, node: Node, n: int, sampling: Sampling, most: int | None) -> list[Node]:
        if not node.steps or sampling.until == "end":
            return await self._drawn(node, n, sampling, most)
        few = LEAD_TOKENS if most is None else min(most, LEAD_TOKENS)
        leads = await self._drawn(node, n, replace(sampling, until="end"), few)
        ended = await fan_out(self._ended(node, lead, sampling, most) for lead in leads)
        children = [each for each in ended if isinstance(each, Node)]
        if not children:
            raise next(each for each in ended if isinstance(each, EndpointError))
        return _charged(children, leads[0])

    async def _ended(
        self, node: Node, lead: Node, sampling: Sampling, most: int | None
    ) -> Node | EndpointError:
        """The child that begins as ``lead``, at the end of its first step; its prompt is that of
        its own request, if it took one. Or why there is none."""
        begun, *more = lead.steps[len(node.steps) :] or (self.separator,)
        child = replace(
            lead, steps=(*node.steps, begun), prompt_tokens=0, cached_tokens=0, request=0
        )
        if more or begun.endswith(self.separator):
            return replace(child, finish=None)
        if child.finish != "length" or (most is not None and most <= LEAD_TOKENS):
            return child
        origin = replace(node, seed=derive_seed(node.seed, "rest", lead.path[-1]))
        left = None if most is None else most - LEAD_TOKENS
        begun = begun.rstrip()
        try:
            (rest,) = await self._drawn(origin, 1, sampling, left, begun)
        except EndpointError as error:
            if isinstance(error, CONCERNS_THE_RUN):
                raise
            return error
        return replace(
            child,
            steps=(*node.steps, begun + rest.steps[-1]),
            finish=rest.finish,
            confidence=None,  # of two requests, each tells its own part
            tokens=child.tokens + rest.step_tokens,
            step_tokens=child.step_tokens + rest.step_tokens,
            prompt_tokens=rest.prompt_tokens,
            cached_tokens=rest.cached_tokens,
            request=1 + lead.path[-1],
        )

    async def _drawn(
        self, node: Node, n: int, sampling: Sampling, most: int | None, begun: str = ""
    ) -> list[Node]:
        """Samples after the text of ``node`` and of a step that is ``begun``."""
        chat = self._chat(node, n, sampling, most, token_ids=False)
        if node.steps:
            text = (node.text + begun).rstrip()
            chat.messages = [*chat.messages[:-1], {"role": "assistant", "content": text}]
        return await self._send(CHAT, chat, ChatResponse, node, n, sampling, lambda *_: None)


def _charged(children: list[Node], lead: Node) -> list[Node]:
    """The children, of which those without a request of their own, or else the first, have the
    prompt of the request that began them all."""
    payers = [child for child in children if not child.request] or children[:1]
    numbers = {child.path for child in payers}
    return [
        replace(
            child,
            prompt_tokens=child.prompt_tokens + lead.prompt_tokens,
            cached_tokens=child.cached_tokens + lead.cached_tokens,
        )
        if child.path in numbers
        else child
        for child in children
    ]
