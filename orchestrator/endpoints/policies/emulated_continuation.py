"""Continuation for APIs that have none, emulated: the model is told the steps so far."""

from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.core.node import Node
from orchestrator.core.ports import Sampling, never
from orchestrator.endpoints.http.ends import AnyChoice, NoAnswer, Said, read_choice
from orchestrator.endpoints.http.wire import ChatRequest, ChatResponse
from orchestrator.endpoints.policies.http_policy import CHAT, HttpPolicy
from orchestrator.formats.chat import Messages

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

_END = """
If this step completes the solution, state the final answer in it{form}; otherwise do \\
not."""


@dataclass(slots=True)
class InstructedPolicy(HttpPolicy):
    """Asks for the next step with an instruction that quotes those before it.

    Not the distribution that continuing the text itself has, so results are labelled. Hosted APIs
    do not say whether a stop string ended a step: a solution ends at the step that ``is_complete``,
    which is asked to state its answer in the task's ``form``, and a step at its first separator.
    """

    form: str = ""
    is_complete: Callable[[str], bool] = never

    async def _ask(self, node: Node, n: int, sampling: Sampling, most: int | None) -> list[Node]:
        chat = ChatRequest(
            messages=self._messages(node, sampling),
            logprobs=True if sampling.logprobs else None,
            **self._sampled_by(node, n, sampling, most),
        )
        return await self._send(CHAT, chat, ChatResponse, node, n, sampling, lambda *_: None)

    @property
    def _end(self) -> str:
        return _END.format(form=self.form and f", {self.form}")

    def _messages(self, node: Node, sampling: Sampling) -> Messages:
        *before, posed = self._conversation(node)
        steps = node.text.strip()
        if sampling.until == "step":
            told = (_NEXT.format(steps=steps) if steps else _FIRST) + self._end
        elif steps:
            told = _LAST.format(steps=steps)
        else:
            return [*before, posed]
        return [*before, {**posed, "content": f"{posed['content']}\n\n{told}"}]

    def _said(self, choice: AnyChoice, sampling: Sampling, tokens: int | None) -> Said | NoAnswer:
        """A choice's first step; the separator after it says that others are to follow."""
        said = read_choice(choice, tokens=tokens)
        if sampling.until == "end" or isinstance(said, NoAnswer):
            return said
        step, more, _ = said.text.strip().partition(self.separator)
        end = "stop" if more else said.end  # whatever ended the answer, it was not this step
        goes_on = step and not self.is_complete(step)
        return Said(step + self.separator if goes_on else step, end)
