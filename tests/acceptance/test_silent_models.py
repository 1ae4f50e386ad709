"""Models whose text is elsewhere, or nowhere: seen by the probe, and named with what to set."""

from typing import Any

import pytest
from aiohttp import web

from tests.acceptance.conftest import SEARCH, Person
from tests.integration.misbehaving import CHAT, MODELS, Answer, changed

WHOLE = {"policy": "policy", "strategy": "majority", "n": 2, "max_tokens": 400}


def saying(finish: str | None = "stop", **message: Any) -> Answer:
    def change(good: Any) -> None:
        for choice in good["choices"]:
            choice |= {
                "message": {"role": "assistant", "content": None, **message},
                "finish_reason": finish, "stop_reason": None,
            }  # fmt: skip
        good["usage"]["completion_tokens"] = 20 * len(good["choices"])

    return changed(change)


CALL = {"type": "function", "function": {"name": "calculator", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (saying(reasoning_content="Let me see. 12 + 30 is 42."), "--reasoning-parser"),
        (saying(reasoning="Let me see. 12 + 30 is 42."), "--reasoning-parser"),
        (saying(refusal="I can't help with that."), "declines to answer a sum: I can't help"),
        (saying("tool_calls", tool_calls=[CALL]), "called a tool (calculator)"),
        (saying(content=""), "bills 20 tokens for an answer without text"),
        (saying(None, content="The answer is 4"), "finish_reason is null"),
        (saying("abort", content="The answer is 4"), "finish_reason 'abort'"),
        (saying("content_filter", content=""), "content filter"),
    ],
)
def test_a_model_that_says_nothing_is_named_with_what_to_set_and_no_run_begins(
    person: Person, answer: Answer, says: str
) -> None:
    person.server.on(CHAT, answer, when=lambda body: body["model"] == "policy", forever=True)
    config = person.write_config(cells=[WHOLE], headline=None)
    checked = person.orchard("check", config)
    assert checked.code == 1
    assert "✗ policy" in checked.out and "✓ large" in checked.out
    assert says in checked.out
    assert says in person.orchard("run", config).complaint


def thinking(tokens: int, field: str | None) -> Answer:
    """A model that thinks for so many tokens: in a field of its own, or within its text."""

    async def answer(request: web.Request, good: Any) -> web.StreamResponse:
        body = await request.json()
        most = body.get("max_tokens") or 100_000
        for choice in good["choices"]:
            said, message = choice["message"]["content"], choice["message"]
            thought = "Okay, so the user asks." + ("\n\nLet me think about it." if field else "")
            if most <= tokens:
                message["content"] = None if field else f"<think>{thought}"
                choice["finish_reason"] = "length"
            elif field and body.get("stop"):
                message["content"], thought = None, thought.partition("\n\n")[0]
                choice["stop_reason"] = body["stop"][0]
            elif not field:
                message["content"] = f"<think>{thought}</think>{said}"
            if field:
                message[field] = thought
        good["usage"]["completion_tokens"] = min(most, tokens + 8) * len(good["choices"])
        return web.json_response(good)

    return answer


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning", None])
def test_a_thought_that_uses_up_all_tokens_is_one_and_says_what_to_set(
    person: Person, field: str | None
) -> None:
    person.server.on(CHAT, thinking(500, field), forever=True)
    config = person.write_config(cells=[WHOLE], headline=None)
    checked = person.orchard("check", config)
    assert checked.code == 1
    assert "took 508 tokens for a sum" in checked.out
    assert "majority gives it 400: set `max_tokens` to at least 2,048" in checked.out
    assert "set `max_tokens` to at least 2,048" in person.orchard("run", config).complaint
    little = person.write_config(cells=[{**WHOLE, "max_tokens": 1000}], headline=None)
    warned = person.orchard("check", little)
    assert warned.code == 0
    assert "beware   a reasoning model, which took 508 tokens" in warned.out
    enough = person.write_config(cells=[{**WHOLE, "max_tokens": 4096}], headline=None)
    good = person.orchard("run", enough, "--out", "runs/enough")
    assert good.code == 0 and "reasoning model" not in good.out


def test_a_thought_without_an_end_is_named(person: Person) -> None:
    person.server.on(CHAT, thinking(10**6, "reasoning"), forever=True)
    complaint = person.orchard("run", person.write_config(cells=[WHOLE], headline=None)).complaint
    assert "took 2,048 tokens" in complaint and "at least 8,192" in complaint
    much = person.write_config(cells=[{**WHOLE, "max_tokens": 8192}], headline=None)
    assert "took 8,192 tokens" in person.orchard("run", much).complaint


def test_steps_that_are_hidden_in_a_thought_cannot_be_searched(person: Person) -> None:
    person.server.on(CHAT, thinking(500, "reasoning_content"), forever=True)
    cells = [{"policy": "policy", "prm": "prm", "strategy": "dvts", **SEARCH, "max_tokens": 4096}]
    complaint = person.orchard("run", person.write_config(cells=cells, headline=None)).complaint
    assert "a field of its own (--reasoning-parser)" in complaint and "as dvts needs" in complaint


def cutting(most: int) -> Answer:
    """Counts a token a word, and reads no more than so many of a prompt."""

    async def answer(request: web.Request, good: Any) -> web.StreamResponse:
        body = await request.json()
        words = sum(len(message["content"].split()) for message in body["messages"])
        good["usage"]["prompt_tokens"] = min(words + 10, most)
        return web.json_response(good)

    return answer


def untold(good: Any) -> None:
    for card in good["data"]:
        card["max_model_len"] = None


@pytest.mark.parametrize("most", [2048, 4096])
def test_prompts_that_are_cut_without_a_word_are_named_with_their_bound(
    person: Person, most: int
) -> None:
    person.server.on(MODELS, changed(untold), forever=True)
    person.server.on(CHAT, cutting(most), forever=True)
    config = person.write_config(cells=[{**WHOLE, "max_tokens": 8192}], headline=None)
    says = f"cuts prompts at {most:,} tokens and does not say so"
    checked = person.orchard("check", config)
    assert says in checked.out and "num_ctx" in checked.out
    person.problems(1)
    outcome = person.orchard("run", config)
    assert outcome.code == 0 and says in outcome.out


def test_a_prompt_that_is_cut_at_work_is_an_overflow(person: Person) -> None:
    person.server.on(MODELS, changed(untold), forever=True)
    person.server.on(CHAT, cutting(2048), forever=True)
    config = person.write_config(cells=[{**WHOLE, "max_tokens": 8192}], headline=None)
    person.write("problems.jsonl", '{"question": "' + "so " * 3000 + '?", "answer": "1"}\n')
    person.orchard("run", config)
    (record,) = person.records()
    assert {leaf["finish"] for leaf in record["leaves"]} == {"overflow"}


@pytest.mark.parametrize("most", [16, 100_000])
def test_a_server_that_counts_alike_or_reads_all_cuts_nothing(person: Person, most: int) -> None:
    person.server.on(MODELS, changed(untold), forever=True)
    person.server.on(CHAT, cutting(most), forever=True)
    checked = person.orchard("check", person.write_config(cells=[WHOLE], headline=None))
    assert checked.code == 0 and "cuts prompts" not in checked.out
