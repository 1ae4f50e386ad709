"""PRMs trained with TRL's PRMTrainer: every token in one of two classes, read where a step ends."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from orchestrator.core.fanout import fan_out
from orchestrator.core.node import Node
from orchestrator.endpoints.prm.base import HttpPRM, ReadingOrError
from orchestrator.endpoints.prm.pooling import read_tokens
from orchestrator.endpoints.prm.tokens import Tokenizer
from orchestrator.errors import ConfigError


@dataclass(slots=True, kw_only=True)
class TRLPRM(HttpPRM):
    """``{bos}{question}`` and ``{step}{separator}``s; class 1 at each separator's last token.

    Question, steps and separator are tokenised apart, as ``PRMTrainer.tokenize_row`` does.
    ``step_separator`` is the trainer's setting of that name; ``bos`` is what the tokenizer begins a
    text with, "" where it has none, as Qwen's. Served by vLLM with ``--runner pooling
    --hf-overrides '{"architectures": ["Qwen2ForSequenceClassification"]}' --pooler-config
    '{"task": "token_classify"}'`` (or Llama's class of that name).
    """

    step_separator: str = "\n"
    bos: str = ""
    _tokenizer: Tokenizer = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.step_separator:
            raise ConfigError(
                "step_separator must not be empty: a step is scored at its last token"
            )
        self._tokenizer = Tokenizer(self.transport)

    async def read(self, nodes: Sequence[Node]) -> Sequence[ReadingOrError]:
        pieces = await fan_out(self._pieces(node) for node in nodes)
        return await read_tokens(self.pooling, nodes, pieces, column=1, columns=2)

    async def _pieces(self, node: Node) -> list[tuple[int, ...]]:
        texts = [step.strip() for step in node.steps]
        bos, prompt, separator, *steps = await fan_out(
            self._tokenizer.ids(text)
            for text in (self.bos, node.question, self.step_separator, *texts)
        )
        pieces = [step + separator for step in steps]
        return [bos + prompt + pieces[0], *pieces[1:]]
