"""Continuous batching for one policy: requests join and leave between decoding steps."""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from servers.tiny.batching import plan
from servers.tiny.jobs import Job, PromptLogprob, TokenLogprob
from servers.tiny.prefix_cache import Match, PrefixCache
from servers.tiny.rows import Rows
from servers.tiny.runtime import MIN_ROWS, Runtime
from servers.tiny.sampling import row_keys, sample, uniforms
from servers.tiny.stats import Stats

_PREFILL_TOKENS = 4096  # a batch of prompts, padding included


@dataclass(frozen=True, slots=True)
class _Batch:
    """Choices of one prompt that are admitted together."""

    job: Job
    prompt: int
    choices: range

    @property
    def ids(self) -> list[int]:
        return self.job.prompts[self.prompt]

    @property
    def tells_prompt(self) -> bool:
        """Whether the prompt's log-probabilities come of it: those of its first choice."""
        return self.job.sampling.prompt_logprobs is not None and self.choices.start == 0


@dataclass(slots=True, eq=False)
class _Row:
    job: Job
    prompt_ids: list[int]
    choice: int
    ids: list[int]
    room: int
    watched: frozenset[int]


class Generator:
    """Generates for one model. ``submit`` is for the event loop, the rest for its one thread."""

    def __init__(
        self, runtime: Runtime, cache: PrefixCache, stats: Stats, *, max_num_seqs: int = 256
    ) -> None:
        self._runtime = runtime
        self._cache = cache
        self._stats = stats
        self._max_num_seqs = max_num_seqs
        self._inbox: deque[Job] = deque()
        self._queue: deque[_Batch] = deque()
        self._batch = Rows(runtime)
        self._rows: list[_Row] = []
        self._longest = 0  # tokens in the longest row of the store
        self._greedy = self._top_p = self._logprobs = False  # whether any row needs it

    def submit(self, job: Job) -> None:
        self._inbox.append(job)

    def step(self) -> bool:
        """Admit what waits, then sample one token for every row. False where there was no work."""
        self._take_in()
        self._drop_cancelled()
        self._admit()
        if self._rows:
            self._decode()
        self._stats.generating = len(self._rows)
        self._stats.waiting_to_generate = len(self._queue)
        self._stats.cache_usage = self._cache.usage
        return bool(self._rows or self._queue)

    def fail(self, error: Exception) -> None:
        """Answer everything waiting or running with an error."""
        jobs = {g.job for g in self._queue} | {row.job for row in self._rows} | {*self._inbox}
        for job in jobs:
            job.ticket.fail(error)

    def _drop_cancelled(self) -> None:
        leaving = [i for i, row in enumerate(self._rows) if row.job.ticket.cancelled]
        if leaving:
            self._remove(leaving)
        if any(group.job.ticket.cancelled for group in self._queue):
            self._queue = deque(g for g in self._queue if not g.job.ticket.cancelled)

    def _take_in(self) -> None:
        while self._inbox:
            job = self._inbox.popleft()
            n, most = job.sampling.n, self._max_num_seqs
            for prompt in range(len(job.prompts)):
                for first in range(0, n, most):
                    choices = range(first, min(first + most, n))
                    self._queue.append(_Batch(job, prompt, choices))

    def _admit(self) -> None:
        groups: list[_Batch] = []
        room = self._max_num_seqs - len(self._rows)
        while self._queue and len(self._queue[0].choices) <= room:
            group = self._queue.popleft()
            room -= len(group.choices)
            groups.append(group)
        if not groups:
            return
        now = time.monotonic()
        for group in groups:
            self._stats.queue_time.observe(now - group.job.ticket.arrived)
        new = [len(group.ids) - self._match(group).length for group in groups]
        for batch in plan(new, tokens=_PREFILL_TOKENS):
            self._prefill([groups[i] for i in batch])

    def _match(self, group: _Batch) -> Match:
        """What is cached of a prompt; nothing where the logits of all its tokens are asked for."""
        return Match([]) if group.tells_prompt else self._cache.match(group.ids)

    def _prefill(self, groups: Sequence[_Batch]) -> None:
        """Compute prompts, give each choice a row, and sample its first token."""
        # Looked up again: the batch before this one may have evicted what was there.
        matches = [self._match(group) for group in groups]
        for group, match in zip(groups, matches, strict=True):
            group.job.cached_tokens += match.length
            self._stats.cache_queries += len(group.ids)
            self._stats.cache_hits += match.length
            self._stats.prompt_tokens += len(group.ids)
        rows, first = self._batch, self._batch.count
        news = [g.ids[m.length :] for g, m in zip(groups, matches, strict=True)]
        length = max(MIN_ROWS, *map(len, news))
        starts = [match.length for match in matches]
        longest = max(len(group.ids) for group in groups)
        wanted = first + sum(len(group.choices) for group in groups)
        rows.reserve(wanted, max(self._longest + 1, max(starts) + length))
        self._cache.load(matches, rows.store, first)
        ids = torch.tensor([new + [0] * (length - len(new)) for new in news])
        hidden = self._runtime.prefill(rows.store, first, ids, torch.tensor(starts))
        ends = torch.tensor([len(new) - 1 for new in news])
        logits = self._runtime.logits(hidden[torch.arange(len(groups)), ends])
        for row, group in enumerate(groups):
            if group.tells_prompt:
                self._record_prompt(group, hidden[row, : len(group.ids) - 1])

        rows.lengths[first : first + len(groups)] = torch.tensor([len(g.ids) for g in groups])
        rows.count += len(groups)
        for row, group in enumerate(groups, first):
            self._cache.add(group.ids, rows.store[:, row])
        parents = [i for i, group in enumerate(groups) for _ in group.choices[1:]]
        rows.fork([first + i for i in parents], longest)
        members = [(group, group.choices[0]) for group in groups]
        members += [(group, choice) for group in groups for choice in group.choices[1:]]
        self._enter(first, members)
        self._longest = max(self._longest, longest)
        now = time.monotonic()
        for group in groups:
            self._stats.first_token_time.observe(now - group.job.ticket.arrived)
        self._take(first, logits[torch.tensor([*range(len(groups)), *parents])])

    def _enter(self, first: int, members: Sequence[tuple[_Batch, int]]) -> None:
        """Set up the rows from ``first`` on for these choices."""
        rows, entered = self._batch, slice(first, self._batch.count)
        most = 1
        for group, choice in members:
            job = group.job
            room = min(job.sampling.max_tokens, self._runtime.context - len(group.ids))
            most = max(most, room)
            number = group.prompt * job.sampling.n + choice
            ids = job.completions[number].ids
            watched = job.sampling.rule.watched
            self._rows.append(_Row(job, group.ids, number, ids, room, watched))
        samplings = [group.job.sampling for group, _ in members]
        rows.temperature[entered] = torch.tensor([s.temperature for s in samplings])
        rows.top_p[entered] = torch.tensor([s.top_p for s in samplings])
        keys = row_keys(
            [group.job.sampling.seed for group, _ in members],
            [(group.prompt, choice) for group, choice in members],
        )
        rows.noise[entered, :most] = uniforms(keys, most)
        rows.drawn[entered] = 0
        self._note_needs()

    def _note_needs(self) -> None:
        samplings = [row.job.sampling for row in self._rows]
        self._greedy = any(s.temperature == 0 for s in samplings)
        self._top_p = any(s.top_p < 1 for s in samplings)
        self._logprobs = any(s.logprobs is not None for s in samplings)

    def _decode(self) -> None:
        rows = self._batch
        computed = max(rows.count, MIN_ROWS)
        rows.reserve(computed, self._longest + 1)
        hidden = self._runtime.decode(
            rows.store, rows.last[:computed], rows.lengths[:computed], self._longest
        )
        rows.lengths[: rows.count] += 1
        self._longest += 1
        self._take(0, self._runtime.logits(hidden)[: rows.count])

    def _take(self, first: int, logits: Tensor) -> None:
        """Sample a token for each row from ``first`` on; finish the rows that end with it."""
        batch = self._batch
        part = slice(first, batch.count)
        ids = sample(
            logits,
            batch.temperature[part],
            batch.next_noise(first),
            top_p=batch.top_p[part] if self._top_p else None,
            greedy=self._greedy,
        )
        batch.last[part] = ids
        tokens = ids.tolist()
        self._stats.generation_tokens += len(tokens)
        if self._logprobs:
            self._record_logprobs(first, logits, tokens)
        finished = []
        rows = self._rows[first:] if first else self._rows
        for index, (row, token) in enumerate(zip(rows, tokens, strict=True), first):
            row.ids.append(token)
            ending = None
            if token in row.watched or len(row.ids) >= row.room:
                ending = row.job.sampling.rule.ending(row.ids, full=len(row.ids) >= row.room)
                if ending is not None:
                    row.job.completions[row.choice].ending = ending
                    finished.append(index)
            if row.job.progress is not None:
                row.job.progress(row.choice, token, ending)
        if finished:
            self._finish(finished)

    def _record_logprobs(self, first: int, logits: Tensor, tokens: Sequence[int]) -> None:
        logprobs = logits.log_softmax(-1)
        sampled = logprobs[torch.arange(len(tokens)), torch.tensor(tokens)].tolist()
        for index, (row, logprob) in enumerate(zip(self._rows[first:], sampled, strict=True)):
            sampling = row.job.sampling
            if sampling.logprobs is None:
                continue
            others = _likeliest(logprobs[index], sampling.logprobs)
            if sampling.logprob_ids:
                named = logprobs[index, list(sampling.logprob_ids)].tolist()
                others = list(zip(sampling.logprob_ids, named, strict=True))
            row.job.completions[row.choice].logprobs.append(TokenLogprob(logprob, others))

    def _record_prompt(self, group: _Batch, hidden: Tensor) -> None:
        """``hidden (tokens - 1, width)`` are the states before each token but the first."""
        most = group.job.sampling.prompt_logprobs or 0
        logprobs = self._runtime.logits(hidden).log_softmax(-1)
        own = logprobs[torch.arange(len(hidden)), torch.tensor(group.ids[1:])]
        ranks = (logprobs > own[:, None]).sum(-1) + 1
        group.job.of_prompts[group.prompt] = [
            PromptLogprob(logprob, rank, _likeliest(row, most))
            for logprob, rank, row in zip(own.tolist(), ranks.tolist(), logprobs, strict=True)
        ]

    def _finish(self, finished: Sequence[int]) -> None:
        for index in finished:
            row = self._rows[index]
            # The last token was sampled, not yet computed: its keys are not in the store.
            known = row.prompt_ids + row.ids[:-1]
            self._cache.add(known, self._batch.store[:, index])
            row.job.unfinished -= 1
            if not row.job.unfinished:
                self._stats.latency.observe(time.monotonic() - row.job.ticket.arrived)
                row.job.ticket.resolve(None)
        self._remove(finished)

    def _remove(self, leaving: Sequence[int]) -> None:
        for source, to in self._batch.remove(leaving, self._longest):
            self._rows[to] = self._rows[source]
        del self._rows[self._batch.count :]
        self._longest = max(
            (len(row.prompt_ids) + len(row.ids) - 1 for row in self._rows), default=0
        )
        self._note_needs()


def _likeliest(logprobs: Tensor, count: int) -> list[tuple[int, float]]:
    """The ``count`` likeliest tokens and their log-probabilities."""
    if not count:
        return []
    found = logprobs.topk(count)
    return list(zip(found.indices.tolist(), found.values.tolist(), strict=True))
