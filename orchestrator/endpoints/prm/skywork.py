"""Skywork-o1-Open-PRM (2024): a value for each step, at the line end after it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from orchestrator.core.fanout import fan_out
from orchestrator.core.node import Node
from orchestrator.endpoints.prm.base import HttpPRM, ReadingOrError
from orchestrator.endpoints.prm.pooling import read_tokens
from orchestrator.endpoints.prm.tokens import Tokenizer

BOS = "<|im_start|>"
"""What the checkpoints' tokenizers name as the beginning of a text."""


@dataclass(slots=True, kw_only=True)
class SkyworkPRM(HttpPRM):
    """``{bos}{question}\\n{step}\\n{step}\\n``, a step in one line; the sigmoid at its line end.

    Question and steps are tokenised apart, as the authors do. Served by vLLM as a Qwen2 with a
    score head of one label (the value head under another name): ``--runner pooling --pooler-config
    '{"task": "token_classify"}'``.
    """

    bos: str = BOS
    _tokenizer: Tokenizer = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._tokenizer = Tokenizer(self.transport)

    async def read(self, nodes: Sequence[Node]) -> Sequence[ReadingOrError]:
        pieces = await fan_out(self._pieces(node) for node in nodes)
        return await read_tokens(self.pooling, nodes, pieces, column=0, columns=1)

    async def _pieces(self, node: Node) -> list[tuple[int, ...]]:
        lines = [step.strip().replace("\n", " ") for step in node.steps]
        prompt, end, *steps = await fan_out(
            self._tokenizer.ids(text) for text in (f"{self.bos}{node.question}\n", "\n", *lines)
        )
        pieces = [(*step, end[-1]) for step in steps]
        return [prompt + pieces[0], *pieces[1:]]
