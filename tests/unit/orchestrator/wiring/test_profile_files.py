"""How the files of profiles are named, and where they can be written."""

from pathlib import Path

import msgspec
import pytest

from orchestrator.commands.profile.profiling import prepare_folder, written
from orchestrator.errors import RunError
from orchestrator.optimal.profile import Profile, ProfiledModel, read
from tests.unit.orchestrator.optimal.small_profile import small_profile


def of(policy: str, prm: str = "prm") -> Profile:
    return msgspec.structs.replace(
        small_profile(), policy=ProfiledModel(policy), prm=ProfiledModel(prm)
    )


def test_a_file_is_named_by_task_policy_and_prm(tmp_path: Path) -> None:
    assert [path.name for path in written([of("small")], tmp_path)] == ["sums-small-prm.yaml"]


@pytest.mark.parametrize(
    "name",
    ["Qwen/Qwen2.5-1.5B", "../../etc/x", ".hidden", "a:b*c?", "x" * 400, "模型/一" * 90, "/"],
)
def test_any_name_of_a_model_makes_a_file_of_that_folder(tmp_path: Path, name: str) -> None:
    (path,) = written([of(name)], tmp_path)
    assert path.parent == tmp_path and not path.name.startswith(".")
    assert read(path).policy.name == name


def test_names_that_differ_only_in_what_no_file_can_hold_get_files_of_their_own(
    tmp_path: Path,
) -> None:
    paths = written([of("org/model"), of("org:model"), of("other")], tmp_path)
    assert len(set(paths)) == 3
    assert [read(path).policy.name for path in paths] == ["org/model", "org:model", "other"]


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_measured(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"cannot write .*file/profiles: .*; name another --out"):
        prepare_folder(tmp_path / "file" / "profiles")
    prepare_folder(tmp_path / "new" / "profiles")
    assert list((tmp_path / "new" / "profiles").iterdir()) == []
