"""A mistake in a config is named with its file and line, whichever file says it."""

from pathlib import Path

import pytest

from orchestrator.config.prices import read_prices
from orchestrator.config.run import load
from orchestrator.errors import ConfigError
from orchestrator.formats.yaml_files import parse_yaml

GOOD = """\
task: {name: math500}
policies:
  small:
    url: http://a
prms: {prm: {url: http://c, family: qwen_math}}
cells:
  - policy: small
    strategy: cot
  - policy: small
    prm: prm
    strategy: best_of_n
    n: 16
"""


def complaint(folder: Path, text: str, *overrides: str) -> str:
    path = folder / "run.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path, overrides)
    return str(caught.value).replace(f"{folder}/", "")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (
            "temperature: yes",
            "run.yaml, line 13: cells.1: best_of_n: temperature: True is no value for it",
        ),
        ("temperature: -1", "run.yaml, line 13: cells.1: temperature = -1 must lie between"),
        ("temperature: 70", "run.yaml, line 13: cells.1: temperature = 70 must lie between"),
        ("temperature: .nan", "run.yaml, line 13: cells.1: temperature = nan must lie between"),
        ("temperature: 0", "run.yaml, line 13: cells.1: n = 16 samples at temperature = 0"),
        ("temperature: warm", "run.yaml, line 13: cells.1: best_of_n: temperature: "),
        ("top_p: 95", "run.yaml, line 13: cells.1: top_p = 95 must be above 0 and at most 1"),
        ("max_tokens: -5", "run.yaml, line 13: cells.1: max_tokens = -5 must be at least 1"),
        ("max_token: 5", "run.yaml, line 13: cells.1: unknown key 'max_token'"),
        ("stop: {rule: beta, confidence: 2}", "run.yaml, line 13: cells.1: confidence = 2"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_with_its_line(
    tmp_path: Path, setting: str, said: str
) -> None:
    assert complaint(tmp_path, f"{GOOD}    {setting}\n").startswith(said)


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("url: http://a", "urll: http://a", "run.yaml, line 4: policies.small: unknown key 'urll'"),
        ("url: http://a", "timeout: .inf", "run.yaml, line 4: policies.small.timeout: "),
        ("strategy: cot", "strategy: cott", "run.yaml, line 8: cells.0.strategy"),
        ("policy: small\n    prm", "policy: smal\n    prm", "run.yaml, line 9: cells.1: no policy"),
        ("n: 16", "n: 0", "run.yaml, line 12: cells.1.n.0: "),
        ("name: math500", "nam: math500", "run.yaml, line 1: task: unknown key 'nam'"),
        ("task: {name: math500}\n", "", "run.yaml: task: it is required"),
    ],
)
def test_each_mistake_has_the_line_of_its_key(
    tmp_path: Path, right: str, wrong: str, said: str
) -> None:
    assert right in GOOD
    assert complaint(tmp_path, GOOD.replace(right, wrong)).startswith(said)


def test_the_line_is_of_the_file_whose_value_holds(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(GOOD.replace("url: http://a", "timeout: -1"))
    included = "include: base.yaml\npolicies: {small: {url: http://b}}\n"
    assert complaint(tmp_path, included).startswith("base.yaml, line 4: policies.small.timeout: ")
    own = f"{included}seed: soon\n"
    (tmp_path / "base.yaml").write_text(f"seed: 1\n{GOOD}")
    assert complaint(tmp_path, own).startswith("run.yaml, line 3: seed: ")


def test_what_an_override_says_has_no_line_of_the_file(tmp_path: Path) -> None:
    said = complaint(tmp_path, GOOD, "cells.1.temperature=-1")
    assert said.startswith("run.yaml, --set cells.1.temperature: cells.1: temperature = -1")


def test_prices_have_lines_too(tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text("as_of: 2026-11-01\nmodels:\n  gpt: {input: 1, output: -2}\n")
    with pytest.raises(ConfigError, match=r"prices\.yaml, line 3: models\.gpt\.output: "):
        read_prices(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3: 'a' stands here and on line 1"),
        ("b:\n  c: 1\n  c: 1\n", "line 3: 'c' stands here and on line 2"),
        ("- {x: 1, y: 2, x: 3}\n", "line 1: 'x' stands here and on line 1"),
        ("1: a\n1: b\n", "line 2: '1' stands here and on line 1"),
    ],
)
def test_a_key_that_stands_twice_is_refused_with_both_lines(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_yaml(text, "some.yaml")


def test_cells_that_stand_twice_are_not_lost_in_silence(tmp_path: Path) -> None:
    twice = f"{GOOD}cells:\n  - {{policy: small, strategy: cot}}\n"
    assert "'cells' stands here and on line 6" in complaint(tmp_path, twice)


def test_a_merged_key_may_be_said_anew() -> None:
    text = "base: &b {x: 1, y: 2}\nmine: {<<: *b, x: 3}\n"
    assert parse_yaml(text, "some.yaml")["mine"] == {"x": 3, "y": 2}


def test_budgets_are_read_as_a_person_writes_numbers(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(f"{GOOD}budget: {{tokens: 1e6, cost: 2.5k}}\nproblem_budget: {{tokens: 2k}}\n")
    config = load(path, ["budget.requests=3M"])
    assert (config.budget.tokens, config.budget.cost, config.budget.requests) == (
        1_000_000, 2_500, 3_000_000,
    )  # fmt: skip
    assert config.problem_budget.tokens == 2_000


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("n: 16", "n: []", "cells.1: n: the list is empty, so no cell is run"),
        ("strategy: cot", "strategy: []", "cells.0: strategy: the list is empty"),
        ("n: 16", "n: yes", "cells.1.n: Input should be a number, not true"),
        ("n: 16", "problems: on", "cells.1.problems: Input should be a number, not true"),
        ("task:", "budget: {tokens: yes}\ntask:", "budget.tokens: Input should be a number, not"),
    ],
)
def test_an_empty_list_and_a_yes_for_a_number_are_refused(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert said in complaint(tmp_path, GOOD.replace(old, new))
