"""A run directory: what was asked, what came of it, and nothing finished ever run twice.

::

    runs/NAME/
      config.yaml      the resolved config, without secrets
      begun.json       the manifest: run or profile, and what the results depend on
      versions.json    Orchard, Python and package versions, and when the run began
      records.jsonl    one record for each problem of each cell, see ``store``
      journal.sqlite   every paid response, see ``journal``
      summary.json     the table and the headline (written by the report)
      figures/
"""

import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import msgspec
import yaml

from orchestrator.core.problem import Problem
from orchestrator.core.records import Record
from orchestrator.errors import OtherConfig, RunError
from orchestrator.formats.jsonlines import is_held, was_deleted
from orchestrator.formats.yaml_files import read_yaml
from orchestrator.storage.finished import C, FinishedTrees, Planned, PlannedCell
from orchestrator.storage.journal import JOURNAL, Journal, JournalInfo, journal_info
from orchestrator.storage.manifest import Kind, Manifest
from orchestrator.storage.store import RECORDS, VERSIONS, Store, read_records, unreadable

CONFIG, MANIFEST, SUMMARY = "config.yaml", "begun.json", "summary.json"

_ANEW: dict[Kind, str] = {
    "run": "begin another with `orchard run CONFIG --out NEW_DIRECTORY`",
    "profile": "measure a config of another name, which has a directory of its own",
}


class RunDirectory:
    """A run directory, which anyone may read at any time.

    As a context manager it is held open for writing by one process; ``journaled`` opens its journal
    too.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store(folder)
        self._journal: Journal | None = None
        self._is_open = False

    def __enter__(self) -> Self:
        """Raises ``RunError`` where the folder cannot be written, is in use or is damaged."""
        self.store.__enter__()
        self._is_open = True
        return self

    def __exit__(self, *exception: object) -> None:
        self._is_open = False
        self.store.__exit__(*exception)

    @contextmanager
    def journaled(self) -> Iterator[Journal]:
        """Open the journal. Raises ``RunError`` where it is damaged, locked or cannot be
        written."""
        with Journal(self.folder / JOURNAL) as journal:
            self._journal = journal
            yield journal

    @property
    def journal(self) -> Journal:
        """The journal that ``journaled`` opened."""
        assert self._journal is not None
        return self._journal

    def remaining(self, planned: Planned[C]) -> Iterator[tuple[C, Problem]]:
        """The trees of an experiment that are not finished, in the order they run in."""
        trees = self.store if self._is_open else FinishedTrees(self.records())
        return trees.remaining(planned)

    def finished(self, planned: Planned[PlannedCell]) -> list[Record]:
        """The records of an experiment's trees that need not be run again."""
        left = {(cell.id, problem.id) for cell, problem in self.remaining(planned)}
        wanted = {
            (cell.id, problem.id)
            for cell in planned.cells
            for problem in planned.problems[: cell.problems]
        }
        found = wanted - left
        return [record for record in self.records() if (record.cell, record.problem) in found]

    def records(self) -> list[Record]:
        """The last record of each tree. Raises ``RunError`` where there are none to read, or a
        line is damaged."""
        return read_records(self.folder)

    def journal_info(self) -> JournalInfo | None:
        """What its journal holds; None where there is none that can be read."""
        return journal_info(self.folder / JOURNAL)

    @property
    def paid(self) -> float:
        """USD paid so far, by the open journal; the records tell where it was moved away."""
        answers = self.store.spent.cost if self.journal.is_empty else self.journal.paid
        return self.journal.probes_paid + answers

    @property
    def is_in_use(self) -> bool:
        """Whether another process holds it open for writing."""
        path = self.folder / RECORDS
        try:
            return is_held(path)
        except OSError as error:
            raise unreadable(path, error) from error

    @property
    def resume_command(self) -> str:
        """The command that goes on with it."""
        return shlex.join(["orchard", "resume", str(self.folder)])

    def manifest(self) -> Manifest:
        """What its results depend on. Raises ``RunError``."""
        path = self.folder / MANIFEST
        try:
            return msgspec.json.decode(path.read_bytes(), type=Manifest)
        except (OSError, msgspec.DecodeError) as error:
            raise RunError(
                f"{path} cannot be read, which says what the results beside it were begun with: "
                f"put it back, or {_ANEW['run']}"
            ) from error

    def config(self) -> Any:
        """Its config, unchecked. Raises ``RunError`` where there is none, and ``ConfigError`` where
        it was edited and is no YAML any more."""
        path = self.folder / CONFIG
        try:
            return read_yaml(path)
        except OSError as error:
            raise unreadable(path, error) from error

    def claim(
        self,
        manifest: Manifest,
        *,
        config: Mapping[str, Any],
        versions: Callable[[], Mapping[str, object]],
    ) -> None:
        """Write down what is run here, or check that the results here are of the same experiment;
        ``config.yaml`` may have been edited since. The journal must be open.

        Raises ``OtherConfig`` where it holds results that this config would not give, and
        ``RunError`` where they are of another kind, or nothing says what they were begun with.
        """
        if self.store.is_empty and self.journal.is_empty:
            self.write(VERSIONS, _json(versions()))
        else:
            manifest = self._held_to(self.manifest(), manifest)
        self.write(MANIFEST, _json(manifest))
        self.write(CONFIG, yaml.safe_dump(dict(config), sort_keys=False).encode())

    def _held_to(self, before: Manifest, now: Manifest) -> Manifest:
        if before.kind != now.kind:
            raise RunError(
                f"{self.folder} holds a {before.kind}, no {now.kind}: go on with "
                f"`{self.resume_command}`, or {_ANEW[now.kind]}"
            )
        if changed := before.differences(now.identity):
            raise OtherConfig(
                f"{self.folder} holds a {now.kind} of another config: set these keys back, or "
                f"{_ANEW[now.kind]}:",
                changed,
            )
        return before.extended(now.identity)

    def write(self, name: str, content: bytes) -> None:
        """Write a file of the directory, whole or not at all."""
        path = self.folder / name
        try:
            part = path.with_suffix(path.suffix + ".part")
            part.write_bytes(content)
            part.replace(path)
        except OSError as error:
            if not self.folder.exists():
                raise RunError(was_deleted(self.folder)) from error
            raise RunError(f"cannot write {path}: {error.strerror}") from error


def _json(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2)
