"""Runs of a plan against fakes, and what two runs of it must agree on."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.core.node import Node
from orchestrator.core.problem import Problem
from orchestrator.core.records import Record
from orchestrator.runs.plan import Cell, Plan, Ports
from orchestrator.runs.scheduler import Scheduler
from orchestrator.storage.store import Store, read_records

Problems, Cells, MakePorts = (
    Callable[[int], list[Problem]],
    Callable[..., Cell],
    Callable[..., Ports],
)


async def run(plan: Plan, ports: Ports, folder: Path) -> list[Record]:
    with Store(folder) as store:
        await Scheduler(plan, ports, store).run()
    return read_records(folder)


def comparable(records: list[Record]) -> list[Record]:
    """What two runs must agree on: all but the time, in any order."""
    timeless = [replace(record, seconds=0.0) for record in records]
    return sorted(timeless, key=lambda record: (record.cell, record.problem))


def after_a_while(seed: int) -> Callable[[Node], Any]:
    """Answers come out of order: each waits for a random number of turns of the event loop."""
    draw = random.Random(seed)

    async def pause(node: Node) -> None:
        for _ in range(draw.randrange(8)):
            await asyncio.sleep(0)

    return pause
