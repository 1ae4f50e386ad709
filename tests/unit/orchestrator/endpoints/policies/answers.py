"""A question, and answers of a server to it."""

from typing import Any

from orchestrator.core.node import root
from orchestrator.core.ports import Sampling

ROOT = root("What is 1 + 1?", seed=1, problem_id="p")
STEP = Sampling(temperature=0.7, max_tokens=64)
WHOLE = Sampling(temperature=0.0, max_tokens=512, until="end")


def ask(question: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}]


def chat(*texts: str, prompt_ids: list[int] | None = None, **usage: Any) -> dict[str, Any]:
    """An answer to chat; with ``prompt_ids`` each text has one token id a character."""
    choices = [
        {
            "index": i,
            "message": {"content": text},
            "finish_reason": "stop",
            "token_ids": [ord(c) for c in text] if prompt_ids else None,
        }
        for i, text in enumerate(texts)
    ]
    return {"model": "m", "choices": choices, "prompt_token_ids": prompt_ids, "usage": usage}


def completion(*texts: str) -> dict[str, Any]:
    choices = [
        {"index": i, "text": text, "finish_reason": "stop", "token_ids": [ord(c) for c in text]}
        for i, text in enumerate(texts)
    ]
    return {"model": "m", "choices": choices}
