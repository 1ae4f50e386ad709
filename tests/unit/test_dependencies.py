"""What is imported is declared: nothing is there only because something else brings it."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
IMPORTED_AS = {
    "math-verify": "math_verify", "nvidia-ml-py": "pynvml", "pyyaml": "yaml",
    "types-pyyaml": "yaml",
}  # fmt: skip
OURS = {"orchestrator", "servers", "tests"}


def declared(*extras: str) -> set[str]:
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"]]
    for extra in extras:
        wanted += project["optional-dependencies"][extra]
    names = [re.split(r"[\[<>=!~ ]", each, maxsplit=1)[0].lower() for each in wanted]
    return {IMPORTED_AS.get(name, name.replace("-", "_")) for name in names}


def imported(folder: Path) -> dict[str, Path]:
    """Each package that the modules of a folder import, and one that does."""
    found = {}
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            else:
                continue
            tops = {name.partition(".")[0] for name in names}
            found |= {top: path for top in tops if not path.with_name(f"{top}.py").exists()}
    return {
        name: path
        for name, path in found.items()
        if name not in sys.stdlib_module_names and name not in OURS
    }


@pytest.mark.parametrize(
    ("folder", "extras"),
    [
        ("orchestrator", ("datasets",)),
        ("servers", ("tiny",)),
        ("tests", ("tiny", "datasets", "dev")),
    ],
)
def test_every_import_is_declared(folder: str, extras: tuple[str, ...]) -> None:
    known = declared(*extras)
    missing = {name: path for name, path in imported(TOP / folder).items() if name not in known}
    assert not missing
