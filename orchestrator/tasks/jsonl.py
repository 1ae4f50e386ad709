"""Problems in a local file of JSON lines: one object a line, blank lines skipped."""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from orchestrator.core.problem import Problem
from orchestrator.errors import TaskError
from orchestrator.tasks.records import Fields, problem, suggestion, unique


def read(path: Path, fields: Fields, limit: int | None = None) -> list[Problem]:
    """The first ``limit`` problems of the file, all without one, in its order.

    A problem without an id field is called after the file and its line: ``amc23/7``. Raises
    ``TaskError``, which names the file and the line.
    """
    problems = [
        problem(
            record,
            fields,
            where=f"{path}, line {number}",
            default_id=f"{path.stem}/{number}",
        )
        for number, record in islice(_records(path), limit)
    ]
    if not problems:
        raise TaskError(f"{path}: the file is empty; it must hold one JSON object a line")
    return unique(problems, str(path))


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(_bytes(path).split(b"\n"), start=1):
        where = f"{path}, line {number}"
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        except UnicodeDecodeError as error:
            raise TaskError(
                f"{where}: not UTF-8 at byte {error.start + 1}. Save the file as UTF-8"
            ) from None
        if not text:
            continue
        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise TaskError(
                f"{where}: not valid JSON: {error}. Each line must be one whole JSON object"
            ) from None
        if not isinstance(record, dict):
            raise TaskError(
                f"{where}: must be a JSON object with fields, not {type(record).__name__}."
                " Write one object a line, without brackets around the file"
            )
        yield number, record


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise TaskError(f"{path}: there is no such file{_neighbour(path)}") from None
    except OSError as error:
        raise TaskError(f"{path}: cannot be read: {error.strerror}") from None


def _neighbour(path: Path) -> str:
    try:
        return suggestion(path.name, (each.name for each in path.parent.iterdir()))
    except OSError:
        return f"; nor is there a folder {path.parent}"
