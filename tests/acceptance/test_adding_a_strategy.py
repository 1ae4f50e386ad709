"""docs/adding-a-strategy.md, followed by a newcomer: one file, one line, and it is everywhere."""

import re
import subprocess
import sys
from pathlib import Path

from tests.acceptance.conftest import SEARCH, Outcome, Person

PAGE = Path(__file__).parents[2] / "docs" / "adding-a-strategy.md"

NAMED = """
import sys
from greedy_steps import GreedySteps  # in the repository: orchestrator/strategies/greedy_steps.py
from orchestrator.strategies import STRATEGIES
STRATEGIES["greedy_steps"] = GreedySteps  # in the repository: the line in its __init__.py
from orchestrator.cli.main import main
sys.argv[0] = "orchard"
main()
"""


def orchard(person: Person, *arguments: str) -> Outcome:
    """The command, as it is once the page's strategy has its line in ``STRATEGIES``."""
    code = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)[0]
    person.write("greedy_steps.py", code)
    done = subprocess.run(
        [sys.executable, "-c", NAMED, *arguments],
        cwd=person.home, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return Outcome(done.returncode, done.stdout, done.stderr)


def test_a_new_strategy_is_in_tables_figures_and_comparisons(person: Person) -> None:
    cell = {"policy": "policy", "prm": "prm", **SEARCH}
    person.write_config(
        cells=[
            {"policy": "policy", "strategy": "cot"},
            {**cell, "strategy": ["beam_search", "greedy_steps"], "n": [2, 4]},
        ],
        headline=None,
    )
    ran = orchard(person, "run", "run.yaml")
    assert ran.code == 0, ran
    assert re.search(r"^greedy steps +4 max_last", ran.out, re.MULTILINE)
    assert {len(r["leaves"]) for r in person.records() if r["strategy"] == "greedy_steps"} == {1}
    assert "greedy steps" in (person.home / "runs/run/figures/accuracy_vs_n.svg").read_text()
    compared = orchard(person, "compare", "runs/run", "--cell", "greedy", "--cell", "beam")
    assert "greedy steps" in compared.out, compared


def test_a_mistyped_name_of_it_is_put_right(person: Person) -> None:
    person.write_config(cells=[{"policy": "policy", "strategy": "greedy_step"}], headline=None)
    assert 'did you mean "greedy_steps"?' in orchard(person, "check", "run.yaml").complaint
