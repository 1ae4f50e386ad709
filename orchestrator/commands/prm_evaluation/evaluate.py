"""PRMs measured on labelled solutions, from a config to a directory of results.

::

    runs/prm-eval-NAME/
      scores.jsonl     every score paid for
      chains.jsonl     the solutions drawn for ``--data chains``
      prm-eval.json    the numbers and the conclusions (written by the command)
      figures/
"""

import asyncio
import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from orchestrator.commands.prm_evaluation.labelled_chains import ChainSet
from orchestrator.commands.signals import sigterm_as_ctrl_c
from orchestrator.config.reading import place_of
from orchestrator.config.reading import read as read_config
from orchestrator.config.run import RunConfig, validate
from orchestrator.config.sections import nearest
from orchestrator.console.fleet_view import LiveFleet
from orchestrator.console.progress import Counting
from orchestrator.console.terminal import Terminal
from orchestrator.core.budget import Bill, Ledger, Price, Spend
from orchestrator.core.problem import Problem
from orchestrator.errors import BudgetExhausted, ConfigError
from orchestrator.evaluation.drawing import DrawnSolution, draw
from orchestrator.evaluation.evaluate import evaluate
from orchestrator.evaluation.processbench import read as read_samples
from orchestrator.evaluation.samples import DataSet, LabelledSolution
from orchestrator.evaluation.scoring import EvaluatedPRM, Scorer, StoredScores
from orchestrator.formats.jsonlines import JsonLines
from orchestrator.report.data.prm_summary import PRMSummary, summarise_prms
from orchestrator.runs.ports.stack import RunWide, sent, sent_prm
from orchestrator.storage.journal import PROBES
from orchestrator.wiring.connect import Connections, connect
from orchestrator.wiring.prices import prices
from orchestrator.wiring.problem_sets import CHAINS, task_of
from orchestrator.wiring.serving import Addresses, started_servers, while_served

CHAIN_SAMPLES = 400

_NO_SEARCH: dict[str, Any] = {
    "task": {"name": CHAINS}, "policies": {}, "cells": [{"policy": (), "strategy": "cot"}],
}  # fmt: skip
"""What a config that lists models alone leaves out; no search is run here. A list in YAML that is
empty is refused as a mistake, this is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be evaluated on what.

    ``data`` names ProcessBench files, or ``CHAINS``; ``prms`` those of the config, all where it is
    empty; ``policy`` the one that solves the chains, the config's first unless given. ``samples``
    bounds each data set.
    """

    data: tuple[str, ...]
    prms: tuple[str, ...] = ()
    policy: str | None = None
    samples: int | None = None
    threshold: float = 0.5


def load_models(path: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """A run's config, or one of models alone. Raises ``ConfigError``."""
    values = _NO_SEARCH | read_config(path, overrides)
    return validate(values, str(path), lambda keys: place_of(path, keys, overrides))


def evaluate_prms(config: RunConfig, wanted: Wanted, out: Path, console: Terminal) -> PRMSummary:
    """Draw and score what ``out`` does not hold yet, and measure.

    Raises ``KeyboardInterrupt`` on Ctrl-C and SIGTERM, ``BudgetExhausted`` where the config's
    ``budget`` ends it, what ``out`` holds counted too, and ``OrchardError``; what was drawn and
    scored by then is kept.
    """
    names = _prms(config, wanted)
    files = _files(wanted)
    chains = _chains(config, wanted) if CHAINS in wanted.data else None
    charged = prices(_with(config, {chains.policy} if chains else set(), names))
    judges = [
        EvaluatedPRM(name=name, identity=_identity(config, "prms", name), price=charged.get(name))
        for name in names
    ]
    with ExitStack() as stack:
        drawn = JsonLines(out / "chains.jsonl", msgspec.json.Decoder(DrawnSolution).decode)
        if chains is not None:
            stack.enter_context(drawn)
        scores = stack.enter_context(
            JsonLines(out / "scores.jsonl", msgspec.json.Decoder(StoredScores).decode)
        )
        work = _Work(config, judges, files, chains, drawn, Scorer.of(scores), charged)
        if work.is_left:
            work.carry_out(out / "logs", console)
        sets = work.data_sets()
        rows = [
            evaluate(
                judge.name,
                data.name,
                *work.scorer.judged(judge, data),
                threshold=wanted.threshold,
                running_minimum=config.prms[judge.name].running_minimum,
            )
            for judge in judges
            for data in sets
        ]
    notes = {data.name: data.note for data in sets}
    return summarise_prms(rows, threshold=wanted.threshold, data=notes)


def _prms(config: RunConfig, wanted: Wanted) -> list[str]:
    if not config.prms:
        raise ConfigError("the config has no PRM to evaluate: add one under `prms`")
    for name in wanted.prms:
        if name not in config.prms:
            raise ConfigError(f"no prm is named {name!r}: {nearest(name, list(config.prms))}")
    return list(wanted.prms or config.prms)


def _with(config: RunConfig, policies: Collection[str], prms: Collection[str]) -> RunConfig:
    """The config without the models that are not named."""
    return config.model_copy(
        update={
            "policies": {k: v for k, v in config.policies.items() if k in policies},
            "prms": {k: v for k, v in config.prms.items() if k in prms},
        }
    )


def _chains(config: RunConfig, wanted: Wanted) -> ChainSet:
    if not config.policies:
        raise ConfigError(
            "`--data chains` takes its solutions from a policy: add one under `policies`"
        )
    policy = wanted.policy or next(iter(config.policies))
    if policy not in config.policies:
        raise ConfigError(
            f"no policy is named {policy!r}: {nearest(policy, list(config.policies))}"
        )
    identity = _identity(config, "policies", policy)
    return ChainSet.of(config, policy, identity, wanted.samples or CHAIN_SAMPLES)


def _files(wanted: Wanted) -> list[DataSet]:
    files = [read_samples(Path(name), wanted.samples) for name in wanted.data if name != CHAINS]
    names = [CHAINS, *(data.name for data in files)]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ConfigError(f"two data sets are called {twice!r}: rename one of the files")
    return files


def _identity(config: RunConfig, kind: str, name: str) -> str:
    """A model's name with a digest of the seed and all its settings that results depend on."""
    identity = config.identity()
    settings = json.dumps([config.seed, identity[kind][name]], sort_keys=True)
    return f"{name}-{blake2b(settings.encode(), digest_size=6).hexdigest()}"


@dataclass(slots=True)
class _Work:
    """What an evaluation draws and scores, how far it is, and what its models charge."""

    config: RunConfig
    judges: list[EvaluatedPRM]
    files: list[DataSet]
    chains: ChainSet | None
    drawn: JsonLines[DrawnSolution]
    scorer: Scorer
    charged: Mapping[str, Price]

    @property
    def is_left(self) -> bool:
        return bool(self.undrawn or self.unscored)

    @property
    def undrawn(self) -> dict[str, Problem]:
        return self.chains.undrawn(self.drawn.read()) if self.chains else {}

    @property
    def unscored(self) -> list[tuple[EvaluatedPRM, LabelledSolution]]:
        samples = [sample for data in self.data_sets() for sample in data.samples]
        return self.scorer.unscored(self.judges, samples)

    def data_sets(self) -> list[DataSet]:
        """Raises ``TaskError`` where the chains' solutions are of no use."""
        generated = [self.chains.data_set(self.drawn.read())] if self.chains else []
        return [*generated, *self.files]

    def carry_out(self, logs: Path, console: Terminal) -> None:
        """Start what serves the models it needs, and those alone, and do what is left.

        Raises ``BudgetExhausted`` before anything is asked where nothing may be spent.
        """
        ledger, bill = self._budget()
        needed = {self.chains.policy} if self.chains and self.undrawn else set()
        config = _with(self.config, needed, [judge.name for judge in self.judges])
        if config.servers.tiny is not None:
            console.print("Starting the embedded models …")
        with ExitStack() as stack:
            stack.enter_context(sigterm_as_ctrl_c())
            with LiveFleet(console) as live:
                addresses = stack.enter_context(started_servers(config, logs, live.show))
            work = self._until_spent(config, addresses, console, ledger, bill)
            uvloop.run(while_served(work, config, addresses))

    def _budget(self) -> tuple[Ledger, Bill]:
        """What may be spent, of which what the directory holds is spent already."""
        limits = self.config.budget.limits()
        # the bill keeps the limit of the cost, as in a run
        ledger = Ledger("run", replace(limits, cost=None))
        for spent in (
            *(entry.spent for entry in self.scorer.journal.read()),
            *(entry.spent for entry in (self.drawn.read() if self.chains else [])),
        ):
            ledger.spent.add(spent)
        bill = Bill(limits.cost, ledger.spent.cost)
        ledger.reserve(least := Spend(requests=1, prm_tokens=1))
        ledger.settle(least, Spend())
        if bill.limit is not None and bill.paid >= bill.limit:
            raise BudgetExhausted("cost", bill.limit, ledger.name)
        return ledger, bill

    async def _until_spent(
        self,
        config: RunConfig,
        addresses: Addresses,
        console: Terminal,
        ledger: Ledger,
        bill: Bill,
    ) -> None:
        def pay_for_probes(cost: float) -> None:
            bill.paid += cost
            if cost:
                spent = Spend(cost=cost)
                self.scorer.journal.add(
                    StoredScores(judge=PROBES, digest="", scores=(), tokens=0, spent=spent)
                )

        connecting = connect(
            config.policies,
            config.prms,
            task=task_of(config.task),
            addresses=addresses,
            prices=self.charged,
            pay=pay_for_probes,
        )
        allowed = ledger.limits.seconds
        async with connecting as connected:
            try:
                async with asyncio.timeout(allowed) as clock:
                    await self._draw_and_score(config, connected, console, ledger, bill)
            except TimeoutError:
                if allowed is None or not clock.expired():
                    raise
                raise BudgetExhausted("seconds", allowed, ledger.name) from None

    async def _draw_and_score(
        self,
        config: RunConfig,
        connected: Connections,
        console: Terminal,
        ledger: Ledger,
        bill: Bill,
    ) -> None:
        run = RunWide(prices=self.charged, bill=bill)
        if self.chains is not None and (undrawn := self.undrawn):
            ((name, policy),) = connected.policies.items()
            with Counting("solutions drawn", len(undrawn), console) as count:
                await draw(
                    undrawn,
                    sent(policy, name=name, run=run),
                    self.chains.label,
                    self.drawn,
                    seed=config.seed,
                    in_flight=config.trees,
                    ledger=ledger,
                    price=self.charged.get(name),
                    tick=count.tick,
                )
        unscored = self.unscored
        prms = {name: sent_prm(prm, name=name, run=run) for name, prm in connected.prms.items()}
        with Counting("solutions scored", len(unscored), console) as count:
            await self.scorer.run(
                unscored, prms, in_flight=config.trees, ledger=ledger, tick=count.tick
            )
