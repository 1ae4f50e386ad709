"""Problems from where a config would take them."""

from pathlib import Path

from pydantic import ValidationError

from orchestrator.config.run import TaskConfig
from orchestrator.config.sections import one_line
from orchestrator.core.problem import Problem
from orchestrator.errors import ConfigError
from orchestrator.wiring.problem_sets import problems


def load_problems(
    source: str | Path,
    *,
    first: int | None = None,
    skip: int = 0,
    question: str = "question",
    answer: str = "answer",
    id: str | None = None,
    level: str | None = None,
    seed: int = 2026,
) -> list[Problem]:
    """The problems of a data set by its name ("math500", "aime24", "amc23"), of a task that the
    embedded models know ("chains", drawn with ``seed``), or of a file of JSON lines at a ``Path``.

    ``first`` takes so many, after those to ``skip``. ``question``, ``answer``, ``id`` and ``level``
    name the fields of a file. Raises ``TaskError`` or ``ConfigError``.
    """
    where = {"path": source} if isinstance(source, Path) else {"name": source}
    fields = {"question": question, "answer": answer, "id": id, "level": level}
    try:
        task = TaskConfig.model_validate(
            {**where, **fields, "problems": first, "skip": skip, "seed": seed}
        )
    except ValidationError as error:
        raise ConfigError(f"load_problems: {one_line(error)}") from None
    return problems(task)
