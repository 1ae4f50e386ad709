import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file

from servers.fleet import convert, weights
from servers.fleet.convert import convert_value_head, converted
from servers.fleet.spec import FleetError, ModelSpec

TENSORS = {
    "model.embed_tokens.weight": torch.randn(8, 4),
    "model.layers.0.mlp.up_proj.weight": torch.randn(6, 4),
    "model.norm.weight": torch.randn(4),
    "v_head.summary.weight": torch.randn(1, 4),
    "v_head.summary.bias": torch.randn(1),
    "lm_head.weight": torch.randn(8, 4),
}
WANTED = {
    name.replace("v_head.summary", "score"): tensor
    for name, tensor in TENSORS.items()
    if name != "lm_head.weight"
}

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def no_hub(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture
def write(tmp_path) -> Write:
    """Writes a checkpoint in one of the layouts that are met."""

    def checkpoint(layout: str, tensors=TENSORS, **config) -> Path:
        folder = tmp_path / "checkpoint"
        folder.mkdir(exist_ok=True)
        config = {
            "model_type": "qwen2", "architectures": ["Qwen2ForPrmModel"], "hidden_size": 4,
            "auto_map": {"AutoModel": "modeling_qwen2_rm.Qwen2ForRewardModel"},
        } | config  # fmt: skip
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "tokenizer.json").write_text("{}")
        (folder / "modeling_qwen2_rm.py").write_text("raise SystemExit")
        names = list(tensors)
        if layout == "one bin":
            torch.save(tensors, folder / "pytorch_model.bin")
        elif layout == "bins":
            for at, part in enumerate((names[:3], names[3:]), 1):
                shard = {name: tensors[name] for name in part}
                torch.save(shard, folder / f"pytorch_model-0000{at}-of-00002.bin")
            (folder / "pytorch_model.bin.index.json").write_text("{}")
        else:
            parts = [names] if layout == "one safetensors" else [names[:2], names[2:5], names[5:]]
            for at, part in enumerate(parts, 1):
                suffix = "" if len(parts) == 1 else f"-0000{at}-of-00003"
                save_file(
                    {name: tensors[name] for name in part}, folder / f"model{suffix}.safetensors"
                )
            (folder / "model.safetensors.index.json").write_text("{}")
        return folder

    return checkpoint


def loaded(folder: Path) -> dict[str, torch.Tensor]:
    """All tensors, found as vLLM finds them: by the index where there is one."""
    files = sorted(folder.glob("*.safetensors"))
    index = folder / "model.safetensors.index.json"
    tensors = {name: tensor for file in files for name, tensor in load_file(file).items()}
    if index.is_file():
        listed = json.loads(index.read_text())["weight_map"]
        assert {name: load_file(folder / file)[name].shape for name, file in listed.items()} == {
            name: tensor.shape for name, tensor in tensors.items()
        }
        assert set(listed.values()) == {file.name for file in files}
    else:
        assert [file.name for file in files] == ["model.safetensors"]
    return tensors


LAYOUTS = ["one bin", "bins", "one safetensors", "safetensors"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_value_head_becomes_the_score_and_the_language_head_is_dropped(layout, write, tmp_path):
    convert_value_head(write(layout), tmp_path / "out")
    found = loaded(tmp_path / "out")
    assert found.keys() == WANTED.keys()
    assert all(torch.equal(found[name], WANTED[name]) for name in WANTED)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_folder_is_a_classifier_with_its_tokenizer_and_without_code(layout, write, tmp_path):
    convert_value_head(write(layout), tmp_path / "out")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config == {
        "model_type": "qwen2", "architectures": ["Qwen2ForSequenceClassification"],
        "hidden_size": 4, "num_labels": 1,
    }  # fmt: skip
    others = {file.name for file in (tmp_path / "out").iterdir() if "model" not in file.name}
    assert others == {"config.json", "tokenizer.json"}
    assert not list((tmp_path / "out").glob("*.py"))


def test_the_checkpoint_itself_is_left_as_it_was(write, tmp_path):
    folder = write("safetensors")
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    convert_value_head(folder, tmp_path / "out")
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_files_that_do_not_change_are_linked_and_copied_across_file_systems(
    write, tmp_path, monkeypatch
):
    folder = write("safetensors")
    first = "model-00001-of-00003.safetensors"
    convert_value_head(folder, tmp_path / "linked")
    assert (tmp_path / "linked" / first).samefile(folder / first)

    def link(*_):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(convert.os, "link", link)
    convert_value_head(folder, tmp_path / "copied")
    assert not (tmp_path / "copied" / first).samefile(folder / first)
    assert loaded(tmp_path / "copied").keys() == WANTED.keys()


def test_a_checkpoint_is_converted_once_and_anew_when_it_changes(write, tmp_path):
    folder = write("one bin")
    model = ModelSpec(name="prm", source=str(folder), role="prm", context=1, convert="value_head")
    first = converted(model, tmp_path / "cache")
    made = (first / "model.safetensors").stat().st_mtime_ns
    assert converted(model, tmp_path / "cache") == first
    assert (first / "model.safetensors").stat().st_mtime_ns == made
    write("one bin", TENSORS | {"v_head.summary.bias": torch.tensor([9.0, 9.0])})
    second = converted(model, tmp_path / "cache")
    assert loaded(second)["score.bias"].tolist() == [9.0, 9.0]
    assert {path.name for path in (tmp_path / "cache").iterdir()} == {first.name, second.name}


def test_a_download_in_the_hugging_face_cache_is_taken(write, tmp_path):
    repository = tmp_path / "hub" / "models--Skywork--PRM"
    (repository / "snapshots").mkdir(parents=True)
    shutil.copytree(write("one bin"), repository / "snapshots" / "abc")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    model = ModelSpec(name="prm", source="Skywork/PRM", role="prm", context=1)
    folder = converted(model, tmp_path / "cache")
    assert folder.name.startswith("Skywork--PRM-")
    assert loaded(folder).keys() == WANTED.keys()


@pytest.mark.parametrize(
    ("source", "reason"),
    [("Skywork/PRM", "cannot be downloaded"), ("./nowhere", "not a folder with a config.json")],
)
def test_a_checkpoint_that_cannot_be_had_is_named(source, reason, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    model = ModelSpec(name="prm", source=source, role="prm", context=1)
    with pytest.raises(FleetError, match=f"^{source} .*{reason}"):
        converted(model, tmp_path / "cache")


def test_a_checkpoint_without_a_value_head_is_refused(write, tmp_path):
    bare = {name: tensor for name, tensor in TENSORS.items() if "v_head" not in name}
    with pytest.raises(FleetError, match=r"has no value head.*`convert: value_head` out"):
        convert_value_head(write("one bin", bare), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_value_head_on_another_architecture_is_refused(write, tmp_path):
    with pytest.raises(FleetError, match="on a llama and not on a qwen2"):
        convert_value_head(write("one bin", model_type="llama"), tmp_path / "out")


def test_a_disk_too_small_is_seen_before_anything_is_written(write, tmp_path, monkeypatch):
    monkeypatch.setattr(convert.shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
    with pytest.raises(FleetError, match=r"is full .*GB needed.*: make room"):
        convert_value_head(write("one bin"), tmp_path / "cache" / "out")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_disk_that_fills_up_leaves_nothing_behind(write, tmp_path, monkeypatch):
    def copy(source, to, length):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(weights, "_copy", copy)
    with pytest.raises(FleetError, match=r"is full .*No space left on device.*: make room"):
        convert_value_head(write("one bin"), tmp_path / "cache" / "out")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(write, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FleetError, match=r"cannot be written to .*file/out"):
        convert_value_head(write("one bin"), tmp_path / "file" / "out")


def test_of_two_at_once_the_slower_takes_the_others_folder(write, tmp_path, monkeypatch):
    folder, target = write("one bin"), tmp_path / "cache" / "out"
    writing = convert._write_weights

    def while_another_finishes(*arguments):
        writing(*arguments)
        monkeypatch.setattr(convert, "_write_weights", writing)
        convert_value_head(folder, target)

    monkeypatch.setattr(convert, "_write_weights", while_another_finishes)
    convert_value_head(folder, target)
    assert loaded(target).keys() == WANTED.keys()
    assert list(target.parent.iterdir()) == [target]
