"""A two-step solution and what servers answer about one."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from orchestrator.core.node import Node, root

QUESTION = "What is 1 + 1?"
STEPS = ("Add them.\n\n", r"It is \boxed{2}.")


class Answers:
    """The JSON of the routes PRMs use."""

    @staticmethod
    def pooling(*data: Any, tokens: int = 0, cached: int | None = None) -> dict[str, Any]:
        """``/pooling``: one entry of ``data`` for each input."""
        details = None if cached is None else {"cached_tokens": cached}
        return {
            "model": "m",
            "data": [
                {"index": i, "object": "pooling", "data": each} for i, each in enumerate(data)
            ],
            "usage": {
                "prompt_tokens": tokens,
                "total_tokens": tokens,
                "completion_tokens": 0,
                "prompt_tokens_details": details,
            },
        }

    @staticmethod
    def next_token(
        logprobs: dict[str, float | None] | None, tokens: int = 10, cached: int = 0
    ) -> dict[str, Any]:
        """``/v1/completions`` for the log-probabilities of the next token."""
        top = None if logprobs is None else {"top_logprobs": [logprobs]}
        return {
            "model": "m",
            "choices": [{"index": 0, "text": "?", "logprobs": top, "finish_reason": "length"}],
            "usage": {
                "prompt_tokens": tokens,
                "completion_tokens": 1,
                "prompt_tokens_details": {"cached_tokens": cached},
            },
        }

    @staticmethod
    def chat(
        *texts: str | None, finish: str = "stop", tokens: int = 0, written: int = 0, cached: int = 0
    ) -> dict[str, Any]:
        """``/v1/chat/completions``: a choice for each text."""
        return {
            "model": "m",
            "choices": [
                {"index": i, "message": {"content": text}, "finish_reason": finish}
                for i, text in enumerate(texts)
            ],
            "usage": {
                "prompt_tokens": tokens,
                "completion_tokens": written,
                "prompt_tokens_details": {"cached_tokens": cached},
            },
        }

    @staticmethod
    def tokenize(*ids: int) -> dict[str, Any]:
        return {"count": len(ids), "max_model_len": 512, "tokens": list(ids), "token_strs": None}


@pytest.fixture
def answers() -> type[Answers]:
    return Answers


@pytest.fixture
def solution() -> Callable[..., Node]:
    """A node of so many steps, those of ``scores`` scored before."""

    def make(
        steps: Sequence[str] = STEPS, *, index: int = 0, scores: tuple[float, ...] = ()
    ) -> Node:
        start = root(QUESTION, seed=1, problem_id="p").scored(scores)
        return start.child(index, tuple(steps))

    return make
