from pathlib import Path

import pytest

from orchestrator.core.problem import Problem
from orchestrator.errors import ConfigError
from orchestrator.formats.class_names import class_name, is_class_name, load_class


class Outer:
    class Inner:
        pass


def test_a_class_is_found_again_under_its_name() -> None:
    assert class_name(Problem) == "orchestrator.core.problem:Problem"
    for kind in (Problem, Outer.Inner):
        assert is_class_name(class_name(kind))
        assert load_class(class_name(kind)) is kind
    assert not is_class_name("beam_search")


def test_a_module_of_the_working_directory_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["/nowhere"])
    (tmp_path / "mine_alone.py").write_text("class Own:\n    pass\n")
    assert load_class("mine_alone:Own").__name__ == "Own"


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("no_such_module:Own", "cannot import 'no_such_module'"),
        ("orchestrator.core.problem:Probelm", "has no 'Probelm'"),
        ("orchestrator.core.node:root", "root is not a class"),
        ("orchestrator.core.problem:", "has no ''"),
    ],
)
def test_a_name_that_leads_to_no_class_says_why(name: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        load_class(name)


def test_a_class_inside_a_function_has_no_name() -> None:
    class Local:
        pass

    with pytest.raises(ConfigError, match="at the top of a module"):
        class_name(Local)
