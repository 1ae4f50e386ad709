"""What files, those that they include and ``--set`` come to, and the files that a config names."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.config.run import load, validate
from orchestrator.errors import ConfigError
from tests.unit.orchestrator.small_config import valid, values

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(content: Any, name: str = "run.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return path

    return write


def test_what_a_config_says_itself_wins_over_what_it_includes(write: Write) -> None:
    write(
        {"policies": {"a": {"url": "http://a"}, "b": {"prompt": "tiny"}}, "trees": 3}, "base.yaml"
    )
    write({"trees": 5, "seed": 9, "cells": [{"policy": "a", "strategy": "majority"}]}, "more.yaml")
    path = write({
        "include": ["base.yaml", "more.yaml"], "task": {"name": "math500"},
        "policies": {"b": {"url": "http://b"}}, "cells": [{"policy": "b", "strategy": "cot"}],
    })  # fmt: skip
    config = load(path)
    assert (config.trees, config.seed) == (5, 9)
    assert (config.policies["b"].prompt, config.policies["b"].url) == ("tiny", ("http://b",))
    assert config.policies["a"].url == ("http://a",)
    assert [cell.strategy_name for cell in config.all_cells] == ["cot"]


def test_an_include_is_found_beside_the_config_that_names_it(write: Write) -> None:
    write(values(), "parts/base.yaml")
    write({"include": "base.yaml", "seed": 4}, "parts/middle.yaml")
    assert load(write({"include": "parts/middle.yaml"})).seed == 4


@pytest.mark.parametrize("back", ["../run.yaml", "../parts/../run.yaml"])
def test_configs_that_include_each_other_are_told_so(write: Write, back: str) -> None:
    write({"include": back}, "parts/base.yaml")
    with pytest.raises(ConfigError, match=r"includes itself, by way of .*base\.yaml"):
        load(write({"include": "parts/base.yaml"}))


@pytest.mark.parametrize(
    ("content", "said"),
    [("a: [1", "is not YAML"), ("- 1", "must hold keys and values"), ("", "must hold keys")],
)
def test_a_file_that_is_no_config_is_named(write: Write, content: str, said: str) -> None:
    with pytest.raises(ConfigError, match=rf"run\.yaml: .*{said}"):
        load(write(content))


def test_a_missing_or_unreadable_file_is_named(write: Write, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml: there is no such file"):
        load(write({"include": "absent.yaml"}))
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("task: ½".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"latin\.yaml: "):
        load(tmp_path / "latin.yaml")


def test_set_wins_over_the_config_at_any_depth(write: Write) -> None:
    path = write(values())
    config = load(
        path,
        [
            "seed=7", "task.problems=50", "budget.requests=9",
            "policies.small.url=[http://x, http://y]", "cells.1.n=64",
            "cells.1.strategy.0=best_of_n", "cells.0={policy: large, strategy: cot}",
        ],
    )  # fmt: skip
    assert (config.seed, config.task.problems, config.budget.requests) == (7, 50, 9)
    assert config.policies["small"].url == ("http://x", "http://y")
    cells = [(c.policy.name, c.strategy_name, c.strategy.n) for c in config.all_cells]
    assert cells == [("large", "cot", 1), ("small", "best_of_n", 64), ("small", "dvts", 64)]


def test_set_reaches_below_a_section_left_empty(write: Write) -> None:
    path = write(values(policies={"small": None}))
    assert load(path, ["policies.small.url=http://x"]).policies["small"].url == ("http://x",)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("seed", "write --set key=value"),
        ("=7", "write --set key=value"),
        ("seed=[1", "is not YAML"),
        ("cells.9.n=4", "'9' is not one of its 2 items"),
        ("cells.first.n=4", "'first' is not one of its 2 items"),
        ("cells.²=4", "'²' is not one of its 2 items"),
        ("cells.-1=4", "'-1' is not one of its 2 items"),
        ("task.name.more=4", "nothing lies below 'math500'"),
        ("task.name.more.still=4", "nothing lies below 'math500'"),
        ("taks.name=x", "unknown key 'taks': did you mean \"task\""),
        ("trees=many", "trees: "),
        ("trees=yes", "trees: Input should be a number, not true"),
        ("seed=no", "seed: Input should be a number, not false"),
        ("task.problems=yes", "task.problems: Input should be a number, not true"),
    ],
)
def test_a_set_that_cannot_be_is_answered_with_why(write: Write, override: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(values()), [override])
    assert said in str(caught.value)


def test_what_a_config_names_is_found_from_another_working_directory_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").touch()
    auto = {"policy": "small", "prm": "prm", "strategy": "auto", "budget": 900}
    here = valid(
        task={"path": "problems.jsonl"},
        prices="prices.yaml",
        policies={"small": {"urls_from": "endpoints.yaml"}},
        cells=[{**auto, "profile": "mine.yaml"}, {**auto, "profile": "chains-policy-160k"}],
        models={"m": {"source": "./m", "role": "policy", "context": 9},
                "hub": {"source": "acme/hub", "role": "policy", "context": 9}},
        servers={"fleet": {"name": "f", "python": "~/bin/python",
                           "services": {"m": None, "hub": None}}},
    )  # fmt: skip
    dumped = here.dumped()
    (elsewhere := tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(elsewhere)
    assert validate(dumped, "config.yaml").dumped() == dumped
    assert dumped["task"]["path"] == str(tmp_path / "problems.jsonl")
    assert dumped["prices"] == str(tmp_path / "prices.yaml")
    assert dumped["policies"]["small"]["urls_from"] == str(tmp_path / "endpoints.yaml")
    file, shipped = (cell["profile"] for cell in dumped["cells"])
    assert (file, shipped) == (str(tmp_path / "mine.yaml"), "chains-policy-160k")
    sources = [model["source"] for model in dumped["models"].values()]
    assert sources == [str(tmp_path / "m"), "acme/hub"]
    assert dumped["servers"]["fleet"]["python"] == str(Path.home() / "bin/python")
