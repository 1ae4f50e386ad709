"""The token ids the training batches are built from."""

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from servers.tiny.problems import LABELS, LIMIT, OPERATORS


class Vocabulary:
    """Token ids of numbers, operators, labels and tags in the shared tokenizer."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    def __len__(self) -> int:
        return len(self.tokenizer)

    def token(self, text: str) -> int:
        """The id of a text that is one token. Raises ``ValueError`` when it is not."""
        ids = self.tokenizer.encode(text, add_special_tokens=False)
        if len(ids) != 1:
            raise ValueError(f"{text!r} is {len(ids)} tokens, not one")
        return int(ids[0])

    def encode(self, texts: list[str]) -> list[list[int]]:
        return self.tokenizer(texts, add_special_tokens=False)["input_ids"]  # type: ignore[no-any-return]

    @cached_property
    def numbers(self) -> Tensor:
        """Ids of " 0" .. " 199"."""
        return torch.tensor([self.token(f" {v}") for v in range(LIMIT)])

    @cached_property
    def bare_numbers(self) -> Tensor:
        """Ids of "0" .. "199", as they stand inside the box."""
        return torch.tensor([self.token(f"{v}") for v in range(LIMIT)])

    @cached_property
    def operators(self) -> Tensor:
        return torch.tensor([self.token(f" {o}") for o in OPERATORS])

    @cached_property
    def labels(self) -> Tensor:
        return torch.tensor([self.token(f" {c}") for c in LABELS])
