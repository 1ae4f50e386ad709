import os
from pathlib import Path

import pytest

from orchestrator.endpoints.admission.replicas_file import ReplicasFile
from orchestrator.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("- http://a:1\n- https://b/v1\n", ("http://a:1", "https://b/v1")),
        ("policy:\n  - http://a:1\nprm: [http://c]\n", ("http://a:1",)),
        ("policy: http://a:1\n", ("http://a:1",)),
        ("policy: []\n", ()),
    ],
)
def test_urls_are_listed_for_one_endpoint_or_by_name(
    tmp_path: Path, text: str, urls: tuple[str, ...]
) -> None:
    path = tmp_path / "endpoints.yaml"
    path.write_text(text)
    assert ReplicasFile(path, "policy").read() == urls


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prm: [http://c]\n", "lists no 'policy', but: prm"),
        ("- http://a\n- [\n", "is not YAML"),
        ("42\n", "must list the URLs of policy, one a line"),
        ("- 8000\n", "must list the URLs of policy"),
        ("- host:8000\n", "'host:8000' is not a URL: write http://host:port"),
        ("- http://a [\n", "'http://a \\[' is not a URL"),
        ("", "must list the URLs"),
    ],
)
def test_a_mistake_in_it_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "endpoints.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        ReplicasFile(path, "policy").read()
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"endpoints.yaml: cannot be read: No such file"):
        ReplicasFile(tmp_path / "endpoints.yaml", "policy").read()


def test_a_change_is_seen_once_it_is_written_and_a_loss_once(tmp_path: Path) -> None:
    path = tmp_path / "endpoints.yaml"
    path.write_text("- http://a\n")
    file = ReplicasFile(path, "policy")
    file.read()
    assert not file.has_changed()
    path.write_text("- http://b\n")
    os.utime(path, ns=(1, 1))
    assert file.has_changed()
    file.read()
    assert not file.has_changed()
    path.unlink()
    assert [file.has_changed(), file.has_changed()] == [True, False]
    path.write_text("- http://c\n")
    assert file.has_changed()
