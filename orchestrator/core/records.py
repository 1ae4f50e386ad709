"""What a run leaves behind: one record for every problem of every cell.

A cell is one (task, policy, PRM, strategy value). ``runs`` writes records, ``report`` reads them,
and they meet only here.
"""

from dataclasses import dataclass, field
from typing import Literal

from orchestrator.core.compute import NO_FLOPS, Flops, search_flops, total_flops
from orchestrator.core.confidence import Confidence
from orchestrator.core.node import Turn

RECORD_FORMAT = 2
"""Raised when what a record says changes its meaning; 1 are those from before formats were
numbered, which do not say."""

AUTO = "auto"
"""The strategy that routes each problem, and the name of its verdict, whichever vote was taken."""

POOL = "pool"
"""What ran out of a tree that was cut when the time of its pool was up, before its pilots maybe."""


ENDS = (
    "length", "overflow", "filtered", "refused", "empty", "unanswered", "failed", "unscored",
    "dead_end",
)  # fmt: skip
"""What samples are counted by that did not end as they should: their ``Node.finish``;
``unanswered`` where what came was no answer, ``failed`` where nothing came, ``unscored`` for want
of the PRM's. A dead end is a leaf that no usable step followed on."""


RATE_LIMIT = "rate limit"
"""What ran out of a tree whose endpoint takes no more requests for longer than a run waits."""

ENDPOINT, BAD_ANSWERS = "endpoint", "answers"
"""What a tree lost that has no leaf for it: its endpoint, or usable answers to its own requests,
while others had theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafRecord:
    """One solution a tree ended with; ``path`` is its key there (see ``core.node.Node``).

    ``steps`` are those of the last turn; ``earlier`` holds the turns between the question and it,
    where the search asked again.
    ``scores`` holds one PRM score a step and is empty where nothing was scored; ``tokens`` counts
    what the policy generated along the path. ``confidence`` is the policy's in the last sample,
    ``question_logprob`` the mean log-probability a token of the question; None where they were not
    asked for or not given. ``correct`` is None where the task could not decide. ``sound`` says
    whether every step is right and not only the answer, None where the task cannot tell.
    """

    path: tuple[int, ...]
    answer: str | None
    correct: bool | None
    finish: str | None
    scores: tuple[float, ...]
    tokens: int
    steps: tuple[str, ...]
    sound: bool | None = None
    confidence: Confidence | None = None
    question_logprob: float | None = None
    earlier: tuple[Turn, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer one vote elected, and whether it and (``sound``) its whole chain are right.

    ``correct`` is None where the task could not decide. ``by`` is the vote that decided in its
    place, where that was another: the majority, since no leaf with an answer was scored.
    """

    answer: str | None
    correct: bool | None
    sound: bool | None = None
    by: str | None = None


ALL: Literal["all"] = "all"
"""The bin of a problem whose strategy was decided without a look at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookTaken:
    """A look at a problem: ``pilots`` solutions of ``policy``, scored by ``prm`` unless that is
    None. ``score`` is the chance that the best answer so far was right, by what it and the looks
    before it showed. A look at the question alone has no pilots; its ``score`` is the chance that
    the policy's greedy answer would be right."""

    policy: str
    prm: str | None
    pilots: int
    score: float


PlanName = Literal["cheap", "dear"]
"""One of the two plans that a budget between them mixes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What was decided for a problem under ``strategy: auto``: its ``predicted`` pass@1, the
    ``bin`` of that, and the strategy with its settings and vote, by which ``rule``. It was ``cut``
    where its pool was used up before it was done: one of a larger cap goes on with it.

    Across models ``policy`` and ``prm`` name those of the strategy, and ``looks`` were taken
    before, in this order; ``predicted`` is the score of the first, None (and the bin ``ALL``) where
    there was none. ``plan`` names the one it went by, where two were mixed. A ``direct`` search
    started without pilots: its own leaves alone voted.
    """

    bin: str
    predicted: float | None
    strategy: str
    settings: dict[str, object] = field(hash=False)
    vote: str
    rule: str
    cut: bool = False
    policy: str | None = None
    prm: str | None = None
    looks: tuple[LookTaken, ...] = ()
    plan: PlanName | None = None
    direct: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUse:
    """What one model of several did for a problem: tokens as a ``Record`` counts them, ``cost`` in
    USD and ``seconds`` in which a request of the problem was under way at its endpoint. ``params``
    where known. A policy has no PRM tokens, and a PRM no others. The leaves are those of the policy
    that ``answered``: another than the route's, where that was lost or something ran out."""

    policy_tokens: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    prm_tokens: int = 0
    prm_cached_tokens: int = 0
    cost: float = 0.0
    seconds: float = 0.0
    params: int | None = None
    answered: bool = False

    @property
    def is_none(self) -> bool:
        """Whether nothing was used of the model: it was not asked, or answered no request."""
        return not (self.prompt_tokens or self.policy_tokens or self.prm_tokens)

    @property
    def flops(self) -> Flops | None:
        """None where the model's size is not known and it did something."""
        if self.is_none:
            return NO_FLOPS
        if self.params is None:
            return None
        return search_flops(
            self.params,
            self.params,
            policy_tokens=self.policy_tokens,
            prompt_tokens=self.prompt_tokens,
            cached_tokens=self.cached_tokens,
            prm_tokens=self.prm_tokens,
            prm_cached_tokens=self.prm_cached_tokens,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One problem in one cell.

    - ``question_characters`` is the length of the problem's question (0 in records of older
      versions).
    - ``verdicts`` is keyed by vote (``majority``, ``max_last``, ``weighted_min`` …, see
      ``core.voting``). ``settings`` are the fields of the strategy.
    - ``ran_out`` names the limit that ended the tree early (``tokens``, ``seconds`` …, ``POOL``),
      ``error`` the reason of a failed tree. ``failed_branches`` were lost, the last one for
      ``failure``; the search continued without them. ``undecided`` counts the pairs of answers that
      the task could not compare in time.
    - Tokens and requests are this problem's own; ``policy_tokens`` were generated.
      ``cached_tokens`` of ``prompt_tokens``, and ``prm_cached_tokens`` of ``prm_tokens``, were in
      a prefix cache.
    - ``wasted_tokens`` of ``policy_tokens``, and ``prm_wasted_tokens`` of ``prm_tokens``, were paid
      for nodes on no returned leaf's path (pruned beams, duplicates, branches that failed later,
      pilots without a vote) or for unusable answers. None in records of older versions.
    - ``cost`` is in USD, of models with a price, as if the problem's cell had run alone.
      ``seconds`` is the problem's own time, ``ended`` its end (Unix time; 0 if not kept).
    - ``samples`` counts what the policy was asked for (0 in records of older versions), ``ends``
      the unusual ends of these by ``ENDS``, whether or not they became leaves. ``other_models``
      counts samples answered by another model than the one asked for, by its name;
      ``other_prm_models`` those scored by another.
    - ``emulated`` names what the endpoints lack and was emulated ("n" by separate requests,
      "continuation" by an instruction, "model" by a simulated fleet), ``refused`` the parameters
      that the policy's endpoint does not take.
    - ``route`` is the decision of ``auto``, whose verdict is under that name. ``format`` is the
      version of the record's format.
    - Across models ``policy`` and ``prm`` name all of the cell's, joined by commas, and their
      parameters are None; ``models`` has what each used, by its name, and the counts above are
      the sums. The leaves are those of the policy that answers. ``models`` is empty for cells that
      are routed by no profile across models.
    """

    format: int = RECORD_FORMAT
    cell: str
    task: str
    policy: str
    policy_params: int | None
    prm: str | None
    prm_params: int | None
    strategy: str
    n: int
    settings: dict[str, object] = field(hash=False)
    problem: str
    level: str | None
    question_characters: int = 0
    verdicts: dict[str, Verdict] = field(hash=False)
    policy_tokens: int
    prompt_tokens: int
    cached_tokens: int
    prm_tokens: int
    prm_cached_tokens: int = 0
    wasted_tokens: int | None = None
    prm_wasted_tokens: int | None = None
    requests: int
    cost: float = 0.0
    seconds: float
    ended: float = field(default=0.0, compare=False)
    ran_out: str | None
    error: str | None = None
    failed_branches: int = 0
    failure: str | None = None
    undecided: int = 0
    samples: int = 0
    ends: dict[str, int] = field(default_factory=dict, hash=False)
    other_models: dict[str, int] = field(default_factory=dict, hash=False)
    other_prm_models: dict[str, int] = field(default_factory=dict, hash=False)
    emulated: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    route: Route | None = None
    models: dict[str, ModelUse] = field(default_factory=dict, hash=False)
    leaves: tuple[LeafRecord, ...]

    @property
    def flops(self) -> Flops | None:
        """FLOPs of all its models; None unless their parameters are known."""
        if self.models:
            return total_flops(use.flops for use in self.models.values())
        if self.policy_params is None or (self.prm and self.prm_params is None):
            return None
        return search_flops(
            self.policy_params,
            self.prm_params,
            policy_tokens=self.policy_tokens,
            prompt_tokens=self.prompt_tokens,
            cached_tokens=self.cached_tokens,
            prm_tokens=self.prm_tokens,
            prm_cached_tokens=self.prm_cached_tokens,
        )

    @property
    def has_holes(self) -> bool:
        """Whether samples that were no answers are missing from it: a server that was mended may
        give them yet."""
        return "unanswered" in self.ends and len(self.leaves) < self.n

    @property
    def is_cut(self) -> bool:
        """Whether its pool was used up before it was done."""
        return self.ran_out == POOL or (self.route is not None and self.route.cut)
