import asyncio
import sqlite3
from pathlib import Path

import pytest

from orchestrator.storage import journal as module
from orchestrator.storage.journal import BATCH_ROWS, JOURNAL, Journal, JournalInfo, journal_info
from tests.unit.orchestrator.storage.journals import (
    KEYS,
    append_rows,
    fill,
    responses_in,
    rows_of,
)


async def test_what_was_appended_is_recalled_by_the_next_process(path: Path) -> None:
    with Journal(path) as journal:
        assert journal.is_empty
        journal.append("tree", KEYS[:2], b'["a","b"]')
        journal.append("other", KEYS[:1], b"[1]")
    assert await rows_of(path) == {KEYS[0]: (b'["a","b"]', 0), KEYS[1]: (b'["a","b"]', 1)}
    assert await rows_of(path, "other") == {KEYS[0]: (b"[1]", 0)}
    assert await rows_of(path, "nothing of it") == {}
    with Journal(path) as journal:
        assert not journal.is_empty


async def test_a_tree_whose_number_is_no_longer_at_hand_goes_on_under_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KNOWN_TREES", 1)
    for session in range(2):
        with Journal(path) as journal:
            for i in range(4):
                key = KEYS[4 * session + i : 4 * session + i + 1]
                journal.append("even" if i % 2 == 0 else "odd", key, b"[%d]" % i)
    assert set(await rows_of(path, "even")) == {KEYS[0], KEYS[2], KEYS[4], KEYS[6]}
    assert set(await rows_of(path, "odd")) == {KEYS[1], KEYS[3], KEYS[5], KEYS[7]}


async def test_of_two_responses_of_one_key_the_first_counts(path: Path) -> None:
    await append_rows(path, 1)
    with Journal(path) as journal:
        journal.append("tree", KEYS[:1], b'["later"]')
    assert await rows_of(path) == {KEYS[0]: (b"[0]", 0)}


async def test_rows_are_written_soon_without_being_asked(path: Path) -> None:
    with Journal(path) as journal:
        journal.append("tree", KEYS[:1], b"[1]")
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as reader:
            async with asyncio.timeout(10):
                while not reader.execute("SELECT count(*) FROM responses").fetchone()[0]:  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
        reader.close()


def test_how_much_it_keeps_can_be_told(path: Path) -> None:
    assert journal_info(path) is None
    fill(path, 7)
    assert journal_info(path) == JournalInfo(size=path.stat().st_size, responses=7, probes_paid=0.0)
    path.write_bytes(b"no database")
    assert journal_info(path) is None


async def test_how_much_it_keeps_can_be_told_while_it_is_written_to(path: Path) -> None:
    with Journal(path) as journal:
        for i in range(2 * BATCH_ROWS):
            journal.append("tree", KEYS[:1], b"[%d]" % i)
        await journal.caught_up()
        assert responses_in(path) == 2 * BATCH_ROWS


async def test_what_probes_cost_is_kept_over_all_starts_and_is_no_response(path: Path) -> None:
    for start in range(3):
        with Journal(path) as journal:
            assert journal.is_empty
            assert (journal.paid, journal.probes_paid) == (0, start * 0.25)
            journal.pay_for_probes(0.25)
            assert journal.probes_paid == (start + 1) * 0.25
    with Journal(path) as journal:
        journal.append("tree", KEYS[:1], b"[1]", 2.0)
    with Journal(path) as journal:
        assert not journal.is_empty
        assert (journal.paid, journal.probes_paid) == (2.0, 0.75)
    kept = journal_info(path)
    assert kept is not None and (kept.responses, kept.probes_paid) == (1, 0.75)


async def test_many_rows_of_many_trees_are_all_there(path: Path) -> None:
    count = 3 * BATCH_ROWS + 7
    with Journal(path) as journal:
        for i in range(count):
            journal.append(f"tree {i % 13}", [KEYS[0]], b"[%d]" % i)
    with sqlite3.connect(path) as database:
        rows = database.execute(
            "SELECT body, name FROM responses JOIN trees ON id = tree ORDER BY responses.rowid"
        ).fetchall()
    database.close()
    assert rows == [(f"[{i}]", f"tree {i % 13}") for i in range(count)]


async def test_trees_wait_for_a_disk_that_is_far_behind(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_ROWS", 1)
    monkeypatch.setattr(module, "MOST_WAITING", 2)
    with Journal(path) as journal:
        for i in range(100):
            journal.append("tree", [KEYS[i]], b"[1]")
            if journal.is_behind:
                await journal.caught_up()
                assert not journal.is_behind
    assert len(await rows_of(path)) == 100


async def test_a_tree_is_read_once_until_it_is_forgotten(path: Path) -> None:
    await append_rows(path)
    with Journal(path) as journal:
        one, two = await asyncio.gather(journal.recall("tree"), journal.recall("tree"))
        assert one is two
        journal.forget("tree")
        assert await journal.recall("tree") == one


async def test_one_who_stops_waiting_does_not_keep_it_from_the_others(path: Path) -> None:
    await append_rows(path)
    with Journal(path) as journal:
        first, second = (asyncio.create_task(journal.recall("tree")) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        assert len(await second) == 3


# Others who read it


def test_a_closed_journal_is_one_file_that_a_read_only_folder_can_open(path: Path) -> None:
    fill(path)
    assert [file.name for file in path.parent.iterdir()] == [JOURNAL]
    path.chmod(0o444)
    path.parent.chmod(0o555)
    try:
        reader = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        assert reader.execute("SELECT count(*) FROM responses").fetchone() == (3,)
        reader.close()
    finally:
        path.parent.chmod(0o755)


async def test_readers_during_a_run_neither_hinder_nor_harm_it(path: Path) -> None:
    with Journal(path) as journal:
        journal.append("tree", KEYS[:1], b"[0]")
        reader = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM responses").fetchone()
        for i in range(1, 2 * BATCH_ROWS):
            journal.append("tree", [KEYS[i % 200]], b"[%d]" % i)
        reader.close()
    assert len(await rows_of(path)) == 200


def test_it_is_as_private_as_the_records_beside_it(path: Path) -> None:
    beside = path.with_name("records.jsonl")
    beside.touch()
    fill(path)
    assert path.stat().st_mode == beside.stat().st_mode


def test_its_size_counts_what_is_not_moved_into_the_one_file_yet(path: Path) -> None:
    fill(path)
    before = journal_info(path)
    path.with_name(f"{JOURNAL}-wal").write_bytes(b"")
    assert journal_info(path) == before
    path.with_name(f"{JOURNAL}-wal").write_bytes(b"0" * 100)
    kept = journal_info(path)
    assert before is not None and kept is not None and kept.size == before.size + 100


async def test_it_is_behind_once_more_batches_wait_than_may(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_ROWS", 1)
    monkeypatch.setattr(module, "MOST_WAITING", 3)
    journal = Journal(path)  # which nobody writes yet
    behind = []
    for i in range(5):
        behind.append(journal.is_behind)
        journal.append("tree", [KEYS[i]], b"[1]")
    assert behind == [False, False, False, False, True]


async def test_a_full_batch_is_handed_over_at_once(path: Path) -> None:
    with Journal(path) as journal:
        for i in range(BATCH_ROWS):
            journal.append("tree", [KEYS[i % 200]], b"[1]")
        await journal.caught_up()
        assert responses_in(path) == BATCH_ROWS
        journal.append("tree", [KEYS[0]], b"[1]")
        await journal.caught_up()
        assert responses_in(path) == BATCH_ROWS


async def test_what_each_response_cost_adds_up_over_all_starts(path: Path) -> None:
    for start in range(2):
        with Journal(path) as journal:
            assert journal.paid == start * 0.875
            journal.append("tree", KEYS[:1], b"[1]", 0.5)
            journal.append("tree", KEYS[1:2], b"[1]", 0.25)
            journal.append("other", (), b"", 0.125)
    with Journal(path) as journal:
        assert journal.paid == 1.75
        assert journal.knows("other") and await journal.recall("other") == {}


async def test_probes_that_cost_nothing_leave_no_trace(path: Path) -> None:
    with Journal(path) as journal:
        journal.pay_for_probes(0.0)
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*) FROM trees").fetchone() == (0,)
    database.close()


async def test_of_what_one_response_holds_each_part_has_its_place(path: Path) -> None:
    with Journal(path) as journal:
        journal.append("tree", KEYS[:3], b"[1,2,3]")
    found = await rows_of(path)
    assert [found[key] for key in KEYS[:3]] == [(b"[1,2,3]", part) for part in range(3)]
