"""What an evaluation has paid for, one JSON object a line, kept as soon as it is there."""

import fcntl
import io
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar

import msgspec

from orchestrator.errors import RunError

T = TypeVar("T")


class Journal(Generic[T]):
    """A file of ``entries`` held open for appending by one process. A context manager."""

    def __init__(self, path: Path, kind: type[T]) -> None:
        self.path = path
        self.entries: list[T] = []
        self._decode = msgspec.json.Decoder(kind).decode
        self._file: io.FileIO | None = None

    def __enter__(self) -> Self:
        """Raises ``RunError`` where the file cannot be written, is in use or is damaged."""
        with ExitStack() as on_failure:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = on_failure.enter_context(io.FileIO(self.path, "a+"))
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunError(
                    f"{self.path.parent} is in use by another orchard: wait for it, or name "
                    "another --out"
                ) from None
            except OSError as error:
                raise RunError(
                    f"cannot write {self.path}: {error.strerror}; name another --out"
                ) from error
            self._read()
            on_failure.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def _read(self) -> None:
        """Take over what is there, but for a last line that a killed process left half written."""
        assert self._file is not None
        self._file.seek(0)
        content = self._file.readall() or b""
        whole = content.rfind(b"\n") + 1
        if whole != len(content):
            self._file.truncate(whole)
        for number, line in enumerate(content[:whole].splitlines(), start=1):
            try:
                self.entries.append(self._decode(line))
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise RunError(
                    f"{self.path}, line {number} is damaged ({error}): delete that line"
                ) from error

    def add(self, entry: T) -> None:
        """Append an entry. Raises ``RunError`` where the disk is full; what was stored stays."""
        assert self._file is not None, "a Journal is used inside `with`"
        line = msgspec.json.encode(entry) + b"\n"
        end = self._file.seek(0, io.SEEK_END)
        try:
            if self._file.write(line) != len(line):
                raise OSError(28, "No space left on device")
        except OSError as error:
            self._file.truncate(end)
            raise RunError(
                f"cannot write {self.path}: {error.strerror}; what is there is kept, the same "
                "command goes on from it"
            ) from error
        self.entries.append(entry)
