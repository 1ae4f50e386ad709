"""Draw and score whole solutions once, for every strategy of a run that uses them.

Majority voting and best-of-N of every n read the same samples, and every vote the same scores.
Each strategy is still charged for all it uses, as if it ran alone.
"""

import asyncio
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from typing import Generic, TypeVar

from orchestrator.core.fanout import fan_out
from orchestrator.core.node import Node
from orchestrator.core.ports import PRM, Policy, Sampling
from orchestrator.core.problem import Problem
from orchestrator.errors import EndpointError
from orchestrator.runs.plan import Cell
from orchestrator.strategies.traits import traits

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Once(Generic[K, V]):
    """Computes each key's value once, however many callers ask for it at the same time.

    A failure is raised in all that wait for it, and the next caller tries again; so do those that
    waited for a computation that was cancelled.
    """

    def __init__(self) -> None:
        self._values: dict[K, asyncio.Future[V]] = {}

    async def get(
        self, keys: Sequence[K], compute: Callable[[list[K]], Awaitable[Sequence[V]]]
    ) -> list[V]:
        """The values of ``keys``; ``compute`` is given the new ones, all at once."""
        missing = [key for key in dict.fromkeys(keys) if key not in self._values]
        if missing:
            await self._fill(missing, compute)
        values = []
        for key in keys:
            try:
                values.append(await asyncio.shield(self._values[key]))
            except (asyncio.CancelledError, KeyError):
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise
                return await self.get(keys, compute)
        return values

    async def _fill(
        self, missing: list[K], compute: Callable[[list[K]], Awaitable[Sequence[V]]]
    ) -> None:
        loop = asyncio.get_running_loop()
        futures: dict[K, asyncio.Future[V]] = {key: loop.create_future() for key in missing}
        self._values |= futures
        try:
            values = dict(zip(missing, await compute(missing), strict=True))
        except BaseException as error:
            for key, future in futures.items():
                self._values.pop(key, None)
                if isinstance(error, Exception):
                    future.set_exception(error)
                    future.exception()  # whoever asked first has it already
                else:
                    future.cancel()
            raise
        for key, future in futures.items():
            future.set_result(values[key])


class Shared(defaultdict[str, Once[K, V]]):
    """What is computed once, by problem id, and forgotten with the problem."""

    def __init__(self) -> None:
        super().__init__(Once)


class Demand:
    """How many whole solutions of a problem the ``cells`` of one policy sample at once.

    Finished cells count too, so that a resumed run asks for what its journal holds.
    """

    def __init__(self, cells: Iterable[Cell], problems: Sequence[Problem]) -> None:
        self._number = {problem.id: number for number, problem in enumerate(problems)}
        self._draws: defaultdict[Sampling, list[tuple[int, int]]] = defaultdict(list)
        for cell in cells:
            if first := traits(cell.strategy).first_draw:
                reach = len(problems) if cell.problems is None else cell.problems
                self._draws[first.sampling].append((first.count, reach))

    def of(self, problem: str, sampling: Sampling) -> int:
        """The most that any cell samples of this problem with this ``sampling``; 0: none does."""
        return max(self._asked(problem, sampling), default=0)

    def draws(self, problem: str) -> list[int]:
        """How many solutions of this problem each cell samples, however it samples."""
        return [draw for sampling in self._draws for draw in self._asked(problem, sampling)]

    def _asked(self, problem: str, sampling: Sampling) -> list[int]:
        number = self._number[problem]
        return [draw for draw, reach in self._draws.get(sampling, []) if number < reach]


class SharedPolicy:
    """Draws at once as many whole solutions of a problem as any strategy will ask for, and returns
    the first n.

    ``demand`` knows how many that is, ``name`` is the policy's. They belong to a tree of their own,
    not to the strategy that happens to ask first.
    """

    def __init__(self, policy: Policy, demand: Demand, name: str = "") -> None:
        self.policy = policy
        self.demand = demand
        self.name = name
        self._samples: Shared[tuple[Node, Sampling, int], list[Node]] = Shared()

    async def extend(self, node: Node, n: int, sampling: Sampling) -> list[Node]:
        if sampling.until == "step" or sampling.temperature == 0 or node.path:
            return await self.policy.extend(node, n, sampling)
        most = max(n, self.demand.of(node.tree.problem, sampling))
        shared = replace(node, tree=replace(node.tree, key=self.tree_key(node.seed)))

        async def draw(keys: Sequence[object]) -> list[list[Node]]:
            return [await self.policy.extend(shared, most, sampling)]

        drawn = self._samples[node.tree.problem]
        (samples,) = await drawn.get([(node, sampling, most)], draw)
        return samples[:n]

    def tree_key(self, seed: int) -> str:
        """The key of the tree that a problem's shared solutions belong to, by its root's seed."""
        return f"{self.name}/shared/{seed}"

    def forget(self, problem: str) -> None:
        """Drop what was drawn for a problem."""
        self._samples.pop(problem, None)


class SharedPRM:
    """Scores each whole solution of one policy once, and equal texts once.

    A strategy is charged what it would have paid alone, whoever asks first: each text of a call
    once. So every strategy asks for the same groups of solutions: the first ones, as many as the
    strategy of the smallest ``draws`` has, then those up to the next, and so on.
    """

    def __init__(
        self, prm: PRM, draws: Callable[[str], Sequence[int]] = lambda problem: ()
    ) -> None:
        self.prm = prm
        self._draws = draws
        self._scored: Shared[Hashable, Node] = Shared()

    async def score(self, nodes: Sequence[Node]) -> list[Node]:
        if not all(node.is_finished and len(node.path) == 1 for node in nodes):
            return await self.prm.score(nodes)
        if not nodes:
            return []
        problem = nodes[0].tree.problem
        known, draws = self._scored[problem], sorted(self._draws(problem))
        texts = {_text(node): node for node in reversed(nodes)}
        groups: defaultdict[int, list[Hashable]] = defaultdict(list)
        for node in nodes:
            groups[bisect_right(draws, node.path[-1])].append(_text(node))

        async def score(group: list[Hashable]) -> dict[Hashable, Node] | EndpointError:
            try:
                return dict(zip(group, await known.get(group, compute), strict=True))
            except EndpointError as error:  # which ends no other group's request
                return error

        async def compute(missing: list[Hashable]) -> list[Node]:
            return await self.prm.score([texts[text] for text in missing])

        judged: dict[Hashable, Node] = {}
        # tasks begin in order: a text belongs to the first group that holds it
        for outcome in await fan_out(score(groups[number]) for number in sorted(groups)):
            if isinstance(outcome, EndpointError):
                raise outcome
            judged |= outcome
        return [
            _as_judged(node, judged[_text(node)], is_first=texts[_text(node)] is node)
            for node in nodes
        ]

    def forget(self, problem: str) -> None:
        """Drop the scores of a problem's solutions."""
        self._scored.pop(problem, None)


def _text(node: Node) -> Hashable:
    return node.steps, node.finish


def _as_judged(node: Node, one: Node, *, is_first: bool) -> Node:
    """``node`` with the scores of ``one`` of its text, and the price where it is the first."""
    price = (one.prm_tokens, one.prm_cached_tokens, one.prm_written_tokens) if is_first else ()
    scored = node.scored(one.scores, *price)
    finish = one.finish or node.finish
    return replace(scored, finish=finish, unscored=one.unscored, prm_model=one.prm_model)
