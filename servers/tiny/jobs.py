"""What a policy is asked for, and what comes of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from servers.tiny.stopping import SampleEnd, StopRule
from servers.tiny.ticket import JobTicket

Progress: TypeAlias = Callable[[int, int, SampleEnd | None], None]
"""Called with a choice, its new token and its ending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParams:
    """How to continue a prompt.

    ``logprobs`` is how many alternatives to report, ``None`` for no log-probabilities at all;
    ``logprob_ids`` names tokens to report instead of the likeliest. ``prompt_logprobs`` is the same
    as ``logprobs``, of the prompt's tokens.
    """

    n: int
    temperature: float
    top_p: float
    max_tokens: int
    seed: int
    rule: StopRule
    logprobs: int | None = None
    logprob_ids: tuple[int, ...] = ()
    prompt_logprobs: int | None = None


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A sampled token's log-probability before temperature, and other tokens'."""

    logprob: float
    others: list[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class PromptLogprob:
    """A prompt's token's log-probability and rank among all tokens, and the likeliest tokens'."""

    logprob: float
    rank: int
    others: list[tuple[int, float]]


@dataclass(slots=True, eq=False)
class Completion:
    """One choice, being generated and then finished."""

    ids: list[int] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    ending: SampleEnd | None = None


@dataclass(slots=True, eq=False)
class Job:
    """One request: prompts, each to be continued ``sampling.n`` times; choices prompt-major.

    ``progress``, if any, is called on the compute thread for every token.
    """

    prompts: list[list[int]]
    sampling: SamplingParams
    ticket: JobTicket[None]
    progress: Progress | None = None
    completions: list[Completion] = field(init=False)
    of_prompts: list[list[PromptLogprob]] = field(init=False)
    """Of each prompt's tokens but the first; empty where none are asked for."""
    cached_tokens: int = 0
    unfinished: int = field(init=False)

    def __post_init__(self) -> None:
        self.unfinished = len(self.prompts) * self.sampling.n
        self.of_prompts = [[] for _ in self.prompts]
        self.completions = [Completion() for _ in range(self.unfinished)]
