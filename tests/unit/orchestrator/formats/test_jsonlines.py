from pathlib import Path

import pytest
from msgspec.json import Decoder

from orchestrator.errors import RunError
from orchestrator.evaluation.scoring import StoredScores
from orchestrator.formats.jsonlines import JsonLines

ONE = StoredScores(judge="prm", digest="a", scores=(0.5, 1.0), tokens=7)
TWO = StoredScores(judge="prm", digest="b", scores=(0.25,), tokens=3)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "scores.jsonl"


def test_what_is_added_is_there_the_next_time(path: Path) -> None:
    with JsonLines(path, Decoder(StoredScores).decode) as journal:
        assert journal.read() == []
        journal.add(ONE)
        journal.add(TWO)
        assert journal.read() == [ONE, TWO]
    with JsonLines(path, Decoder(StoredScores).decode) as journal:
        assert journal.read() == [ONE, TWO]


def test_a_line_that_a_killed_process_left_half_written_is_dropped(path: Path) -> None:
    with JsonLines(path, Decoder(StoredScores).decode) as journal:
        journal.add(ONE)
    with path.open("ab") as file:
        file.write(b'{"judge": "prm", "dig')
    with JsonLines(path, Decoder(StoredScores).decode) as journal:
        assert journal.read() == [ONE]
        journal.add(TWO)
    with JsonLines(path, Decoder(StoredScores).decode) as journal:
        assert journal.read() == [ONE, TWO]


def test_a_damaged_line_is_named(path: Path) -> None:
    path.parent.mkdir()
    path.write_text('{"judge": 1}\n')
    with (
        JsonLines(path, Decoder(StoredScores).decode) as lines,
        pytest.raises(RunError, match=r"scores\.jsonl, line 1 is damaged .*: delete that line"),
    ):
        lines.read()


def test_two_evaluations_do_not_share_a_directory(path: Path) -> None:
    with (
        JsonLines(path, Decoder(StoredScores).decode),
        pytest.raises(RunError, match="in use by another orchard: wait for it"),
    ):
        JsonLines(path, Decoder(StoredScores).decode).__enter__()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"cannot write .*; name another --out"):
        JsonLines(tmp_path / "file" / "scores.jsonl", Decoder(StoredScores).decode).__enter__()
