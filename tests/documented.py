"""The code of the documentation, run as a reader would run it."""

import ast
import inspect
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

DOCS = Path(__file__).parents[1] / "docs"

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def page(name: str) -> str:
    return (DOCS / name).read_text()


def blocks(name: str, language: str = "python") -> list[str]:
    """The code of a page in one language, block by block, each on the line it has there."""
    text = page(name)
    return [
        "\n" * text.count("\n", 0, found.start(2)) + found[2]
        for found in _BLOCK.finditer(text)
        if found[1] == language
    ]


async def run(name: str, given: Mapping[str, Any], skip: int = 0) -> ModuleType:
    """Run a page's blocks but for the first ``skip`` in one module, as a notebook does: they may
    ``await``. They find what is ``given`` by name. Returns the module."""
    called = Path(name).stem
    module = sys.modules[called] = ModuleType(
        called
    )  # where classes are found that go by module:Name
    vars(module).update(given)
    try:
        for code in blocks(name)[skip:]:
            compiled = compile(code, str(DOCS / name), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            result = eval(compiled, vars(module))
            if inspect.isawaitable(result):
                await result
    finally:
        del sys.modules[called]
    return module
