"""The shape of the code: rooms without loose modules, short modules and functions, one name for one
thing. What may import what is in ``pyproject.toml``."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOOSE = {"__init__", "api", "errors", "plain_text", "statistics"}
PACKAGES = ["orchestrator", "servers"]

MOST_LINES = 400
MOST_FUNCTION_LINES = 60

PATHS = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
TREES = {path: ast.parse(path.read_text()) for path in PATHS}


def test_no_loose_modules_beside_the_rooms():
    assert {path.stem for path in (ROOT / "orchestrator").glob("*.py")} <= LOOSE


def test_no_module_is_longer_than_400_lines():
    modules = [*PATHS, *TESTS]
    lines = {str(path.relative_to(ROOT)): path.read_text().count("\n") for path in modules}
    assert {path: count for path, count in lines.items() if count > MOST_LINES} == {}


def test_no_function_is_longer_than_60_lines():
    functions = [
        (f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", node.end_lineno - node.lineno + 1)
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert [each for each in functions if each[1] > MOST_FUNCTION_LINES] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_a_type_name_has_one_meaning(package):
    places = defaultdict(list)
    for path, tree in TREES.items():
        if path.is_relative_to(ROOT / package):
            for name in type_names(tree):
                places[name].append(str(path.relative_to(ROOT)))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def type_names(tree: ast.Module) -> Iterator[str]:
    """The classes and type aliases of a module's top level: ``Bins = Mapping[str, Bin]``."""
    for node in tree.body:
        match node:
            case ast.ClassDef(name=name) if not name.startswith("_"):
                yield name
            case (
                ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name))
            ) if is_type_name(name):
                yield name


def is_type_name(name: str) -> bool:
    """``Bins`` and ``VoteName``, but not ``RESAMPLES``, the type variable ``T`` or ``_private``."""
    return name[0].isupper() and not name.isupper()
