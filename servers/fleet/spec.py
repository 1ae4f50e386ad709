"""What a fleet is: models, how each is served, and where its replicas lie."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Role = Literal["policy", "prm"]
Device = Literal["auto", "gpu", "cpu"]
"""Where vLLM computes; "auto" takes the GPUs of this machine, and its CPU where it has none."""

Flag = str | int | float | bool | list[str] | Mapping[str, Any]
"""The value of a vLLM flag: true is the bare flag, false leaves it out, a mapping goes as JSON."""


class FleetError(RuntimeError):
    """A fleet that cannot be planned, started or reached; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What the size of a KV cache follows from."""

    layers: int
    kv_heads: int
    head_dim: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """A model as vLLM serves it.

    ``source`` is a Hugging Face id or a folder; ``name`` what clients call it. ``context`` is the
    longest sequence in tokens (``--max-model-len``). ``parameters`` and ``shape`` are what the
    planner falls back on where the checkpoint's own files are not at hand. ``convert`` names what
    has to be done to the checkpoint before vLLM can load it.
    """

    name: str
    source: str
    role: Role
    context: int
    parameters: int | None = None
    shape: Shape | None = None
    convert: Literal["value_head"] | None = None
    flags: Mapping[str, Flag] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSpec:
    """One model of a fleet, in so many replicas.

    ``tensor_parallel`` is the number of GPUs of one replica; None takes the least that fits.
    ``port`` is the first replica's, the others count on from it; None takes any that are free.
    ``flags`` win over the model's.
    """

    name: str
    model: ModelSpec
    replicas: int = 1
    tensor_parallel: int | None = None
    port: int | None = None
    flags: Mapping[str, Flag] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSpec:
    """Services that come and go together.

    ``api_key`` guards every server; None makes one up. ``python`` is the interpreter of an
    environment with vLLM; None looks for one. ``environment`` is added to the servers' own.
    """

    name: str
    services: tuple[ServiceSpec, ...]
    host: str = "127.0.0.1"
    api_key: str | None = field(default=None, repr=False)
    python: Path | None = None
    device: Device = "auto"
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where one replica lies.

    ``gpus`` are device indices, none on a CPU. Sizes are bytes on each of them: ``weights``,
    ``kv_cache``, and ``overhead`` for activations, CUDA graphs and the runtime. ``share`` is the
    part of each GPU's memory that the replica may take (``--gpu-memory-utilization``).
    """

    service: str
    replica: int
    gpus: tuple[int, ...] = ()
    weights: int = 0
    kv_cache: int = 0
    overhead: int = 0
    share: float = 0.9
