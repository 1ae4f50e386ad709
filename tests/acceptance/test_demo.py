"""The main job on the models that come with Orchard, as a stranger starts it."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from orchestrator.config.reading import shipped_config
from orchestrator.config.run import load
from tests.acceptance.conftest import ORCHARD


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """``orchard demo --quick``, once: its folder and what it printed."""
    home = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [ORCHARD, "demo", "--quick"],
        cwd=home, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return home / "runs" / "demo-quick", done.stdout


@pytest.fixture(scope="module")
def summary(quick: tuple[Path, str]) -> dict[str, Any]:
    return json.loads((quick[0] / "summary.json").read_text())  # type: ignore[no-any-return]


def accuracy(summary: dict[str, Any], **wanted: Any) -> float:
    (row,) = [r for r in summary["rows"] if all(r[k] == v for k, v in wanted.items())]
    return float(row["accuracy"])


def test_every_strategy_has_rows_under_both_prms(summary: dict[str, Any]) -> None:
    found = {(row["strategy"], row["prm"]) for row in summary["rows"]}
    assert {(s, None) for s in ("cot", "majority")} <= found
    searches = ("best_of_n", "beam_search", "dvts")
    assert {(s, prm) for s in searches for prm in ("prm-qwen", "prm-shepherd")} <= found


def test_auto_stands_beside_the_fixed_strategies_and_says_where_problems_went(
    quick: tuple[Path, str], summary: dict[str, Any]
) -> None:
    auto = accuracy(summary, policy="policy-430k", prm="prm-qwen", strategy="auto")
    assert auto > accuracy(summary, policy="policy-430k", strategy="majority", n=4)
    assert "Routing of policy-430k" in quick[1]


def test_the_headline_is_the_one_the_config_named(summary: dict[str, Any]) -> None:
    named = load(shipped_config("demo-quick.yaml")).headline
    assert named is not None
    told = summary["headline"]
    for key, value in named.model_dump().items():
        assert told[key] == value
    assert told["small_params"] < told["large_params"]


def test_a_good_prm_lifts_a_small_policy(summary: dict[str, Any]) -> None:
    """Not a matter of luck: on the same samples, some 10 points at N = 16."""
    policy: dict[str, Any] = {"policy": "policy-430k", "n": 16}
    majority = accuracy(summary, strategy="majority", prm=None, **policy)
    best = accuracy(summary, strategy="best_of_n", prm="prm-qwen", vote="max_last", **policy)
    assert best >= majority


def test_it_says_where_the_results_are_and_draws_them(quick: tuple[Path, str]) -> None:
    folder, said = quick
    assert "headline" in said
    assert str(Path("runs/demo-quick/summary.json")) in said
    assert (folder / "figures" / "accuracy_vs_n.png").stat().st_size > 10_000


def test_the_full_demo_holds_what_it_promises() -> None:
    config = load(shipped_config("demo.yaml"))
    assert config.task.problems is not None and config.task.problems >= 100
    cells = {
        (c.policy.name, c.prm and c.prm.name, c.strategy_name, c.strategy.n)
        for c in config.all_cells
    }
    small, prms = ("policy-160k", "policy-430k"), ("prm-qwen", "prm-shepherd")
    assert {(p, None, "cot", 1) for p in (*small, "policy-2m")} <= cells
    for n in (4, 16):
        assert {(p, None, "majority", n) for p in small} <= cells
        for strategy in ("best_of_n", "beam_search", "dvts"):
            assert {(p, prm, strategy, n) for p in small for prm in prms} <= cells
    assert {(p, prm, "auto", 0) for p in small for prm in prms} <= cells
