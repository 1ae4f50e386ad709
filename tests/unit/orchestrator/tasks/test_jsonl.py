import json
from pathlib import Path

import pytest

from orchestrator.core.problem import Problem
from orchestrator.errors import TaskError
from orchestrator.tasks import jsonl
from orchestrator.tasks.records import Fields

FIELDS = Fields(question="problem", answer="answer")


def write(folder: Path, *lines: str | bytes, name: str = "mine.jsonl") -> Path:
    path = folder / name
    path.write_bytes(
        b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines)
    )
    return path


def row(**fields: object) -> str:
    return json.dumps({"problem": "1+1?", "answer": "2", **fields})


def refusal(path: Path, fields: Fields = FIELDS) -> str:
    with pytest.raises(TaskError) as caught:
        jsonl.read(path, fields)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_each_line_is_a_problem_called_after_the_file_and_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, row(), "", row(problem="2+2?", answer="4"), "")
    assert jsonl.read(path, FIELDS) == [
        Problem(id="mine/1", question="1+1?", answer="2"),
        Problem(id="mine/3", question="2+2?", answer="4"),
    ]


def test_named_fields_give_id_and_level(tmp_path: Path) -> None:
    path = write(tmp_path, row(key="a", grade="Level 3"), row(key=7, grade=4))
    read = jsonl.read(path, Fields(question="problem", answer="answer", id="key", level="grade"))
    assert [(p.id, p.level) for p in read] == [("a", "Level 3"), ("7", "Level 4")]


@pytest.mark.parametrize("field", ["problem", "answer", "key", "grade"])
def test_half_a_character_is_refused_with_its_line_and_field(tmp_path: Path, field: str) -> None:
    fields = Fields(question="problem", answer="answer", id="key", level="grade")
    good = {"key": "a", "grade": "hard \N{GRINNING FACE}"}
    path = write(tmp_path, row(**good), row(**{**good, "key": "b", field: "a \ud83d b"}))
    said = refusal(path, fields)
    assert "line 2" in said and repr(field) in said and "\\ud83d" in said


def test_the_limit_takes_the_first_problems_and_reads_no_further(tmp_path: Path) -> None:
    path = write(tmp_path, row(), row(), "broken")
    assert len(jsonl.read(path, FIELDS, limit=2)) == 2


@pytest.mark.parametrize(
    ("value", "answer"), [(27.0, "27"), (27, "27"), (-1.0, "-1"), (0.5, "0.5"), ("025", "025")]
)
def test_answers_that_are_numbers_lose_an_empty_fraction(
    tmp_path: Path, value: object, answer: str
) -> None:
    (problem,) = jsonl.read(write(tmp_path, row(answer=value)), FIELDS)
    assert problem.answer == answer


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    path = write(tmp_path, b"\xef\xbb\xbf" + row().encode() + b"\r", row() + "\r")
    assert len(jsonl.read(path, FIELDS)) == 2


def test_a_line_separator_within_a_text_ends_no_line(tmp_path: Path) -> None:
    path = write(tmp_path, '{"problem": "a\u2028b", "answer": "2"}')
    assert jsonl.read(path, FIELDS)[0].question == "a\u2028b"


def test_a_missing_field_names_line_fields_and_the_nearest(tmp_path: Path) -> None:
    path = write(tmp_path, row(), '{"problems": "?", "answer": "2"}')
    message = refusal(path)
    assert "line 2" in message
    assert "no field 'problem'" in message
    assert "did you mean 'problems'?" in message
    assert "problems, answer" in message


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"problem": ', "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ('["problem", "answer"]', "must be a JSON object with fields, not list"),
        ("3", "not int"),
        (b'{"problem": "\xff"}', "not UTF-8 at byte 14"),
        (row(answer=["2"]), "must be text or a number"),
        (row(answer=None), "must be text or a number"),
        (row(answer=True), "must be text or a number"),
        ('{"problem": "?", "answer": NaN}', "must be text or a number"),
        (row(problem="  "), "is empty"),
        (row(answer=""), "is empty"),
    ],
)
def test_a_broken_line_is_named_with_its_number(
    tmp_path: Path, line: str | bytes, says: str
) -> None:
    message = refusal(write(tmp_path, row(), line))
    assert "line 2" in message
    assert says in message


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    assert "is empty" in refusal(write(tmp_path, "", ""))


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, row(), name="math500.jsonl")
    message = refusal(tmp_path / "math50.jsonl")
    assert "no such file" in message
    assert "math500.jsonl" in message


def test_a_missing_folder_is_said_to_be_missing(tmp_path: Path) -> None:
    assert "nor is there a folder" in refusal(tmp_path / "nowhere" / "x.jsonl")


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path)


def test_two_problems_cannot_share_an_id(tmp_path: Path) -> None:
    path = write(tmp_path, row(key="a"), row(key="a"))
    fields = Fields(question="problem", answer="answer", id="key")
    assert "'a' appears twice" in refusal(path, fields)


@pytest.mark.parametrize(
    ("field", "answer"),
    [
        ("She sold 48/2 = <<48/2=24>>24 clips.\nIn all 48+24 = <<48+24=72>>72.\n#### 72", "72"),
        ("It is cheaper by 1,200.\n#### 1,200", "1,200"),
        (r"We see that $x^2=4$, so $x=\boxed{\frac{1}{2}}$.", r"\frac{1}{2}"),
        (r"First \boxed{3}? No: \boxed{4}.", "4"),
        (r"\text{June 4}", r"\text{June 4}"),
        ("# 3", "# 3"),
    ],
)
def test_a_whole_solution_in_the_answer_field_is_read_as_the_answer_it_states(
    tmp_path: Path, field: str, answer: str
) -> None:
    (problem,) = jsonl.read(write(tmp_path, row(answer=field)), FIELDS)
    assert problem.answer == answer
