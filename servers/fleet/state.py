"""A fleet's folder: what it runs, its key, what became of it, and its logs.

``$XDG_STATE_HOME/orchard/fleets/NAME`` (``~/.local/state`` by default) holds ``fleet.json``,
``key``, ``state.json``, ``lock`` and ``logs/``. Others can read none of it.
"""

import fcntl
import os
import re
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from servers.fleet.leftovers import start_time
from servers.fleet.restarts import Timing
from servers.fleet.spec import FleetError, FleetSpec, Placement, Role

_T = TypeVar("_T")

Phase = Literal["starting", "ready", "restarting", "failed", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaState:
    """One server. ``url`` has no path; ``since`` is when the phase began (seconds since 1970).

    ``restarts`` counts the starts after the first. ``problem`` says what ended it last.
    """

    service: str
    model: str
    role: Role
    index: int
    url: str
    port: int
    log: str
    gpus: tuple[int, ...] = ()
    pid: int | None = None
    phase: Phase = "starting"
    restarts: int = 0
    since: float = 0.0
    problem: str | None = None

    @property
    def name(self) -> str:
        return f"{self.service}-{self.index}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetState:
    """A fleet as its supervisor last described it.

    ``run`` is unique to this start of it. ``problem`` is why the fleet as a whole has failed.
    """

    name: str
    run: str
    supervisor: int
    supervisor_started: int
    replicas: tuple[ReplicaState, ...] = ()
    problem: str | None = None

    @property
    def is_ready(self) -> bool:
        return bool(self.replicas) and all(r.phase == "ready" for r in self.replicas)

    @property
    def is_supervised(self) -> bool:
        """Whether the supervisor lives: this very one, not another process under its id."""
        return start_time(self.supervisor) == self.supervisor_started

    def urls(self, service: str) -> list[str]:
        """Where the replicas of a service answer, ready or not; add /v1 for an OpenAI client."""
        return [replica.url for replica in self.replicas if replica.service == service]


@dataclass(frozen=True, slots=True, kw_only=True)
class StartOrders:
    """What a supervisor is to run; ``spec`` has no key here."""

    spec: FleetSpec
    placements: tuple[Placement, ...]
    run: str
    timing: Timing = field(default_factory=Timing)


ENDING_S = 5.0
"""How long the lock of a supervisor that is gone may stay: the kernel closes a killed process's
files a moment after it is gone from sight, and later on a busy machine."""


@dataclass(frozen=True, slots=True)
class Folder:
    path: Path

    @classmethod
    def of(cls, name: str) -> "Folder":
        """The folder of a fleet, which need not exist. Raises ``FleetError`` on an odd name."""
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
            raise FleetError(
                f"{name!r} cannot name a fleet: use letters, digits, '-', '_' and '.', not first"
            )
        return cls(cls.all() / name)

    @staticmethod
    def all() -> Path:
        """Where the folders of all fleets are."""
        home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        return Path(home) / "orchard" / "fleets"

    @property
    def supervisor_log(self) -> Path:
        return self.path / "logs" / "supervisor.log"

    def replica_log(self, name: str) -> Path:
        return self.path / "logs" / f"{name}.log"

    def create(self) -> None:
        (self.path / "logs").mkdir(parents=True, exist_ok=True)
        self.path.chmod(0o700)

    def lock(self) -> int:
        """Take the fleet for one start; held until every copy of the descriptor is closed.

        Raises ``FleetError`` where another start holds it.
        """
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        until = time.monotonic() + ENDING_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return descriptor
            except BlockingIOError:
                state = self.read_state()
                ending = state is not None and not state.is_supervised
                if ending and time.monotonic() < until:
                    time.sleep(0.02)
                    continue
                os.close(descriptor)
                raise FleetError(
                    f"the fleet {self.path.name} is already running: take it down first "
                    f"(orchard servers down {self.path.name}), or give this one another name"
                ) from None

    def write_orders(self, orders: StartOrders, key: str) -> None:
        self._write("fleet.json", _encode(replace(orders, spec=replace(orders.spec, api_key=None))))
        self._write("key", key.encode())

    def read_orders(self) -> StartOrders:
        """The orders with the key in their spec."""
        orders = _decode((self.path / "fleet.json").read_bytes(), StartOrders)
        return replace(orders, spec=replace(orders.spec, api_key=self.read_key()))

    def read_key(self) -> str:
        return (self.path / "key").read_text()

    def write_state(self, state: FleetState) -> None:
        self._write("state.json", _encode(state))

    def read_state(self) -> FleetState | None:
        """What the supervisor wrote last, whether it lives or not."""
        try:
            return _decode((self.path / "state.json").read_bytes(), FleetState)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def forget(self) -> None:
        """Remove the state and the logs of an earlier start."""
        for path in (self.path / "state.json", *self.path.glob("logs/*.log")):
            path.unlink(missing_ok=True)

    def _write(self, name: str, data: bytes) -> None:
        """Replace a file at once: a reader sees the old one or the new one."""
        fresh = self.path / f"{name}.part"
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        fresh.replace(self.path / name)


def _encode(record: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(record, enc_hook=str), indent=1)


def _decode(data: bytes, kind: type[_T]) -> _T:
    return msgspec.json.decode(data, type=kind, dec_hook=_from_text)


def _from_text(kind: type, text: str) -> Any:
    return kind(text)
