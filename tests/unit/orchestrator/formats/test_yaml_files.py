from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.config.prices import read_prices
from orchestrator.config.run import load
from orchestrator.endpoints.admission.replicas_file import ReplicasFile
from orchestrator.errors import ConfigError, OrchardError
from orchestrator.formats.yaml_files import parse_yaml, read_yaml
from orchestrator.optimal.profile import read as read_profile
from orchestrator.storage.run_directory import RunDirectory

NOT_YAML = {
    "an impossible date": "- a\n- 2026-13-45\n",
    "a day too many": "- a\n- {since: 2026-02-30}\n",
    "an impossible date as a key": "a: 1\n2026-13-45: 2\n",
    "an impossible time zone": "- a\n- 2001-12-14t21:59:43.10-99:99\n",
    "a hexadecimal number without digits": "a: 1\nb: 0x_\n",
    "a number of too many digits": "a: 1\nb: " + "9" * 5000,
    "a tag that its value does not fit": "a: 1\nb: !!timestamp soon\n",
    "a truth that is none": "a: 1\nb: !!bool perhaps\n",
    "a number without digits": "a: 1\nb: !!float ''\n",
    "a tag that nobody knows": "a: 1\nb: !reference x\n",
    "a code that would be run": "a: 1\nb: !!python/object/apply:os.getcwd []\n",
    "a key that is a list": "a: 1\n[b]: 2\n",
    "a key that is a mapping": "a: 1\n? {b: c}\n: 2\n",
    "a value that contains itself": "a: 1\nb: &b {c: *b}\n",
    "a list that contains itself": "a: 1\nb: &b [*b]\n",
    "an alias of nothing": "a: 1\nb: *c\n",
    "a tab": "a: 1\n\tb: 2\n",
    "a NUL": "a: 1\nb: \x00\n",
    "an escape beyond Unicode": 'a: 1\nb: "\\UFFFFFFFF"\n',
    "an open bracket": "a: 1\nb: [",
    "a second document": "a: 1\n---\nb: 2\n",
}


@pytest.mark.parametrize("text", NOT_YAML.values(), ids=NOT_YAML)
def test_what_is_no_yaml_is_a_config_error_with_file_and_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "some.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"some\.yaml: is not YAML, line 2: ") as caught:
        read_yaml(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < len(str(path)) + 200


def test_yaml_that_is_nested_too_deep_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match=r"some\.yaml: is nested too deep"):
        parse_yaml("[" * 10_000, "some.yaml")


def test_a_file_that_is_not_utf_8_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes("a: 1\nb: ½\n".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"latin\.yaml: is not text in UTF-8, line 2"):
        read_yaml(tmp_path / "latin.yaml")


def test_the_line_of_a_mistake_is_not_shown_for_it_may_hold_a_key(tmp_path: Path) -> None:
    (tmp_path / "some.yaml").write_text("a: 1\napi_key: sk-secret]: [\n")
    with pytest.raises(ConfigError) as caught:
        read_yaml(tmp_path / "some.yaml")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["a: 2026-12-31", "a: {b: [1, 0x1F, 1.5, true, null]}", "a: &x {b: 1}\nc: *x", ""]
)
def test_what_is_yaml_is_read_as_ever(text: str) -> None:
    assert parse_yaml(text, "some.yaml") == yaml.safe_load(text)


READERS: dict[str, Callable[[Path], Any]] = {
    "a config": load,
    "an included config": lambda path: load(_including(path)),
    "replicas": lambda path: ReplicasFile(path, "policy").read(),
    "prices": read_prices,
    "a profile": read_profile,
    "a run's config": lambda path: RunDirectory(path.parent).config(),
}


def _including(path: Path) -> Path:
    including = path.with_name("including.yaml")
    including.write_text(f"include: {path.name}\n")
    return including


@pytest.mark.parametrize("text", ["a: 1\nb: 2026-13-45\n", "{a: " * 5000, "a: 1\n? [b]\n: 2\n"])
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_every_reader_of_yaml_names_the_file(
    tmp_path: Path, read: Callable[[Path], Any], text: str
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(OrchardError, match=r"config\.yaml.* is n(ot YAML|ested too deep)"):
        read(path)


def test_an_impossible_value_to_set_is_told_as_the_command_line_has_it(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("seed: 1\n")
    with pytest.raises(ConfigError, match=r"--set seed: is not YAML, line 1: "):
        load(tmp_path / "run.yaml", ["seed=2026-13-45"])
