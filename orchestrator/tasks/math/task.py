"""The mathematics task: boxed answers, compared by form and by algebra."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import Self

from orchestrator.core.problem import Problem
from orchestrator.core.task import Instruction, Task
from orchestrator.tasks.math.comparing.equality import quick
from orchestrator.tasks.math.extracting.solutions import extract
from orchestrator.tasks.math.workers.pool import Workers

BOX = r"\boxed"
"""What states an answer for good."""


@dataclass(kw_only=True, eq=False, repr=False)
class MathTask(Task):
    """Problems whose answer is a number, a formula, a set, a word; stated in a box.

    Equal answers mean the same whatever the problem. What plain comparison decides is answered at
    once; the rest goes to ``workers`` processes, started when first needed. A comparison that takes
    one of them more than ``seconds`` of CPU time is killed and stays undecided, so a busy machine
    changes no verdict. The last ``cache`` verdicts are kept, and a comparison under way is never
    started twice. ``percent`` also accepts numbers a factor of 100 apart.

    Use it as an async context manager: whoever leaves it last ends its processes.
    """

    instruction = Instruction(
        form=rf"within {BOX}{{}}",
        subject="math",
        conclusion=(
            rf"Therefore, the final answer is: ${BOX}{{answer}}$. I hope it is correct."
            "\n\nWhere [answer] is just the final number or expression that solves the problem."
        ),
    )

    percent: bool = False
    workers: int = 2
    seconds: float = 3.0
    cache: int = 16_384

    def __post_init__(self) -> None:
        self._workers = Workers(count=self.workers, seconds=self.seconds)
        self._users = 0
        self._verdicts: OrderedDict[tuple[str, str], bool | None] = OrderedDict()
        self._under_way: dict[tuple[str, str], asyncio.Event] = {}
        self._endless: set[str] = set()

    async def __aenter__(self) -> Self:
        if self._workers.is_closed:
            self._workers = Workers(count=self.workers, seconds=self.seconds)
        self._users += 1
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._users -= 1
        if not self._users:
            await self._workers.close()

    async def extract(self, problem: Problem, text: str) -> str | None:
        """The answer a solution states, or None where it states none."""
        return extract(text)

    def is_complete(self, step: str) -> bool:
        """Whether a text opens a box."""
        return BOX in step

    async def same(self, problem: Problem, a: str, b: str) -> bool | None:
        """Whether two answers mean the same, in either order; None where that was not decided.

        Raises ``TaskError`` where no worker can start.
        """
        key = min(a, b), max(a, b)
        while key in self._under_way:
            await self._under_way[key].wait()  # should its asker be cancelled, the next one asks
        if key in self._verdicts:
            self._verdicts.move_to_end(key)
            return self._verdicts[key]
        verdict = quick(*key, percent=self.percent)
        if verdict is None:
            self._under_way[key] = asyncio.Event()
            try:
                verdict = await self._by_algebra(*key)
            finally:
                self._under_way.pop(key).set()
        self._remember(key, verdict)
        return verdict

    async def _by_algebra(self, left: str, right: str) -> bool | None:
        if not self._endless.isdisjoint((left, right)):
            return None
        verdict = await self._workers.same(left, right)
        if verdict is None:
            # A tower of powers would take its time anew against each answer of the tree: an answer
            # that cannot even be compared with 1 is not compared with others any more.
            for each in {left, right} - self._endless:
                if await self._workers.same(each, "1") is None:
                    self._endless.add(each)
        return verdict

    def _remember(self, key: tuple[str, str], verdict: bool | None) -> None:
        self._verdicts[key] = verdict
        while len(self._verdicts) > self.cache:
            self._verdicts.popitem(last=False)
