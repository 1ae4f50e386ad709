"""The kinds of task by name, and tasks of one's own by the name of their class."""

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any

from orchestrator.core.task import Task
from orchestrator.errors import ConfigError
from orchestrator.formats.class_names import load_class
from orchestrator.tasks.math.task import MathTask

TASKS: dict[str, type[Task]] = {"math": MathTask}

DEFAULT = "math"
"""What grades the named data sets, and files whose config names no kind."""


def task_class(kind: str) -> type[Task]:
    """The class of a kind in ``TASKS``, or the one called ``module:Name``.

    Raises ``ConfigError`` for a class that is no task.
    """
    if kind in TASKS:
        return TASKS[kind]
    found = load_class(kind)
    for method in ("extract", "same", "grade", "is_complete", "instruction"):
        if not hasattr(found, method):
            raise ConfigError(
                f"{kind} is no task: it has no `{method}`; derive it from orchestrator.Task"
            )
    return found


def made(kind: type[Task], options: Mapping[str, Any]) -> Task:
    """A task with its options. Raises ``ConfigError`` for those that it does not take."""
    known = list(inspect.signature(kind).parameters)
    for key in options:
        if key not in known:
            takes = f"those it takes are {', '.join(known)}" if known else "it takes none"
            raise ConfigError(f"{kind.__name__} takes no option {key!r}: {takes}")
    try:
        return kind(**options)
    except TypeError as error:
        raise ConfigError(
            f"{kind.__name__} cannot be made: set its `options`, or give them defaults ({error})"
        ) from None


def options_of(task: Task) -> dict[str, Any]:
    """The options that a task was made with, without those left at their defaults.

    Raises ``ConfigError`` for a class that takes options and does not keep them: no dataclass.
    """
    kind = type(task)
    if not dataclasses.is_dataclass(task):
        if inspect.signature(kind).parameters:
            raise ConfigError(
                f"{kind.__name__} takes options: make it a dataclass, so that a run keeps them"
            )
        return {}
    values = {
        field.name: (getattr(task, field.name), _default(field))
        for field in dataclasses.fields(task)
        if field.init
    }
    return {name: value for name, (value, default) in values.items() if value != default}


def _default(field: "dataclasses.Field[Any]") -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default
