"""A whole run on a simulated fleet in virtual time: its config, its ports, its scheduler, journal
and store are those of ``orchard run``; only bytes go to the fleet rather than to sockets."""

import asyncio
import random
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from orchestrator.commands.forecast.simulation import SimulatedSender, urls
from orchestrator.config.run import RunConfig, validate
from orchestrator.core.records import LeafRecord, Record
from orchestrator.endpoints.transport.transport import Endpoint
from orchestrator.runs.scheduler import Scheduler
from orchestrator.storage import journal as journal_module
from orchestrator.storage.journal import JOURNAL, KEY_BYTES, Journal
from orchestrator.storage.store import Store, read_records
from orchestrator.tasks.math.task import MathTask
from orchestrator.wiring.connect import connect
from orchestrator.wiring.experiment import Experiment
from orchestrator.wiring.ports import ports
from servers.simulated import clock
from servers.simulated.faults import Faults
from servers.simulated.fleet import Fleet
from servers.simulated.hardware import GPUS, MODELS, Speed
from servers.simulated.replica import Service
from servers.simulated.solutions import Writer

POLICIES, PRMS = 4, 2

Tree = tuple[tuple[LeafRecord, ...], int, int]
"""The leaves, and what their policy took: generated and read tokens, and requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run left behind; ``seconds`` are virtual, ``paid`` counts the journal's parts."""

    fleet: Fleet
    seconds: float
    records: list[Record]
    paid: Counter[tuple[str, bytes]]

    @property
    def trees(self) -> dict[tuple[str, str], Tree]:
        """By cell and problem: the leaves, the tokens of their paths and the samples drawn."""
        return {
            (each.cell, each.problem): (
                each.leaves, each.policy_tokens - (each.wasted_tokens or 0), each.samples,
            )
            for each in self.records
        }  # fmt: skip

    @property
    def charged(self) -> dict[tuple[str, str], tuple[int, int, int]]:
        """By cell and problem: policy tokens, prompt tokens and requests. What was cached depends
        on who was asked."""
        return {
            (each.cell, each.problem): (each.policy_tokens, each.prompt_tokens, each.requests)
            for each in self.records
        }

    @property
    def generated(self) -> list[int]:
        """Tokens that each replica of the policy generated, delivered or not."""
        fleet = self.fleet
        names = fleet.names("policy")
        return [fleet.replicas[name].engine.counts.generated_tokens for name in names]


def _fleet(faults: Faults | None) -> Fleet:
    small, large = Speed.of(MODELS["1B"], GPUS["H100"]), Speed.of(MODELS["7B"], GPUS["H100"])
    return Fleet(
        [
            Service(
                model="policy", role="policy", replicas=POLICIES, speed=small,
                writer=Writer(step_tokens=60),
            ),
            Service(model="prm", role="prm", replicas=PRMS, speed=large),
        ],
        faults,
    )  # fmt: skip


def _config(fleet: Fleet, problems: int) -> RunConfig:
    search = {"policy": "policy", "n": 8}
    config: dict[str, Any] = {
        "task": {"name": "sums", "problems": problems},
        "trees": 48,
        "policies": {
            "policy": {"url": list(urls(fleet, "policy")), "prompt": "qwen", "timeout": 60}
        },
        "prms": {"prm": {"url": list(urls(fleet, "prm")), "family": "qwen_math", "timeout": 60}},
        "cells": [
            {**search, "prm": "prm", "strategy": ["beam_search", "dvts"], "width": 4},
            {**search, "prm": "prm", "strategy": "best_of_n"},
            {**search, "strategy": "majority"},
        ],
    }
    return validate(config, "run.yaml")


class _Probed(SimulatedSender):
    """Speaks to a fleet without faults as long as it is probed."""

    def use(self, fleet: Fleet) -> None:
        self._fleet = fleet


def run(folder: Path, faults: Faults | None = None, *, problems: int = 24) -> Outcome:
    """Beam search, DVTS, best-of-N and majority voting over so many problems."""
    fleet = _fleet(faults)

    senders: list[_Probed] = []

    def direct(endpoint: Endpoint) -> _Probed:
        senders.append(_Probed(_fleet(None), timeout=endpoint.timeout))
        return senders[-1]

    async def main() -> float:
        experiment = Experiment.of(_config(fleet, problems))
        config, cells = experiment.config, experiment.cells
        connecting = connect(config.policies, config.prms, cells=cells, direct=direct)
        async with connecting as connected, MathTask() as task:
            for sender in senders:
                sender.use(fleet)
            began = asyncio.get_running_loop().time()
            # virtual time does not wait for the journal's thread: trees that do would let it run on
            patient = mock.patch.object(journal_module, "MOST_WAITING", 10**9)
            with patient, Store(folder) as store, Journal(folder / JOURNAL) as journal:
                ports_of = ports(experiment, connected, cells, task)
                await Scheduler(experiment.plan, ports_of, store, journal).run()
            return asyncio.get_running_loop().time() - began

    random.seed(0)  # the jitter of the retries
    seconds = clock.run(main())
    return Outcome(
        fleet=fleet, seconds=seconds, records=read_records(folder), paid=_paid(folder / JOURNAL)
    )


def _paid(journal: Path) -> Counter[tuple[str, bytes]]:
    query = "SELECT name, keys FROM responses JOIN trees ON trees.id = responses.tree"
    with closing(sqlite3.connect(journal)) as database:
        rows = database.execute(query).fetchall()
    return Counter(
        (tree, keys[at : at + KEY_BYTES])
        for tree, keys in rows
        for at in range(0, len(keys), KEY_BYTES)
    )
