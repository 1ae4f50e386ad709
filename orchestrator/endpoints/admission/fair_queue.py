"""Whose turn it is among requests that wait: an order over all trees of all runs.

Runs take turns, however many trees each has. Within a run the nearest deadline comes first, then a
tree already begun before a new one (what is begun holds memory and prefix cache until it ends),
then the tree begun first.
"""

import asyncio
import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.core.node import Node, Tree

if TYPE_CHECKING:
    from orchestrator.endpoints.admission.queues import Slot
    from orchestrator.endpoints.admission.rate_limits import TokenEstimate
    from orchestrator.endpoints.admission.replicas import Replica

_NO_TREE = Tree()


class Ticket:
    """A request of ``node`` that waits for its turn, of about so many ``tokens``; ``tried`` are
    replicas it failed on. ``granted`` becomes what it waits for."""

    __slots__ = ("granted", "is_begun", "question", "queue", "tokens", "tree", "tried")

    def __init__(
        self,
        node: Node | None,
        tokens: "TokenEstimate | None",
        tried: tuple["Replica", ...],
        granted: "asyncio.Future[Slot]",
    ) -> None:
        self.question = node.question if node is not None else ""
        self.tree = node.tree if node is not None else _NO_TREE
        self.is_begun = node is not None and bool(node.path)
        self.tokens = tokens
        self.tried = tried
        self.granted = granted
        self.queue: FairQueue | None = None


_Entry = tuple[float, bool, int, int, Ticket]


@dataclass(slots=True)
class TurnsTaken:
    """How many turns each run had, of those it waited for; shared by all queues of an endpoint."""

    turns: dict[str, int] = field(default_factory=dict)
    arrivals: int = 0

    def next_arrival(self) -> int:
        self.arrivals += 1
        return self.arrivals


@dataclass(slots=True)
class FairQueue:
    """Requests that wait for one replica, or for any. O(log n) in and out; those that gave up are
    passed over."""

    served: TurnsTaken = field(default_factory=TurnsTaken)
    _by_run: dict[str, list[_Entry]] = field(default_factory=dict)
    _size: int = 0

    def __len__(self) -> int:
        return self._size

    def push(self, ticket: Ticket) -> None:
        tree, turns = ticket.tree, self.served.turns
        heap = self._by_run.get(tree.run)
        if heap is None:
            heap = self._by_run[tree.run] = []
            # a run that begins to wait does not catch up on all the turns others had before
            least = min((turns.get(run, 0) for run in self._by_run if run != tree.run), default=0)
            turns[tree.run] = max(turns.get(tree.run, 0), least)
        arrival = self.served.next_arrival()
        entry = (tree.deadline, not ticket.is_begun, tree.number, arrival, ticket)
        heapq.heappush(heap, entry)
        ticket.queue = self
        self._size += 1

    def peek(self) -> Ticket | None:
        """Whose turn is next."""
        if not self._size:
            self._by_run.clear()
            return None
        run = min(self._waiting_runs(), key=lambda run: self.served.turns.get(run, 0))
        return self._by_run[run][0][-1]

    def pop(self) -> Ticket | None:
        """Whose turn it is; it waits no longer."""
        ticket = self.peek()
        if ticket is not None:
            run = ticket.tree.run
            heapq.heappop(self._by_run[run])
            self.served.turns[run] = self.served.turns.get(run, 0) + 1
            ticket.queue = None
            self._size -= 1
        return ticket

    def give_up(self, ticket: Ticket) -> None:
        """A request that waits here wants nothing more."""
        ticket.queue = None
        self._size -= 1

    def drain(self) -> Iterator[Ticket]:
        """All who wait, who then wait here no longer."""
        for heap in self._by_run.values():
            for *_, ticket in heap:
                if ticket.queue is self:
                    ticket.queue = None
                    yield ticket
        self._by_run.clear()
        self._size = 0

    def _waiting_runs(self) -> list[str]:
        for run, heap in list(self._by_run.items()):
            while heap and heap[0][-1].queue is not self:
                heapq.heappop(heap)
            if not heap:
                del self._by_run[run]
        return list(self._by_run)
