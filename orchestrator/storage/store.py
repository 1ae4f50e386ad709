"""The run directory: what was asked, what came of it, and nothing finished ever run twice.

::

    runs/NAME/
      config.yaml      the resolved config, without secrets
      begun.json       run or profile, and what the results depend on, as they were begun
      versions.json    Orchard, Python and package versions, and when the run began
      records.jsonl    one record for each problem of each cell
      journal.sqlite   every paid response, see ``journal``
      summary.json     the table and the headline (written by the report)
      figures/
"""

from collections import defaultdict
from collections.abc import Iterable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self

import msgspec

from orchestrator.core.budget import Spend
from orchestrator.core.records import RECORD_FORMAT, Record
from orchestrator.errors import RunError
from orchestrator.formats.jsonlines import JsonLines, decoded, is_held, was_deleted
from orchestrator.formats.yaml_files import read_yaml

RECORDS, CONFIG, BEGUN, VERSIONS, SUMMARY = (
    "records.jsonl", "config.yaml", "begun.json", "versions.json", "summary.json",
)  # fmt: skip


class Cut(NamedTuple):
    """A pool's ``cap`` that cut a tree which had ``spent`` so much."""

    cap: float
    spent: Spend


class Store:
    """A run directory held open for writing by one process. A context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._finished: dict[str, set[str]] = defaultdict(set)
        self._cut: dict[str, dict[str, Cut]] = defaultdict(dict)
        self._reached: dict[tuple[str, str], int] = {}
        self._with_holes: dict[tuple[str, str], Spend] = {}
        self.spent = Spend()
        """What finished problems cost."""
        self.spent_in: dict[str, Spend] = defaultdict(Spend)
        """The same by cell."""
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

    def _note(self, record: Record) -> None:
        if record.route is not None:
            self._reached[record.cell, record.problem] = len(record.leaves)
        if record.error is not None:  # what it spent is in the journal, and charged from there
            return
        spent = Spend(
            policy_tokens=record.policy_tokens,
            prompt_tokens=record.prompt_tokens,
            cached_tokens=record.cached_tokens,
            prm_tokens=record.prm_tokens,
            prm_cached_tokens=record.prm_cached_tokens,
            requests=record.requests,
            cost=record.cost,
        )
        self.spent.add(spent)
        self.spent_in[record.cell].add(spent)
        self._finished[record.cell].add(record.problem)
        if record.has_holes:
            self._with_holes[record.cell, record.problem] = spent
        if (cap := cut_at(record)) is not None:
            self._cut[record.cell][record.problem] = Cut(cap, spent)

    def reopen(self, cell: str, cap: float) -> None:
        """Problems that a pool of less than ``cap`` cut are not finished any more; what they spent
        is in the journal, and charged from there."""
        for problem in self._cut_below(cell, cap):
            self._reopen(cell, problem, self._cut[cell].pop(problem).spent)

    def reopen_holes(self) -> None:
        """Trees that lack samples, since what came was no answer, are tried again: once a start,
        and only what is missing is asked for."""
        for (cell, problem), spent in self._with_holes.items():
            if problem in self._finished[cell]:
                self._reopen(cell, problem, spent)
        self._with_holes.clear()

    def _reopen(self, cell: str, problem: str, spent: Spend) -> None:
        self.spent.subtract(spent)
        self.spent_in[cell].subtract(spent)
        self._finished[cell].discard(problem)

    def reached(self, cell: str, problem: str) -> int:
        """How many leaves a routed problem had when it was recorded last."""
        return self._reached.get((cell, problem), 0)

    def finished(self, cell: str, cap: float | None = None) -> set[str]:
        """The problems of a cell that need not be run again: those that did not fail, and that no
        pool of less than ``cap`` cut."""
        cut = set() if cap is None else self._cut_below(cell, cap)
        return self._finished[cell] - cut

    def _cut_below(self, cell: str, cap: float) -> set[str]:
        return {problem for problem, cut in self._cut[cell].items() if cut.cap < cap}

    @property
    def is_empty(self) -> bool:
        """Whether no problem was recorded yet, not even a failed one."""
        return self._records.is_empty

    def write(self, name: str, content: bytes) -> None:
        """Write a file of the run directory, whole or not at all."""
        path = self.folder / name
        try:
            part = path.with_suffix(path.suffix + ".part")
            part.write_bytes(content)
            part.replace(path)
        except OSError as error:
            if not self.folder.exists():
                raise RunError(was_deleted(self.folder)) from error
            raise RunError(f"cannot write {path}: {error.strerror}") from error


def cut_at(record: Record) -> float | None:
    """The cap of the pool that cut a tree, where one did."""
    if not record.is_cut:
        return None
    cap = record.settings["budget"]
    assert isinstance(cap, int | float)
    return cap


def is_open(record: Record, cap: float | None) -> bool:
    """Whether a tree is to go on: it failed, or a pool of less than ``cap`` cut it."""
    before = cut_at(record)
    is_cut = before is not None and cap is not None and before < cap
    return is_cut or record.error is not None


def read_records(folder: Path) -> list[Record]:
    """The records of a run, the last one of each (cell, problem).

    Raises ``RunError`` where there are none to read or a line is damaged, and says which.
    """
    path = folder / RECORDS
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error
    return _latest(decoded(content, partial(_record, folder), path))


class _Format(msgspec.Struct):
    format: int = 1
    cell: str | None = None


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
    return _decode(line)


def _latest(records: Iterable[Record]) -> list[Record]:
    return list({(record.cell, record.problem): record for record in records}.values())


def is_in_use(folder: Path) -> bool:
    """Whether another process holds a run directory open for writing."""
    try:
        return is_held(folder / RECORDS)
    except OSError as error:
        raise _unreadable(folder / RECORDS, error) from error


def read_config(folder: Path) -> Any:
    """The config of a run, unchecked. Raises ``RunError`` where there is none, and ``ConfigError``
    where it was edited and is no YAML any more."""
    path = folder / CONFIG
    try:
        return read_yaml(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> RunError:
    return RunError(
        f"cannot read {path}: {error.strerror}; name a run directory, such as runs/demo"
    )
