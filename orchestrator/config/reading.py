"""Config files: read as YAML, composed and overridden; validation comes after.

A file may ``include`` others. Its own keys win over theirs, and ``--set key=value`` wins over both.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from orchestrator.errors import ConfigError
from orchestrator.formats.yaml_files import Keys, line_of, parse_yaml, read_yaml


def as_list(value: Any) -> Any:
    """A single value as a list of one."""
    return value if isinstance(value, list | tuple) else [value]


def read(path: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The values of a config and the files it includes. Raises ``ConfigError``."""
    values = _read(path, ())
    for override in overrides:
        _override(values, override)
    return values


def _read(path: Path, including: tuple[Path, ...]) -> dict[str, Any]:
    if path.resolve() in (one.resolve() for one in including):
        raise ConfigError(f"{path}: includes itself, by way of {including[-1]}")
    try:
        values = read_yaml(path)
    except FileNotFoundError:
        asked_by = f", which {including[-1]} includes" if including else ""
        raise ConfigError(f"{path}: there is no such file{asked_by}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must hold keys and values, starting with `task:`")
    composed: dict[str, Any] = {}
    for included in as_list(values.pop("include", [])):
        composed = _merge(composed, _read(path.parent / str(included), (*including, path)))
    return _merge(composed, values)


def place_of(path: Path, keys: Keys, overrides: Sequence[str] = ()) -> str:
    """Where a config sets ``keys``: ``run.yaml, line 12``, or the file it includes.

    Names the override instead, where one sets them, and the file alone where nothing does.
    """
    wanted = [str(key) for key in keys]
    for override in overrides:
        key = override.partition("=")[0]  # its value may be a secret that has no business there
        by_hand = key.split(".")
        if by_hand[: len(wanted)] == wanted[: len(by_hand)]:
            return f"{path}, --set {key}"
    reached = [(*line_of(file, keys), file) for file in _files(path)]
    depth, line, file = max(reached, key=lambda each: each[0])
    return f"{file}, line {line}" if depth else str(path)


def _files(path: Path) -> Iterator[Path]:
    """A config and the files it includes, in order of precedence."""
    yield path
    for included in reversed(as_list(read_yaml(path).get("include", []))):
        yield from _files(path.parent / str(included))


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """``above`` over ``below``, section by section; lists are replaced whole."""
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _override(values: dict[str, Any], override: str) -> None:
    key, sign, text = override.partition("=")
    if not sign or not key:
        raise ConfigError(f"--set {key}: write --set key=value, for example task.problems=50")
    value = parse_yaml(text, f"--set {key}")
    *sections, last = key.split(".")
    place: Any = values
    for section in sections:
        index = _index(place, section, key)
        if isinstance(place, dict) and place.get(index) is None:
            place[index] = {}
        place = place[index]
    place[_index(place, last, key)] = value


def _index(place: Any, text: str, key: str) -> str | int:
    """``text`` as a key of a section, or as the index of a list."""
    if isinstance(place, dict):
        return text
    if not isinstance(place, list):
        raise ConfigError(f"--set {key}: nothing lies below {place!r}")
    if not text.isdecimal() or int(text) >= len(place):
        raise ConfigError(f"--set {key}: {text!r} is not one of its {len(place)} items")
    return int(text)


def shipped_config(name: str) -> Path:
    """A config that ships with Orchard, in a checkout or an installed package."""
    package = Path(__file__).parents[1]
    for folder in (package / "configs", package.parent / "configs"):
        if (folder / name).exists():
            return folder / name
    raise ConfigError(f"the config {name} that ships with Orchard is missing: reinstall it")
