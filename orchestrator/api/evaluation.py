"""Many problems under many strategies: the run of the command line, its records as they finish."""

import asyncio
import dataclasses
import tempfile
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any

import msgspec

from orchestrator.api.connected import Connected
from orchestrator.commands.results import read_results, results_json
from orchestrator.config.run import validate
from orchestrator.config.sections import located
from orchestrator.core.budget import UNLIMITED, Limits
from orchestrator.core.ports import Strategy
from orchestrator.core.problem import Problem
from orchestrator.core.records import Record
from orchestrator.core.task import Task
from orchestrator.core.voting import Vote
from orchestrator.errors import ConfigError, RunError
from orchestrator.formats.class_names import class_name
from orchestrator.formats.jsonlines import decoded
from orchestrator.runs.scheduler import Scheduler
from orchestrator.storage.run_directory import SUMMARY, RunDirectory
from orchestrator.strategies.building import name_of, settings_of
from orchestrator.tasks.kinds import DEFAULT, TASKS, options_of
from orchestrator.wiring.claim import claim
from orchestrator.wiring.experiment import Experiment
from orchestrator.wiring.ports import ports as ports_of

PROBLEMS = "problems.jsonl"
"""Where a run directory keeps the problems that it was given."""


async def evaluate(
    problems: Sequence[Problem],
    models: Connected,
    strategies: Sequence[Strategy],
    *,
    limits: Limits = UNLIMITED,
    budget: Limits = UNLIMITED,
    votes: Sequence[Vote] = (),
    task: Task | None = None,
    concurrency: int = 128,
    out: str | Path | None = None,
    seed: int = 0,
) -> AsyncGenerator[Record, None]:
    """Every strategy on every problem, under each policy and PRM (``Auto`` under those that its
    profile was measured with, together); yields records as they finish.

    ``limits`` hold for each problem, as in ``solve``, and ``budget`` for the whole run. A record
    has a verdict of each usual vote, and of the ``votes`` of your own. ``task`` words the questions
    and grades the answers: the one that the models are connected for, unless given. ``concurrency``
    trees are in flight at once. With ``out`` the results are a run directory as ``orchard run``
    makes it: another call with the same ``out`` yields the records that are there first, and goes
    on with what is missing; ``orchard show`` reads it, and ``orchard resume`` goes on with it.
    Whoever stops taking records cancels what is under way.

    Raises ``ConfigError`` for what cannot be run, ``RunError`` where ``out`` holds other results,
    ``EndpointRefused`` at once, and, once all that was under way is yielded, ``BudgetExhausted``
    where the ``budget`` is used up.
    """
    async with AsyncExitStack() as stack:
        models = await stack.enter_async_context(models.asking(task))
        if out is None:
            out = stack.enter_context(tempfile.TemporaryDirectory(prefix="orchard-"))
        directory = stack.enter_context(RunDirectory(located(Path(out))))
        stack.enter_context(directory.journaled())
        _keep(problems, directory)
        values = {
            "task": _task(directory.folder / PROBLEMS, problems, models.task),
            "policies": models.config.policies,
            "prms": models.config.prms,
            "cells": [cells for strategy in strategies for cells in _cells(strategy, models)],
            "votes": [_vote(vote) for vote in votes],
            "seed": seed,
            "trees": concurrency,
            "budget": dataclasses.asdict(budget),
            "problem_budget": dataclasses.asdict(limits),
        }
        experiment = Experiment.of(validate(values, "evaluate"))
        models.check(experiment.cells)
        claim(directory, experiment)
        for record in directory.finished(experiment.plan):
            yield record
        async with aclosing(_as_they_finish(experiment, models, directory)) as records:
            async for record in records:
                yield record


async def _as_they_finish(
    experiment: Experiment, models: Connected, directory: RunDirectory
) -> AsyncGenerator[Record, None]:
    """Run what remains; whoever takes no more records cancels it."""
    if not directory.journal.is_empty:
        directory.store.reopen_holes()
    ports = ports_of(
        experiment, models.connections, experiment.cells, models.task, paid=directory.paid
    )
    finished: asyncio.Queue[Record | None] = asyncio.Queue()
    scheduler = Scheduler(
        experiment.plan,
        ports,
        directory.store,
        directory.journal,
        on_record=finished.put_nowait,
    )
    running = asyncio.create_task(scheduler.run())
    running.add_done_callback(lambda _: finished.put_nowait(None))
    try:
        while (record := await finished.get()) is not None:
            yield record
        await running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)  # what failed is raised above
        if not directory.store.is_empty:
            directory.write(SUMMARY, results_json(*read_results(directory, None)))


def _keep(problems: Sequence[Problem], directory: RunDirectory) -> None:
    """Write the problems where ``orchard resume`` finds them.

    Raises ``ConfigError`` where two share an id or one has no reference answer, and ``RunError``
    where results are there of another problem with the id of one of these.
    """
    path = directory.folder / PROBLEMS
    by_id = {problem.id: problem for problem in problems}
    if len(by_id) < len(problems):
        raise ConfigError("two problems have the same id: results are kept under it")
    for problem in problems:
        if problem.answer is None:
            raise ConfigError(
                f"{problem.id} has no reference answer to be graded by: give it an `answer`, or "
                "ask it with `solve`"
            )
    if path.exists() and not directory.store.is_empty:
        for before in decoded(path.read_bytes(), msgspec.json.Decoder(Problem).decode, path):
            if by_id.setdefault(before.id, before) != before:
                raise RunError(
                    f"{directory.folder} holds results of another problem called {before.id!r}: "
                    "name another `out`, or give the problem another id"
                )
    directory.write(PROBLEMS, b"".join(msgspec.json.encode(each) + b"\n" for each in problems))


def _task(path: Path, problems: Sequence[Problem], task: Task) -> dict[str, Any]:
    """Problems and their task, as a config says it. Raises ``ConfigError``."""
    has_levels = all(problem.level is not None for problem in problems)
    is_math, options = type(task) is TASKS[DEFAULT], options_of(task)
    return {
        "path": path,
        "id": "id",
        **({"level": "level"} if has_levels else {}),
        **({} if is_math else {"kind": class_name(type(task))}),
        **({"options": options} if options else {}),
    }


def _cells(strategy: Strategy, models: Connected) -> Iterator[dict[str, Any]]:
    """One strategy under every policy and PRM, as a config says it; under those of its profile,
    where it has one."""
    settings = {key: each for key, each in settings_of(strategy).items() if each is not None}
    settings["strategy"] = name_of(strategy)
    policies, prms = models.measured(strategy)
    if policies:
        yield {"policy": policies, "prm": prms, **settings}
        return
    judges: list[str | None] = [*models.prms] if "prm" in strategy.needs else []
    for policy in models.policies:
        for prm in judges or [None]:
            yield {"policy": policy, "prm": [prm] if prm else [], **settings}


def _vote(vote: Vote) -> dict[str, Any]:
    """A vote of one's own, as a config says it. Raises ``ConfigError``."""
    settings: dict[str, Any] = {}
    if dataclasses.is_dataclass(vote) and not isinstance(vote, type):
        settings = dataclasses.asdict(vote)
    return {"vote": class_name(type(vote)), **settings}
