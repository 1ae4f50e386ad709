"""A small decoder-only transformer in the two Hugging Face layouts the tiny models are stored in.

``LlamaForCausalLM`` (policies and the "+"/"-" PRM) and ``Qwen2ForProcessRewardModel`` (Qwen2's
attention biases, and a Linear-ReLU-Linear score head in place of the language-model head).
Parameter names are Hugging Face's, so a folder written here loads in transformers and vLLM as is.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

HEAD_DIM = 64
CONTEXT = 512
ROPE_THETA = 10000.0
NORM_EPS = 1e-5

Architecture = Literal["LlamaForCausalLM", "Qwen2ForProcessRewardModel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """The sizes of a model; ``heads`` of 64 dimensions each, whatever the hidden size."""

    vocabulary: int
    hidden: int
    layers: int
    heads: int
    intermediate: int
    architecture: Architecture = "LlamaForCausalLM"

    @property
    def is_prm_head(self) -> bool:
        return self.architecture == "Qwen2ForProcessRewardModel"

    def hugging_face(self, *, eos: int, pad: int) -> dict[str, Any]:
        """This shape as the ``config.json`` of a Hugging Face folder."""
        config: dict[str, Any] = {
            "architectures": [self.architecture],
            "model_type": "qwen2" if self.is_prm_head else "llama",
            "hidden_size": self.hidden,
            "intermediate_size": self.intermediate,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.heads,
            "head_dim": HEAD_DIM,
            "vocab_size": self.vocabulary,
            "max_position_embeddings": CONTEXT,
            "rms_norm_eps": NORM_EPS,
            "rope_theta": ROPE_THETA,
            "hidden_act": "silu",
            "tie_word_embeddings": not self.is_prm_head,
            "bos_token_id": None,
            "eos_token_id": eos,
            "pad_token_id": pad,
            "torch_dtype": "bfloat16",
        }
        if self.is_prm_head:
            config |= {"num_labels": 2, "use_sliding_window": False, "sliding_window": None}
        else:
            config |= {"attention_bias": False, "mlp_bias": False}
        return config

    @classmethod
    def from_hugging_face(cls, config: dict[str, Any]) -> "ModelShape":
        return cls(
            vocabulary=config["vocab_size"],
            hidden=config["hidden_size"],
            layers=config["num_hidden_layers"],
            heads=config["num_attention_heads"],
            intermediate=config["intermediate_size"],
            architecture=config["architectures"][0],
        )


class Norm(nn.Module):
    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(hidden))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), self.weight, NORM_EPS)


class Attention(nn.Module):
    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        width, bias = shape.heads * HEAD_DIM, shape.is_prm_head
        self.heads = shape.heads
        self.q_proj = nn.Linear(shape.hidden, width, bias=bias)
        self.k_proj = nn.Linear(shape.hidden, width, bias=bias)
        self.v_proj = nn.Linear(shape.hidden, width, bias=bias)
        self.o_proj = nn.Linear(width, shape.hidden, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None) -> Tensor:
        batch, length, _ = x.shape
        weight = torch.cat((self.q_proj.weight, self.k_proj.weight, self.v_proj.weight))
        bias = (
            torch.cat((self.q_proj.bias, self.k_proj.bias, self.v_proj.bias))
            if self.q_proj.bias is not None
            else None
        )
        qkv = F.linear(x, weight, bias).view(batch, length, 3 * self.heads, HEAD_DIM)
        q, k, v = qkv.transpose(1, 2).split(self.heads, 1)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        o = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
        return self.o_proj(o.transpose(1, 2).reshape(batch, length, -1))  # type: ignore[no-any-return]


class MLP(nn.Module):
    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(shape.hidden, shape.intermediate, bias=False)
        self.up_proj = nn.Linear(shape.hidden, shape.intermediate, bias=False)
        self.down_proj = nn.Linear(shape.intermediate, shape.hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))  # type: ignore[no-any-return]


class Layer(nn.Module):
    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.self_attn = Attention(shape)
        self.mlp = MLP(shape)
        self.input_layernorm = Norm(shape.hidden)
        self.post_attention_layernorm = Norm(shape.hidden)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, mask)
        return x + self.mlp(self.post_attention_layernorm(x))  # type: ignore[no-any-return]


class Trunk(nn.Module):
    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocabulary, shape.hidden)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = Norm(shape.hidden)


class Transformer(nn.Module):
    """The model itself. ``window`` > 0 limits attention to so many tokens back, in training."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.shape = shape
        self.window = 0
        self.model = Trunk(shape)
        if shape.is_prm_head:
            self.score = nn.Sequential(
                nn.Linear(shape.hidden, shape.hidden), nn.ReLU(), nn.Linear(shape.hidden, 2)
            )
        cos, sin = rotary_tables()
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self._initialise()

    def _initialise(self) -> None:
        depth_scale = 1 / math.sqrt(2 * self.shape.layers)
        for parameter in self.model.parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, 0, 0.8 / math.sqrt(parameter.shape[1]))
        for name, parameter in self.model.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                parameter.data.mul_(depth_scale)
        nn.init.normal_(self.model.embed_tokens.weight, 0, 0.02)

    @property
    def parameter_count(self) -> int:
        return sum(p.numel() for p in self.parameters())

    def forward(self, ids: Tensor) -> Tensor:
        """Hidden states ``(batch, length, hidden)`` of right-padded ids ``(batch, length)``."""
        length = ids.shape[1]
        x = self.model.embed_tokens(ids)
        cos, sin = self.cos[:length], self.sin[:length]  # type: ignore[index]
        mask = None
        if self.window:
            distance = torch.arange(length)[:, None] - torch.arange(length)[None]
            mask = (distance >= 0) & (distance < self.window)
        for layer in self.model.layers:
            x = layer(x, cos, sin, mask)
        return self.model.norm(x)  # type: ignore[no-any-return]

    def logits(self, hidden: Tensor) -> Tensor:
        """Next-token logits, by the tied embedding."""
        return F.linear(hidden, self.model.embed_tokens.weight)


def rotary_tables() -> tuple[Tensor, Tensor]:
    """Cosines and sines ``(CONTEXT, HEAD_DIM)`` of the rotary position embedding."""
    inverse = 1 / (ROPE_THETA ** (torch.arange(0, HEAD_DIM, 2).float() / HEAD_DIM))
    angles = torch.outer(torch.arange(CONTEXT).float(), inverse)
    angles = torch.cat((angles, angles), -1)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat((-second, first), -1) * sin


def save(model: Transformer, tokenizer: Any, folder: Path) -> None:
    """Write a Hugging Face folder in half precision (bfloat16)."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(folder)
    weights = {
        k: v.detach().to(torch.bfloat16).contiguous().clone() for k, v in model.state_dict().items()
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    ids = {"eos": tokenizer.eos_token_id, "pad": tokenizer.pad_token_id}
    config = model.shape.hugging_face(**ids)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    generation = {"eos_token_id": ids["eos"], "pad_token_id": ids["pad"]}
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n")


def load(folder: Path) -> Transformer:
    """Read such a folder back, as float32, ready to serve.

    Raises ``FileNotFoundError`` where the folder lacks its config or weights.
    """
    shape = ModelShape.from_hugging_face(json.loads((folder / "config.json").read_text()))
    model = Transformer(shape)
    weights = load_file(folder / "model.safetensors")
    model.load_state_dict({k: v.float() for k, v in weights.items()})
    return model.eval()
