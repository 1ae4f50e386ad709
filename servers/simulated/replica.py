"""One simulated server: requests as vLLM understands them, timed by an engine, answered by rule."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal, NamedTuple

import msgspec

from servers.simulated import wire
from servers.simulated.engine import Engine, Prompt
from servers.simulated.hardware import Speed
from servers.simulated.prefix_cache import BLOCK, block_keys
from servers.simulated.problems import Sum, parse
from servers.simulated.solutions import (
    SEPARATOR,
    TURN,
    WIDTH,
    SimulatedJudge,
    State,
    Writer,
    canonical,
    mixed,
    prompt_ids,
    read_prompt,
    read_step,
    state_ids,
    word_ids,
)

TAG = "<extra_0>"
"""Closes a step in what a PRM reads, as for Qwen2.5-Math-PRM."""

ServiceRole = Literal["policy", "prm"]

_SPEAKERS = ("user", "assistant")
_TURN_END = b"%d," % TURN


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One model in so many equal replicas. ``context`` is in tokens; a PRM that ``reads_cache``
    reads of a path only what it has not read before, which vLLM's ``/pooling`` cannot."""

    model: str
    role: ServiceRole
    speed: Speed
    replicas: int = 1
    context: int = 16_384
    writer: Writer = field(default_factory=Writer)
    judge: SimulatedJudge = field(default_factory=SimulatedJudge)
    reads_cache: bool = False


class WrittenSample(NamedTuple):
    """``ids`` are its tokens, with a comma after each."""

    text: str
    ids: bytes
    finish: str
    stop: str | None

    @property
    def tokens(self) -> int:
        return len(self.ids) // WIDTH

    @property
    def logprobs(self) -> list[float]:
        """Of its tokens, from -1 to 0: made up like the text, and no sign of a right answer."""
        return [-(int(number) % 997) / 997 for number in self.ids.split(b",")[:-1]]


class SimulatedAnswer(NamedTuple):
    """An answer's body, and the tokens it is made of: read (cached ones too) and generated."""

    body: bytes
    prompt_tokens: int = 0
    generated_tokens: int = 0


class SimulatedReplica:
    """Answers the requests of one server. ``random`` draws the samples that came without a seed."""

    def __init__(self, service: Service, name: str) -> None:
        self.service = service
        self.name = name
        self.engine = Engine(service.speed, whole_prompts=service.role == "prm")
        self.random = random.Random(name)

    async def answer(self, method: str, path: str, body: bytes | None) -> SimulatedAnswer:
        """Raises ``Refusal``, and ``ConnectionResetError`` where the replica dies meanwhile."""
        try:
            match method, path:
                case "POST", "/v1/completions":
                    return await self._completions(wire.decode_completion(body or b""))
                case "POST", "/v1/chat/completions":
                    return await self._chat(wire.decode_chat(body or b""))
                case "POST", "/pooling":
                    return await self._pooling(wire.decode_pooling(body or b""))
                case "POST", "/tokenize":
                    return self._tokenize(wire.decode_tokenize(body or b""))
                case "GET", "/v1/models":
                    card = wire.ServedCard(self.service.model, self.service.context)
                    return SimulatedAnswer(wire.encode(wire.ServedCards([card])))
                case "GET", "/health":
                    return SimulatedAnswer(b"")
                case "GET", "/metrics":
                    return SimulatedAnswer(self.metrics().encode())
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise wire.Refusal(400, str(error)) from None
        raise wire.Refusal(404, "Not Found")

    def metrics(self) -> str:
        """Prometheus text, by the names vLLM gives."""
        engine, label = self.engine, f'{{model_name="{self.service.model}"}}'
        values = {
            "num_requests_running": engine.running,
            "num_requests_waiting": engine.waiting,
            "kv_cache_usage_perc": engine.kv_usage,
            "num_preemptions_total": engine.counts.preemptions,
            "prefix_cache_queries_total": engine.cache.queries,
            "prefix_cache_hits_total": engine.cache.hits,
            "prompt_tokens_total": engine.counts.prompt_tokens,
            "generation_tokens_total": engine.counts.generated_tokens,
        }
        return "".join(f"vllm:{name}{label} {value:g}\n" for name, value in values.items())

    def _check(self, model: str, role: ServiceRole) -> None:
        if model != self.service.model:
            raise wire.Refusal(404, f"The model `{model}` does not exist.")
        if role != self.service.role:
            raise wire.Refusal(404, f"The model `{model}` is served for another task.")

    async def _completions(self, request: wire.CompletionCall) -> SimulatedAnswer:
        self._check(request.model, "policy")
        raw = bytes(request.prompt).strip()
        if raw.startswith(b'"'):
            ids = word_ids(msgspec.json.decode(raw, type=str))
        elif raw.startswith(b"[") and not raw[1:].lstrip().startswith((b"[", b'"')):
            ids = canonical(raw[1:-1])
        else:
            raise wire.Refusal(400, "a simulated policy takes one prompt a request")
        if not ids:
            raise wire.Refusal(400, "The prompt is empty.")
        samples, prompt = await self._generate(request, ids)
        with_ids = request.return_token_ids
        choices = [
            wire.WrittenChoice(
                i,
                each.text,
                each.finish,
                each.stop,
                _array(each.ids) if with_ids else None,
                wire.TokenLogprobs(each.logprobs) if request.logprobs is not None else None,
            )
            for i, each in enumerate(samples)
        ]
        generated = sum(sample.tokens for sample in samples)
        usage = wire.usage(prompt.tokens, generated, prompt.cached or 0)
        body = wire.encode(wire.CompletionBody(self.service.model, choices, usage))
        return SimulatedAnswer(body, prompt.tokens, generated)

    async def _chat(self, request: wire.ChatCall) -> SimulatedAnswer:
        self._check(request.model, "policy")
        ids = _conversation_ids(request)
        samples, prompt = await self._generate(request, ids)
        with_ids = request.return_token_ids
        choices = [
            wire.WrittenChatChoice(
                i, wire.AssistantMessage(each.text), each.finish, each.stop,
                _array(each.ids) if with_ids else None,
                wire.SampledLogprobs([wire.ChatToken(logprob) for logprob in each.logprobs])
                if request.logprobs
                else None,
            )
            for i, each in enumerate(samples)
        ]  # fmt: skip
        generated = sum(sample.tokens for sample in samples)
        usage = wire.usage(prompt.tokens, generated, prompt.cached or 0)
        prompt_array = _array(ids) if with_ids else None
        body = wire.encode(wire.ChatBody(self.service.model, choices, usage, prompt_array))
        return SimulatedAnswer(body, prompt.tokens, generated)

    async def _generate(
        self, request: wire.GenerateCall, ids: bytes
    ) -> tuple[list[WrittenSample], Prompt]:
        tokens = len(ids) // WIDTH
        room = self.service.context - tokens
        if room < 1:
            raise wire.Refusal(
                400,
                f"This model's maximum context length is {self.service.context} tokens. However, "
                f"your request has {tokens} input tokens.",
            )
        if request.stream:
            raise wire.Refusal(400, "the simulated fleet does not stream: leave `stream` out")
        asked = request.max_tokens or request.max_completion_tokens
        samples = self._write(request, ids, min(asked or room, room))
        keys = block_keys(ids, WIDTH)
        tail, last = ids[len(keys) * BLOCK * WIDTH :], keys[-1] if keys else 0
        prompt = Prompt(
            tokens,
            [sample.tokens for sample in samples],
            keys,
            lambda index: block_keys(tail + samples[index].ids, WIDTH, last),
        )
        await self.engine.compute([prompt])
        return samples, prompt

    def _write(self, request: wire.GenerateCall, ids: bytes, most: int) -> list[WrittenSample]:
        problem, state = read_prompt(ids)
        digest = int.from_bytes(blake2b(ids, digest_size=8).digest(), "big")
        greedy = request.temperature == 0
        seed = self.random.getrandbits(63) if request.seed is None else request.seed
        base = digest if greedy else mixed(digest, seed)
        stops = [request.stop] if isinstance(request.stop, str) else request.stop or []
        keep = request.include_stop_str_in_output
        return [
            self._sample(problem, state, mixed(base, 0 if greedy else i), stops, keep, most)
            for i in range(request.n or 1)
        ]

    def _sample(
        self,
        problem: Sum,
        state: State,
        draw: int,
        stops: Sequence[str],
        keep: bool,
        most: int,
    ) -> WrittenSample:
        """One step where a blank line stops it, else all that remain; cut at ``most`` tokens."""
        by_step = SEPARATOR in stops
        texts, ids = [], []
        taken, number = 0, 0
        while True:
            piece = self.service.writer.step(problem, state, mixed(draw, number))
            texts.append(piece.text)
            ids.append(piece.ids)
            taken += piece.tokens
            state, number = piece.state, number + 1
            if by_step or piece.is_last or taken > most:
                break
        text, all_ids, finish = "".join(texts), b"".join(ids), "stop"
        if taken > most:
            text, all_ids, finish = (
                " ".join(text.split(" ")[:most]),
                all_ids[: most * WIDTH],
                "length",
            )
        met = [(at, stop) for stop in stops if (at := text.find(stop)) >= 0]
        if not met:
            return WrittenSample(text, all_ids, finish, None)
        at, stop = min(met)
        if at + len(stop) < len(text):
            all_ids = all_ids[: WIDTH * (text.count(" ", 0, at) + 1)]
        return WrittenSample(text[: at + len(stop)] if keep else text[:at], all_ids, "stop", stop)

    async def _pooling(self, request: wire.PoolingCall) -> SimulatedAnswer:
        self._check(request.model, "prm")
        texts = [request.input] if isinstance(request.input, str) else request.input
        prompts = [self._to_read(text) for text in texts]
        if any(prompt.tokens > self.service.context for prompt in prompts):
            raise wire.Refusal(
                400, f"This model's maximum context length is {self.service.context} tokens."
            )
        await self.engine.compute(prompts)
        items = []
        for index, text in enumerate(texts):
            problem, steps = read_solution(text)
            items.append(wire.PoolingItem(index, self.service.judge.rows(problem, steps)))
        read = sum(prompt.tokens for prompt in prompts)
        usage = wire.usage(read, 0, sum(prompt.cached or 0 for prompt in prompts))
        body = wire.encode(wire.PoolingBody(self.service.model, items, usage))
        return SimulatedAnswer(body, read)

    def _to_read(self, text: str) -> Prompt:
        if not self.service.reads_cache:
            return Prompt(_words(text), (0,))
        ids = word_ids(text)
        return Prompt(max(1, len(ids) // WIDTH), (0,), block_keys(ids, WIDTH))

    def _tokenize(self, request: wire.TokenizeCall) -> SimulatedAnswer:
        ids = [int(number) for number in word_ids(request.prompt).split(b",") if number]
        return SimulatedAnswer(wire.encode(wire.TokenizeBody(ids, len(ids), self.service.context)))


def read_solution(text: str) -> tuple[Sum, list[str]]:
    """The problem and the steps of a text that a PRM reads, ChatML with a tag after each step."""
    _, _, asked = text.partition("<|im_start|>user\n")
    question, _, rest = asked.partition("<|im_end|>")
    _, _, solution = rest.partition("<|im_start|>assistant\n")
    return parse(question), solution.split(TAG)[:-1]


def _conversation_ids(request: wire.ChatCall) -> bytes:
    """The prompt of a chat: the first question, then the turns after it, the last of them open
    where an answer is to be continued."""
    system = " ".join(each.text for each in request.messages if each.role not in _SPEAKERS)
    turns = [each for each in request.messages if each.role in _SPEAKERS]
    has_begun = bool(turns) and turns[-1].role == "assistant"
    begun = turns.pop().text if has_begun else ""
    question, *later = [each.text for each in turns] or [""]
    ids = prompt_ids(question, system)
    for text in later:
        ids += word_ids(text) + _TURN_END
    if not begun:
        return ids
    ids += word_ids(begun)
    return ids + (state_ids(_state(begun)) if request.continue_final_message else _TURN_END * 8)


def _state(text: str) -> State:
    state = State()
    for step in text.split(SEPARATOR):
        if step.strip():
            state = read_step(step, state)
    return state


def _words(text: str) -> int:
    """About as many tokens as the policy's ids were for the same text."""
    return text.count(" ") + text.count("\n") + 1


def _array(ids: bytes) -> msgspec.Raw:
    return msgspec.Raw(b"[" + ids[:-1] + b"]")
