"""A server with a real chat template, which trims messages as Llama 3's does.

Its model reads the rendered prompt, a token a character: after a step without a blank line it
writes the blank line first. Solutions take ``DEPTH`` steps and state a boxed digit.
"""

from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import jinja2
from aiohttp import web

from tests.integration.misbehaving import _digest, _scores
from tests.integration.serving import served, served_beside

DEPTH = 3
_HEADER = "<|start_header_id|>{}<|end_header_id|>\n\n"
_ANSWER = _HEADER.format("assistant")
TRIMMING = (
    "{% for message in messages %}<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n"
    "{{ message['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
KEEPING = TRIMMING.replace(" | trim", "")


@dataclass(slots=True)
class Server:
    """``renders``: it has ``/tokenize`` and continues token ids; ``refuses``: no open message may
    end with white space; ``counts``: it tells the prompt's tokens; ``several``: samples a request.
    """

    template: str = TRIMMING
    renders: bool = True
    refuses: bool = False
    counts: bool = True
    several: bool = True
    url: str = ""
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.json() if request.can_read_body else {}
        self.calls.append((request.path, body))
        if request.path == "/v1/models":
            return web.json_response({"data": [{"id": "policy"}, {"id": "prm"}]})
        if request.path == "/pooling":
            return web.json_response(_scores(body))
        if request.path == "/v1/chat/completions":
            return self._chat(body)
        if self.renders and request.path == "/tokenize":
            prompt = self._rendered(body) if "messages" in body else body["prompt"]
            return web.json_response({"tokens": [ord(each) for each in prompt]})
        if self.renders and request.path == "/v1/completions":
            prompt = body["prompt"]
            if isinstance(prompt, list):
                prompt = "".join(map(chr, prompt))
            choices = [
                {"index": i, **_ended(_written(prompt, body, i), body)}
                for i in range(body.get("n", 1))
            ]
            return self._answer(choices, prompt)
        return web.json_response({"error": {"message": "Not Found"}}, status=404)

    def _chat(self, body: dict[str, Any]) -> web.Response:
        last = body["messages"][-1]
        if (
            self.refuses
            and last["role"] == "assistant"
            and last["content"] != last["content"].rstrip()
        ):
            said = "messages: final assistant content cannot end with trailing whitespace"
            error = {"type": "invalid_request_error", "message": said}
            return web.json_response({"type": "error", "error": error}, status=400)
        prompt = self._rendered(body)
        choices = []
        for i in range(body.get("n", 1) if self.several else 1):
            ended = _ended(_written(prompt, body, i), body)
            message = {"role": "assistant", "content": ended.pop("text")}
            choices.append({"index": i, "message": message, **ended})
        return self._answer(choices, prompt)

    def _rendered(self, body: dict[str, Any]) -> str:
        """As transformers does it: the open message's end is looked for in the rendered text."""
        opened = bool(body.get("continue_final_message"))
        text = jinja2.Template(self.template).render(
            messages=body["messages"],
            add_generation_prompt=body.get("add_generation_prompt", True) and not opened,
        )
        if not opened:
            return text
        last = body["messages"][-1]["content"]
        found = last if last in text else last.strip()
        return text[: text.rindex(found) + len(found)]

    def _answer(self, choices: list[Any], prompt: str) -> web.Response:
        usage = {"prompt_tokens": len(prompt), "completion_tokens": 4 * len(choices)}
        answer = {"model": "policy", "choices": choices}
        return web.json_response(answer | ({"usage": usage} if self.counts else {}))


TOKEN = 8
"""Characters of a token, as far as ``max_tokens`` counts them."""


def _written(prompt: str, body: dict[str, Any], index: int) -> str:
    """What the model writes after a rendered prompt, to the end of its solution."""
    question, _, said = prompt.rpartition(_ANSWER)
    mark = _digest(question, body.get("seed"), index) % 1000
    if "three numbers on a line" in prompt:
        steps = ["1 2 3", "4 5 6", "7 8 9", "10 11 12", "13 14 15"]
    else:
        sums = "we add and carry " * 8
        steps = [f"Step {i}: {sums}of {mark}." for i in range(1, DEPTH)]
        steps.append(f"Step {DEPTH}: {sums}$\\boxed{{{mark % 3}}}$.")
    *done, last = said.split("\n\n")
    here, *later = steps[len(done) :] or [""]
    if not last:
        return "\n\n".join([here, *later])
    if last[-1] in ".0123456789":  # a whole step, without its blank line
        return "".join(f"\n\n{step}" for step in later)
    rest = here[len(last) :] if here.startswith(last) else " and so on."
    return "\n\n".join([rest, *later])


def _ended(text: str, body: dict[str, Any]) -> dict[str, Any]:
    met = next((stop for stop in body.get("stop") or () if stop in text), None)
    if met is not None:
        kept = len(met) if body.get("include_stop_str_in_output") else 0
        text = text[: text.index(met) + kept]
    most = TOKEN * (body.get("max_tokens") or 10_000)
    if len(text) > most:
        return {"text": text[:most], "finish_reason": "length", "stop_reason": None}
    return {"text": text, "finish_reason": "stop", "stop_reason": met}


def running(server: Server) -> AbstractAsyncContextManager[Server]:
    return served(server)


def running_beside(server: Server) -> AbstractContextManager[Server]:
    return served_beside(server)
