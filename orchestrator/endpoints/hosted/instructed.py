"""Continuation for APIs that have none, emulated: the model is told the steps so far."""

from orchestrator.core.ports import Sampling
from orchestrator.core.tree import Node
from orchestrator.endpoints.policy import HttpPolicy
from orchestrator.endpoints.wire import ChatChoice, ChatRequest, ChatResponse

BOX = r"\boxed"

_FIRST = """\
Solve it step by step, one step a message. Write the first step now and nothing else: one \
paragraph without blank lines inside, no heading, no remark."""

_NEXT = """\
This is the beginning of the solution, between two lines of dashes:
-----
{steps}
-----
Write the next step now and nothing else: one paragraph without blank lines inside, which goes on \
right after the text above and repeats nothing of it. No heading, no remark."""

_LAST = """\
This is the beginning of the solution, between two lines of dashes:
-----
{steps}
-----
Write the rest of the solution, to its end: it goes on right after the text above and repeats \
nothing of it."""

_END = r"""
If this step completes the solution, state the final answer in it, within \boxed{}; otherwise do \
not."""


class InstructedPolicy(HttpPolicy):
    """Asks for the next step with an instruction that quotes those before it.

    Not the distribution that continuing the text itself has, so results are labelled. Hosted APIs
    do not say whether a stop string ended a step: a solution ends at the step that states a boxed
    answer, and a step at its first separator.
    """

    async def _ask(self, node: Node, n: int, sampling: Sampling, most: int | None) -> list[Node]:
        def read(chat: ChatResponse, url: str) -> list[Node]:
            if sampling.until == "step":
                for choice in chat.choices:
                    self._cut(choice)
            return self._children(node, n, sampling, chat.choices, chat.usage, None, url)

        return await self.transport.post(
            "/v1/chat/completions",
            ChatRequest(
                messages=self._messages(node, sampling),
                **self._common(node, n, sampling, most),  # type: ignore[arg-type]
            ),
            ChatResponse,
            read,
            node=node,
        )

    def _messages(self, node: Node, sampling: Sampling) -> list[dict[str, str]]:
        *before, posed = self.prompt(node.question)
        steps = node.text.strip()
        if sampling.until == "step":
            told = (_NEXT.format(steps=steps) if steps else _FIRST) + _END
        elif steps:
            told = _LAST.format(steps=steps)
        else:
            return [*before, posed]
        return [*before, {**posed, "content": f"{posed['content']}\n\n{told}"}]

    def _cut(self, choice: ChatChoice) -> None:
        """Leave a choice its first step; the separator after it says that others are to follow."""
        step, more, _ = (choice.message.content or "").strip().partition(self.separator)
        if more:  # whatever ended the answer, it was not this step
            choice.finish_reason = "stop"
        goes_on = step and BOX not in step
        choice.message.content = step + self.separator if goes_on else step
