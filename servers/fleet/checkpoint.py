"""What a checkpoint's own files tell of its size, without loading it and without a network."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from servers.fleet.spec import FleetError, ModelSpec, Shape

VOCABULARY = 152_064
"""Taken where it is not known: Qwen2.5's, the largest of the paper's models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A model as it is stored.

    ``weights`` are bytes, ``value_bytes`` those of one parameter (of an unquantized one where the
    checkpoint is ``quantized``). ``heads`` are the attention heads, None where they are not known.
    ``vocabulary`` is in tokens.
    """

    weights: int
    parameters: int
    value_bytes: int
    quantized: bool
    shape: Shape
    heads: int | None
    vocabulary: int


def read(model: ModelSpec) -> Checkpoint:
    """A model's checkpoint, from its folder or the local Hugging Face cache.

    What the files do not tell is taken from ``model.parameters`` and ``model.shape``, at two bytes
    a parameter. Raises ``FleetError`` where that leaves the size open.
    """
    folder = find(model.source)
    config = {} if folder is None else _config(folder)
    shape = _shape(config) or model.shape
    value_bytes = 4 if "float32" in (config.get("dtype"), config.get("torch_dtype")) else 2
    quantized = "quantization_config" in config
    stored = 0 if folder is None else _stored(folder)
    parameters = model.parameters or _parameters(config)
    if stored and not quantized:
        parameters = stored // value_bytes
    if shape is None or not (parameters or stored):
        raise FleetError(
            f"{model.name}: its size is not known: {model.source} is no folder with a config.json "
            "and not in the Hugging Face cache; download it, or give the model's `parameters` and "
            "`shape` ({layers, kv_heads, head_dim})"
        )
    return Checkpoint(
        weights=stored or parameters * value_bytes,
        parameters=parameters or 2 * stored,  # four bits each, the most a byte holds
        value_bytes=value_bytes,
        quantized=quantized,
        shape=shape,
        heads=config.get("num_attention_heads"),
        vocabulary=config.get("vocab_size") or VOCABULARY,
    )


def find(source: str) -> Path | None:
    """The folder of a checkpoint: ``source`` itself, or its snapshot in the Hugging Face cache."""
    folder = Path(source).expanduser()
    if (folder / "config.json").is_file():
        return folder
    repository = _cache() / f"models--{source.replace('/', '--')}"
    try:
        revision = (repository / "refs" / "main").read_text().strip()
    except OSError:
        return None
    snapshot = repository / "snapshots" / revision
    return snapshot if (snapshot / "config.json").is_file() else None


def _cache() -> Path:
    """Where ``huggingface_hub`` keeps downloads (its environment variables, in its order)."""
    if cache := os.environ.get("HF_HUB_CACHE"):
        return Path(cache).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or Path(base) / "huggingface"
    return Path(home).expanduser() / "hub"


def _config(folder: Path) -> dict[str, Any]:
    """``config.json``, with the language model's part of a nested one on top."""
    path = folder / "config.json"
    config = read_json(path)
    nested: dict[str, Any] = config.get("text_config", {})
    return config | nested


def read_json(path: Path) -> dict[str, Any]:
    """Raises ``FleetError`` where it holds no JSON object."""
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise FleetError(f"{path} cannot be read: {error}; download it again") from error
    if not isinstance(values, dict):
        raise FleetError(f"{path} holds no JSON object; download it again")
    return values


def _shape(config: dict[str, Any]) -> Shape | None:
    layers, heads = config.get("num_hidden_layers"), config.get("num_attention_heads")
    if not layers or not heads:
        return None
    return Shape(
        layers=layers,
        kv_heads=config.get("num_key_value_heads") or heads,
        head_dim=config.get("head_dim") or config["hidden_size"] // heads,
    )


def _stored(folder: Path) -> int:
    """Bytes of the weights; 0 where the folder has none yet."""
    for index in ("model.safetensors.index.json", "pytorch_model.bin.index.json"):
        if (folder / index).is_file():
            return int(read_json(folder / index).get("metadata", {}).get("total_size", 0))
    for pattern in ("model*.safetensors", "*.safetensors", "pytorch_model*.bin"):
        if size := sum(path.stat().st_size for path in folder.glob(pattern)):
            return size
    return 0


def _parameters(config: dict[str, Any]) -> int:
    """Parameters of a transformer with gated MLPs, as its config has them; 0 if it does not say."""
    shape, hidden = _shape(config), config.get("hidden_size")
    mlp, vocabulary = config.get("intermediate_size"), config.get("vocab_size")
    if shape is None or not (hidden and mlp and vocabulary):
        return 0
    queries = int(config["num_attention_heads"]) * shape.head_dim
    layer = hidden * (2 * queries + 2 * shape.kv_heads * shape.head_dim + 3 * mlp)
    embeddings = vocabulary * hidden * (1 if config.get("tie_word_embeddings") else 2)
    return int(shape.layers * layer + embeddings)
