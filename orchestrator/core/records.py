"""What a run leaves behind: one record for every problem of every cell.

A cell is one (task, policy, PRM, strategy value). ``runs`` writes records, ``report`` reads them,
and they meet only here.
"""

from dataclasses import dataclass, field

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What was decided for a problem under ``strategy: auto``: its ``predicted`` pass@1, the
    ``bin`` of that, and the strategy with its settings and vote, by which ``rule``. It was ``cut``
    where its pool was used up before it was done: one of a larger cap goes on with it."""

    bin: str
    predicted: float
    strategy: str
    settings: dict[str, object] = field(hash=False)
    vote: str
    rule: str
    cut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One problem in one cell.

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
    leaves: tuple[LeafRecord, ...]

    @property
    def has_holes(self) -> bool:
        """Whether samples that were no answers are missing from it: a server that was mended may
        give them yet."""
        return "unanswered" in self.ends and len(self.leaves) < self.n

    @property
    def is_cut(self) -> bool:
        """Whether its pool was used up before it was done."""
        return self.ran_out == POOL or (self.route is not None and self.route.cut)
