"""Where problems come from: named tasks, or any local file of JSON lines."""

import importlib
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from orchestrator.core.problem import Problem
from orchestrator.errors import TaskError
from orchestrator.tasks import jsonl
from orchestrator.tasks.records import Fields, problem, suggestion, unique

_LOCAL = "`task: {path: problems.jsonl, question: problem, answer: answer}`"

Loader = Callable[[int | None], list[Problem]]
"""The first so many problems of a named task; all of them for None. Raises ``TaskError``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSource:
    """What to load: the task called ``name``, or the file at ``path`` read by ``fields``.

    ``limit`` takes the first so many problems; a task with fewer gives all it has.
    """

    name: str | None = None
    path: Path | None = None
    fields: Fields = field(default_factory=Fields)
    limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HubTask:
    """A task on the Hugging Face hub; calling it is a ``Loader``."""

    name: str
    hub: str
    split: str
    fields: Fields

    def __call__(self, limit: int | None) -> list[Problem]:
        where = f"task {self.name!r} ({self.hub}, split {self.split})"
        problems = [
            problem(row, self.fields, where=f"{where}, row {i}", default_id=f"{self.name}/{i}")
            for i, row in enumerate(islice(self._rows(where), limit), start=1)
        ]
        return unique(problems, where)

    def _rows(self, where: str) -> Any:
        try:  # imported here: it takes seconds, and only named tasks need it
            hub = importlib.import_module("datasets")
        except ImportError:
            raise TaskError(
                f"{where} needs the package `datasets`, which is not installed. Run"
                f" `pip install 'orchard-tts[datasets]'`, or give a local file: {_LOCAL}"
            ) from None
        # it says at length, once for each retry, what the error below says in one line
        logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
        try:
            return hub.load_dataset(self.hub, split=self.split)
        except Exception as error:  # the hub's client raises whatever its many layers raise
            said = str(error).strip().partition("\n")[0] or "no reason given"
            raise TaskError(
                f"{where} cannot be loaded from the Hugging Face hub: {type(error).__name__}:"
                f" {said}. {_connection()}, or give a local file: {_LOCAL}"
            ) from error


def load(source: TaskSource, loaders: Mapping[str, Loader] | None = None) -> list[Problem]:
    """The problems of ``source``, in order, with distinct ids.

    ``loaders`` are the named tasks, ``NAMED`` unless given; the composition root adds its own.
    Raises ``TaskError``.
    """
    loaders = NAMED if loaders is None else loaders
    if source.limit is not None and source.limit < 1:
        raise TaskError(f"a task needs at least 1 problem, not {source.limit}")
    if source.path is not None and source.name is None:
        return jsonl.read(source.path, source.fields, source.limit)
    if source.path is not None or source.name is None:
        raise TaskError(f"a task is either a name or a path: `task: {{name: math500}}` or {_LOCAL}")
    if source.name not in loaders:
        raise TaskError(
            f"no task is called {source.name!r}{suggestion(source.name, loaders)}; the names are"
            f" {', '.join(sorted(loaders))}. A file of your own is `task: {{path: …}}`"
        )
    return loaders[source.name](source.limit)


def _connection() -> str:
    if os.environ.get("HF_HUB_OFFLINE", "0").upper() in ("1", "ON", "YES", "TRUE"):
        return "HF_HUB_OFFLINE is set: unset it for the first download"
    return "Check the network connection"


NAMED: dict[str, Loader] = {
    "math500": HubTask(
        name="math500",
        hub="HuggingFaceH4/MATH-500",
        split="test",
        fields=Fields(question="problem", answer="answer", id="unique_id", level="level"),
    ),
    "aime24": HubTask(
        name="aime24",
        hub="Maxwell-Jia/AIME_2024",
        split="train",
        fields=Fields(question="Problem", answer="Answer", id="ID"),
    ),
    "amc23": HubTask(
        name="amc23",
        hub="math-ai/amc23",
        split="test",
        fields=Fields(question="question", answer="answer"),
    ),
}
