"""RLHFlow's PRMs (Xiong et al. 2024): a chat whose assistant answers each step "+" or "-"."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias, get_args

from orchestrator.core.fanout import fan_out
from orchestrator.core.node import Node
from orchestrator.endpoints.prm.base import ReadingOrError
from orchestrator.endpoints.prm.pooling import read_tokens
from orchestrator.endpoints.prm.verdict import VerdictPRM
from orchestrator.errors import ConfigError

Data: TypeAlias = Literal["deepseek", "mistral"]

BEGIN = "<|begin_of_text|>"
DATE = (
    "<|start_header_id|>system<|end_header_id|>\n\n"
    "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n<|eot_id|>"
)
"""What Llama 3.1's chat template puts before a chat without a system message."""


@dataclass(slots=True, kw_only=True)
class RLHFlowPRM(VerdictPRM):
    """User: the question and a step, or a step; assistant: "+"; the score is P("+") over "-".

    ``data`` names the checkpoint by what it was trained on. Both are Llama 3.1 8B, but their chat
    templates differ: Llama3.1-8B-PRM-Deepseek-Data carries Llama 3.1's, with a system message of
    dates, and Llama3.1-8B-PRM-Mistral-Data the shorter one of Llama 3. As in the authors' code,
    every earlier step has been answered "+", whatever its score.

    A verdict is predicted at the end of the assistant's header, which ends like every other header:
    no step_tag_id can name it. The pooling route asks for the scores of all tokens instead, from a
    server started with ``--runner pooling --convert classify --hf-overrides '{"method":
    "no_post_processing", "classifier_from_token": ["+", "-"]}' --pooler-config '{"task":
    "token_classify"}'``.
    """

    add_special_tokens: ClassVar[bool] = False

    data: Data = "deepseek"

    def __post_init__(self) -> None:
        VerdictPRM.__post_init__(self)
        if self.data not in get_args(Data):
            raise ConfigError(f"data must be deepseek or mistral, not {self.data!r}")

    def prefix(self, question: str, steps: Sequence[str]) -> str:
        return "".join(self.pieces(question, steps))

    def pieces(self, question: str, steps: Sequence[str]) -> list[str]:
        """The chat in a piece for each step, each ended where the step's verdict is predicted."""
        texts = [step.strip() for step in steps]
        texts[0] = f"{question} {texts[0]}".strip()
        head = BEGIN + (DATE if self.data == "deepseek" else "")
        answer = "+<|eot_id|>"
        return [
            (answer if i else head)
            + f"<|start_header_id|>user<|end_header_id|>\n\n{text}<|eot_id|>"
            + "<|start_header_id|>assistant<|end_header_id|>\n\n"
            for i, text in enumerate(texts)
        ]

    async def _pooled(self, nodes: Sequence[Node]) -> Sequence[ReadingOrError]:
        pieces = await fan_out(self._piece_ids(node) for node in nodes)
        return await read_tokens(self.pooling, nodes, pieces, column=0, columns=2)

    async def _piece_ids(self, node: Node) -> list[tuple[int, ...]]:
        # Pieces meet between a blank line and "+", which Llama's tokenizer never joins.
        pieces = self.pieces(node.question, node.steps)
        return await fan_out(self._tokenizer.ids(piece) for piece in pieces)
