"""Batched scoring for one model: step scores at tags, and next-token probabilities of labels."""

import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from servers.tiny.batching import plan
from servers.tiny.prefix_cache import BLOCK, Pair, PrefixCache
from servers.tiny.runtime import MIN_ROWS, Runtime
from servers.tiny.stats import Stats
from servers.tiny.ticket import JobTicket

_BATCH = 64  # sequences
_PREFILL_TOKENS = 4096  # of one batch, padding included
_WORTH_WAITING = 2 * BLOCK  # shared tokens that make a sequence wait for its sibling's
_LENGTH_STEP = 64


@dataclass(frozen=True, slots=True)
class StepTags:
    """Where a process reward model's scores are, and of which two classes.

    ``labels`` are the ids of the tokens whose logits score a step; ``None`` for a score head.
    """

    tag: int
    labels: tuple[int, int] | None


@dataclass(slots=True, eq=False)
class ScoreJob:
    """One request. ``labels`` asks for log-probabilities of these tokens after each sequence."""

    inputs: list[list[int]]
    ticket: JobTicket[None]
    labels: tuple[int, ...] = ()
    steps: list[list[Pair]] = field(init=False)  # per input, the two probabilities at each tag
    label_logprobs: list[list[float]] = field(init=False)
    cached_tokens: int = 0
    unfinished: int = field(init=False)

    def __post_init__(self) -> None:
        self.unfinished = len(self.inputs)
        self.steps = [[] for _ in self.inputs]
        self.label_logprobs = [[] for _ in self.inputs]


@dataclass(frozen=True, slots=True)
class _Item:
    job: ScoreJob
    index: int

    @property
    def ids(self) -> list[int]:
        return self.job.inputs[self.index]


class StepScorer:
    """Scores for one model. ``submit`` is for the event loop, the rest for its one thread."""

    def __init__(
        self, runtime: Runtime, cache: PrefixCache, stats: Stats, tags: StepTags | None
    ) -> None:
        self._runtime = runtime
        self._cache = cache
        self._stats = stats
        self._tags = tags
        self._inbox: deque[ScoreJob] = deque()
        self._queue: list[_Item] = []
        self._store = runtime.empty_store(MIN_ROWS, _LENGTH_STEP)

    def submit(self, job: ScoreJob) -> None:
        self._inbox.append(job)

    def step(self) -> bool:
        """Score one batch of what waits. False where there was no work."""
        while self._inbox:
            job = self._inbox.popleft()
            now = time.monotonic()
            self._stats.queue_time.observe(now - job.ticket.arrived)
            self._queue += [_Item(job, index) for index in range(len(job.inputs))]
        self._queue = [item for item in self._queue if not item.job.ticket.cancelled]
        items, new = self._choose()
        self._stats.scoring, self._stats.waiting_to_score = len(items), len(self._queue)
        for batch in plan(new, tokens=_PREFILL_TOKENS):
            self._score([items[i] for i in batch])
        self._stats.scoring = 0
        self._stats.cache_usage = self._cache.usage
        return bool(items or self._queue)

    def fail(self, error: Exception) -> None:
        """Answer everything waiting with an error."""
        for job in {item.job for item in self._queue} | {*self._inbox}:
            job.ticket.fail(error)

    def _choose(self) -> tuple[list[_Item], list[int]]:
        """Take the next sequences off the queue, and how many tokens of each are not cached.

        Where two sequences share a long beginning that is not cached yet, the second waits for the
        next batch and finds it there.
        """
        items, new, later = list[_Item](), list[int](), list[_Item]()
        coming = set[tuple[int, tuple[int, ...]]]()
        for item in self._queue:
            if len(items) == _BATCH:
                later.append(item)
                continue
            match = self._cache.match(item.ids)
            next_tokens = tuple(item.ids[match.length : match.length + _WORTH_WAITING])
            beginning = match.last, next_tokens
            if beginning in coming and self._cache.capacity:
                later.append(item)
                continue
            if len(next_tokens) == _WORTH_WAITING:
                coming.add(beginning)
            items.append(item)
            new.append(len(item.ids) - match.length)
        self._queue = later
        return items, new

    def _score(self, items: Sequence[_Item]) -> None:
        # Looked up again: the batch before this one may have evicted what was there.
        matches = [self._cache.match(item.ids) for item in items]
        starts = [match.length for match in matches]
        news = [item.ids[start:] for item, start in zip(items, starts, strict=True)]
        length = max(MIN_ROWS, *map(len, news))
        store = self._scratch(len(items), max(starts) + length)
        self._cache.load(matches, store, 0)
        ids = torch.tensor([new + [0] * (length - len(new)) for new in news])
        hidden = self._runtime.prefill(store, 0, ids, torch.tensor(starts))
        found = self._step_scores(hidden, ids, news)
        for row, (item, match, scores) in enumerate(zip(items, matches, found, strict=True)):
            here = [(match.length + at, pair) for at, pair in scores]
            self._cache.add(item.ids, store[:, row], here)
            item.job.steps[item.index] = match.scores + [pair for _, pair in scores]
            item.job.cached_tokens += match.length
            self._stats.cache_queries += len(item.ids)
            self._stats.cache_hits += match.length
            self._stats.prompt_tokens += len(item.ids)
        self._label_logprobs(hidden, items, news)
        for item in items:
            item.job.unfinished -= 1
            if not item.job.unfinished:
                self._stats.latency.observe(time.monotonic() - item.job.ticket.arrived)
                item.job.ticket.resolve(None)

    def _scratch(self, rows: int, length: int) -> Tensor:
        have_rows, have_length = self._store.shape[1:3]
        if rows > have_rows or length > have_length:
            length = -(-max(length, have_length) // _LENGTH_STEP) * _LENGTH_STEP
            self._store = self._runtime.empty_store(max(rows, have_rows), length)
        return self._store

    def _step_scores(
        self, hidden: Tensor, ids: Tensor, news: Sequence[Sequence[int]]
    ) -> list[list[tuple[int, Pair]]]:
        """For each sequence, the position among its new tokens of each step tag, and its scores."""
        scores: list[list[tuple[int, Pair]]] = [[] for _ in news]
        if self._tags is None:
            return scores
        lengths = torch.tensor([len(new) for new in news])
        real = torch.arange(ids.shape[1]) < lengths[:, None]
        rows, positions = ((ids == self._tags.tag) & real).nonzero(as_tuple=True)
        tagged = hidden[rows, positions]
        if self._tags.labels is None:
            logits = self._runtime.step_scores(tagged)
        else:
            logits = self._runtime.logits(tagged)[:, list(self._tags.labels)]
        found = zip(rows.tolist(), positions.tolist(), logits.tolist(), strict=True)
        for row, position, (first, second) in found:
            scores[row].append((position, _softmax(first, second)))
        return scores

    def _label_logprobs(
        self, hidden: Tensor, items: Sequence[_Item], news: Sequence[Sequence[int]]
    ) -> None:
        asking = [row for row, item in enumerate(items) if item.job.labels]
        if not asking:
            return
        ends = [len(news[row]) - 1 for row in asking]
        logprobs = self._runtime.logits(hidden[asking, ends]).log_softmax(-1)
        for row, values in zip(asking, logprobs, strict=True):
            item = items[row]
            item.job.label_logprobs[item.index] = values[list(item.job.labels)].tolist()


def _softmax(first: float, second: float) -> Pair:
    """In Python, as torch's last bit depends on how many rows there are."""
    high = max(first, second)
    a, b = math.exp(first - high), math.exp(second - high)
    return a / (a + b), b / (a + b)
