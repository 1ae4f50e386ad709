"""The run directory: what was asked, what came of it, and nothing finished ever run twice.

::

    runs/NAME/
      config.yaml      the resolved config, without secrets
      versions.json    Orchard, Python and package versions, and when the run began
      records.jsonl    one record for each problem of each cell
      summary.json     the table and the headline (written by the report)
      figures/
"""

import fcntl
import io
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import yaml

from orchestrator.core.budget import Spend
from orchestrator.core.records import Record
from orchestrator.errors import RunError

RECORDS, CONFIG, VERSIONS, SUMMARY = (
    "records.jsonl", "config.yaml", "versions.json", "summary.json",
)  # fmt: skip
_decode = msgspec.json.Decoder(Record).decode
_encode = msgspec.json.Encoder().encode


class Store:
    """A run directory held open for writing by one process. A context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._finished: dict[str, set[str]] = defaultdict(set)
        self.spent = Spend()
        self._file: io.FileIO | None = None

    def __enter__(self) -> Self:
        """Raises ``RunError`` where the folder cannot be written, is in use or is damaged."""
        path = self.folder / RECORDS
        with ExitStack() as on_failure:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                self._file = on_failure.enter_context(io.FileIO(path, "a+"))
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunError(
                    f"{self.folder} is in use by another orchard: wait for it, or name another "
                    "--out"
                ) from None
            except OSError as error:
                raise RunError(
                    f"cannot write {path}: {error.strerror}; name another --out"
                ) from error
            self._drop_torn_line()
            for record in read_records(self.folder):
                self._note(record)
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

    def _drop_torn_line(self) -> None:
        """Cut off a last line that a killed process left half written."""
        assert self._file is not None
        self._file.seek(0)
        content = self._file.readall()
        if content and not content.endswith(b"\n"):
            self._file.truncate(content.rfind(b"\n") + 1)

    def add(self, record: Record) -> None:
        """Append a record. Raises ``RunError`` where the disk is full; what was stored stays."""
        assert self._file is not None, "a Store is used inside `with`"
        line = _encode(record) + b"\n"
        end = self._file.seek(0, io.SEEK_END)
        try:
            written = self._file.write(line)
            if written != len(line):
                raise OSError(28, "No space left on device")
        except OSError as error:
            self._file.truncate(end)
            raise RunError(
                f"cannot write {self.folder / RECORDS}: {error.strerror}; all finished problems "
                "are kept, the same command goes on from them"
            ) from error
        self._note(record)

    def _note(self, record: Record) -> None:
        self.spent += Spend(
            policy_tokens=record.policy_tokens,
            prompt_tokens=record.prompt_tokens,
            cached_tokens=record.cached_tokens,
            prm_tokens=record.prm_tokens,
            prm_cached_tokens=record.prm_cached_tokens,
            requests=record.requests,
        )
        if record.error is None:
            self._finished[record.cell].add(record.problem)

    def finished(self, cell: str) -> set[str]:
        """The problems of a cell that need not be run again: those that did not fail."""
        return self._finished[cell]

    @property
    def is_empty(self) -> bool:
        """Whether no problem was recorded yet, not even a failed one."""
        assert self._file is not None, "a Store is used inside `with`"
        return self._file.seek(0, io.SEEK_END) == 0

    def write(self, name: str, content: bytes) -> None:
        """Write a file of the run directory, whole or not at all."""
        path = self.folder / name
        try:
            part = path.with_suffix(path.suffix + ".part")
            part.write_bytes(content)
            part.replace(path)
        except OSError as error:
            raise RunError(f"cannot write {path}: {error.strerror}") from error


def read_records(folder: Path) -> list[Record]:
    """The records of a run, the last one of each (cell, problem).

    Raises ``RunError`` where there are none to read or a line is damaged, and says which.
    """
    path = folder / RECORDS
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise _unreadable(path, error) from error
    records: dict[tuple[str, str], Record] = {}
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            record = _decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            if number == len(lines):
                break  # half written by a process that was killed, or is writing still
            raise RunError(
                f"{path}, line {number} is damaged ({error}): delete that line"
            ) from error
        records[record.cell, record.problem] = record
    return list(records.values())


def read_yaml(folder: Path, name: str) -> Any:
    """One of a run's YAML files. Raises ``RunError``."""
    path = folder / name
    try:
        return yaml.safe_load(path.read_text())
    except OSError as error:
        raise _unreadable(path, error) from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise RunError(f"{path} is damaged: {' '.join(str(error).split())}") from error


def _unreadable(path: Path, error: OSError) -> RunError:
    return RunError(
        f"cannot read {path}: {error.strerror}; name a run directory, such as runs/demo"
    )
