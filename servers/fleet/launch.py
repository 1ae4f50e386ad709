"""Bring fleets up and down: what the command line and a run call.

A fleet lives in a supervisor process of its own; these functions start it, read what it writes into
the fleet's folder, and end it.
"""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from servers.fleet import leftovers
from servers.fleet.interpreter import find_python
from servers.fleet.ports import is_loopback
from servers.fleet.restarts import Timing
from servers.fleet.spec import FleetError, FleetSpec, Placement
from servers.fleet.state import FleetState, Folder, StartOrders

_POLL_S = 0.05
_BEGIN_S = 30.0
_MARGIN_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Handle:
    """A fleet that this process started."""

    name: str
    supervisor: subprocess.Popen[bytes]


def start(
    spec: FleetSpec,
    placements: Sequence[Placement],
    *,
    attached: bool = False,
    timing: Timing | None = None,
) -> Handle:
    """Start a fleet and return at once, while its servers load.

    A detached fleet outlives this process, an attached one ends with it, however it ends. Raises
    ``FleetError`` where the fleet is running already, a port is taken, there is no vLLM, or the
    placements do not match the services.
    """
    _check(spec, placements)
    folder = Folder.of(spec.name)
    orders = StartOrders(
        spec=replace(spec, python=find_python(spec.python)),
        placements=tuple(placements),
        run=secrets.token_hex(8),
        timing=timing or Timing(),
    )
    folder.create()
    lock = folder.lock()
    try:
        _sweep(folder)
        folder.write_orders(orders, spec.api_key or secrets.token_urlsafe(24))
        supervisor = _spawn(folder, orders, lock, attached=attached)
    finally:
        os.close(lock)  # the supervisor has inherited it and holds it for as long as it lives
    handle = Handle(name=spec.name, supervisor=supervisor)
    try:
        _await_first_state(handle, folder)
    except BaseException:
        _end_supervisor(handle, folder, orders.run)
        raise
    return handle


def follow(
    fleet: Handle | str, on_change: Callable[[FleetState], None] | None = None
) -> FleetState:
    """Wait until every replica is ready; ``on_change`` sees each state on the way.

    Raises ``FleetError`` with the reason where the fleet fails or is not running. An interrupt
    leaves it as it is: ``stop`` ends it.
    """
    name = fleet if isinstance(fleet, str) else fleet.name
    folder, seen = Folder.of(name), None
    while True:
        lives = find(name) is not None  # before reading what it wrote last
        state = folder.read_state()
        if state is not None and state != seen:
            seen = state
            if on_change is not None:
                on_change(state)
        if not lives:
            raise FleetError(_why_not_running(folder, state))
        if state is not None and state.is_ready:
            return state
        time.sleep(_POLL_S)


def find(name: str) -> FleetState | None:
    """The state of a fleet that is running, in whatever phase; else None."""
    state = Folder.of(name).read_state()
    return state if state is not None and state.is_supervised else None


def names() -> list[str]:
    """Every fleet that was ever started here and has its folder still, running or not."""
    return sorted(path.parent.name for path in Folder.all().glob("*/state.json"))


def stop(name: str) -> None:
    """End a fleet; none of its processes is left, nor their ports, when this returns.

    That holds for what a killed supervisor left behind, too. Raises ``FleetError`` where a process
    resists being killed.
    """
    folder = Folder.of(name)
    state = folder.read_state()
    if state is not None and state.is_supervised:
        grace = folder.read_orders().timing.grace
        with suppress(ProcessLookupError):
            os.kill(state.supervisor, signal.SIGTERM)
        until = time.monotonic() + grace + _MARGIN_S
        while state.is_supervised and time.monotonic() < until:
            time.sleep(_POLL_S / 5)
    _sweep(folder)


@contextmanager
def running(
    spec: FleetSpec,
    placements: Sequence[Placement],
    on_change: Callable[[FleetState], None] | None = None,
    *,
    timing: Timing | None = None,
) -> Iterator[FleetState]:
    """Run a fleet for as long as the block lasts, which begins when every replica is ready."""
    handle = start(spec, placements, attached=True, timing=timing)
    try:
        yield follow(handle, on_change)
    finally:
        stop(spec.name)
        _close(handle)


def api_key(name: str) -> str:
    """The key that guards a fleet's servers. Raises ``FleetError`` where there is no such fleet."""
    try:
        return Folder.of(name).read_key()
    except FileNotFoundError:
        raise FleetError(f"there is no fleet {name!r}: orchard servers up starts one") from None


def exposure_warning(spec: FleetSpec) -> str | None:
    """What to tell the user before a fleet is bound to more than this machine; None if it isn't."""
    if is_loopback(spec.host):
        return None
    return (
        f"the fleet {spec.name} binds to {spec.host}: its key guards /v1 alone, while vLLM answers "
        "/generative_scoring, /metrics and /tokenize to anyone who reaches it; keep it behind a "
        "firewall, or bind to 127.0.0.1"
    )


def _check(spec: FleetSpec, placements: Sequence[Placement]) -> None:
    if sys.platform != "linux":
        raise FleetError("fleets of vLLM servers run on Linux only: point the run at URLs instead")
    if spec.api_key == "":
        raise FleetError(f"the fleet {spec.name} has an empty api_key: give one, or none at all")
    ports = [s.port + number for s in spec.services if s.port for number in range(s.replicas)]
    if twice := sorted({port for port in ports if ports.count(port) > 1}):
        raise FleetError(
            f"two replicas of the fleet {spec.name} would have port {twice[0]}: a service with "
            "several replicas takes as many ports, counting on from its own"
        )
    wanted = {(s.name, number) for s in spec.services for number in range(s.replicas)}
    placed = [(placement.service, placement.replica) for placement in placements]
    if len(placed) != len(wanted) or set(placed) != wanted:
        raise FleetError(
            f"the placements of the fleet {spec.name} are {sorted(placed)}, "
            f"its replicas {sorted(wanted)}: plan it again"
        )


def _spawn(
    folder: Folder, orders: StartOrders, lock: int, *, attached: bool
) -> "subprocess.Popen[bytes]":
    folder.forget()
    # -P: a folder called "servers" where the user happens to stand is not this package.
    arguments = [sys.executable, "-P", "-m", "servers.fleet", str(folder.path)]
    with folder.supervisor_log.open("wb") as log:
        return subprocess.Popen(
            arguments + ["--exit-with-stdin"] * attached,
            stdin=subprocess.PIPE if attached else subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **leftovers.mark(orders.run)},
            pass_fds=[lock],
            start_new_session=True,
        )


def _await_first_state(handle: Handle, folder: Folder) -> None:
    """Wait, a fraction of a second, until the supervisor has taken over."""
    until = time.monotonic() + _BEGIN_S
    while time.monotonic() < until:
        ended = handle.supervisor.poll() is not None
        state = folder.read_state()
        if state is not None and state.problem is None and not ended:
            return
        if ended:
            raise FleetError(_why_not_running(folder, state))
        time.sleep(_POLL_S / 5)
    raise FleetError(f"the supervisor does not begin; its log: {folder.supervisor_log}")


def _why_not_running(folder: Folder, state: FleetState | None) -> str:
    if state is not None and state.problem is not None:
        return state.problem
    name = folder.path.name
    if state is None and not folder.supervisor_log.exists():
        return f"there is no fleet {name!r}: orchard servers up starts one"
    if state is not None and all(replica.phase == "stopped" for replica in state.replicas):
        return f"the fleet {name} was taken down"
    return f"the supervisor of the fleet {name} was killed; its log: {folder.supervisor_log}"


def _sweep(folder: Folder) -> None:
    """End what an earlier start of the fleet has left behind."""
    state = folder.read_state()
    if state is not None and (left := leftovers.end(state.run)):
        raise FleetError(f"processes {left} of the fleet {state.name} cannot be killed")


def _end_supervisor(handle: Handle, folder: Folder, run: str) -> None:
    handle.supervisor.kill()
    leftovers.end(run)
    _close(handle)


def _close(handle: Handle) -> None:
    if handle.supervisor.stdin is not None:
        handle.supervisor.stdin.close()
    handle.supervisor.wait()
