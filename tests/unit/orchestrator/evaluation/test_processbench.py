import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import TaskError
from orchestrator.evaluation.processbench import read

GOOD: dict[str, Any] = {
    "id": "gsm8k-0",
    "generator": "Qwen2-7B-Instruct",
    "problem": "What is 1 + 1?",
    "steps": ["1 + 1 = 3.", "The answer is 3."],
    "final_answer_correct": False,
    "label": 0,
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "gsm8k.jsonl"


def write(file: Path, *lines: dict[str, Any] | str) -> None:
    file.write_text("\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines) + "\n")


def test_a_file_is_read_as_processbench_writes_it(file: Path) -> None:
    write(file, GOOD, "", GOOD | {"id": "gsm8k-1", "label": -1, "more": 1})
    data = read(file)
    first, second = data.samples
    assert (data.name, first.id, first.problem) == ("gsm8k", "gsm8k-0", "What is 1 + 1?")
    assert first.steps == ("1 + 1 = 3.", "The answer is 3.")
    assert (first.generator, first.final_answer_correct) == ("Qwen2-7B-Instruct", False)
    assert (first.label, first.is_right, first.known_steps) == (0, False, 1)
    assert (second.label, second.is_right, second.known_steps) == (-1, True, 2)


def test_the_fields_that_are_not_measured_may_be_missing(file: Path) -> None:
    needed = ("id", "problem", "steps", "label")
    write(file, {key: GOOD[key] for key in needed})
    (sample,) = read(file).samples
    assert (sample.generator, sample.final_answer_correct) == ("", None)


def test_the_first_so_many_samples_can_be_asked_for(file: Path) -> None:
    write(file, *(GOOD | {"id": str(i)} for i in range(5)))
    assert [sample.id for sample in read(file, 2).samples] == ["0", "1"]


def without(field: str) -> dict[str, Any]:
    return {key: value for key, value in GOOD.items() if key != field}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (without("steps"), "no field 'steps'; needed are id, problem, steps and label"),
        (without("label"), "no field 'label'"),
        (GOOD | {"steps": "one text"}, "the field 'steps': expected array, got str"),
        (GOOD | {"steps": ["fine", 3]}, "the field 'steps[1]': expected str, got int"),
        (GOOD | {"steps": []}, "the field 'steps' is empty"),
        (GOOD | {"steps": ["fine", " "]}, "the field 'steps' has an empty step, number 1"),
        (GOOD | {"label": "0"}, "the field 'label': expected int, got str"),
        (GOOD | {"label": 2}, "the field 'label' is 2, and the steps are numbered 0 to 1"),
        (GOOD | {"label": -2}, "or -1 where all are right"),
        (GOOD | {"problem": "\n"}, "the field 'problem' is empty"),
        (GOOD | {"id": 7}, "the field 'id': expected str, got int"),
        (GOOD | {"id": "a"}, "the id 'a' appears twice"),
        ('{"id": ', "not valid JSON"),
        ('"text"', "expected object, got str"),
    ],
)
def test_a_mistake_is_named_with_its_file_line_and_field(
    file: Path, line: dict[str, Any] | str, says: str
) -> None:
    write(file, GOOD | {"id": "a"}, line)
    with pytest.raises(TaskError) as complaint:
        read(file)
    assert str(complaint.value).startswith(f"{file}, line 2: ")
    assert says in str(complaint.value)
    assert "\n" not in str(complaint.value)


def test_an_array_is_told_how_to_become_lines(file: Path) -> None:
    file.write_text(json.dumps([GOOD]))
    with pytest.raises(TaskError, match=r"is one JSON array; .*jq -c '\.\[\]'"):
        read(file)


def test_a_file_without_samples_or_without_a_file_is_named(file: Path) -> None:
    with pytest.raises(TaskError, match=r"gsm8k\.jsonl: cannot be read: No such file"):
        read(file)
    file.write_text("\n")
    with pytest.raises(TaskError, match=r"gsm8k\.jsonl: the file is empty"):
        read(file)


def test_the_digest_follows_what_a_prm_reads_and_nothing_else(file: Path) -> None:
    write(
        file,
        GOOD,
        GOOD | {"id": "b", "label": 1, "generator": "another"},
        GOOD | {"id": "c", "steps": ["1 + 1 = 3. The answer is 3."]},
        GOOD | {"id": "d", "problem": "What is 2 + 1?"},
    )
    same, also, *others = [sample.digest for sample in read(file).samples]
    assert same == also and len({same, *others}) == 3
