"""The journal: every paid response, so that a run can resume in the middle of its trees.

One SQLite file of a run directory, ``journal.sqlite``, which one thread appends to::

    trees       id, name, paid           one row a tree: its ``Tree.key``, USD; and "probes"
    responses   tree, keys, body, crc    one row a response

``keys`` are 16 bytes for each part of the response, ``body`` is a JSON array of those parts, and
``crc`` is the CRC-32 of both. Rows reach the thread in batches, because each hand-over switches
the thread that holds the interpreter twice, and SQLite many per statement, because each statement
switches it twice more. A killed process loses the last batch: ``BATCH_SECONDS``.
"""

import asyncio
import sqlite3
import threading
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from queue import SimpleQueue
from typing import Self, TypeVar

from orchestrator.errors import RunError
from orchestrator.formats.jsonlines import was_deleted

T = TypeVar("T")

JOURNAL = "journal.sqlite"

PROBES = "probes"
"""The tree that the cost of probing the endpoints is booked under."""

KEY_BYTES = 16

BATCH_SECONDS, BATCH_ROWS = 0.02, 500

MOST_WAITING = 40
"""Batches that may wait for the disk; beyond that the trees wait too."""

KNOWN_TREES = 16_384
"""Trees whose number is cached: more than are ever in flight."""

CHECKED_BYTES = 64 * 2**20
"""A journal up to this size is checked as a whole when it is opened (0.2 s); every row is checked
when it is read."""

_APPLICATION, _LAYOUT = 0x4F726368, 3  # "Orch"; raised with what keys or bodies mean
_PATIENCE_S = 20.0  # another program may hold the file locked for so long
_SCHEMA = """
CREATE TABLE trees (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, paid REAL NOT NULL DEFAULT 0
);
CREATE TABLE responses (
    tree INTEGER NOT NULL REFERENCES trees, keys BLOB NOT NULL, body TEXT NOT NULL,
    crc INTEGER NOT NULL
);
CREATE INDEX responses_of_tree ON responses (tree);
"""
_ROWS_A_STATEMENT = 64

Appended = tuple[str, bytes, bytes, float]
"""A tree's name, the keys of a response, its body and what it cost."""

Remembered = Mapping[bytes, tuple[bytes, int]]
"""From a key to the body that holds its part, and which part that is."""


class Journal:
    """A journal held open for appending. A context manager.

    The run directory's lock keeps other writers away; anyone may read it at any time.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.paid = 0.0
        """USD that earlier processes paid for its responses, each once."""
        self.probes_paid = 0.0
        """USD that probing the endpoints cost, at every start."""
        self._connection: sqlite3.Connection | None = None
        self._before: dict[str, int] = {}
        self._number = lru_cache(KNOWN_TREES)(self._numbered)
        self._recalled: dict[str, asyncio.Future[Remembered]] = {}
        self._batch: list[Appended] = []
        self._timer: asyncio.TimerHandle | None = None
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._failure: RunError | None = None
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)

    def __enter__(self) -> Self:
        """Raises ``RunError`` where the file is damaged, locked, of another version of Orchard or
        cannot be written."""
        try:
            self._connection = sqlite3.connect(
                self.path, timeout=_PATIENCE_S, isolation_level=None, check_same_thread=False
            )
            try:
                self._open(self._connection)
            except BaseException:
                self._connection.close()
                raise
        except sqlite3.Error as error:
            raise self._explained(error) from error
        self._thread.start()
        return self

    def _open(self, database: sqlite3.Connection) -> None:
        (application,) = database.execute("PRAGMA application_id").fetchone()
        (tables,) = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if tables and application != _APPLICATION:
            raise sqlite3.DatabaseError("it is no journal of Orchard")
        (layout,) = database.execute("PRAGMA user_version").fetchone()
        if tables and layout != _LAYOUT:
            raise RunError(
                f"{self.path} is of format {layout}, and this Orchard reads {_LAYOUT}: go on with "
                "the Orchard that wrote it (versions.json), or move it away, and the same command "
                "goes on without it; finished problems are kept"
            )
        if self.path.stat().st_size <= CHECKED_BYTES:
            (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise sqlite3.DatabaseError(found)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=NORMAL")  # outlives a killed process, not a power cut
        if not tables:
            database.executescript(
                f"BEGIN; PRAGMA application_id={_APPLICATION}; PRAGMA user_version={_LAYOUT};"
                f"{_SCHEMA} COMMIT;"
            )
        self.probes_paid = _paid(database, "= ?")
        self.paid = _paid(database, "!= ?")
        trees = database.execute("SELECT name, id FROM trees WHERE name != ?", (PROBES,))
        self._before = dict(trees)

    def __exit__(self, *exception: object) -> None:
        """Write what waits. Raises ``RunError`` where that fails, unless the run has failed."""
        self._flush()
        self._jobs.put(None)
        self._thread.join()
        assert self._connection is not None
        with suppress(sqlite3.Error):  # leaves one file, which a read-only directory can open
            self._connection.execute("PRAGMA busy_timeout=200")
            self._connection.execute("PRAGMA journal_mode=DELETE")
        self._connection.close()
        if self._failure is not None and exception[0] is None:
            raise self._failure

    @property
    def is_empty(self) -> bool:
        """Whether it held no response when it was opened."""
        return not self._before

    # On the event loop's thread

    def append(self, tree: str, keys: Sequence[bytes], parts: bytes, cost: float = 0.0) -> None:
        """Remember a response; ``parts`` is the JSON array of what belongs to each of ``keys``,
        ``cost`` is in USD.

        Raises ``RunError`` where an earlier one could not be written.
        """
        if self._failure is not None:
            raise self._failure
        self._batch.append((tree, b"".join(keys), parts, cost))
        if len(self._batch) >= BATCH_ROWS:
            self._flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(BATCH_SECONDS, self._flush)

    def pay_for_probes(self, cost: float) -> None:
        """Add the cost of probes (USD); their answers are not kept."""
        if cost:
            self.probes_paid += cost
            self._batch.append((PROBES, b"", b"", cost))
            self._flush()

    @property
    def is_behind(self) -> bool:
        """Whether so much waits for the disk that the trees should wait too: see ``caught_up``."""
        return self._jobs.qsize() > MOST_WAITING

    async def caught_up(self) -> None:
        """Return when all that waits now is written."""
        loop = asyncio.get_running_loop()
        written: asyncio.Future[None] = loop.create_future()
        self._jobs.put(lambda: _tell(loop, written, None))
        await written

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._batch:
            return
        rows, self._batch = self._batch, []
        self._jobs.put(lambda: self._write(rows))

    def knows(self, tree: str) -> bool:
        """Whether an earlier process paid for something of a tree."""
        return tree in self._before

    async def recall(self, tree: str) -> Remembered:
        """The responses of a tree that the journal ``knows``.

        They are read once and kept until ``forget``. Raises ``RunError`` where one is damaged.
        """
        number = self._before[tree]
        found = self._recalled.get(tree)
        if found is None:
            loop = asyncio.get_running_loop()
            found = self._recalled[tree] = loop.create_future()
            self._jobs.put(lambda: self._read(number, loop, found))
        return await asyncio.shield(found)

    def forget(self, tree: str) -> None:
        """Drop the responses of a finished tree from memory."""
        self._recalled.pop(tree, None)

    # On the journal's thread

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    def _write(self, rows: Sequence[Appended]) -> None:
        database = self._connection
        assert database is not None
        try:
            if self._failure is None:
                if not self.path.exists():
                    raise sqlite3.OperationalError("it was deleted")
                database.execute("BEGIN IMMEDIATE")
                self._insert(database, rows)
                database.execute("COMMIT")
        except Exception as error:  # whatever it is: nobody sees how this thread ends
            self._failure = self._explained(error)
            with suppress(sqlite3.Error):
                database.execute("ROLLBACK")

    def _insert(self, database: sqlite3.Connection, rows: Sequence[Appended]) -> None:
        values: list[int | bytes | str] = []
        paid: dict[int, float] = defaultdict(float)
        for tree, keys, body, cost in rows:
            number = self._number(tree)
            if cost:
                paid[number] += cost
            if keys:
                values += (number, keys, body.decode(), zlib.crc32(body, zlib.crc32(keys)))
        for start in range(0, len(values), 4 * _ROWS_A_STATEMENT):
            some = values[start : start + 4 * _ROWS_A_STATEMENT]
            places = ",".join(["(?,?,?,?)"] * (len(some) // 4))
            database.execute(f"INSERT INTO responses VALUES {places}", some)
        database.executemany(
            "UPDATE trees SET paid = paid + ? WHERE id = ?",
            [(cost, number) for number, cost in paid.items()],
        )

    def _numbered(self, tree: str) -> int:
        assert self._connection is not None
        execute = self._connection.execute
        known = execute("SELECT id FROM trees WHERE name = ?", (tree,)).fetchone()
        if known is not None:
            return int(known[0])
        number = execute("INSERT INTO trees (name) VALUES (?)", (tree,)).lastrowid
        assert number is not None
        return number

    def _read(
        self, tree: int, loop: asyncio.AbstractEventLoop, waiting: asyncio.Future[Remembered]
    ) -> None:
        assert self._connection is not None
        query = "SELECT keys, body, crc FROM responses WHERE tree = ? ORDER BY rowid DESC"
        try:
            rows = self._connection.execute(query, (tree,)).fetchall()
            found = _remembered(rows)
        except Exception as error:
            _tell(loop, waiting, self._explained(error))
        else:
            _tell(loop, waiting, found)

    def _explained(self, error: Exception) -> RunError:
        if self._thread.is_alive() and not self.path.exists():
            return RunError(was_deleted(self.path.parent))
        said = " ".join(str(error).split())
        if not isinstance(error, sqlite3.Error):
            return RunError(
                f"{self.path} cannot be used ({type(error).__name__}: {said}); what is there is "
                "kept, the same command goes on from it"
            )
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return RunError(
                f"{self.path} is damaged ({said}): move it away, and the same command goes on "
                "without it; finished problems are kept, the others are paid for again"
            )
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return RunError(
                f"{self.path} is locked by another program: close it; what is there is kept, the "
                "same command goes on from it"
            )
        return RunError(
            f"cannot write {self.path}: {said}; make room or give access, and the same command "
            "goes on from what is there"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalInfo:
    """What a journal holds: its ``size`` in bytes, its ``responses`` and what probes cost (USD)."""

    size: int
    responses: int
    probes_paid: float


def journal_info(path: Path) -> JournalInfo | None:
    """What a journal holds, read while a run goes on or not; None where there is none that can be
    read."""
    beside = path.with_name(f"{path.name}-wal")
    try:
        size = path.stat().st_size + (beside.stat().st_size if beside.exists() else 0)
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            (last,) = database.execute("SELECT max(rowid) FROM responses").fetchone()
            return JournalInfo(size=size, responses=last or 0, probes_paid=_paid(database, "= ?"))
    except (OSError, sqlite3.Error):
        return None


def _paid(database: sqlite3.Connection, which: str) -> float:
    """USD paid for what has or has not the name of the probes."""
    query = f"SELECT total(paid) FROM trees WHERE name {which}"
    return float(database.execute(query, (PROBES,)).fetchone()[0])


def _remembered(rows: Iterable[tuple[bytes, str, int]]) -> Remembered:
    """The first response of each key, ``rows`` being latest first."""
    found = {}
    for keys, text, crc in rows:
        body = text.encode()
        if zlib.crc32(body, zlib.crc32(keys)) != crc:
            raise sqlite3.DatabaseError("a response does not match its checksum")
        for part in range(len(keys) // KEY_BYTES):
            found[keys[part * KEY_BYTES : (part + 1) * KEY_BYTES]] = (body, part)
    return found


def _tell(loop: asyncio.AbstractEventLoop, waiting: asyncio.Future[T], said: T | RunError) -> None:
    """Give another thread's event loop what it waits for."""

    def tell() -> None:
        if waiting.done():
            return
        if isinstance(said, RunError):
            waiting.set_exception(said)
        else:
            waiting.set_result(said)

    with suppress(RuntimeError):  # the loop is closed: nobody waits
        loop.call_soon_threadsafe(tell)
