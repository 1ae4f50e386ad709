"""Journals with rows in them."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from orchestrator.storage.journal import Journal, journal_info

KEYS = [bytes([i]) * 16 for i in range(200)]


async def append_rows(path: Path, rows: int = 3, tree: str = "tree") -> None:
    with Journal(path) as journal:
        for i in range(rows):
            journal.append(tree, [KEYS[i % 200]], b"[%d]" % i)


async def rows_of(path: Path, tree: str = "tree") -> dict[bytes, tuple[bytes, int]]:
    with Journal(path) as journal:
        return dict(await journal.recall(tree)) if journal.knows(tree) else {}


def fill(path: Path, rows: int = 3) -> None:
    asyncio.run(append_rows(path, rows))


def recalled(path: Path) -> dict[bytes, tuple[bytes, int]]:
    return asyncio.run(rows_of(path))


def recalled_in_a_thread(path: Path) -> dict[bytes, tuple[bytes, int]]:
    with ThreadPoolExecutor() as pool:
        return pool.submit(recalled, path).result()


def responses_in(path: Path) -> int:
    kept = journal_info(path)
    assert kept is not None
    return kept.responses
