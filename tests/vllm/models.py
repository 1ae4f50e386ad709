"""Tiny checkpoints with random weights in the layouts of the real PRMs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2ForSequenceClassification,
    Qwen2ForTokenClassification,
)

from tests.vllm.vocabularies import LLAMA3_CHAT, LLAMA31_CHAT, llama3, mistral, qwen25

HIDDEN = 128
CONTEXT = 2048
SEED = 7
HEADS = ("lm_head", "score", "summary")


def write_math_shepherd(folder: Path) -> Path:
    """Math-Shepherd-PRM: a Mistral that says "+" or "-" at "ки"."""
    return _write(MistralForCausalLM(_sized(MistralConfig, mistral())), mistral(), folder)


def write_rlhflow(folder: Path) -> Path:
    """RLHFlow's PRM of Deepseek data: a Llama 3.1 that answers a step with "+" or "-"."""
    return _write_rlhflow(folder, LLAMA31_CHAT)


def write_rlhflow_mistral(folder: Path) -> Path:
    """RLHFlow's PRM of Mistral data: the same, with the chat template of Llama 3."""
    return _write_rlhflow(folder, LLAMA3_CHAT)


def _write_rlhflow(folder: Path, chat_template: str) -> Path:
    tokenizer = llama3(chat_template)
    return _write(LlamaForCausalLM(_sized(LlamaConfig, tokenizer)), tokenizer, folder)


def write_qwen_math(folder: Path) -> Path:
    """Qwen2.5-Math-PRM: a Qwen2 with a two-layer head of two classes."""
    model = Qwen2ForCausalLM(_sized(Qwen2Config, qwen25()))
    head = nn.Sequential(nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2))
    return _write_with_head(
        model,
        qwen25(),
        "score",
        head,
        folder,
        architectures=["Qwen2ForProcessRewardModel"],
        num_labels=2,
    )


def write_skywork(folder: Path) -> Path:
    """Skywork-o1-Open-PRM: a Qwen2 with a value head beside its language-model head."""
    tokenizer = qwen25(bos_token="<|im_start|>")
    model = Qwen2ForCausalLM(_sized(Qwen2Config, tokenizer))
    return _write_with_head(model, tokenizer, "v_head.summary", nn.Linear(HIDDEN, 1), folder)


def write_trl(folder: Path) -> Path:
    """What TRL's PRMTrainer leaves: a Qwen2 that puts every token into one of two classes."""
    config = _sized(Qwen2Config, qwen25(), num_labels=2)
    return _write(Qwen2ForTokenClassification(config), qwen25(), folder)


def write_outcome(folder: Path) -> Path:
    """An outcome reward model: a Qwen2 with one score for a whole sequence."""
    config = _sized(Qwen2Config, qwen25(), num_labels=1)
    return _write(Qwen2ForSequenceClassification(config), qwen25(), folder)


WRITERS: dict[str, Callable[[Path], Path]] = {
    "math_shepherd": write_math_shepherd,
    "rlhflow": write_rlhflow,
    "rlhflow_mistral": write_rlhflow_mistral,
    "qwen_math": write_qwen_math,
    "skywork": write_skywork,
    "trl": write_trl,
    "outcome": write_outcome,
}


def _sized(kind: Callable[..., Any], tokenizer: PreTrainedTokenizerFast, **more: int) -> Any:
    return kind(
        vocab_size=len(tokenizer),
        hidden_size=HIDDEN,
        intermediate_size=2 * HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **more,
    )


def _write(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, folder: Path) -> Path:
    _randomise(model)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _write_with_head(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    name: str,
    head: nn.Module,
    folder: Path,
    **config: Any,
) -> Path:
    """A language model with a head that transformers knows no class for, beside its own."""
    _write(model, tokenizer, folder)
    _randomise(head)
    path = folder / "model.safetensors"
    weights = {f"{name}.{key}": value.detach() for key, value in head.named_parameters()}
    save_file({**load_file(path), **weights}, path, metadata={"format": "pt"})
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | config, indent=2) + "\n")
    return folder


@torch.no_grad()
def _randomise(module: nn.Module) -> None:
    """Weights that keep activations of order one, and heads that keep logits so."""
    torch.manual_seed(SEED)
    for name, weight in module.named_parameters():
        if name.endswith("norm.weight"):
            weight.normal_(1.0, 0.1)
        elif weight.dim() == 1:
            weight.normal_(0.0, 0.2)
        elif "embed" in name:
            weight.normal_(0.0, 0.3)
        else:
            is_head = name.partition(".")[0] in HEADS
            weight.normal_(0.0, 1.0 if is_head else 1.5).mul_(weight.shape[1] ** -0.5)
