"""Tensors of a checkpoint as spans of bytes in its files: renamed and moved without being loaded.

Reads safetensors and the zip files of ``torch.save``, writes safetensors. Neither needs torch, and
no code in a pickle is run.
"""

import json
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from servers.fleet.spec import FleetError

_CHUNK = 16 * 2**20

_STORAGES = {
    "BFloat16Storage": ("BF16", 2), "HalfStorage": ("F16", 2), "FloatStorage": ("F32", 4),
    "DoubleStorage": ("F64", 8), "LongStorage": ("I64", 8), "IntStorage": ("I32", 4),
    "ShortStorage": ("I16", 2), "CharStorage": ("I8", 1), "ByteStorage": ("U8", 1),
    "BoolStorage": ("BOOL", 1),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """``length`` bytes at ``offset`` in ``file``, rows first; ``dtype`` by safetensors' names."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: Path
    offset: int
    length: int


def read(file: Path) -> list[Tensor]:
    """The tensors of a ``.safetensors`` or ``.bin`` file. Raises ``FleetError`` if it is damaged
    or of another kind."""
    try:
        return _read_safetensors(file) if file.suffix == ".safetensors" else _read_torch(file)
    except (
        zipfile.BadZipFile, pickle.UnpicklingError, struct.error,
        ValueError, KeyError, TypeError, AttributeError, EOFError,
    ) as error:  # fmt: skip
        raise FleetError(
            f"{file} holds no tensors that can be read ({error}): download it again, or save it "
            "as safetensors"
        ) from error


def write(file: Path, tensors: Iterable[Tensor]) -> None:
    """Write a safetensors file, copying each tensor from where it lies. Raises ``OSError``."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    tensors = list(tensors)
    for tensor in tensors:
        start, end = end, end + tensor.length
        header[tensor.name] = {
            "dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": (start, end),
        }  # fmt: skip
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with file.open("wb") as to:
        to.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors:
            with tensor.file.open("rb") as source:
                source.seek(tensor.offset)
                _copy(source, to, tensor.length)


def _copy(source: BinaryIO, to: BinaryIO, length: int) -> None:
    while length:
        chunk = source.read(min(_CHUNK, length))
        if not chunk:
            raise FleetError(f"{source.name} ends early: download it again")
        to.write(chunk)
        length -= len(chunk)


def _read_safetensors(file: Path) -> list[Tensor]:
    with file.open("rb") as source:
        (length,) = struct.unpack("<Q", source.read(8))
        if length > file.stat().st_size:
            raise ValueError("it does not begin with a header")
        header = json.loads(source.read(length))
    header.pop("__metadata__", None)
    return [
        Tensor(
            name=name,
            dtype=entry["dtype"],
            shape=tuple(entry["shape"]),
            file=file,
            offset=8 + length + entry["data_offsets"][0],
            length=entry["data_offsets"][1] - entry["data_offsets"][0],
        )
        for name, entry in header.items()
    ]


@dataclass(frozen=True, slots=True)
class _Stored:
    """A tensor before it has a name: ``size`` bytes a number, in the archive's entry ``key``."""

    dtype: str
    size: int
    key: str
    start: int
    shape: tuple[int, ...]


class _StateDict(pickle.Unpickler):
    """Reads what ``torch.save`` writes of a state dict, and knows no other classes."""

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        known = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"{module}.{name} is not part of a state dict")
        return known[module, name]

    def persistent_load(self, pid: Any) -> Any:
        _, (dtype, size), key, *_ = pid
        return dtype, size, key


def _tensor(
    storage: tuple[str, int, str], start: int, shape: tuple[int, ...], strides: tuple[int, ...],
    *_: Any,
) -> _Stored:  # fmt: skip
    rows_first = [prod(shape[axis + 1 :]) for axis in range(len(shape))]
    pairs = zip(shape, strides, rows_first, strict=True)
    if any(stride != wanted for length, stride, wanted in pairs if length > 1):
        raise ValueError("a tensor is not laid out rows first")
    dtype, size, key = storage
    return _Stored(dtype, size, key, start, tuple(shape))


def _read_torch(file: Path) -> list[Tensor]:
    with zipfile.ZipFile(file) as archive, file.open("rb") as raw:
        (entry,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        with archive.open(entry) as pickled:
            state = _StateDict(pickled).load()
        folder = entry.removesuffix(".pkl")
        return [
            Tensor(
                name=name,
                dtype=stored.dtype,
                shape=stored.shape,
                file=file,
                offset=_start(raw, archive.getinfo(f"{folder}/{stored.key}"))
                + stored.start * stored.size,
                length=prod(stored.shape) * stored.size,
            )
            for name, stored in state.items()
        ]


def _start(raw: BinaryIO, entry: zipfile.ZipInfo) -> int:
    """Where an entry's bytes begin: its local header may differ in length from the directory's."""
    if entry.compress_type != zipfile.ZIP_STORED:
        raise ValueError("its tensors are compressed")
    raw.seek(entry.header_offset + 26)
    name, extra = struct.unpack("<HH", raw.read(4))
    return int(entry.header_offset + 30 + name + extra)
