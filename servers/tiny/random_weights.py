"""Model folders with random weights: what the server's tests serve, made in milliseconds."""

import json
from functools import cache
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from servers.tiny.model import ModelShape, Transformer, save
from servers.tiny.tokenizer import SHEPHERD_TAG, build

ModelKind = Literal["policy", "qwen-prm", "shepherd-prm"]


def write_random_model(
    folder: Path,
    kind: ModelKind,
    *,
    seed: int = 0,
    hidden: int = 64,
    layers: int = 2,
    heads: int = 2,
) -> Path:
    """Write a folder in the layout of ``kind``; the same weights for the same arguments."""
    tokenizer = _tokenizer()
    shape = ModelShape(
        vocabulary=len(tokenizer),
        hidden=hidden,
        layers=layers,
        heads=heads,
        intermediate=2 * hidden,
        architecture="Qwen2ForProcessRewardModel" if kind == "qwen-prm" else "LlamaForCausalLM",
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Transformer(shape)
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                nn.init.normal_(parameter, 0, 0.3)
        nn.init.normal_(model.model.embed_tokens.weight, 0, 0.05)
    save(model, tokenizer, folder)
    if kind == "shepherd-prm":
        path = folder / "config.json"
        config = json.loads(path.read_text())
        config["orchard_prm"] = {"tag": f" {SHEPHERD_TAG}", "labels": ["+", "-"]}
        path.write_text(json.dumps(config, indent=2) + "\n")
    return folder


@cache
def _tokenizer() -> Any:
    return build()
