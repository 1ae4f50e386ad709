"""An OpenAI-compatible server that keeps the bill: what it was asked for, and what that took.

A word is a token. Solutions follow from the seed, the question and the sample's number alone, and
are of different lengths. Requests that are no problem's, such as a probe's, are billed apart.
"""

import json
import re
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.integration.misbehaving import CHAT, MODELS, POOLING, _digest
from tests.integration.serving import served_beside

PROBLEM = re.compile(r"Problem \w+: .*\?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Billed:
    """One request that was answered."""

    model: str
    question: str | None
    samples: int
    prompt_tokens: int
    completion_tokens: int


@dataclass(slots=True)
class Counting:
    """``takes_n`` says whether a request may ask for several samples, ``counts_first`` whether the
    usage counts the first of them alone. One in ``breaks_off`` answers about a problem ends one of
    its samples with an error, and bills it."""

    takes_n: bool = True
    counts_first: bool = False
    breaks_off: int | None = None
    bills: list[Billed] = field(default_factory=list)
    probes: list[Billed] = field(default_factory=list)
    url: str = ""

    def of(self, *models: str) -> list[Billed]:
        return [bill for bill in self.bills if bill.model in models]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path == MODELS:
            cards = [{"id": model} for model in ("policy", "other", "prm")]
            return web.json_response({"object": "list", "data": cards})
        if request.path not in (CHAT, POOLING):
            return web.Response(status=404)
        body = await request.json()
        answer = self._chat(body) if request.path == CHAT else _scores(body)
        asked = PROBLEM.search(json.dumps(body.get("messages") or body["input"]))
        choices = answer.get("choices", [])
        if asked and choices and self.breaks_off and not len(self.bills) % self.breaks_off:
            choices[0]["finish_reason"] = "error"
        texts = [choice["message"]["content"] for choice in choices]
        bill = Billed(
            model=body["model"],
            question=asked[0] if asked else None,
            samples=len(texts),
            prompt_tokens=answer["usage"]["prompt_tokens"],
            completion_tokens=sum(len(text.split()) for text in texts),
        )
        (self.bills if asked else self.probes).append(bill)
        return web.json_response(answer)

    def _chat(self, body: dict[str, Any]) -> dict[str, Any]:
        question, most = body["messages"][-1]["content"], body.get("max_tokens") or 512
        samples = [
            _solution(body.get("seed"), question, index)
            for index in range(body.get("n", 1) if self.takes_n else 1)
        ]
        are_cut = [len(text.split()) > most for text in samples]
        texts = [
            " ".join(text.split()[:most]) if is_cut else text
            for text, is_cut in zip(samples, are_cut, strict=True)
        ]
        counted = texts[:1] if self.counts_first else texts
        prompt = sum(len(message["content"].split()) for message in body["messages"])
        return {
            "model": body["model"],
            "choices": [
                {
                    "index": index, "finish_reason": "length" if is_cut else "stop",
                    "message": {"role": "assistant", "content": text},
                }
                for index, (text, is_cut) in enumerate(zip(texts, are_cut, strict=True))
            ],
            "usage": _usage(prompt, sum(len(text.split()) for text in counted)),
        }  # fmt: skip


def _solution(seed: int | None, question: str, index: int) -> str:
    mark = _digest(seed, question, index)
    words = " ".join(["so"] * (1 + mark % 7))
    return f"By {mark} {words} we go on.\n\nThe answer is $\\boxed{{{mark % 3}}}$."


def _scores(body: dict[str, Any]) -> dict[str, Any]:
    data = []
    for index, text in enumerate(body["input"]):
        steps = text.split("<extra_0>")[:-1]
        scores = [_digest(step) % 1000 / 1000 for step in steps]
        data.append({"index": index, "data": [[1 - score, score] for score in scores]})
    read = sum(len(text.split()) for text in body["input"])
    return {"model": body["model"], "data": data, "usage": _usage(read, 0)}


def _usage(prompt: int, completion: int) -> dict[str, int]:
    return {
        "prompt_tokens": prompt, "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }  # fmt: skip


def running_beside(server: Counting | None = None) -> AbstractContextManager[Counting]:
    """The server in a thread of its own, for clients that are other processes."""
    return served_beside(server or Counting())
