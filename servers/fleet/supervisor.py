"""The process that keeps one fleet running."""

import asyncio
import os
import signal
import sys
import time
import traceback
from contextlib import AsyncExitStack
from dataclasses import replace

from servers.fleet import health, leftovers, ports
from servers.fleet.command import command, environment
from servers.fleet.replica import ReplicaProcess
from servers.fleet.spec import FleetError, Placement, ServiceSpec
from servers.fleet.state import FleetState, Folder, ReplicaState, StartOrders


async def supervise(folder: Folder, *, attached: bool) -> str | None:
    """Run a folder's fleet until told to stop, or until it cannot start: then the reason.

    SIGTERM and SIGINT stop it and, if it is attached, the end of standard input. All servers are
    gone when this returns; ``state.json`` tells what became of each.
    """
    stop = _stop_event(attached=attached)
    orders = folder.read_orders()
    journal = _Journal(folder, orders)
    running = asyncio.create_task(_run(folder, orders, journal))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    running.cancel()
    problem = None
    try:
        await running
    except asyncio.CancelledError:
        pass
    except FleetError as error:
        problem = str(error)
    except Exception as error:
        traceback.print_exc()
        problem = f"the supervisor failed ({error!r}); its log: {folder.supervisor_log}"
    await asyncio.to_thread(leftovers.end, orders.run)  # a start may have been cut short
    journal.write(problem)
    return problem


class _Journal:
    """Writes the fleet's state as its replicas change."""

    def __init__(self, folder: Folder, orders: StartOrders) -> None:
        started = leftovers.start_time(os.getpid())
        assert started is not None, "this process lives"
        self._folder = folder
        self._replicas: dict[str, ReplicaState] = {}
        self._state = FleetState(
            name=orders.spec.name,
            run=orders.run,
            supervisor=os.getpid(),
            supervisor_started=started,
        )

    def note(self, *replicas: ReplicaState) -> None:
        self._replicas |= {replica.name: replica for replica in replicas}
        self.write()

    def write(self, problem: str | None = None) -> None:
        replicas = tuple(self._replicas.values())
        self._state = replace(self._state, replicas=replicas, problem=problem)
        self._folder.write_state(self._state)


async def _run(folder: Folder, orders: StartOrders, journal: _Journal) -> None:
    """Keep all replicas running until cancelled, or until one cannot start (``FleetError``)."""
    services = {service.name: service for service in orders.spec.services}
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(
            health.client(orders.spec.api_key, timeout=orders.timing.answer)
        )
        replicas = []
        for placement in orders.placements:
            service = services[placement.service]
            wanted = None if service.port is None else service.port + placement.replica
            port = stack.enter_context(ports.reserve(orders.spec.host, wanted))
            replicas.append(
                ReplicaProcess(
                    state=_first_state(folder, orders, service, placement, port),
                    command=command(orders.spec, service, placement, port=port),
                    environment=environment(orders.spec, service, placement),
                    run=orders.run,
                    timing=orders.timing,
                    http=http,
                    changed=journal.note,
                )
            )
        journal.note(*(replica.state for replica in replicas))
        try:
            async with asyncio.TaskGroup() as tasks:
                for replica in replicas:
                    tasks.create_task(replica.keep_running())
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None


def _first_state(
    folder: Folder, orders: StartOrders, service: ServiceSpec, placement: Placement, port: int
) -> ReplicaState:
    return ReplicaState(
        service=service.name,
        model=service.model.name,
        role=service.model.role,
        index=placement.replica,
        url=ports.url(orders.spec.host, port),
        port=port,
        gpus=placement.gpus,
        since=time.time(),
        log=str(folder.replica_log(f"{service.name}-{placement.replica}")),
    )


def _stop_event(*, attached: bool) -> asyncio.Event:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if attached:

        def read() -> None:
            if not os.read(sys.stdin.fileno(), 4096):
                loop.remove_reader(sys.stdin.fileno())
                stop.set()

        loop.add_reader(sys.stdin.fileno(), read)
    return stop
