"""A policy and a PRM without a server: ordinary ports that say what a script says.

For tests, examples and trying out a strategy. Both are deterministic whatever the order of the
calls, remember every request, count tokens (a word is a token) and fail where they are told to.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.core.confidence import Confidence, confidence
from orchestrator.core.node import Finish, Node, derive_seed
from orchestrator.core.ports import Sampling

SEPARATOR = "\n\n"

Script = Callable[[Node, int], str]
"""From a node and a child's index to the step it takes; one that does not end with a blank line
ends the solution."""

Judge = Callable[[str, tuple[str, ...]], float]
"""From a question and the steps so far to the score of the last of them."""

Likelihood = Callable[[int, str], float]
"""From a seed and a word of a sample, or of the question, to the word's log-probability."""

Pause = Callable[[Node], Awaitable[None]]
"""Awaited before a request about a node is answered: where a test holds requests back."""


def chains(depth: int = 3, answers: int = 3) -> Script:
    """Solutions of ``depth`` steps with one of so many answers in a box; ``node.seed`` draws."""

    def script(node: Node, index: int) -> str:
        draw, level = derive_seed(node.seed, index), len(node.steps) + 1
        if level >= depth:
            return rf"The answer is $\boxed{{{draw % answers}}}$."
        return f"Step {level} finds {draw % 1000}.{SEPARATOR}"

    return script


def by_text(question: str, steps: tuple[str, ...]) -> float:
    """A score in 0..1 that looks random and depends on the text alone, as a real PRM's does."""
    return derive_seed(0, question, *steps) / 2**31


def by_word(seed: int, word: str) -> float:
    """A log-probability in -1..0 that looks random and depends on the seed and the word alone."""
    return -derive_seed(seed, word) / 2**31


@dataclass(frozen=True, slots=True)
class Sampled:
    """A request made of a ``FakePolicy``."""

    node: Node
    n: int
    sampling: Sampling


@dataclass(slots=True, kw_only=True)
class FakePolicy:
    """A policy that takes the steps its ``script`` names.

    A step of more words than ``sampling.max_tokens`` is cut there, and a node of more words than
    ``context`` overflows. ``failures`` are raised instead of an answer, by the number of the
    request, which counts from 1. ``longest`` bounds the steps of a solution sampled as a whole.
    Where log-probabilities are asked for they are what ``likelihood`` says; None is a server that
    returns none.
    """

    script: Script = field(default_factory=chains)
    context: int | None = None
    failures: Mapping[int, Exception] = field(default_factory=dict)
    pause: Pause | None = None
    longest: int = 100
    likelihood: Likelihood | None = by_word
    requests: list[Sampled] = field(default_factory=list)
    tokens: int = 0

    async def extend(self, node: Node, n: int, sampling: Sampling) -> list[Node]:
        """The port's ``extend``. Raises what ``failures`` holds for this request."""
        self.requests.append(Sampled(node, n, sampling))
        failure = self.failures.get(len(self.requests))
        if self.pause is not None:
            await self.pause(node)
        if failure is not None:
            raise failure
        prompt_tokens = words(*(turn.text for turn in node.turns))
        if self.context is not None and prompt_tokens > self.context:
            return [node.child(0, (), finish="overflow")]
        asked = self._likely(node.seed, [node.question]) if sampling.question_logprob else None
        children = []
        for index in range(n):
            steps, finish = self._sample(node, index, sampling)
            taken = words(*steps)
            self.tokens += taken
            children.append(
                node.child(
                    index,
                    steps,
                    finish=finish,
                    step_tokens=taken,
                    prompt_tokens=prompt_tokens,
                    confidence=self._likely(derive_seed(node.seed, index), steps)
                    if sampling.logprobs
                    else None,
                    question_logprob=asked.mean if asked else None,
                )
            )
        return children

    def _likely(self, seed: int, texts: Sequence[str]) -> Confidence | None:
        """What log-probabilities of the words of ``texts`` come to."""
        if self.likelihood is None:
            return None
        return confidence([self.likelihood(seed, word) for text in texts for word in text.split()])

    def _sample(
        self, node: Node, index: int, sampling: Sampling
    ) -> tuple[tuple[str, ...], Finish | None]:
        """One step, or all steps to the end of the solution, and why it ends there."""
        steps: list[str] = []
        state, left = node, sampling.max_tokens
        while True:
            step = self.script(state, index)
            if words(step) > left:
                return (*steps, " ".join(step.split()[:left])), "length"
            left -= words(step)
            steps.append(step)
            if not step.endswith(SEPARATOR):
                return tuple(steps), "stop" if any(map(str.strip, steps)) else "empty"
            if sampling.until == "step":
                return tuple(steps), None
            if len(steps) == self.longest:
                return tuple(steps), "length"
            state, index = state.child(index, (step,)), 0


@dataclass(slots=True, kw_only=True)
class FakePRM:
    """A PRM that scores every step as its ``judge`` says.

    It reads the question and the last solution, none of the turns between.
    A node without steps comes back as it is, one of more words than ``context`` finished as
    "overflow". ``failures`` and ``pause`` are as in ``FakePolicy``; the first node of a request
    stands for it.
    """

    judge: Judge = by_text
    context: int | None = None
    failures: Mapping[int, Exception] = field(default_factory=dict)
    pause: Pause | None = None
    requests: list[list[Node]] = field(default_factory=list)
    tokens: int = 0

    async def score(self, nodes: Sequence[Node]) -> list[Node]:
        """The port's ``score``. Raises what ``failures`` holds for this request."""
        self.requests.append(list(nodes))
        failure = self.failures.get(len(self.requests))
        if self.pause is not None and nodes:
            await self.pause(nodes[0])
        if failure is not None:
            raise failure
        return [self._scored(node) for node in nodes]

    def _scored(self, node: Node) -> Node:
        if not node.steps:
            return node
        read = words(node.question, *node.steps)
        if self.context is not None and read > self.context:
            return node.ended("overflow")
        self.tokens += read
        ends = range(1, len(node.steps) + 1)
        return node.scored([self.judge(node.question, node.steps[:end]) for end in ends], read)


def words(*texts: str) -> int:
    """How many tokens the fakes take a text for."""
    return sum(len(text.split()) for text in texts)
