import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.core.budget import Spend
from orchestrator.core.confidence import Confidence
from orchestrator.core.records import POOL, RECORD_FORMAT, Record, Route
from orchestrator.errors import RunError
from orchestrator.formats import jsonlines
from orchestrator.storage.finished import FinishedTrees
from orchestrator.storage.run_directory import RunDirectory
from orchestrator.storage.store import RECORDS, Store, read_records

Make = Callable[..., Record]


def test_what_is_stored_is_read_back_unchanged(tmp_path: Path, make_record: Make) -> None:
    records = [make_record("p0"), make_record("p1", ran_out="requests"), make_record("p1", "other")]
    with Store(tmp_path / "new" / "run") as store:
        for record in records:
            store.add(record)
    assert read_records(tmp_path / "new" / "run") == records


def test_a_record_from_before_knows_the_mean_alone_which_stands_for_every_measure(
    tmp_path: Path, make_record: Make
) -> None:
    with Store(tmp_path) as store:
        store.add(make_record())
    path = tmp_path / RECORDS
    record = json.loads(path.read_bytes())
    for leaf, logprob in zip(record["leaves"], (-0.25, None), strict=False):
        del leaf["confidence"], leaf["question_logprob"]
        leaf["logprob"] = logprob
    path.write_text(json.dumps(record, separators=(",", ":")) + "\n")
    (read,) = read_records(tmp_path)
    assert read.leaves[0].confidence == Confidence.level(-0.25)
    assert [leaf.confidence for leaf in read.leaves[1:]] == [None] * (len(read.leaves) - 1)


def test_a_finished_problem_stays_finished_in_the_next_process(
    tmp_path: Path, make_record: Make
) -> None:
    with Store(tmp_path) as store:
        store.add(make_record("p0"))
        assert store.finished("small/cot") == {"p0"}
    with Store(tmp_path) as store:
        assert store.finished("small/cot") == {"p0"}
        assert store.finished("another cell") == set()


def test_a_failed_problem_is_not_finished_until_it_succeeds(
    tmp_path: Path, make_record: Make
) -> None:
    with Store(tmp_path) as store:
        store.add(make_record("p0", error="gone"))
        assert store.finished("small/cot") == set()
        store.add(make_record("p0"))
        assert store.finished("small/cot") == {"p0"}
    assert read_records(tmp_path) == [make_record("p0")]


@pytest.mark.parametrize("torn", [b'{"cell":"small/c', b'"', "{½".encode()[:2]])
def test_a_torn_last_line_is_dropped_and_written_over(
    tmp_path: Path, make_record: Make, torn: bytes
) -> None:
    with Store(tmp_path) as store:
        store.add(make_record("p0"))
    with (tmp_path / RECORDS).open("ab") as file:
        file.write(torn)
    assert read_records(tmp_path) == [make_record("p0")]
    with Store(tmp_path) as store:
        assert store.finished("small/cot") == {"p0"}
        store.add(make_record("p1"))
    assert read_records(tmp_path) == [make_record("p0"), make_record("p1")]


@pytest.mark.parametrize("written", [None, 1, 99])
def test_records_of_another_format_are_told_as_such_with_what_to_do(
    tmp_path: Path, make_record: Make, written: int | None
) -> None:
    with Store(tmp_path) as store:
        store.add(make_record("p0"))
    good = json.loads((tmp_path / RECORDS).read_text())
    assert good["format"] == RECORD_FORMAT
    other = {key: value for key, value in good.items() if key != "format"}
    # what another format holds besides may be anything
    other = {**other, "leaves": 3} | ({} if written is None else {"format": written})
    (tmp_path / RECORDS).write_text(f"{json.dumps(other)}\n")
    said = rf"records\.jsonl is of format {written or 1}, and this Orchard reads {RECORD_FORMAT}: "
    with pytest.raises(RunError, match=f"{said}read it with .*versions.json.* another --out"):
        read_records(tmp_path)
    with pytest.raises(RunError, match=said):
        Store(tmp_path).__enter__()


@pytest.mark.parametrize("damage", [b"{}\n", b"not json\n", b'{"cell": "\xff"}\n'])
def test_a_damaged_line_is_named(tmp_path: Path, make_record: Make, damage: bytes) -> None:
    with Store(tmp_path) as store:
        store.add(make_record("p0"))
    good = (tmp_path / RECORDS).read_bytes()
    (tmp_path / RECORDS).write_bytes(good + damage + good)
    with pytest.raises(RunError, match=r"records\.jsonl, line 2 is damaged .*: delete that line"):
        read_records(tmp_path)
    with pytest.raises(RunError, match="line 2"):
        Store(tmp_path).__enter__()
    (tmp_path / RECORDS).write_bytes(good)
    with Store(tmp_path) as store:
        assert store.finished("small/cot") == {"p0"}


def test_a_run_directory_has_one_writer_at_a_time(tmp_path: Path, make_record: Make) -> None:
    with Store(tmp_path) as store:
        with pytest.raises(RunError, match="in use by another orchard"):
            Store(tmp_path).__enter__()
        store.add(make_record("p0"))
    with Store(tmp_path) as store:
        assert store.finished("small/cot") == {"p0"}


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"cannot write .*file"):
        Store(tmp_path / "file").__enter__()


class SmallDisk(io.FileIO):
    """A file on a disk with room for so many bytes."""

    room = 1_000_000
    raises = False

    def write(self, content: Any, /) -> int:
        part = content[: max(0, self.room - self.seek(0, io.SEEK_END))]
        if len(part) < len(content) and self.raises:
            super().write(part)
            raise OSError(28, "No space left on device")
        return super().write(part)


@pytest.mark.parametrize("raises", [False, True])
def test_a_full_disk_ends_the_run_and_keeps_every_earlier_record(
    tmp_path: Path, make_record: Make, monkeypatch: pytest.MonkeyPatch, raises: bool
) -> None:
    monkeypatch.setattr(SmallDisk, "raises", raises)
    monkeypatch.setattr(jsonlines.io, "FileIO", SmallDisk)
    with Store(tmp_path) as store:
        store.add(make_record("p0"))
        size = (tmp_path / RECORDS).stat().st_size
        monkeypatch.setattr(SmallDisk, "room", size + 100)
        with pytest.raises(RunError, match=r"No space left on device.*the same command goes on"):
            store.add(make_record("p1"))
        assert store.finished("small/cot") == {"p0"}
        assert (tmp_path / RECORDS).stat().st_size == size
        monkeypatch.setattr(SmallDisk, "room", 1_000_000)
        store.add(make_record("p1"))
    assert read_records(tmp_path) == [make_record("p0"), make_record("p1")]


def test_a_folder_without_records_is_no_run_directory(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="run directory"):
        read_records(tmp_path)


def test_trees_that_lack_answers_are_tried_again_once_a_start(
    tmp_path: Path, make_record: Any
) -> None:
    holes = make_record(problem="p0", n=4, samples=4, ends={"unanswered": 1})
    others = [
        make_record(problem="p1", n=4, samples=4, ends={"failed": 1, "length": 1}),
        make_record(problem="p2", n=1, samples=2, ends={"unanswered": 1}),  # made up for
    ]
    with Store(tmp_path) as store:
        for each in (holes, *others):
            store.add(each)
        assert store.finished(holes.cell) == {"p0", "p1", "p2"}
    with Store(tmp_path) as store:
        store.reopen_holes()
        assert store.finished(holes.cell) == {"p1", "p2"}
        assert store.spent.requests == 2
        store.add(holes)
        assert store.finished(holes.cell) == {"p0", "p1", "p2"}


def pooled(cap: float, problem: str = "p0", **changes: Any) -> dict[str, Any]:
    """What a record says of a tree that a pool of ``cap`` cut."""
    return {"problem": problem, "settings": {"budget": cap}, "ran_out": POOL, **changes}


def test_a_tree_that_a_pool_cut_goes_on_in_a_larger_one_alone(
    tmp_path: Path, make_record: Make
) -> None:
    with Store(tmp_path) as store:
        store.add(make_record(**pooled(100.0)))
        store.add(make_record("p1", settings={"budget": 100.0}))
        cell = make_record().cell
        assert store.finished(cell) == store.finished(cell, 100.0) == {"p0", "p1"}
        assert store.finished(cell, 99.0) == {"p0", "p1"}
        assert store.finished(cell, 100.5) == {"p1"}
        store.reopen(cell, 100.0)
        assert (store.finished(cell), store.spent.requests) == ({"p0", "p1"}, 2)
        store.reopen(cell, 100.5)
        assert (store.finished(cell), store.spent.requests) == ({"p1"}, 1)
        assert store.spent_in[cell].requests == 1


@pytest.mark.parametrize(
    ("changes", "cap", "goes_on"),
    [
        ({}, 200.0, False),
        ({"error": "gone"}, None, True),
        (pooled(100.0), None, False),
        (pooled(100.0), 99.0, False),
        (pooled(100.0), 100.0, False),
        (pooled(100.0), 101.0, True),
        (pooled(100.0, ran_out="tokens"), 101.0, False),
    ],
)
def test_a_tree_is_open_where_it_failed_or_a_smaller_pool_cut_it(
    make_record: Make, changes: dict[str, Any], cap: float | None, goes_on: bool
) -> None:
    record = make_record(**changes)
    finished = FinishedTrees([record]).finished(record.cell, cap)
    assert (record.problem not in finished) is goes_on


def test_what_finished_problems_used_is_counted_by_cell_and_failed_ones_not_at_all(
    tmp_path: Path, make_record: Make
) -> None:
    used = {"policy_tokens": 1, "prompt_tokens": 2, "cached_tokens": 3, "prm_tokens": 4,
            "prm_cached_tokens": 5, "requests": 6, "cost": 7.0}  # fmt: skip
    with Store(tmp_path) as store:
        store.add(make_record("p0", "one", **used))
        store.add(make_record("p1", "two", **used))
        store.add(make_record("p2", "two", **used, error="gone"))
    with Store(tmp_path) as store:
        assert store.spent_in["one"] == store.spent_in["two"] == Spend(**used)
        assert store.spent == Spend(**{kind: 2 * amount for kind, amount in used.items()})


def test_a_directory_is_empty_until_a_problem_is_recorded(
    tmp_path: Path, make_record: Make
) -> None:
    with Store(tmp_path) as store:
        assert store.is_empty
        store.add(make_record(error="gone"))
    with Store(tmp_path) as store:
        assert not store.is_empty


def test_whether_a_process_holds_a_directory_is_seen_from_outside(
    tmp_path: Path, make_record: Make
) -> None:
    with Store(tmp_path) as store:
        store.add(make_record())
        assert RunDirectory(tmp_path).is_in_use
    assert not RunDirectory(tmp_path).is_in_use


def test_how_far_a_routed_problem_had_come_is_known(tmp_path: Path, make_record: Make) -> None:
    route = Route(
        bin="easy", predicted=0.7, strategy="best_of_n", settings={}, vote="majority", rule="paper"
    )
    with Store(tmp_path) as store:
        store.add(make_record("p0", route=route, error="gone"))
        store.add(make_record("p1"))
        cell = make_record().cell
        assert [store.reached(cell, problem) for problem in ("p0", "p1", "p2")] == [1, 0, 0]
