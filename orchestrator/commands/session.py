"""One run, from its experiment to a finished directory: servers, probes, progress, clean stop."""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import uvloop

from orchestrator.console.exit_status import ExitStatus
from orchestrator.console.fleet_view import LiveFleet
from orchestrator.console.progress import LiveProgress, ticking
from orchestrator.console.terminal import Terminal
from orchestrator.core.task import Task, opened
from orchestrator.errors import BudgetExhausted, EndpointError, RateLimited, RunError
from orchestrator.formats.jsonlines import was_deleted
from orchestrator.optimal.routing.published import LABEL
from orchestrator.runs.plan import Plan
from orchestrator.runs.scheduler import Scheduler
from orchestrator.storage.journal import JOURNAL
from orchestrator.storage.run_directory import RunDirectory
from orchestrator.strategies.traits import traits
from orchestrator.wiring.connect import connect
from orchestrator.wiring.experiment import Experiment
from orchestrator.wiring.needs import check_able, remarks
from orchestrator.wiring.ports import ports as ports_of
from orchestrator.wiring.problem_sets import task_of
from orchestrator.wiring.serving import Addresses, started_servers, while_served

SIGNALS = (signal.SIGINT, signal.SIGTERM)

NextPlan = Callable[[Task], Awaitable[Plan | None]]
"""What to run once a plan is done; None where that was the last."""

Farewell = Callable[[], str]
"""Makes the text for a person who stops the run: see ``farewell``."""


class Stopped(Exception):
    """The person at the keyboard, or whoever sent SIGTERM, ended the run."""


@contextmanager
def stoppable(farewell: Farewell) -> Iterator[None]:
    """Ctrl-C and SIGTERM raise ``Stopped`` from the block once it has cleaned up. A second one
    ends the process at once and prints ``farewell``."""

    def stop(number: int, frame: FrameType | None) -> None:
        _end_at_once(farewell)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in SIGNALS}
    try:
        yield
    except KeyboardInterrupt:  # while no event loop handled it
        raise Stopped from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def resumable(directory: RunDirectory, console: Terminal, goes_on: str) -> Iterator[None]:
    """Say how to continue a run that ends early: with ``goes_on``, the command to type.

    Raises ``RunError`` where an endpoint failed. Exits the process where a person or a provider's
    rate limit stopped the run.
    """
    try:
        yield
    except RateLimited as limited:
        console.print(until_later(limited, goes_on))
        sys.exit(ExitStatus.UNFINISHED)
    except EndpointError as error:
        journal = directory.journal_info()
        if journal is None or not journal.responses:
            raise
        raise RunError(f"{error}; what is paid for is kept, go on with: {goes_on}") from error
    except Stopped:
        console.print(farewell(directory.folder, goes_on))
        gc.freeze()  # Python would look through all that the trees leave: 0.6 s of 3,000
        sys.exit(ExitStatus.STOPPED)


def until_later(limited: RateLimited, goes_on: str, left: str = "") -> str:
    """The text for a person whose run a provider's rate limit stopped; ``left`` is the remaining
    work."""
    rest = f"{left}, and all" if left else "All"
    return (
        f"Stopped: {str(limited).rstrip('.')}. {rest} that is paid for is kept; go on then with:\n"
        f"  {goes_on}"
    )


def farewell(folder: Path, goes_on: str) -> str:
    """The text for a person who stopped the run in ``folder``."""
    if not (folder / JOURNAL).exists():
        return f"Stopped. {was_deleted(folder)}"
    return f"Stopped. All that is paid for is kept; go on with:\n  {goes_on}"


def _end_at_once(farewell: Farewell) -> None:
    """Make the next Ctrl-C or SIGTERM end the process, whatever it is doing."""

    def end(number: int, frame: FrameType | None) -> None:
        os.write(sys.stderr.fileno(), f"\n{farewell()}\n".encode())
        os._exit(ExitStatus.STOPPED)

    for number in SIGNALS:
        signal.signal(number, end)


def carry_out(
    experiment: Experiment,
    planned: Plan,
    directory: RunDirectory,
    console: Terminal,
    farewell: Farewell,
    then: NextPlan | None = None,
) -> None:
    """Run what remains of a plan, then of each plan that ``then`` returns. Nothing that is paid for
    is paid for again. Plans are parts of the ``experiment``; call it in a ``stoppable`` block.

    Raises ``Stopped`` and ``OrchardError``: ``BudgetExhausted`` before the first request where no
    money is left.
    """
    config = experiment.config
    if not directory.journal.is_empty:  # or all of such a tree would be paid for again
        directory.store.reopen_holes()
    if next(directory.remaining(planned), None) is None:
        return
    if (most := config.budget.cost) is not None and directory.paid >= most:
        raise BudgetExhausted("cost", most, "run")
    if config.servers.tiny is not None:
        console.print("Starting the embedded models …")
    with ExitStack() as stack:
        with LiveFleet(console) as live:
            addresses = stack.enter_context(
                started_servers(config, directory.folder / "logs", live.show)
            )
        search = _search(experiment, planned, directory, addresses, console, then)
        _until_stopped(while_served(search, config, addresses), farewell)


async def _search(
    experiment: Experiment,
    planned: Plan,
    directory: RunDirectory,
    addresses: Addresses,
    console: Terminal,
    then: NextPlan | None,
) -> None:
    config = experiment.config
    for name in experiment.unpriced:
        console.print(f"{name} has no price: its cost counts as 0 (see configs/prices.yaml)")
    routed = [auto for cell in planned.cells if (auto := traits(cell.strategy).auto)]
    if any(auto.profile is None for auto in routed):
        console.print(f"auto has no profile here: {LABEL}, decides (`orchard profile` measures)")
    cells = [*experiment.cells, *planned.cells]  # a plan may be one of several rounds
    task = task_of(config.task)
    connecting = connect(
        config.policies,
        config.prms,
        task=task,
        addresses=addresses,
        cells=cells,
        prices=experiment.prices,
        pay=directory.journal.pay_for_probes,
    )
    async with opened(task), connecting as connected:
        check_able(cells, config.policies, connected.found)
        for name in config.policies:
            for remark in remarks(name, cells, connected.found):
                console.print(f"{name}: {remark}")
        ports = ports_of(experiment, connected, cells, task, paid=directory.paid)
        following: Plan | None = planned
        while following is not None:
            scheduler = Scheduler(following, ports, directory.store, directory.journal)
            await _schedule(scheduler, console)
            following = await then(task) if then else None


async def _schedule(scheduler: Scheduler, console: Terminal) -> None:
    with LiveProgress(scheduler.progress, console, scheduler.ports.statuses) as live:
        scheduler.on_record = lambda record: live.tick()
        async with ticking(live):  # also while nothing is finished
            await scheduler.run()
    if replayed := scheduler.progress.replayed.requests:
        asked = scheduler.progress.spent.requests + replayed
        console.print(f"{asked:,} requests, of which {replayed:,} replayed from the journal")


def _until_stopped(work: Coroutine[Any, Any, None], farewell: Farewell) -> None:
    """Run ``work`` to its end. Ctrl-C or SIGTERM cancels it, once, and lets it clean up."""

    async def main() -> None:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()

        def stop() -> None:
            for number in SIGNALS:
                loop.remove_signal_handler(number)
            _end_at_once(farewell)
            task.cancel()

        for number in SIGNALS:
            loop.add_signal_handler(number, stop)
        try:
            await task
        except asyncio.CancelledError:
            raise Stopped from None

    uvloop.run(main())
