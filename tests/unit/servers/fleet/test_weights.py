import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from servers.fleet.spec import FleetError
from servers.fleet.weights import read, write

TENSORS = {
    "a.weight": torch.arange(12, dtype=torch.bfloat16).reshape(3, 4),
    "a.bias": torch.tensor([0.5]),
    "count": torch.tensor(7),
    "mask": torch.tensor([True, False]),
    "empty": torch.zeros(0, 4, dtype=torch.float16),
}


@pytest.fixture(params=["safetensors", "bin"])
def file(request, tmp_path) -> Path:
    """The tensors as a file of either kind."""
    path = tmp_path / f"model.{request.param}"
    if request.param == "bin":
        torch.save(TENSORS, path)
    else:
        save_file(TENSORS, path, metadata={"format": "pt"})
    return path


def same(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> bool:
    return found.keys() == wanted.keys() and all(
        found[name].dtype == wanted[name].dtype and torch.equal(found[name], wanted[name])
        for name in wanted
    )


def test_tensors_are_copied_bit_for_bit(file, tmp_path):
    write(tmp_path / "copy.safetensors", read(file))
    assert same(load_file(tmp_path / "copy.safetensors"), TENSORS)


def test_views_and_shared_storages_of_torch_files_are_cut_out(tmp_path):
    whole = torch.arange(20.0).reshape(5, 4)
    torch.save({"rows": whole[2:4], "same": whole, "first": whole[0]}, tmp_path / "m.bin")
    write(tmp_path / "copy.safetensors", read(tmp_path / "m.bin"))
    wanted = {"rows": whole[2:4].clone(), "same": whole, "first": whole[0].clone()}
    assert same(load_file(tmp_path / "copy.safetensors"), wanted)


def test_parameters_and_a_modules_state_dict_can_be_read(tmp_path):
    layer = torch.nn.Linear(2, 3)
    torch.save(layer.state_dict(), tmp_path / "state.bin")
    torch.save(dict(layer.named_parameters()), tmp_path / "parameters.bin")
    for name in ("state.bin", "parameters.bin"):
        write(tmp_path / "copy.safetensors", read(tmp_path / name))
        assert same(load_file(tmp_path / "copy.safetensors"), dict(layer.state_dict()))


def test_tensors_larger_than_a_buffer_are_copied_whole(tmp_path):
    large = {"x": torch.arange(5 * 2**20, dtype=torch.int64)}
    save_file(large, tmp_path / "m.safetensors")
    write(tmp_path / "copy.safetensors", read(tmp_path / "m.safetensors"))
    assert same(load_file(tmp_path / "copy.safetensors"), large)


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("bang",)


def test_no_code_of_a_pickle_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile("m.bin", "w") as archive:
        archive.writestr("m/data.pkl", pickle.dumps({"x": Bomb()}))
    with pytest.raises(FleetError, match="mkdir is not part of a state dict"):
        read(Path("m.bin"))
    assert not Path("bang").exists()


def test_a_transposed_tensor_is_refused_not_garbled(tmp_path):
    torch.save({"x": torch.arange(6).reshape(2, 3).T}, tmp_path / "m.bin")
    with pytest.raises(FleetError, match="rows first"):
        read(tmp_path / "m.bin")


@pytest.mark.parametrize("name", ["m.safetensors", "m.bin"])
@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"\x08\0\0\0\0\0\0\0nonsense"])
def test_a_file_that_is_something_else_is_named(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FleetError, match=rf"{name} holds no tensors"):
        read(tmp_path / name)


def test_a_file_cut_short_is_named(tmp_path):
    save_file(TENSORS, tmp_path / "m.safetensors")
    content = (tmp_path / "m.safetensors").read_bytes()
    (tmp_path / "m.safetensors").write_bytes(content[:-8])
    with pytest.raises(FleetError, match=r"m\.safetensors ends early"):
        write(tmp_path / "copy.safetensors", read(tmp_path / "m.safetensors"))
