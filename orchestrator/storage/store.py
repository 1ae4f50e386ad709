"""A run's records: one for each problem of each cell, as soon as it is finished or has failed."""

import re
from collections.abc import Iterable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Self

import msgspec

from orchestrator.core.confidence import Confidence
from orchestrator.core.records import RECORD_FORMAT, Record
from orchestrator.errors import RunError
from orchestrator.formats.jsonlines import JsonLines, decoded
from orchestrator.storage.finished import FinishedTrees

RECORDS, VERSIONS = "records.jsonl", "versions.json"


class Store(FinishedTrees):
    """The records of a run, held open for writing by one process. A context manager."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self._records = JsonLines(folder / RECORDS, partial(_record, folder))

    def __enter__(self) -> Self:
        """Raises ``RunError`` where the folder cannot be written, is in use or is damaged."""
        with ExitStack() as on_failure:
            on_failure.enter_context(self._records)
            for record in _latest(self._records.read()):
                self._note(record)
            on_failure.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._records.__exit__(*exception)

    def add(self, record: Record) -> None:
        """Append a record. Raises ``RunError`` where the disk is full; what was stored stays."""
        self._records.add(record)
        self._note(record)

    @property
    def is_empty(self) -> bool:
        """Whether no problem was recorded yet, not even a failed one."""
        return self._records.is_empty


def read_records(folder: Path) -> list[Record]:
    """The records of a run, the last one of each (cell, problem).

    Raises ``RunError`` where there are none to read or a line is damaged, and says which.
    """
    path = folder / RECORDS
    try:
        content = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error
    return _latest(decoded(content, partial(_record, folder), path))


class _Format(msgspec.Struct):
    format: int = 1
    cell: str | None = None


_EARLIER = re.compile(rb'"logprob":-?\d')
"""A leaf of a record from before there was a ``Confidence``: the mean alone."""

_format = msgspec.json.Decoder(_Format).decode
_decode = msgspec.json.Decoder(Record).decode


def _record(folder: Path, line: bytes) -> Record:
    """A line of the records. Raises ``RunError`` where it is of another format."""
    found = _format(line)
    if found.format != RECORD_FORMAT and found.cell is not None:
        raise RunError(
            f"{folder / RECORDS} is of format {found.format}, and this Orchard reads "
            f"{RECORD_FORMAT}: read it with the Orchard that {folder / VERSIONS} names, or run the "
            "config again with another --out"
        )
    return _decode(_with_confidence(line) if _EARLIER.search(line) else line)


def _with_confidence(line: bytes) -> bytes:
    """An earlier record, whose leaves' mean log-probability stands for every measure."""
    record = msgspec.json.decode(line)
    for leaf in record.get("leaves", ()):
        if (mean := leaf.pop("logprob", None)) is not None:
            leaf["confidence"] = Confidence.level(mean)
    return msgspec.json.encode(record)


def _latest(records: Iterable[Record]) -> list[Record]:
    return list({(record.cell, record.problem): record for record in records}.values())


def unreadable(path: Path, error: OSError) -> RunError:
    """A file of a run directory that cannot be read, or of a folder that is none."""
    return RunError(
        f"cannot read {path}: {error.strerror}; name a run directory, such as runs/demo"
    )
