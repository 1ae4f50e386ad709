import ast
import io
import json
from pathlib import Path

import pytest
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

import orchestrator
from orchestrator.console.terminal import Terminal

NASTY = "[red]red[/] [link=http://evil]x[/] :skull: \x1b]0;owned\x07\x9b2J\u202egnp.exe"


def cell(text: str | Text) -> Table:
    table = Table(box=None)
    table.add_column("a")
    table.add_column("b")
    table.add_row(text, "|")
    return table


def shown(renderable: RenderableType) -> str:
    terminal = Terminal(file=io.StringIO(), width=160)
    terminal.print(renderable)
    assert isinstance(terminal.file, io.StringIO)
    return terminal.file.getvalue()


@pytest.mark.parametrize(
    "renderable",
    [
        NASTY,
        Text(NASTY),
        Text.assemble("a ", (NASTY, "bold red")),
        cell(NASTY),
        cell(Text(NASTY)),
        Panel(Text(NASTY), title="t"),
        Group("a", cell(NASTY)),
    ],
)
def test_whatever_is_printed_its_control_characters_are_spelled_out_and_markup_is_text(
    renderable: RenderableType,
) -> None:
    printed = shown(renderable)
    one_word = "".join(printed.split())  # a cell may break it
    assert r"[red]red[/][link=http://evil]x[/]:skull:\u001b]0;owned" in one_word.replace("|", "")
    assert printed.replace("\n", "").isprintable()


def test_nothing_is_cut_off_for_what_is_spelled_out() -> None:
    printed = shown(Text("\x1b" * 60 + " and the end"))
    assert printed.split()[-3:] == ["and", "the", "end"]


def test_what_is_spelled_out_takes_its_width_in_a_table() -> None:
    table = cell("\x1b\x1b")
    table.add_row("much longer than that", "|")
    assert len({line.rindex("|") for line in shown(table).splitlines()[1:]}) == 1


def test_json_stays_the_same_json() -> None:
    said = {"text": "\x1b[2J \x9b31m \u202e ½\n"}
    terminal = Terminal(file=io.StringIO())
    terminal.print_json_text(json.dumps(said, ensure_ascii=False))
    assert isinstance(terminal.file, io.StringIO)
    written = terminal.file.getvalue()
    assert json.loads(written) == said and written.removesuffix("\n").isprintable()


def test_nothing_is_printed_another_way() -> None:
    package = Path(orchestrator.__file__).parent
    for path in package.rglob("*.py"):
        called = {
            ast.unparse(node.func)
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call)
        }
        assert not called & {"Console", "print", "typer.echo"} or path.name == "terminal.py", path
