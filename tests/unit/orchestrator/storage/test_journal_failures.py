"""Journals that are damaged, foreign, locked or cannot be written."""

import asyncio
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import RunError
from orchestrator.storage import journal as module
from orchestrator.storage.journal import BATCH_ROWS, JOURNAL, Journal
from tests.unit.orchestrator.storage.journals import (
    KEYS,
    append_rows,
    fill,
    recalled,
    recalled_in_a_thread,
    responses_in,
    rows_of,
)

# What can be wrong with it


@pytest.mark.parametrize("damage", ["noise", "text", "truncated"])
def test_a_damaged_journal_is_explained_and_left_alone(path: Path, damage: str) -> None:
    fill(path, 300)
    content = bytearray(path.read_bytes())
    if damage == "noise":
        content[5000:9000] = bytes(4000)
    elif damage == "text":
        content[:] = b"no database at all\n" * 100
    else:
        del content[len(content) // 2 :]
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"journal\.sqlite is damaged .*move it away.*goes on"):
        recalled(path)
    assert path.read_bytes() == content


async def test_a_torn_write_ahead_log_loses_its_last_batches_alone(path: Path) -> None:
    torn = path.with_name("torn.sqlite")
    with Journal(path) as journal:
        for i in range(3 * BATCH_ROWS):
            journal.append("tree", [KEYS[i % 200]], b"[%d]" % i)
        await journal.caught_up()
        for end in ("", "-wal"):
            shutil.copy(f"{path}{end}", f"{torn}{end}")
    log = Path(f"{torn}-wal").read_bytes()  # noqa: ASYNC240
    Path(f"{torn}-wal").write_bytes(log[: 3 * len(log) // 4])  # noqa: ASYNC240
    assert len(await rows_of(torn)) == 200
    assert responses_in(torn) in (BATCH_ROWS, 2 * BATCH_ROWS)


def test_a_response_that_was_changed_is_never_used(path: Path) -> None:
    fill(path)
    content = path.read_bytes()
    assert content.count(b"[1]") == 1
    path.write_bytes(content.replace(b"[1]", b"[7]"))
    with pytest.raises(RunError, match="does not match its checksum"):
        recalled(path)


def test_a_journal_of_another_version_is_named_and_not_touched(path: Path) -> None:
    fill(path)
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 1")
    database.close()
    content = path.read_bytes()
    with pytest.raises(RunError, match=r"of format 1, and this Orchard reads \d: go on with"):
        recalled(path)
    assert path.read_bytes() == content


def test_another_programs_database_is_not_touched(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE mine (x)")
    database.close()
    content = path.read_bytes()
    with pytest.raises(RunError, match="no journal of Orchard"):
        recalled(path)
    assert path.read_bytes() == content


def test_a_journal_locked_by_another_program_is_explained(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PATIENCE_S", 0.05)
    fill(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(RunError, match="is locked by another program: close it"):
        fill(path)
    other.close()
    fill(path)


async def test_a_lock_taken_during_the_run_stops_it_and_keeps_what_is_there(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PATIENCE_S", 0.05)
    await append_rows(path)
    with pytest.raises(RunError, match="is locked by another program"), Journal(path) as journal:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        journal.append("tree", KEYS[9:10], b"[9]")
    other.close()
    assert len(await rows_of(path)) == 3


async def test_a_full_disk_stops_the_run_at_its_next_response_and_keeps_what_is_there(
    path: Path,
) -> None:
    await append_rows(path)

    async def until_full(journal: Journal) -> None:
        assert journal._connection is not None
        journal._connection.execute("PRAGMA max_page_count = 8")  # SQLite's own full disk
        for i in range(100):
            journal.append("tree", [KEYS[i]], b'["%s"]' % (b"x" * 2000))
            await asyncio.sleep(0.005)

    with (
        pytest.raises(RunError, match=r"cannot write .*full; make room .* the same command"),
        Journal(path) as journal,
    ):
        await until_full(journal)
    assert len(await rows_of(path)) >= 3


async def test_what_cannot_be_written_whatever_the_reason_stops_the_run_and_leaves_nobody_waiting(
    path: Path,
) -> None:
    async with asyncio.timeout(5):
        with (
            pytest.raises(RunError, match=r"journal\.sqlite cannot be used .*Unicode"),
            Journal(path) as journal,
        ):
            journal.append("tree", KEYS[:1], b"[1]")
            journal._flush()
            journal.append("half a \ud83d character", KEYS[:1], b"[1]")
            journal._flush()
            await journal.caught_up()
            journal.append("tree", KEYS[1:2], b"[2]")
    assert recalled_in_a_thread(path) == {KEYS[0]: (b"[1]", 0)}


async def test_what_cannot_be_read_whatever_the_reason_is_told_to_who_waits(path: Path) -> None:
    await append_rows(path)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE responses SET keys = 7")
    database.close()
    async with asyncio.timeout(5):
        with Journal(path) as journal:
            for _ in range(2):
                with pytest.raises(RunError, match="cannot be used"):
                    await journal.recall("tree")


async def test_a_failure_at_the_very_end_is_told_unless_the_run_failed_already(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: Any) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(Journal, "_insert", fails)
    with pytest.raises(RunError, match="disk I/O error"):
        await append_rows(path)
    with pytest.raises(KeyError), Journal(path) as journal:
        journal.append("tree", KEYS[:1], b"[]")
        raise KeyError


async def test_a_folder_that_cannot_be_written_is_named(path: Path) -> None:
    with pytest.raises(RunError, match=r"cannot write .*unable to open"):
        await append_rows(path.parent / "nowhere" / JOURNAL)
