"""The kinds of task by name, and tasks of one's own by the name of their class."""

from orchestrator.core.task import Task
from orchestrator.errors import ConfigError
from orchestrator.formats.class_names import load_class
from orchestrator.tasks.math.task import MathTask

TASKS: dict[str, type[Task]] = {"math": MathTask}

DEFAULT = "math"
"""What grades the named data sets, and files whose config names no kind."""


def task(kind: str) -> Task:
    """The task of a kind in ``TASKS``, or of the class called ``module:Name``.

    Raises ``ConfigError`` for a class that is no task, or that cannot be made without arguments.
    """
    made = TASKS.get(kind) or load_class(kind)
    for method in ("extract", "same", "grade", "is_complete", "instruction"):
        if not hasattr(made, method):
            raise ConfigError(
                f"{kind} is no task: it has no `{method}`; derive it from orchestrator.Task"
            )
    try:
        found: Task = made()
    except TypeError as error:
        raise ConfigError(
            f"{kind} cannot be made without arguments: give each of them a default ({error})"
        ) from None
    return found
