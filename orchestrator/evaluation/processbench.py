"""ProcessBench's files (Zheng et al. 2024): one labelled solution a line."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec

from orchestrator.errors import TaskError
from orchestrator.evaluation.samples import ALL_RIGHT, DataSet, LabelledSolution

_decode = msgspec.json.Decoder(LabelledSolution).decode


def read(path: Path, limit: int | None = None) -> DataSet:
    """The first ``limit`` samples of a file (by default all), in order.

    Raises ``TaskError``, which names the file, the line and the field.
    """
    samples: dict[str, LabelledSolution] = {}
    for where, line in islice(_lines(path), limit):
        sample = _sample(line, where)
        if sample.id in samples:
            raise TaskError(f"{where}: the id {sample.id!r} appears twice: give each its own `id`")
        samples[sample.id] = sample
    if not samples:
        raise TaskError(f"{path}: the file is empty; it must hold one labelled solution a line")
    return DataSet(name=path.stem, samples=tuple(samples.values()), note=str(path))


def _lines(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TaskError(
            f"{path}: cannot be read: {error.strerror}; name a file of ProcessBench's format, or"
            " `--data chains`"
        ) from error
    if content.lstrip().startswith(b"["):
        raise TaskError(
            f"{path}: is one JSON array; write one object a line: jq -c '.[]' {path.name} >"
            f" {path.stem}.jsonl"
        )
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if line.strip():
            yield f"{path}, line {number}", line


def _sample(line: bytes, where: str) -> LabelledSolution:
    try:
        sample = _decode(line)
    except msgspec.ValidationError as error:
        raise TaskError(f"{where}: {_in_plain_words(str(error))}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TaskError(
            f"{where}: not valid JSON: {error}. Each line must be one whole JSON object"
        ) from None
    if not sample.problem.strip():
        raise TaskError(f"{where}: the field 'problem' is empty")
    if not sample.steps:
        raise TaskError(f"{where}: the field 'steps' is empty: a solution has at least one step")
    for number, step in enumerate(sample.steps):
        if not step.strip():
            raise TaskError(f"{where}: the field 'steps' has an empty step, number {number}")
    if not ALL_RIGHT <= sample.label < len(sample.steps):
        raise TaskError(
            f"{where}: the field 'label' is {sample.label}, and the steps are numbered 0 to"
            f" {len(sample.steps) - 1}: name the first wrong one, or -1 where all are right"
        )
    return sample


def _in_plain_words(message: str) -> str:
    """Put the field first in msgspec's ``Expected `int`, got `str` - at `$.label```."""
    missing = message.removeprefix("Object missing required field ")
    if missing != message:
        field = missing.split("`")[1]
        return f"no field {field!r}; needed are id, problem, steps and label"
    complaint, at, place = message.partition(" - at ")
    field = place.strip("`").removeprefix("$.") if at else ""
    what = complaint.replace("`", "")
    what = what[0].lower() + what[1:]
    return f"the field {field!r}: {what}" if field else f"{what}: each line must be an object"
