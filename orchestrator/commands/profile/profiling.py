"""Measure profiles for a config, and fit them to records."""

import asyncio
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path

from orchestrator.commands.profile.rounds import Rounds, finished, tokens
from orchestrator.commands.profile.sweeps import Sweep, sweep_config, sweeps
from orchestrator.commands.session import carry_out, farewell, resumable, stoppable
from orchestrator.config.run import RunConfig, load
from orchestrator.console.terminal import Terminal
from orchestrator.core.equivalence import SameByProblem, comparing
from orchestrator.core.problem import Problem
from orchestrator.core.records import AUTO, Record
from orchestrator.core.task import Task, opened
from orchestrator.errors import BudgetExhausted, ProfileError, RunError, TaskError
from orchestrator.optimal.cascade.across import across_profile, measurements
from orchestrator.optimal.cascade.profile import (
    AcrossProfile,
    is_across,
    read_across,
)
from orchestrator.optimal.profile import Profile, dumped, read
from orchestrator.optimal.profiling.fitting import fit_profile
from orchestrator.report.data.wording import counted
from orchestrator.runs.plan import Plan
from orchestrator.storage.run_directory import CONFIG, RunDirectory
from orchestrator.storage.store import read_records
from orchestrator.tasks.datasets import NAMED
from orchestrator.wiring.claim import claim
from orchestrator.wiring.experiment import Experiment
from orchestrator.wiring.prices import prices
from orchestrator.wiring.problem_sets import problems, task_of

PROFILES = "profiles"
"""The folder of a run directory that holds its profiles."""

_LONGEST_NAME = 200
"""Bytes of a profile's file name, without digest and suffix; file systems take 255."""


def measure_profiles(config: RunConfig, out: Path, console: Terminal, goes_on: str) -> bool:
    """Run the cells that the profiles of a config need, in the directory ``out`` and within the
    config's budget of tokens. ``goes_on`` is the command that resumes the run. False if a budget
    ran out before all was measured.

    Raises ``ProfileError`` if there are too few problems or tokens, and ``OrchardError``.
    """
    experiment = Experiment.of(sweep_config(config, sweeps(config, config.all_cells)))
    config = experiment.config
    found = sweeps(config, experiment.cells)
    rounds = Rounds(experiment.plan, found, config.budget.tokens)
    console.print(_announcement(rounds, found))
    on_stop = partial(farewell, out, goes_on)

    async def next_plan(task: Task) -> Plan | None:
        return await rounds.next(finished(directory.records()), task)

    async def first_plan() -> Plan | None:
        async with opened(task_of(config.task)) as task:
            return await next_plan(task)

    with (
        RunDirectory(out) as directory,
        resumable(directory, console, goes_on),
        stoppable(on_stop),
        directory.journaled(),
    ):
        claim(directory, experiment, "profile")
        planned = asyncio.run(first_plan())
        is_whole = True
        try:
            if planned is not None:
                carry_out(experiment, planned, directory, console, on_stop, next_plan)
        except BudgetExhausted as exhausted:
            is_whole = False
            console.print(
                f"Stopped early: {exhausted}; the profile is of what is there. With a larger one "
                f"this goes on:\n  {directory.resume_command} --set budget.{exhausted.limit}=…"
            )
    console.print(_result(rounds, found, directory.records()))
    return is_whole


def fit_profiles(runs: Sequence[Path], console: Terminal) -> list[Profile]:
    """A profile for each task, policy and PRM with enough records in ``runs``, and for each policy
    that has no PRM there.

    Raises ``ProfileError`` if there is none.
    """
    groups: dict[tuple[str, str, str | None], list[Record]] = defaultdict(list)
    for record in _records(runs):
        groups[record.task, record.policy, record.prm].append(record)
    scored = {(task, policy) for task, policy, prm in groups if prm is not None}
    groups = {
        (task, policy, prm): own
        for (task, policy, prm), own in groups.items()
        if prm is not None or (task, policy) not in scored
    }

    async def fit() -> list[Profile]:
        found, failures = [], []
        async with AsyncExitStack() as stack:
            by_task = await _by_task(runs, stack)
            for (task, policy, prm), own in groups.items():
                try:
                    found.append(await fit_profile(own, by_task[task]))
                except ProfileError as error:
                    failures.append(f"{policy}{f' under {prm}' if prm else ''}: {error}")
        if not found:
            raise ProfileError(failures[0] if failures else "these runs have no records")
        for failure in failures:
            console.print(f"No profile of {failure}")
        return found

    return asyncio.run(fit())


def fit_across(runs: Sequence[Path], console: Terminal) -> list[AcrossProfile]:
    """A profile across models, or of the plans of a single policy, for each task of ``runs``. What
    keeps one of several policies from being fitted is printed; a single one's is said by
    ``fit_profiles``."""
    by_task: dict[str, list[Record]] = defaultdict(list)
    for record in _records(runs):
        if record.strategy != AUTO:
            by_task[record.task].append(record)
    charged = {name: price for run in runs for name, price in prices(load(run / CONFIG)).items()}

    async def fit() -> list[AcrossProfile]:
        found = []
        async with AsyncExitStack() as stack:
            same = await _by_task(runs, stack) if by_task else {}
            for task, own in by_task.items():
                try:
                    measured = await measurements(own, same[task], charged)
                    found.append(across_profile(measured, own))
                except ProfileError as error:
                    if len({each.policy for each in own}) > 1:
                        console.print(f"No profile across the models of {task}: {error}")
        return found

    return asyncio.run(fit())


def _records(runs: Sequence[Path]) -> list[Record]:
    """Those of single models: what a cell across them came to measures none of them."""
    return [record for run in runs for record in read_records(run) if not record.models]


async def _by_task(runs: Sequence[Path], stack: AsyncExitStack) -> dict[str, SameByProblem]:
    """How the tasks of ``runs`` compare answers, by their names."""
    configs = [load(run / CONFIG) for run in runs]
    return {
        name: await _comparing([each for each in configs if each.task_name == name], stack)
        for name in {config.task_name for config in configs}
    }


async def _comparing(configs: Sequence[RunConfig], stack: AsyncExitStack) -> SameByProblem:
    """How the task of these runs compares answers, on the problems that can still be loaded."""
    task = await stack.enter_async_context(opened(task_of(configs[0].task)))
    found: list[Problem] = []
    for config in configs:
        # Data sets on the hub are maths, whose answers compare without the problem: no download.
        if config.task.name not in NAMED:
            with suppress(TaskError):
                found += problems(config.task)
    return comparing(task, found)


def profiles_in(run: Path) -> list[Profile]:
    """The profiles in a run directory, but for those across models. Raises ``ProfileError``."""
    files = sorted((run / PROFILES).glob("*.yaml"))
    return [read(path) for path in files if not is_across(path)]


def across_in(run: Path) -> list[tuple[Path, AcrossProfile]]:
    """The profiles across models in a run directory, with their files. Raises ``ProfileError``."""
    files = sorted((run / PROFILES).glob("*.yaml"))
    return [(path, read_across(path)) for path in files if is_across(path)]


def prepare_folder(folder: Path) -> None:
    """Check that profiles can be written to ``folder``, before anything is paid for.

    Raises ``RunError``.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> RunError:
    return RunError(f"cannot write {folder}: {error.strerror}; name another --out")


def written(profiles: Sequence[Profile], folder: Path) -> list[Path]:
    """Write each profile to a file in ``folder``; return the files. Raises ``RunError``."""
    return _written([dumped(each) for each in profiles], _file_names(profiles), folder)


def written_across(profiles: Sequence[AcrossProfile], folder: Path) -> list[Path]:
    """The same for profiles across models."""
    names = [_file_name([each.task, "across"]) for each in profiles]
    return _written([dumped(each) for each in profiles], names, folder)


def _written(texts: Sequence[str], names: Sequence[str], folder: Path) -> list[Path]:
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for text, name in zip(texts, names, strict=True):
            path = folder / f"{name}.yaml"
            path.write_text(text)
            paths.append(path)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return paths


def _file_names(profiles: Sequence[Profile]) -> list[str]:
    """A file name for each profile, from its task, policy and PRM.

    Characters that file names cannot have, as in ``Qwen/Qwen2.5-1.5B``, are replaced. Where two
    names become the same, the profiles' digests are added.
    """
    names = []
    for profile in profiles:
        parts = [profile.task, profile.policy.name, *([profile.prm.name] if profile.prm else [])]
        names.append(_file_name(parts))
    return [
        name if names.count(name) == 1 else f"{name}-{profile.digest}"
        for name, profile in zip(names, profiles, strict=True)
    ]


def _file_name(parts: Sequence[str]) -> str:
    name = re.sub(r"[^\w.+@-]+", "-", "-".join(parts)).lstrip(".-")
    return name.encode()[:_LONGEST_NAME].decode(errors="ignore")


def _announcement(rounds: Rounds, found: Sequence[Sweep]) -> str:
    problems = len(rounds.whole.problems)
    trees = sum(len(each.trees) for each in found)
    paths = problems * sum(cell.strategy.n for each in found for cell in each.cells)
    size = (
        f"{counted(len(found), 'profiles')} on {counted(problems, 'problems')}: "
        f"{found[0].samples.strategy.n} samples and the greedy solution of each, "
        f"{counted(trees, 'tree searches')}"
    )
    if rounds.cap is not None:
        return f"{size}; at most {rounds.cap:,} tokens of policies and PRMs"
    return f"{size}; {paths:,} paths, without a cap: --tokens sets one"


def _result(rounds: Rounds, found: Sequence[Sweep], records: Iterable[Record]) -> str:
    done = finished(records)
    cost = sum(record.cost for record in done.values())
    used = f"It took {sum(map(tokens, done.values())):,} tokens of policies and PRMs"
    used += f" and ${cost:,.2f}" if cost else ""
    if rounds.cap is None:
        return used
    tried = [
        f"{tree.strategy_name} {tree.strategy.n} of {sweep.samples.policy.name}"
        f"{f' under {sweep.samples.prm.name}' if sweep.samples.prm else ''}: "
        + counted(sum(cell == tree.id for cell, _ in done), "problems")
        for sweep in found
        for tree in sweep.trees
    ]
    return "\n".join([f"{used}; tree searches were tried on:", *(f"  {each}" for each in tried)])
