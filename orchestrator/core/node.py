"""Nodes of a search tree: immutable values that know the way from the root to themselves."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Literal

from orchestrator.core.confidence import Confidence

Finish = Literal["stop", "length", "overflow", "depth", "dead_end", "filtered", "refused", "empty"]
"""Why a path ended.

``stop``: the model ended it, ``length``: it ran out of tokens, ``overflow``: of context,
``depth``: it reached the greatest depth, ``dead_end``: no usable next step came of it,
``filtered``: the provider's content filter cut it off or blocked its prompt, ``refused``: the
model declined to answer or the server refuses this one prompt, ``empty``: the model ended without
a word.
"""


FORKS, QUESTIONS = 1_000_000, 2_000_000
"""Where the numbers of forks and of further questions begin in a path; children begin at 0."""

Speaker = Literal["user", "assistant"]


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side of a conversation says."""

    role: Speaker
    text: str


Redraw = Literal["try", "sample", "refill"]
"""Why a node is sampled under a seed of its own: nothing of use came of it, each of its samples is
a request, or one of those was lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """Which search a node belongs to, for those who choose among the requests of many.

    ``run`` names the evaluation job, ``number`` counts its trees as they were begun, ``deadline``
    (seconds by the event loop's clock) is when an answer is due. ``key`` is the tree's own name,
    the same in every process: what was paid for is remembered under it. ``problem`` is the id of
    the problem it solves: two problems may have the same text.
    """

    key: str = ""
    problem: str = ""
    run: str = ""
    number: int = 0
    deadline: float = math.inf


@dataclass(frozen=True, slots=True)
class StatedAnswer:
    """What a finished path answers. ``equal`` are the answers that mean the same, of those read in
    its tree so far: it grows as others are read (see ``core.equivalence``)."""

    text: str
    equal: set[str] = field(default_factory=set, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One state of a conversation that solves a problem, a sequence of ``turns``.

    - The first turn is the user's ``question``, the last one the assistant's solution so far:
      ``steps`` and ``text`` are its own. If a search asks again (``ask``), ``earlier`` holds the
      turns between: each earlier solution, and what was asked about it.
    - ``path`` is the node's key within its tree: what was done at every level to reach it. Numbers
      below ``FORKS`` are indices of children, from there on numbers of forks, and from
      ``QUESTIONS`` on questions, by their text. No two live nodes share a path, and paths sort in
      the order of drawing: the children of a node first, then its forks by number.
    - ``seed`` follows from the path and the root's seed, so a node's randomness never depends on
      when it was reached. Only ``redrawn`` changes the seed without the path.
    - ``token_ids`` is the prompt and the text so far in the policy's own tokens, if known, with one
      part per sample. The policy continues from them and never tokenises a text twice. Siblings
      share the parts of their parent.
    - ``scores`` holds one PRM score per step, in 0..1. ``unscored`` means that the PRM could not
      score the node; missing scores are 0.0.
    - ``tokens`` counts what was generated along the path, earlier turns included, ``step_tokens``
      this node's own sample, ``prompt_tokens`` and ``cached_tokens`` the prompt of its request.
      Siblings of one ``request`` (numbered among those of their parent) share that prompt, which
      counts once. ``lost_tokens`` is the node's part of sibling samples that were no answers.
    - ``prm_tokens`` counts what scoring took: the prompts of the PRM and what it wrote
      (``prm_written_tokens``). ``prm_cached_tokens`` of them were in its prefix cache.
    - ``confidence`` sums up the log-probabilities of the tokens of this node's own sample;
      ``question_logprob`` is the mean log-probability a token of the question under the policy.
      Each is None unless ``Sampling`` asks for it and the server gives it.
    - ``model`` and ``prm_model`` name the models that answered and scored, if they are not the ones
      asked for.
    - ``answer`` is the answer of a finished path, for strategies that need answers.
    - ``tree`` identifies the tree, and is no part of the state.
    """

    question: str
    seed: int
    path: tuple[int, ...] = ()
    earlier: tuple[Turn, ...] = ()
    steps: tuple[str, ...] = ()
    token_ids: tuple[bytes, ...] | None = None
    finish: Finish | None = None
    scores: tuple[float, ...] = ()
    tokens: int = 0
    step_tokens: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    request: int = 0
    lost_tokens: int = 0
    prm_tokens: int = 0
    prm_cached_tokens: int = 0
    prm_written_tokens: int = 0
    unscored: bool = field(default=False, compare=False)
    confidence: Confidence | None = field(default=None, compare=False)
    question_logprob: float | None = field(default=None, compare=False)
    model: str | None = field(default=None, compare=False)
    prm_model: str | None = field(default=None, compare=False)
    answer: StatedAnswer | None = field(default=None, compare=False)
    tree: Tree = field(default=Tree(), compare=False, repr=False)

    @property
    def text(self) -> str:
        return "".join(self.steps)

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The whole conversation; it ends with the user's turn where no step is taken yet."""
        under_way = (Turn("assistant", self.text),) if self.steps else ()
        return (Turn("user", self.question), *self.earlier, *under_way)

    @property
    def is_finished(self) -> bool:
        return self.finish is not None

    @property
    def sampled(self) -> tuple[int, ...]:
        """The path of the last sample on the way here: without the forks and questions since."""
        end = len(self.path)
        while end and self.path[end - 1] >= FORKS:
            end -= 1
        return self.path[:end]

    def child(
        self,
        index: int,
        steps: tuple[str, ...],
        *,
        finish: Finish | None = None,
        token_ids: tuple[bytes, ...] | None = None,
        step_tokens: int = 0,
        prompt_tokens: int = 0,
        cached_tokens: int = 0,
        confidence: Confidence | None = None,
        question_logprob: float | None = None,
        model: str | None = None,
    ) -> "Node":
        """The node one sample on, by one step or by all that remain.

        Its scores are this node's until a PRM scores it.
        """
        return Node(
            question=self.question,
            path=(*self.path, index),
            seed=derive_seed(self.seed, index),
            earlier=self.earlier,
            steps=(*self.steps, *steps),
            token_ids=token_ids,
            finish=finish,
            scores=self.scores,
            tokens=self.tokens + step_tokens,
            step_tokens=step_tokens,
            prompt_tokens=prompt_tokens,
            cached_tokens=cached_tokens,
            confidence=confidence,
            question_logprob=question_logprob,
            model=model,
            tree=self.tree,
        )

    def fork(self, number: int) -> "Node":
        """The same state as the root of an independent subtree, with randomness of its own."""
        seed = derive_seed(self.seed, "fork", number)
        return replace(self, path=(*self.path, FORKS + number), seed=seed)

    def next_fork(self, leaves: Sequence["Node"]) -> "Node":
        """The fork to draw from after ``leaves``, which grew from this node.

        Its number counts them, unless one of them grew from that fork: of an earlier draw some
        samples were lost.
        """
        level, number = len(self.path), len(leaves)
        taken = {leaf.path[level] for leaf in leaves}
        while FORKS + number in taken:
            number += 1
        return self.fork(number)

    def ask(self, text: str) -> "Node":
        """The user's next turn after this solution: the policy answers it with a solution anew.

        The node has no steps and no scores yet. The same text gives the same node: for several
        answers draw several children, or fork it. What ended the solution does not end the
        conversation, and one that says nothing yet is passed over: the user goes on.
        """
        said = (Turn("assistant", self.text),) if self.steps else ()
        return Node(
            question=self.question,
            path=(*self.path, QUESTIONS + derive_seed(0, text)),
            seed=derive_seed(self.seed, "ask", text),
            earlier=(*self.earlier, *said, Turn("user", text)),
            tokens=self.tokens,
            tree=self.tree,
        )

    def redrawn(self, why: Redraw, number: int) -> "Node":
        """The same node under another seed: its children take the places they would have had."""
        return replace(self, seed=derive_seed(self.seed, why, number))

    def scored(
        self,
        scores: Sequence[float],
        prm_tokens: int = 0,
        prm_cached_tokens: int = 0,
        prm_written_tokens: int = 0,
        prm_model: str | None = None,
    ) -> "Node":
        return Node(
            question=self.question,
            seed=self.seed,
            path=self.path,
            earlier=self.earlier,
            steps=self.steps,
            token_ids=self.token_ids,
            finish=self.finish,
            scores=tuple(scores),
            tokens=self.tokens,
            step_tokens=self.step_tokens,
            prompt_tokens=self.prompt_tokens,
            cached_tokens=self.cached_tokens,
            request=self.request,
            lost_tokens=self.lost_tokens,
            prm_tokens=prm_tokens,
            prm_cached_tokens=prm_cached_tokens,
            prm_written_tokens=prm_written_tokens,
            confidence=self.confidence,
            question_logprob=self.question_logprob,
            model=self.model,
            prm_model=prm_model,
            answer=self.answer,
            tree=self.tree,
        )

    def ended(self, finish: Finish) -> "Node":
        return replace(self, finish=finish)


def split_steps(text: str, separator: str) -> tuple[str, ...]:
    """A solution's steps, each with the separator that ends it; blank ones are dropped."""
    *ended, last = text.split(separator)
    steps = [step + separator for step in ended if step.strip()]
    return tuple([*steps, last] if last.strip() else steps)


def sharing(
    children: Sequence[Node], *, prompt_tokens: int, cached_tokens: int, written_tokens: int
) -> list[Node]:
    """Children of one request, with all that its tries were billed for together: each has the
    prompts of all, and its part of what they do not hold of the tokens written."""
    lost = max(0, written_tokens - sum(child.step_tokens for child in children))
    share, rest = divmod(lost, max(1, len(children)))
    return [
        replace(
            child,
            prompt_tokens=prompt_tokens,
            cached_tokens=cached_tokens,
            lost_tokens=share + (i < rest),
        )
        for i, child in enumerate(children)
    ]


def derive_seed(seed: int, *keys: int | str) -> int:
    """A 31-bit seed that depends on ``seed`` and ``keys`` alone."""
    text = "/".join(map(str, (seed, *keys)))
    return int.from_bytes(blake2b(text.encode(), digest_size=4).digest(), "big") >> 1


def root(question: str, *, seed: int, problem_id: str, tree: Tree = Tree()) -> Node:
    """The root of a problem's tree."""
    return Node(
        question=question,
        seed=derive_seed(seed, problem_id),
        tree=replace(tree, problem=problem_id),
    )
