"""From one record of a data set, a JSON object or a row, to a problem."""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.core.problem import Problem
from orchestrator.errors import TaskError
from orchestrator.formats.closest import closest
from orchestrator.tasks.math.reading.boxes import reference

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """Which fields of a record hold what; ``id`` and ``level`` None where it has none.

    ``reference`` takes the reference answer out of the answer field.
    """

    question: str = "question"
    answer: str = "answer"
    id: str | None = None
    level: str | None = None
    reference: Callable[[str], str] = reference


def problem(record: Mapping[str, Any], fields: Fields, *, where: str, default_id: str) -> Problem:
    """The problem a record states.

    In mathematics an answer field that is a whole solution ("… #### 42" as in GSM8K, or with a box)
    is read as the answer it states. ``where`` names the record in errors ("problems.jsonl, line
    3"). Raises ``TaskError``.
    """
    level = None if fields.level is None else _value(record, "level", fields.level, where)
    return Problem(
        id=default_id if fields.id is None else _text(record, "id", fields.id, where),
        question=_text(record, "question", fields.question, where),
        answer=fields.reference(_text(record, "answer", fields.answer, where)),
        level=f"Level {_plain(level)}" if isinstance(level, int | float) else level,
    )


def unique(problems: list[Problem], where: str) -> list[Problem]:
    """The same problems. Raises ``TaskError`` where two share an id: results are kept under it."""
    seen: set[str] = set()
    for each in problems:
        if each.id in seen:
            raise TaskError(
                f"{where}: the id {each.id!r} appears twice. Name a field with distinct values as"
                " `id`, or none, and problems are numbered"
            )
        seen.add(each.id)
    return problems


def suggestion(name: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)``, or nothing where no known name is like it."""
    close = closest(name, known, at_least=0.5)
    return f" (did you mean {close!r}?)" if close else ""


def _text(record: Mapping[str, Any], role: str, field: str, where: str) -> str:
    text = _plain(_value(record, role, field, where))
    if not text.strip():
        raise TaskError(f"{where}: the field {field!r} ({role}) is empty")
    return text


def _value(record: Mapping[str, Any], role: str, field: str, where: str) -> str | float:
    if field not in record:
        there = ", ".join(map(str, record)) or "none"
        raise TaskError(
            f"{where}: no field {field!r} for the {role}{suggestion(field, record)};"
            f" the fields there are: {there}. Name the right one with `{role}:`"
        )
    value = record[field]
    if isinstance(value, str):
        if (half := _SURROGATE.search(value)) is not None:
            raise TaskError(
                f"{where}: the field {field!r} ({role}) holds half a character"
                f" (\\u{ord(half[0]):04x}), which no server can be sent. Write the whole character"
            )
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return value
    raise TaskError(
        f"{where}: the field {field!r} ({role}) must be text or a number, not {value!r:.40}"
    )


def _plain(value: str | float) -> str:
    """Text as it is; whole numbers without a fraction, so that 27.0 is "27"."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
