"""A new user with the documentation alone: its code runs as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import orchestrator as orchard
from orchestrator.testing import tiny_server
from tests import documented
from tests.acceptance.conftest import ORCHARD, Person


def test_a_question_is_answered_in_ten_lines_in_an_interpreter_of_its_own(tmp_path: Path) -> None:
    code = documented.blocks("library.md")[0]
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    (tmp_path / "ask.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "ask.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    shown = re.search(r"^\$ python ask.py\n(.*?)\n```", documented.page("library.md"), re.M | re.S)
    assert shown and done.stdout.strip() == shown[1]


def output_of(*command: str) -> str:
    done = subprocess.run([ORCHARD, *command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_the_library_in_ten_minutes_runs_as_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with tiny_server() as url:
        await documented.run("library.md", {"url": url, "orchard": orchard}, skip=1)
    for command in (["show"], ["resume", "--no-figures"]):  # nothing is left to go on with
        shown = output_of(*command, "runs/mine")
        assert "policy-2m without a PRM" in shown and "to go" not in shown


async def test_the_tutorial_runs_as_it_is_written_each_class_in_under_30_lines() -> None:
    for code in documented.blocks("tutorial.md"):
        assert len([line for line in code.splitlines() if line.strip()]) < 30
    await documented.run("tutorial.md", {})


def test_the_tutorial_and_what_takes_its_classes_agree_about_types(tmp_path: Path) -> None:
    classes = [code for code in documented.blocks("tutorial.md") if "\nclass " in code]
    use = """
async def main() -> None:
    async with orchard.connect("http://gpu:8000/v1", orchard.PRM("", family=PlainTags)) as models:
        found = await orchard.solve("", models, strategy=UntilTwoAgree(), vote=Trusted(0.2))
        assert found.value, found.leaves[0].answer
        orchard.evaluate([], models, [UntilTwoAgree()], votes=[Trusted()], task=Capitals())
"""
    (tmp_path / "own.py").write_text("\n".join([*classes, use]))
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", str(tmp_path / "own.py")],
        cwd=documented.DOCS.parent,  # where its cache is
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout


def test_the_classes_of_the_tutorial_are_named_in_a_config(person: Person) -> None:
    classes = [code for code in documented.blocks("tutorial.md") if "\nclass " in code]
    person.write("own.py", "\n".join(classes))
    (named,) = (yaml.safe_load(code) for code in documented.blocks("tutorial.md", "yaml"))
    at = person.server.url
    person.problems(4, named["task"]["path"])
    config = person.write_config(
        task=named["task"],
        policies={"small": {"url": at, "model": "policy", "prompt": "tiny"}},
        prms={"mine": {**named["prms"]["mine"], "url": at, "model": "prm"}},
        cells=named["cells"],
        votes=named["votes"],
        headline=None,
    )
    done = person.orchard("run", config)
    assert done.code == 0, done.err
    assert "own:UntilTwoAgree" in done.out
    verdicts = [record["verdicts"].keys() for record in person.records()]
    assert len(verdicts) == 8 and all({"trusted_0.5", "trusted_0.8"} <= each for each in verdicts)
