"""What was paid for, one JSON object a line, kept as soon as it is there."""

import fcntl
import io
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Generic, Self, TypeVar

import msgspec

from orchestrator.errors import RunError

T = TypeVar("T")

_LOOKERS_GONE_S, _LOOK_EVERY_S = 1.0, 0.005


class JsonLines(Generic[T]):
    """A file of entries held open for appending by one process; ``decode`` reads one of its lines.

    A context manager.
    """

    def __init__(self, path: Path, decode: Callable[[bytes], T]) -> None:
        self.path = path
        self._decode = decode
        self._file: io.FileIO | None = None

    def __enter__(self) -> Self:
        """Raises ``RunError`` where the file cannot be written or is in use."""
        with ExitStack() as on_failure:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = on_failure.enter_context(io.FileIO(self.path, "a+"))
                _lock(self._file)
            except BlockingIOError:
                raise RunError(
                    f"{self.path.parent} is in use by another orchard: wait for it, or name "
                    "another --out"
                ) from None
            except OSError as error:
                raise RunError(
                    f"cannot write {self.path}: {error.strerror}; name another --out"
                ) from error
            self._drop_torn_line()
            on_failure.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._file is not None:
            self._file.close()

    def _drop_torn_line(self) -> None:
        """Cut off a last line that a killed process left half written."""
        content = self._content()
        whole = content.rfind(b"\n") + 1
        if whole != len(content):
            self._opened.truncate(whole)

    def read(self) -> list[T]:
        """All entries. Raises ``RunError`` where a line is damaged, and says which."""
        return decoded(self._content(), self._decode, self.path)

    @property
    def is_empty(self) -> bool:
        return self._opened.seek(0, io.SEEK_END) == 0

    def add(self, entry: T) -> None:
        """Append an entry.

        Raises ``RunError`` where the disk is full, and what was stored stays; and where the file
        was deleted, since what goes on into it is lost.
        """
        file = self._opened
        if not self.path.exists():
            raise RunError(was_deleted(self.path.parent))
        line = msgspec.json.encode(entry) + b"\n"
        end = file.seek(0, io.SEEK_END)
        try:
            if file.write(line) != len(line):
                raise OSError(28, "No space left on device")
        except OSError as error:
            file.truncate(end)
            raise RunError(
                f"cannot write {self.path}: {error.strerror}; what is there is kept, the same "
                "command goes on from it"
            ) from error

    @property
    def _opened(self) -> io.FileIO:
        assert self._file is not None, "JsonLines are used inside `with`"
        return self._file

    def _content(self) -> bytes:
        self._opened.seek(0)
        return self._opened.readall() or b""


def _lock(file: io.FileIO) -> None:
    """Hold a file alone. Raises ``BlockingIOError`` where another process does.

    Whoever looks whether a file is held holds it too, for a moment in which nobody else can: so
    a refusal is believed only when it lasts.
    """
    until = time.monotonic() + _LOOKERS_GONE_S
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise
        time.sleep(_LOOK_EVERY_S)


def is_held(path: Path) -> bool:
    """Whether a process holds the file open for appending. Raises ``OSError``."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def was_deleted(folder: Path) -> str:
    """What to say of a directory that vanished while it was written to."""
    return (
        f"{folder} was deleted while the run was under way: nothing of it is kept. Begin it again, "
        "in a directory that stays"
    )


def decoded(content: bytes, decode: Callable[[bytes], T], path: Path) -> list[T]:
    """The entries of a file's content, but for a last line that is half written.

    Raises ``RunError`` where another line is damaged, and says which.
    """
    *whole, _torn = content.split(b"\n")
    entries = []
    for number, line in enumerate(whole, start=1):
        try:
            entries.append(decode(line))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise RunError(
                f"{path}, line {number} is damaged ({error}): delete that line"
            ) from error
    return entries
