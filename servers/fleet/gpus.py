"""The GPUs to plan for: those of this machine, or named ones it does not have."""

import difflib
import os
import re
from dataclasses import dataclass
from typing import Any

from servers.fleet.spec import FleetError

GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class GPU:
    """A GPU as the driver numbers it, by PCI bus.

    ``memory`` is what CUDA can allocate and ``used`` what others hold of it now, in bytes.
    """

    index: int
    name: str
    memory: int
    used: int = 0


CARDS: dict[str, float] = {
    "V100-16": 15.7,
    "V100-32": 31.7,
    "T4": 14.5,
    "A10": 22.0,
    "A10G": 22.0,
    "A30": 23.5,
    "A40": 44.3,
    "A6000": 47.4,
    "A100-40": 39.3,
    "A100-80": 79.1,
    "L4": 21.9,
    "L40": 44.3,
    "L40S": 44.3,
    "RTX3090": 23.6,
    "RTX4090": 23.5,
    "RTX5090": 31.3,
    "H20": 95.0,
    "H100": 79.1,
    "H100-NVL": 93.0,
    "H200": 139.7,
    "B200": 178.3,
}
"""GiB that CUDA can allocate on each card, the "total capacity" of PyTorch's out-of-memory errors:
less than what is printed on it, for the driver and error correction keep some."""

_NOMINAL = 0.985
"""Of a size in whole GB, what CUDA can allocate on the data centre cards above."""

_COUNTED = re.compile(r"\s*(?:(\d+)\s*[x×*]\s*)?(\S.*?)\s*")
_DECORATION = re.compile(r"NVIDIA|GEFORCE|TESLA|SXM\d?|PCIE|HBM\d?E?|(?<=\d)GI?B|[^A-Z0-9]")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*Gi?B", re.IGNORECASE)


def parse(text: str) -> list[GPU]:
    """GPUs by description: "8xH200", "2 x A100-80", "H100", or by size, "4x80GB".

    Raises ``FleetError`` for a card that is not in ``CARDS``, with the names nearest to it.
    """
    match = _COUNTED.fullmatch(text)
    if match is None or match[1] == "0":
        raise FleetError(f'no GPUs can be read from "{text}": write for instance 8xH200 or 4x80GB')
    name, memory = _card(match[2])
    return [GPU(index=index, name=name, memory=memory) for index in range(int(match[1] or 1))]


def _card(text: str) -> tuple[str, int]:
    if size := _SIZE.fullmatch(text):
        return f"{size[1]}GB", int(float(size[1]) * _NOMINAL * GIB)
    spelled = {_spelling(name): name for name in CARDS}
    for spelling in (_spelling(text), _spelling(_SIZE.sub("", text))):  # an H100 80GB is an H100
        if name := spelled.get(spelling):
            return name, int(CARDS[name] * GIB)
    sizes = [name for key, name in spelled.items() if key.startswith(_spelling(text))]
    close = difflib.get_close_matches(_spelling(text), spelled, n=3, cutoff=0.5)
    near = sizes or [spelled[key] for key in close] or list(CARDS)
    raise FleetError(f'unknown card "{text}": {", ".join(near)}, or a size such as 80GB')


def _spelling(name: str) -> str:
    """A card's name as people vary it: NVIDIA A100 80GB, a100-80gb and A100-80 are one."""
    return _DECORATION.sub("", name.upper()).removeprefix("RTX")


def detect() -> list[GPU]:
    """The NVIDIA GPUs that CUDA_VISIBLE_DEVICES leaves visible; none without a driver.

    Raises ``FleetError`` where that variable names a partition of a GPU (MIG).
    """
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        handles = [
            pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())
        ]
        uuids = [str(pynvml.nvmlDeviceGetUUID(handle)) for handle in handles]
        indices = visible(uuids, os.environ.get("CUDA_VISIBLE_DEVICES"))
        return [_gpu(pynvml, index, handles[index]) for index in indices]
    except pynvml.NVMLError as error:
        raise FleetError(
            f"the NVIDIA driver does not tell of its GPUs ({error}): see what nvidia-smi says, or "
            "plan with --gpus"
        ) from error
    finally:
        pynvml.nvmlShutdown()


def _gpu(pynvml: Any, index: int, handle: Any) -> GPU:
    try:
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle, version=pynvml.nvmlMemory_v2)
        total = memory.total - memory.reserved
    except (pynvml.NVMLError, AttributeError):  # a driver older than 510 knows no `reserved`
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        total = memory.total
    name = str(pynvml.nvmlDeviceGetName(handle)).removeprefix("NVIDIA ")
    return GPU(index=index, name=name, memory=int(total), used=int(memory.used))


def visible(uuids: list[str], variable: str | None) -> list[int]:
    """Indices of the GPUs that CUDA_VISIBLE_DEVICES names, in its order; all where it is not set.

    Like CUDA, what follows the first entry that names no GPU is not seen. ``uuids`` are the GPUs'
    in the driver's order; an entry is an index or the beginning of a UUID. Raises ``FleetError``
    for a partition of a GPU (MIG), whose memory is not the GPU's.
    """
    if variable is None:
        return list(range(len(uuids)))
    indices: list[int] = []
    for entry in (part.strip() for part in variable.split(",")):
        if entry.startswith("MIG-"):
            raise FleetError(
                "CUDA_VISIBLE_DEVICES names a MIG partition, which fleets are not planned for: "
                "name whole GPUs"
            )
        named = [index for index, uuid in enumerate(uuids) if entry and uuid.startswith(entry)]
        if entry.isdecimal() and int(entry) < len(uuids):
            named = [int(entry)]
        if len(named) != 1 or named[0] in indices:
            break
        indices += named
    return indices
