"""PRMs that write: verifications are sampled over chat, and verdicts read out of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from orchestrator.core.fanout import fan_out
from orchestrator.core.node import Node, derive_seed
from orchestrator.endpoints.http.ends import NoAnswer, Said, no_answer, read_choice
from orchestrator.endpoints.http.wire import ChatChoice, ChatRequest, ChatResponse
from orchestrator.endpoints.prm.base import HttpPRM, Reading, ScoringRoute
from orchestrator.endpoints.transport.refusals import miscounted
from orchestrator.errors import BadResponse, ConfigError, ContextOverflow
from orchestrator.formats.chat import Messages


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifications:
    """What the samples of one request say, and the tokens they took, the prompt and the
    ``written_tokens`` included.

    ``texts`` are those that came to an end; ``cut`` counts those that ran out of tokens, ``lost``
    those that are no answers, of which ``why`` says what the last was. ``model`` gave them, where
    that is another than the one asked for.
    """

    texts: tuple[str, ...]
    cut: int
    lost: int = 0
    why: str = ""
    tokens: int
    cached_tokens: int
    written_tokens: int
    model: str | None = None

    def reading(self, scores: Sequence[float]) -> Reading:
        """Such scores, at this price in tokens."""
        return Reading(
            scores=scores,
            tokens=self.tokens,
            cached_tokens=self.cached_tokens,
            written_tokens=self.written_tokens,
            model=self.model,
        )


@dataclass(slots=True, kw_only=True)
class GenerativePRM(HttpPRM):
    """A chat model whose verifications are read; a step's score is the mean of its verdicts.

    ``samples`` verifications are drawn; one that was cut at ``max_tokens`` or cannot be read has no
    vote. ``temperature`` left out is 0 for one sample, and the family's own for several.
    """

    routes: ClassVar[tuple[ScoringRoute, ...]] = ("chat",)

    asks_together: ClassVar[bool] = True
    """Whether samples come in one request of a seed, or each in one of its own without."""

    warmth: ClassVar[float] = 0.7
    """The family's temperature."""

    samples: int = 1
    temperature: float | None = None
    max_tokens: int | None = 4096

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise ConfigError(f"samples must be 1 or more, not {self.samples}")
        if self.samples > 1 and self.temperature == 0:
            raise ConfigError("samples above 1 need a temperature above 0, or all are the same")

    async def _verify(
        self,
        messages: Messages,
        *,
        node: Node,
        steps: Sequence[str],
        stop: list[str] | None = None,
        continued: bool = False,
    ) -> Verifications:
        """Sample verifications; ``continued`` goes on with an open assistant message.

        The seed depends on what is verified alone. Raises ``EndpointError``.
        """
        seed = derive_seed(0, node.question, *steps) if self.asks_together else None
        together = self.samples if self.asks_together else 1
        answers = await fan_out(
            self._ask(messages, together, seed, stop, continued, node)
            for _ in range(self.samples // together)
        )
        samples = [_verification(choice) for answer in answers for choice in answer.choices]
        said = [each for each in samples if isinstance(each, Said)]
        lost = [each.why for each in samples if isinstance(each, NoAnswer)]
        lost += [f"ended one as {each.end}" for each in said if each.end not in ("stop", "length")]
        written = sum(answer.usage.written_tokens for answer in answers)
        answered = [answer.model for answer in answers]
        return Verifications(
            texts=tuple(each.text for each in said if each.end == "stop"),
            cut=sum(each.end == "length" for each in said),
            lost=len(lost),
            why=lost[-1] if lost else "",
            tokens=sum(answer.usage.prompt_tokens for answer in answers) + written,
            cached_tokens=sum(answer.usage.cached_tokens for answer in answers),
            written_tokens=written,
            model=next(filter(None, map(self.transport.endpoint.other_model, answered)), None),
        )

    async def _ask(
        self,
        messages: Messages,
        n: int,
        seed: int | None,
        stop: list[str] | None,
        continued: bool,
        node: Node,
    ) -> ChatResponse:
        warmth = self.warmth if self.samples > 1 else 0.0
        request = ChatRequest(
            model=self.transport.endpoint.model,
            messages=messages,
            n=n,
            seed=seed,
            stop=stop,
            max_tokens=self.max_tokens,
            temperature=warmth if self.temperature is None else self.temperature,
            add_generation_prompt=not continued,
            continue_final_message=continued,
        )
        try:
            return await self._post(request, node)
        except ContextOverflow:
            if request.max_tokens is None:
                raise
            # Servers refuse a bound that the context cannot hold; without one they fill it.
            request.max_tokens = None
            return await self._post(request, node)

    async def _post(self, request: ChatRequest, node: Node) -> ChatResponse:
        def read(answer: ChatResponse, url: str) -> ChatResponse:
            if len(answer.choices) != request.n:
                raise miscounted(len(answer.choices), request.n, url)
            samples = [_verification(choice) for choice in answer.choices]
            bad = [each for each in samples if isinstance(each, NoAnswer)]
            if len(bad) == request.n:
                raise no_answer(bad, url)
            return answer

        return await self.transport.post(
            "/v1/chat/completions", request, ChatResponse, read, node=node
        )

    def _no_vote(self, found: Verifications) -> BadResponse:
        """The error of a solution none of whose verifications has a vote."""
        drawn = len(found.texts) + found.cut + found.lost
        why = f"{found.cut} were cut at max_tokens" if found.cut else "none was cut"
        if found.lost:
            why += f"; {found.lost} are no answers, since its server {found.why}"
        return BadResponse(
            f"{self.url} verified a solution {drawn} times, never with a verdict on every step "
            f"({why}): raise max_tokens or samples, or is this PRM of another family?",
            url=self.url,
        )


def _verification(choice: ChatChoice) -> Said | NoAnswer:
    """What a sample says as it stands: a verifier's thought is what is read of it."""
    return read_choice(choice, step_ends="")


def mean(votes: Sequence[Sequence[bool]]) -> list[float]:
    """For each step the share of votes that call it right. ``votes`` is (samples, steps)."""
    return [sum(each) / len(votes) for each in zip(*votes, strict=True)]
