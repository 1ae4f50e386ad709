"""Orchard as a person meets it: the installed command, in a folder of its own, beside a server."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.misbehaving import Server, running_beside

KEY = "sk-orchard-secret"
ORCHARD = Path(sys.executable).with_name("orchard")
DRAWING = ("run", "resume")
SEARCH = {"n": 4, "width": 2, "max_depth": 4, "max_tokens": 24}


@dataclass(frozen=True, slots=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line a failed command leaves on stderr, with its exit code checked."""
        assert self.code == 1, self
        assert self.err.startswith("orchard: ") and self.err.endswith("\n"), self
        assert self.err.count("\n") == 1, self
        assert "Traceback" not in self.out
        return self.err


@dataclass(frozen=True, slots=True)
class Person:
    """Someone in the folder ``home``; ``server`` answers for every model of their config."""

    home: Path
    server: Server
    environment: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def start(self, *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
        """The command under way; it is killed where the block leaves it running.

        It draws no figures, which would take most of its time, unless `--figures` asks for them.
        """
        quick = arguments[:1] and arguments[0] in DRAWING and "--figures" not in arguments
        with subprocess.Popen(
            [ORCHARD, *map(str, arguments), *(["--no-figures"] if quick else [])],
            cwd=self.home,
            env={**os.environ, "COLUMNS": "80", "NO_COLOR": "1", **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def orchard(self, *arguments: str | Path) -> Outcome:
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=60)
        return Outcome(process.returncode, out, err)

    def write(self, name: str, content: str) -> Path:
        path = self.home / name
        path.write_text(content)
        return path

    def problems(self, count: int = 4, name: str = "problems.jsonl") -> Path:
        lines = [
            json.dumps({"question": f"What is {i} + {i}?", "answer": str(i % 3)})
            for i in range(count)
        ]
        return self.write(name, "\n".join(lines) + "\n")

    def config(self, **sections: Any) -> dict[str, Any]:
        """A config that works: both searches, majority voting and CoT, on four problems."""
        if not (self.home / "problems.jsonl").exists():
            self.problems()
        at = {"url": self.server.url, "prompt": "tiny"}
        return {
            "task": {"path": "problems.jsonl"},
            "policies": {"policy": {**at, "parameters": 1000}, "large": {**at, "parameters": 9000}},
            "prms": {"prm": {"url": self.server.url, "family": "qwen_math"}},
            "cells": [
                {"policy": ["policy", "large"], "strategy": "cot"},
                {"policy": "policy", "strategy": "majority", "n": 4},
                {
                    "policy": "policy", "prm": "prm", "strategy": ["beam_search", "dvts"],
                    **SEARCH,
                },
            ],
            "headline": {
                "small": "policy", "prm": "prm", "strategy": "beam_search", "n": 4,
                "vote": "max_last", "large": "large",
            },
            **sections,
        }  # fmt: skip

    def write_config(self, name: str = "run.yaml", **sections: Any) -> Path:
        return self.write(name, yaml.safe_dump(self.config(**sections), sort_keys=False))

    def records(self, run: str = "runs/run") -> list[dict[str, Any]]:
        text = (self.home / run / "records.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def journaled(self, run: str = "runs/run") -> int:
        """How many responses a run's journal keeps; read as anyone may, while it runs too."""
        path = self.home / run / "journal.sqlite"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            return int(database.execute("SELECT count(*) FROM responses").fetchone()[0])


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Person]:
    with running_beside() as server:
        yield Person(tmp_path, server)
