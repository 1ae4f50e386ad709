import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.core.problem import Problem
from orchestrator.errors import TaskError
from orchestrator.tasks.datasets import NAMED, TaskSource, load
from orchestrator.tasks.records import Fields


def hub(monkeypatch: pytest.MonkeyPatch, rows: list[dict[str, Any]] | Exception) -> list[Any]:
    """Stand in for the hub's client; returns the calls made."""
    calls: list[Any] = []

    def load_dataset(name: str, *, split: str) -> list[dict[str, Any]]:
        calls.append((name, split))
        if isinstance(rows, Exception):
            raise rows
        return rows

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    return calls


def refusal(source: TaskSource) -> str:
    with pytest.raises(TaskError) as caught:
        load(source)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_math500_reads_its_hub_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"problem": "?", "answer": "2", "level": 3, "unique_id": "test/algebra/1.json"}
    calls = hub(monkeypatch, [row])
    assert load(TaskSource(name="math500")) == [
        Problem(id="test/algebra/1.json", question="?", answer="2", level="Level 3")
    ]
    assert calls == [("HuggingFaceH4/MATH-500", "test")]


def test_aime24_reads_its_hub_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = hub(monkeypatch, [{"ID": "2024-II-4", "Problem": "?", "Solution": "…", "Answer": 33}])
    assert load(TaskSource(name="aime24")) == [Problem(id="2024-II-4", question="?", answer="33")]
    assert calls == [("Maxwell-Jia/AIME_2024", "train")]


def test_amc23_numbers_its_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    hub(monkeypatch, [{"id": 0, "question": "?", "answer": "27.0", "url": "…"}] * 3)
    assert [p.id for p in load(TaskSource(name="amc23", limit=2))] == ["amc23/1", "amc23/2"]


def test_without_the_package_the_message_says_how_to_install_it_or_do_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    message = refusal(TaskSource(name="math500"))
    assert "pip install 'orchard-tts[datasets]'" in message
    assert "`task: {path: problems.jsonl, question: problem, answer: answer}`" in message


@pytest.mark.parametrize(("offline", "says"), [("1", "HF_HUB_OFFLINE is set"), ("0", "network")])
def test_without_a_connection_the_message_names_hub_and_remedy(
    monkeypatch: pytest.MonkeyPatch, offline: str, says: str
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", offline)
    hub(monkeypatch, ConnectionError("no route\nlong trace"))
    message = refusal(TaskSource(name="math500"))
    assert "HuggingFaceH4/MATH-500" in message
    assert "no route" in message
    assert says in message
    assert "task: {path:" in message


def test_a_hub_row_without_the_field_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    hub(monkeypatch, [{"problem": "?", "Answer": "2", "unique_id": "a", "level": 1}])
    message = refusal(TaskSource(name="math500"))
    assert "row 1" in message
    assert "did you mean 'Answer'?" in message


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    message = refusal(TaskSource(name="Math-500"))
    assert "did you mean 'math500'?" in message
    assert "aime24, amc23, math500" in message


def test_tasks_can_be_added_by_whoever_calls() -> None:
    def chains(limit: int | None) -> list[Problem]:
        return [Problem(id=str(i), question="?", answer="1") for i in range(limit or 9)]

    problems = load(TaskSource(name="chains", limit=2), {**NAMED, "chains": chains})
    assert [p.id for p in problems] == ["0", "1"]


def test_a_path_is_read_by_its_fields(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text('{"problem": "?", "answer": 27.0}\n', encoding="utf-8")
    source = TaskSource(path=path, fields=Fields(question="problem"))
    assert load(source) == [Problem(id="mine/1", question="?", answer="27")]


@pytest.mark.parametrize("source", [TaskSource(), TaskSource(name="math500", path=Path("x.jsonl"))])
def test_a_task_is_either_a_name_or_a_path(source: TaskSource) -> None:
    assert "either a name or a path" in refusal(source)


def test_a_task_has_at_least_one_problem() -> None:
    assert "at least 1 problem" in refusal(TaskSource(name="math500", limit=0))
