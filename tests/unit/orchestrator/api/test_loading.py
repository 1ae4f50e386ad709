from pathlib import Path

import pytest

import orchestrator as orchard


def test_a_generated_task_is_known_by_its_name() -> None:
    both = orchard.load_problems("chains", first=2)
    assert len(both) == 2 and all(each.question and each.answer for each in both)
    assert orchard.load_problems("chains", first=1, skip=1) == both[1:]


def test_a_file_is_known_by_its_path_and_its_fields(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text('{"problem": "What is 1 + 1?", "solution": "2", "name": "one"}\n')
    found = orchard.load_problems(path, question="problem", answer="solution", id="name")
    assert found == [orchard.Problem(id="one", question="What is 1 + 1?", answer="2")]


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(orchard.TaskError, match="no task is called 'mth500'"):
        orchard.load_problems("mth500")
    with pytest.raises(orchard.TaskError, match=r"none\.jsonl"):
        orchard.load_problems(tmp_path / "none.jsonl")
    with pytest.raises(orchard.ConfigError, match="problems"):
        orchard.load_problems("chains", first=0)
