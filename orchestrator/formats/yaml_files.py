"""YAML, read in one place: each mistake in it is a ``ConfigError`` that names file and line."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import ConstructorError
from yaml.reader import ReaderError
from yaml.scanner import ScannerError

from orchestrator.errors import ConfigError


def read_yaml(path: Path) -> Any:
    """The value that a YAML file holds.

    Raises ``OSError`` where the file cannot be read, and ``ConfigError`` where it is no YAML.
    """
    return parse_yaml(read_text(path), str(path))


def read_text(path: Path) -> str:
    """The text of a YAML file. Raises ``OSError``, and ``ConfigError`` where it is no text."""
    try:
        content = path.read_bytes()
    except ValueError:  # a NUL or a lone surrogate in its name
        raise ConfigError(f"{str(path)!r} cannot be the name of a file") from None
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}: is not text in UTF-8, line {line}") from None


def parse_yaml(text: str, source: str) -> Any:
    """The value that ``text`` stands for. Raises ``ConfigError``, which ``source`` leads."""
    try:
        loader = _Loader(text)
        try:
            return loader.get_single_data()
        except (ValueError, OverflowError):  # an escape such as "\UFFFFFFFF"
            raise ScannerError(None, None, "found no such character", loader.get_mark()) from None
    except RecursionError:
        raise ConfigError(f"{source}: is nested too deep to be read") from None
    except yaml.YAMLError as error:
        place, why = _mistake(error, text)
        raise ConfigError(f"{source}: is not YAML{place}: {why}") from None


Keys = Sequence[str | int]
"""The way to a value, from the outermost section in: ``("cells", 0, "n")``."""

_MERGE = "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    """YAML's own types, each key once, and a place for every mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:
        _refuse_repeated_keys(node)  # of which PyYAML would take the last, without a word
        return super().construct_mapping(node, deep=deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        # Depth first: a value that contains itself is refused here instead of looping in whoever
        # walks through it.
        try:
            return super().construct_object(node, deep=True)
        except (yaml.YAMLError, RecursionError):
            raise
        except Exception as error:  # PyYAML trusts that what looks like a date or a number is one
            raise ConstructorError(None, None, _no_such(node, error), node.start_mark) from error


def _refuse_repeated_keys(node: yaml.Node) -> None:
    first: dict[tuple[str, str], yaml.Mark] = {}
    for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
        if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
            continue
        before = first.setdefault((key.tag, key.value), key.start_mark)
        if before is not key.start_mark:
            said = f"{key.value!r} stands here and on line {before.line + 1}: leave one of them"
            raise ConstructorError(None, None, said, key.start_mark)


def line_of(path: Path, keys: Keys) -> tuple[int, int]:
    """How many of ``keys`` lead somewhere in a YAML file, one below the other, and the line of the
    last that does; ``(0, 1)`` where none does, or the file cannot be read."""
    found, line = 0, 1
    try:
        node = yaml.compose(path.read_text(), Loader=_Loader)
        for key in keys:
            below = _below(node, key)
            if below is None:
                break
            mark, node = below
            found, line = found + 1, mark.line + 1
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        pass
    return found, line


def _below(node: yaml.Node | None, key: str | int) -> tuple[yaml.Mark, yaml.Node] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        return node.value[key].start_mark, node.value[key]
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if isinstance(name, yaml.ScalarNode) and name.value == str(key):
                return name.start_mark, value
    return None


def _no_such(node: yaml.Node, error: Exception) -> str:
    kind = node.tag.rpartition(":")[2]
    why = f" ({error})" if isinstance(error, ValueError) and len(str(error)) < 80 else ""
    value = str(node.value)
    shown = value if len(value) <= 40 else value[:39] + "…"
    return f"{shown!r} reads as {kind} and is none{why}: quote it if it is text"


def _mistake(error: yaml.YAMLError, text: str) -> tuple[str, str]:
    """Where it is, as ``, line 3`` or nothing, and what; never the line itself, which may hold a
    key."""
    if isinstance(error, ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return f", line {line}", f"it holds the character U+{error.character:04X}"
    if not isinstance(error, yaml.MarkedYAMLError):
        return "", str(error)
    mark = error.problem_mark or error.context_mark
    place = f", line {mark.line + 1}" if mark is not None else ""
    return place, ", ".join(part for part in (error.context, error.problem) if part)
