"""Continuous batching on one replica, event by event.

As in vLLM's scheduler, every iteration decodes one token of each running sequence and fills what
its token budget leaves with prompts, first come first served and in parts; a sequence joins as soon
as its prompt is read and leaves as soon as it ends. While nothing joins or leaves, iterations
differ only in their context's length, so a whole stretch of them is one timer. When keys and values
run out of room, the sequence that joined last is preempted and later recomputed.

The clock is the running event loop's: virtual in planning and tests, real under load.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from servers.simulated.hardware import Speed
from servers.simulated.prefix_cache import BLOCK, BlockCache

Leaves = Callable[[int], Sequence[int]]
"""From a sample's index to the keys of the blocks it adds to its prompt's."""


class Prompt:
    """A prompt of so many ``tokens``, its full blocks' ``keys``, and the samples wanted of it.

    ``lengths`` are the samples' generated tokens, (0,) where the prompt is only read. ``cached``
    is set when it is begun.
    """

    __slots__ = ("cached", "keys", "leaves", "lengths", "tokens", "users")

    def __init__(
        self,
        tokens: int,
        lengths: Sequence[int],
        keys: Sequence[int] = (),
        leaves: Leaves | None = None,
    ) -> None:
        self.tokens = tokens
        self.lengths = lengths
        self.keys = keys
        self.leaves = leaves
        self.users = 0
        self.cached: int | None = None


class _Job:
    __slots__ = ("done", "left", "sequences")

    def __init__(self, done: asyncio.Future[None]) -> None:
        self.done = done
        self.sequences: list[_Sequence] = []
        self.left = 0


class _Sequence:
    """``generated`` is as of joining; while it runs, it is the decode clock less ``base``."""

    __slots__ = (
        "alive", "base", "finish", "generated", "index", "job", "length", "prompt", "running",
        "unread",
    )  # fmt: skip

    def __init__(self, job: _Job, prompt: Prompt, index: int, length: int) -> None:
        self.job = job
        self.prompt = prompt
        self.index = index
        self.length = length
        self.generated = 0
        self.unread = 0
        self.base = 0
        self.finish = -1
        self.alive = True
        self.running = False


@dataclass(slots=True)
class Counts:
    """What a replica computed. ``prompt_tokens`` were read, cached ones not among them."""

    prompt_tokens: int = 0
    generated_tokens: int = 0
    preemptions: int = 0
    iterations: int = 0
    busy_s: float = 0.0


class Engine:
    """One replica. ``slowness`` stretches all its times."""

    def __init__(self, speed: Speed, *, whole_prompts: bool = False) -> None:
        self.speed = speed
        self.slowness = 1.0
        self.cache = BlockCache()
        self.counts = Counts()
        self._whole_prompts = whole_prompts
        self._reset()

    def _reset(self) -> None:
        self._waiting: deque[_Sequence] = deque()
        self._reading: _Sequence | None = None
        self._joining: list[_Sequence] = []
        self._aborted: list[_Job] = []
        self._ends: list[tuple[int, int, _Sequence]] = []
        self._order: list[_Sequence] = []
        self._running = 0
        self._decoded = 0  # iterations so far: the decode clock
        self._context = 0  # tokens that attention reads in an iteration
        self._own = 0  # tokens whose keys and values are not in the cache's blocks
        self._steps = 0
        self._prompt_part = 0
        self._began = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._number = 0

    @property
    def running(self) -> int:
        return self._running + len(self._joining) + (self._reading is not None)

    @property
    def waiting(self) -> int:
        return sum(sequence.alive for sequence in self._waiting)

    @property
    def kv_usage(self) -> float:
        """0 to 1."""
        return min(1.0, self._used / self.speed.kv_tokens)

    @property
    def _used(self) -> int:
        return BLOCK * len(self.cache.held) + self._own

    async def compute(self, prompts: Sequence[Prompt]) -> None:
        """Read ``prompts`` and generate their samples; cancelling it frees what it held.

        Raises ``ConnectionResetError`` where the replica dies meanwhile.
        """
        job = _Job(asyncio.get_running_loop().create_future())
        for prompt in prompts:
            for index, length in enumerate(prompt.lengths):
                job.sequences.append(_Sequence(job, prompt, index, length))
        job.left = len(job.sequences)
        if not job.left:
            return
        was_blocked = bool(self._waiting)
        self._waiting.extend(job.sequences)
        if self._timer is None:
            self._plan()
        elif not was_blocked:
            self._cut()
        try:
            await job.done
        except asyncio.CancelledError:
            self._aborted.append(job)
            self._cut()
            raise

    def die(self) -> None:
        """Everything under way is lost, the cache with it."""
        if self._timer is not None:
            self._timer.cancel()
        alive = [s for s in (*self._waiting, *self._joining, *self._order) if s.alive]
        if self._reading is not None:
            alive.append(self._reading)
        self._reset()
        self.cache = BlockCache()
        for sequence in alive:
            if not sequence.job.done.done():
                sequence.job.done.set_exception(ConnectionResetError("the replica died"))

    # A stretch of iterations

    def _seconds(self, steps: int) -> float:
        """What the next ``steps`` iterations take, the context growing with each."""
        speed, batch = self.speed, self._running
        first = (
            speed.iteration_s
            + speed.sequence_s * (batch + len(self._joining))
            + max(speed.weights_s, speed.token_s * (batch + self._prompt_part))
            + speed.kv_s * self._context
        )
        return self.slowness * steps * (first + speed.kv_s * batch * (steps - 1) / 2)

    def _cut(self) -> None:
        """End the stretch with the iteration that is under way: somebody joins or leaves."""
        if self._timer is None or self._steps <= 1:
            return
        elapsed = asyncio.get_running_loop().time() - self._began
        one = self._seconds(1)
        growth = self.slowness * self.speed.kv_s * self._running / 2
        linear = one - growth
        done = (
            (math.sqrt(linear * linear + 4 * growth * elapsed) - linear) / (2 * growth)
            if growth > 0
            else elapsed / one
        )
        steps = min(self._steps, int(done + 1e-9) + 1)
        if steps < self._steps:
            self._timer.cancel()
            self._arm(steps)

    def _arm(self, steps: int) -> None:
        self._steps = steps
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(self._began + self._seconds(steps), self._boundary)

    def _boundary(self) -> None:
        """The stretch has ended: who has finished leaves, who was read joins."""
        steps = self._steps
        counts = self.counts
        counts.busy_s += self._seconds(steps)
        counts.iterations += steps
        grown = steps * self._running
        counts.generated_tokens += grown
        self._decoded += steps
        self._context += grown
        self._own += grown
        ends, decoded = self._ends, self._decoded
        while ends and ends[0][0] <= decoded:
            finish, _, sequence = heappop(ends)
            if sequence.running and sequence.finish == finish:
                self._leave(sequence)
                self._finished(sequence)
        joining, self._joining = self._joining, []
        for sequence in joining:
            self._join(sequence)
        for job in self._aborted:
            for sequence in job.sequences:
                self._abort(sequence)
        self._aborted.clear()
        self._plan()

    def _plan(self) -> None:
        """Admit who may join, and set out on as many iterations as nothing will change in."""
        self._began = asyncio.get_running_loop().time()
        self._prompt_part = self._admit()
        room = self.speed.kv_tokens - self._used
        while room < self._running and self._running > 1:
            self._preempt()
            room = self.speed.kv_tokens - self._used
        if self._prompt_part or self._joining:
            steps = 1
        else:
            ends = self._ends
            while ends and not (ends[0][2].running and ends[0][2].finish == ends[0][0]):
                heappop(ends)
            if not self._running:
                self._timer = None
                return
            steps = max(1, min(ends[0][0] - self._decoded, room // self._running))
        self.cache.shrink(max(0, room - steps * self._running) // BLOCK)
        self._arm(steps)

    # Sequences come and go

    def _admit(self) -> int:
        """Take prompts, or parts of them, into the next iteration; returns their tokens."""
        speed, waiting = self.speed, self._waiting
        budget = room = speed.max_batched_tokens - self._running
        while room > 0:
            sequence = self._reading
            if sequence is None:
                while waiting and not waiting[0].alive:
                    waiting.popleft()
                if not waiting or self._running + len(self._joining) >= speed.max_seqs:
                    break
                sequence = waiting[0]
                if not self._begin(sequence, room, first=room == budget):
                    break
                waiting.popleft()
            part = min(room, sequence.unread)
            sequence.unread -= part
            room -= part
            if sequence.unread > 0 and not self._whole_prompts:
                self._reading = sequence
                break
            self._reading = None
            self._joining.append(sequence)
        read = budget - max(room, 0)
        self.counts.prompt_tokens += read
        return read

    def _begin(self, sequence: _Sequence, room: int, *, first: bool) -> bool:
        """Give a sequence its room in the KV cache, if there is any."""
        prompt, cache = sequence.prompt, self.cache
        if prompt.users:  # a sibling's: its full blocks are there
            cached = (prompt.tokens - 1) // BLOCK * BLOCK if prompt.keys else 0
            wanted = sequence.generated
        else:
            cached = cache.known(prompt.keys, prompt.tokens)
            wanted = prompt.tokens + sequence.generated - cached
        unread = prompt.tokens - cached + sequence.generated
        if self._whole_prompts and unread > room and not first:
            return False
        anyone = self._running or self._joining
        if anyone and self._used + wanted + self._running > self.speed.kv_tokens:
            return False
        if not prompt.users:
            cache.hold(prompt.keys)
            self._own += prompt.tokens - BLOCK * len(prompt.keys)
        if prompt.cached is None:
            prompt.cached = cached
            if prompt.keys:
                cache.queries += prompt.tokens
                cache.hits += cached
        prompt.users += 1
        self._own += sequence.generated
        sequence.unread = unread
        return True

    def _join(self, sequence: _Sequence) -> None:
        """Its prompt is read, and with that its next token is there."""
        if not sequence.alive:
            self._unhold(sequence)
            return
        if not sequence.length:
            self._finished(sequence)
            return
        sequence.generated += 1
        self._own += 1
        self.counts.generated_tokens += 1
        self._running += 1
        self._context += sequence.prompt.tokens + sequence.generated
        sequence.base = self._decoded - sequence.generated
        sequence.finish = sequence.base + sequence.length
        sequence.running = True
        if sequence.finish <= self._decoded:
            self._leave(sequence)
            self._finished(sequence)
            return
        self._number += 1
        heappush(self._ends, (sequence.finish, self._number, sequence))
        self._order.append(sequence)
        if len(self._order) > 64 + 4 * self._running:
            self._order = [each for each in self._order if each.running]

    def _leave(self, sequence: _Sequence) -> None:
        sequence.running = False
        sequence.generated = self._decoded - sequence.base
        self._running -= 1
        self._context -= sequence.prompt.tokens + sequence.generated

    def _unhold(self, sequence: _Sequence) -> None:
        prompt = sequence.prompt
        self._own -= sequence.generated
        prompt.users -= 1
        if not prompt.users:
            self._own -= prompt.tokens - BLOCK * len(prompt.keys)
            self.cache.release(prompt.keys)

    def _finished(self, sequence: _Sequence) -> None:
        sequence.alive = False
        job, leaves = sequence.job, sequence.prompt.leaves
        if leaves is not None:
            self.cache.keep(leaves(sequence.index))
        self._unhold(sequence)
        job.left -= 1
        if not job.left and not job.done.done():
            job.done.set_result(None)

    def _abort(self, sequence: _Sequence) -> None:
        if sequence.running:
            self._leave(sequence)
            self._unhold(sequence)
        if sequence is self._reading:
            self._reading = None
            self._unhold(sequence)
        sequence.alive = False

    def _preempt(self) -> None:
        """The last to join gives its room back, and is recomputed before anyone else begins."""
        while not self._order[-1].running:
            self._order.pop()
        sequence = self._order.pop()
        self._leave(sequence)
        self._unhold(sequence)
        self.counts.preemptions += 1
        self._waiting.appendleft(sequence)
