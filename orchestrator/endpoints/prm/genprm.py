"""GenPRM (Zhao et al. 2025): a conversation that judges a paragraph at a time."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from orchestrator.core.fanout import fan_out
from orchestrator.core.node import Node
from orchestrator.endpoints.prm.base import Reading, ReadingOrError, apart
from orchestrator.endpoints.prm.generative import GenerativePRM, Verifications
from orchestrator.endpoints.prm.memory import Recent
from orchestrator.formats.chat import Messages

SYSTEM = (
    "You are a math teacher. Your task is to review and critique the paragraphs in solution step "
    "by step."
)
OPENING = "<analyze>\nLet's analyze the Paragraph {i} step by step: "
END = "</output>"
REMEMBERED = 20_000

_JUDGEMENT = re.compile(r"\\boxed\{\s*(?:\\text\{)?\s*(yes|no)\b", re.IGNORECASE)


@dataclass(slots=True, kw_only=True)
class GenPRM(GenerativePRM):
    """User: the question and a step, or a step; assistant: an analysis that ends in
    ``**Judgement**: $\\boxed{Yes}$`` or ``No``.

    The conversation holds a critique of every earlier step, remembered from when it was scored and
    written anew where it was forgotten. Each critique is begun for the model, as the authors do, so
    its server must continue an open assistant message. The Python the models may write is never
    run: they go on with the output they expect.
    """

    warmth: ClassVar[float] = 0.6

    max_tokens: int | None = 2048
    _critiques: Recent[tuple[str, ...], str] = field(
        init=False, repr=False, default_factory=lambda: Recent(REMEMBERED)
    )

    async def read(self, nodes: Sequence[Node]) -> Sequence[ReadingOrError]:
        return await fan_out(apart(self._read_one(node)) for node in nodes)

    async def _read_one(self, node: Node) -> Reading:
        messages: Messages = [{"role": "system", "content": SYSTEM}]
        scores, tokens, cached, written = [], 0, 0, 0
        model: str | None = None
        for i, step in enumerate(node.steps, 1):
            text = f"Question: {node.question}\n\n{step.strip()}" if i == 1 else step.strip()
            messages.append({"role": "user", "content": text})
            path = (node.question, *node.steps[:i])
            critique = self._critiques.get(path) if i <= len(node.scores) else None
            if critique is None:
                opening = {"role": "assistant", "content": OPENING.format(i=i)}
                found = await self._verify(
                    [*messages, opening],
                    node=node,
                    steps=node.steps[:i],
                    stop=[END],
                    continued=True,
                )
                votes = [vote for text in found.texts if (vote := judgement(text)) is not None]
                if not votes:
                    raise self._no_vote(found)
                tokens, cached = tokens + found.tokens, cached + found.cached_tokens
                written += found.written_tokens
                model = model or found.model
                if i > len(node.scores):
                    scores.append(sum(votes) / len(votes))
                critique = opening["content"] + _first_readable(found) + END + "\n"
                self._critiques.put(path, critique)
            messages.append({"role": "assistant", "content": critique})
        return Reading(
            scores=scores,
            tokens=tokens,
            cached_tokens=cached,
            written_tokens=written,
            model=model,
        )


def _first_readable(found: Verifications) -> str:
    return next(text for text in found.texts if judgement(text) is not None)


def judgement(text: str) -> bool | None:
    """Whether a critique's last judgement is Yes; None where it holds none."""
    found = _JUDGEMENT.findall(text)
    return found[-1].lower() == "yes" if found else None
