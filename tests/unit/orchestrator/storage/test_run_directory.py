import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.core.problem import Problem
from orchestrator.core.records import Record, Route
from orchestrator.errors import ConfigError, OtherConfig, RunError
from orchestrator.storage.manifest import Kind, Manifest
from orchestrator.storage.run_directory import RunDirectory

Make = Callable[..., Record]
IDENTITY: dict[str, Any] = {"seed": 0, "policies": {"small": {"model": "a"}}, "prms": {}}


@dataclass(frozen=True)
class Named:
    name: str


@dataclass(frozen=True)
class Cell:
    id: str
    policy: Named
    problems: int | None = None
    cap: float | None = None


@dataclass(frozen=True)
class Plan:
    cells: list[Cell]
    problems: list[Problem]


SMALL, LARGE = Named("small"), Named("large")
PROBLEMS = [Problem(id=f"p{i}", question="?", answer="1") for i in range(3)]


def remaining(directory: RunDirectory, *cells: Cell) -> list[str]:
    found = directory.remaining(Plan(list(cells), PROBLEMS))
    return [f"{cell.id} {problem.id}" for cell, problem in found]


def test_a_policy_at_a_time_a_problem_is_run_in_all_of_its_cells(tmp_path: Path) -> None:
    cells = [Cell("a", SMALL), Cell("b", LARGE, problems=1), Cell("c", SMALL, problems=2)]
    with RunDirectory(tmp_path) as directory:
        assert remaining(directory, *cells) == [
            "a p0", "c p0", "a p1", "c p1", "a p2", "b p0",
        ]  # fmt: skip


def test_what_remains_is_the_same_for_who_runs_it_and_for_who_looks(
    tmp_path: Path, make_record: Make
) -> None:
    cut = Route(bin="1", predicted=0.5, strategy="cot", settings={}, vote="majority", rule="x",
                cut=True)  # fmt: skip
    pooled = Cell("pooled", SMALL, cap=30.0)
    with RunDirectory(tmp_path) as directory:
        directory.store.add(make_record("p0", "a"))
        directory.store.add(make_record("p1", "a", error="gone"))
        directory.store.add(make_record("p0", "pooled", route=cut, settings={"budget": 20.0}))
        directory.store.add(make_record("p1", "pooled", route=cut, settings={"budget": 30.0}))
        found = remaining(directory, Cell("a", SMALL), pooled)
        assert found == ["pooled p0", "a p1", "a p2", "pooled p2"]
        assert remaining(RunDirectory(tmp_path), Cell("a", SMALL), pooled) == found
        directory.store.reopen("pooled", 30.0)
        assert remaining(directory, Cell("a", SMALL), pooled) == found


def claim(folder: Path, kind: Kind = "run", **changes: Any) -> None:
    with RunDirectory(folder) as directory, directory.journaled():
        manifest = Manifest(kind=kind, identity=IDENTITY | changes)
        directory.claim(manifest, config={"seed": 0, **changes}, versions=lambda: {"orchard": "1"})


def recorded(folder: Path, make_record: Make) -> None:
    with RunDirectory(folder) as directory:
        directory.store.add(make_record())


def test_a_directory_says_what_its_results_depend_on(tmp_path: Path, make_record: Make) -> None:
    claim(tmp_path)
    recorded(tmp_path, make_record)
    assert RunDirectory(tmp_path).manifest() == Manifest(kind="run", identity=IDENTITY)
    assert json.loads((tmp_path / "begun.json").read_text()) == {
        "kind": "run",
        "identity": IDENTITY,
    }
    assert json.loads((tmp_path / "versions.json").read_text()) == {"orchard": "1"}
    assert yaml.safe_load((tmp_path / "config.yaml").read_text()) == {"seed": 0}


def test_while_nothing_was_paid_for_a_directory_takes_any_config(tmp_path: Path) -> None:
    claim(tmp_path)
    claim(tmp_path, kind="profile", seed=4)
    assert RunDirectory(tmp_path).manifest().identity["seed"] == 4


def test_results_are_held_to_what_they_depend_on(tmp_path: Path, make_record: Make) -> None:
    claim(tmp_path)
    recorded(tmp_path, make_record)
    with pytest.raises(OtherConfig, match="holds a run of another config") as caught:
        claim(tmp_path, seed=4, policies={"small": {"model": "b"}})
    assert caught.value.changes == ("policies.small.model: a → b", "seed: 0 → 4")
    with pytest.raises(RunError, match=f"holds a run, no profile: .*orchard resume {tmp_path}"):
        claim(tmp_path, kind="profile")
    (tmp_path / "begun.json").unlink()
    with pytest.raises(RunError, match=r"cannot be read.*put it back, or begin another"):
        claim(tmp_path)


def test_the_endpoints_of_every_start_are_kept(tmp_path: Path, make_record: Make) -> None:
    claim(tmp_path)
    recorded(tmp_path, make_record)
    claim(tmp_path, policies={"large": {"model": "b"}})
    kept = RunDirectory(tmp_path).manifest().identity["policies"]
    assert kept == {"small": {"model": "a"}, "large": {"model": "b"}}
    with pytest.raises(OtherConfig):
        claim(tmp_path, policies={"small": {"model": "b"}})


async def test_what_was_paid_is_in_the_journal_or_where_that_is_gone_in_the_records(
    tmp_path: Path, make_record: Make
) -> None:
    with RunDirectory(tmp_path) as directory, directory.journaled() as journal:
        directory.store.add(make_record(cost=0.5))
        journal.pay_for_probes(0.25)
        journal.append("tree", (b"k" * 16,), b"[]", 0.125)
    with RunDirectory(tmp_path) as directory, directory.journaled():
        assert directory.paid == 0.25 + 0.125
    (tmp_path / "journal.sqlite").unlink()
    with RunDirectory(tmp_path) as directory, directory.journaled():
        assert directory.paid == 0.5


def test_a_directory_without_a_config_is_no_run_directory(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="run directory"):
        RunDirectory(tmp_path).config()
    (tmp_path / "config.yaml").write_text("a: [1")
    with pytest.raises(ConfigError, match=r"config\.yaml: is not YAML, line 1: "):
        RunDirectory(tmp_path).config()


def test_a_file_of_the_run_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RunDirectory(tmp_path) as directory:
        directory.write("config.yaml", b"seed: 1\n")
        assert RunDirectory(tmp_path).config() == {"seed": 1}

        def half(self: Path, content: bytes) -> int:
            with self.open("wb") as file:
                file.write(content[:4])
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "write_bytes", half)
        with pytest.raises(RunError, match=r"config\.yaml: No space left"):
            directory.write("config.yaml", b"seed: 2\n")
    assert RunDirectory(tmp_path).config() == {"seed": 1}
