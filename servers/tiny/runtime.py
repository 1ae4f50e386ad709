"""The forward pass of a tiny model, for serving: fused weights, float32, an external KV store.

A result never depends on its batch. MKL sums in one order for every matrix of at least 4 rows and
16 columns, and in others for smaller ones, so rows are padded to ``MIN_ROWS`` and attended tokens
to a multiple of ``KEY_STEP``. It cuts long sums into pieces of its own choice, so attended values
are summed in blocks of ``KEY_BLOCK``. Prefill, and decode, then give the same alone and among 256
others, to the last bit (on CPUs where MKL behaves so; elsewhere to rounding).

Prefill and decode of the same tokens agree to rounding only. Decode sums over all heads in its
product with the keys, more than ``HEAD_DIM`` numbers, and MKL sums so many in another order for 4
rows than for 12. One product for each head would agree, and take about a third more time.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from servers.tiny.model import HEAD_DIM, NORM_EPS, ROPE_THETA, ModelShape

MIN_ROWS = 4
KEY_STEP = 16
KEY_BLOCK = 128
_PAIRS = HEAD_DIM // 2


class PackedLayer:
    """One layer's weights, transposed for ``x @ w``: q, k, v in one matrix, gate and up in one.

    The two halves of each query and key head are interleaved, so that a rotation is one complex
    multiplication; the scale of attention is folded into the queries.
    """

    def __init__(self, weights: dict[str, Tensor], prefix: str, heads: int) -> None:
        def rotary(name: str, scale: float) -> Tensor:
            w = weights[f"{prefix}.self_attn.{name}"] * scale
            halves = w.view(heads, 2, _PAIRS, *w.shape[1:])
            return halves.transpose(1, 2).reshape(w.shape)

        def fuse(kind: str) -> Tensor:
            value = weights[f"{prefix}.self_attn.v_proj.{kind}"]
            query = rotary(f"q_proj.{kind}", HEAD_DIM**-0.5)
            return torch.cat((query, rotary(f"k_proj.{kind}", 1.0), value))

        mlp = f"{prefix}.mlp"
        self.qkv = fuse("weight").t().contiguous()
        self.qkv_bias = fuse("bias") if f"{prefix}.self_attn.q_proj.bias" in weights else None
        self.out = weights[f"{prefix}.self_attn.o_proj.weight"].t().contiguous()
        gate, up = weights[f"{mlp}.gate_proj.weight"], weights[f"{mlp}.up_proj.weight"]
        self.gate_up = torch.cat((gate, up)).t().contiguous()
        self.down = weights[f"{mlp}.down_proj.weight"].t().contiguous()
        self.norm = weights[f"{prefix}.input_layernorm.weight"]
        self.mlp_norm = weights[f"{prefix}.post_attention_layernorm.weight"]


class Runtime:
    """A model ready to compute. Not thread-safe: one thread owns it.

    A KV store is one tensor ``(layers, rows, capacity, 2 * width)``, keys then values, its capacity
    a multiple of ``KEY_STEP``; everything ever written to it is finite, so masked positions
    contribute exact zeros.
    """

    def __init__(self, folder: Path) -> None:
        """Raises ``FileNotFoundError`` where the folder lacks its config or weights."""
        config = json.loads((folder / "config.json").read_text())
        stored = load_file(folder / "model.safetensors")
        weights = {name: tensor.float() for name, tensor in stored.items()}
        self.shape = ModelShape.from_hugging_face(config)
        self.context: int = config["max_position_embeddings"]
        self.width = self.shape.heads * HEAD_DIM
        self.layers = [
            PackedLayer(weights, f"model.layers.{i}", self.shape.heads)
            for i in range(self.shape.layers)
        ]
        self.embedding = weights["model.embed_tokens.weight"]
        self.norm = weights["model.norm.weight"]
        self.unembedding = self.embedding.t().contiguous()
        if self.shape.is_prm_head:
            first, second = (
                (weights[f"score.{i}.weight"].t().contiguous(), weights[f"score.{i}.bias"])
                for i in (0, 2)
            )
            self.score = first
            # Two columns become sixteen, for the order of summation's sake.
            self.score_out = (
                F.pad(second[0], (0, KEY_STEP - 2)),
                F.pad(second[1], (0, KEY_STEP - 2)),
            )
        # Padding may reach past the context, never past twice its length.
        angles = torch.outer(
            torch.arange(2 * self.context).double(),
            ROPE_THETA ** -(torch.arange(0, HEAD_DIM, 2).double() / HEAD_DIM),
        )
        self.turns = torch.polar(torch.ones_like(angles), angles).to(torch.complex64)

    def empty_store(self, rows: int, capacity: int) -> Tensor:
        """A store of ``rows`` with room for ``capacity`` tokens each, in whole blocks."""
        return torch.zeros(self.shape.layers, rows, _round_up(capacity), 2 * self.width)

    def prefill(self, store: Tensor, first: int, ids: Tensor, start: Tensor) -> Tensor:
        """Hidden states ``(batch, length, hidden)`` of right-padded new tokens.

        ``ids`` is ``(batch, length)``, length at least ``MIN_ROWS``; row ``i`` continues the
        ``start[i]`` tokens already in row ``first + i`` of the store, which takes up its keys and
        values.
        """
        batch, length = ids.shape
        total = _round_up(int(start.max()) + length)
        positions = start[:, None] + torch.arange(length)
        visible = torch.arange(total) <= positions[:, :, None]
        mask = torch.where(visible, 0.0, -torch.inf)
        rows = torch.arange(first, first + batch)[:, None]
        slots = (rows * store.shape[2] + positions).flatten()
        turns = self.turns[positions.flatten()][:, None]
        x = self.embedding[ids.flatten()]
        attended = torch.empty(batch, length, self.width)
        for layer, kv in zip(self.layers, store, strict=True):
            qkv = self._project(layer, x, turns)
            kv.view(-1, 2 * self.width).index_copy_(0, slots, qkv[:, self.width :])
            seen = kv[first : first + batch, :total]
            queries = qkv.view(batch, length, -1)
            for head in range(self.shape.heads):
                part = slice(head * HEAD_DIM, (head + 1) * HEAD_DIM)
                keys = seen[:, :, part].transpose(1, 2)
                values = seen[:, :, self.width + part.start : self.width + part.stop]
                weights = torch.baddbmm(mask, queries[:, :, part], keys).softmax(-1)
                attended[:, :, part] = _weighted_sum(weights, values)
            x = self._after_attention(layer, x, attended.view(-1, self.width))
        return F.rms_norm(x, (x.shape[-1],), self.norm, NORM_EPS).view(batch, length, -1)

    def decode(self, store: Tensor, ids: Tensor, lengths: Tensor, longest: int) -> Tensor:
        """Hidden states ``(rows, hidden)`` of one new token for each of the store's first rows.

        ``rows`` is at least ``MIN_ROWS``; row ``i`` holds ``lengths[i]`` tokens before this one, at
        most ``longest``.

        The queries of all heads form one block-diagonal matrix, so that each row needs a single
        product with its keys and one with its values; the added zeros change nothing.
        """
        rows, heads, width = len(ids), self.shape.heads, self.width
        tall, total = max(heads, MIN_ROWS), _round_up(longest + 1)
        mask = torch.where(torch.arange(total) <= lengths[:, None], 0.0, -torch.inf)
        mask = mask[:, None].expand(rows, tall, total)
        slots = torch.arange(rows) * store.shape[2] + lengths
        turns = self.turns[lengths][:, None]
        queries = torch.zeros(rows, tall, width)
        diagonal = (rows, heads, HEAD_DIM), (tall * width, width + HEAD_DIM, 1)
        own_block = queries.as_strided(*diagonal)
        x = self.embedding[ids]
        for layer, kv in zip(self.layers, store, strict=True):
            qkv = self._project(layer, x, turns)
            kv.view(-1, 2 * width).index_copy_(0, slots, qkv[:, width:])
            seen = kv[:rows, :total]
            own_block.copy_(qkv[:, :width].unflatten(1, (heads, HEAD_DIM)))
            weights = torch.baddbmm(mask, queries, seen[:, :, :width].transpose(1, 2)).softmax(-1)
            attended = _weighted_sum(weights, seen[:, :, width:]).as_strided(*diagonal)
            x = self._after_attention(layer, x, attended.reshape(rows, width))
        return F.rms_norm(x, (x.shape[-1],), self.norm, NORM_EPS)

    def _project(self, layer: PackedLayer, x: Tensor, turns: Tensor) -> Tensor:
        """Rotated queries and keys, and values, ``(tokens, 3 * width)``."""
        h = F.rms_norm(x, (x.shape[-1],), layer.norm, NORM_EPS)
        bias = layer.qkv_bias
        qkv = torch.mm(h, layer.qkv) if bias is None else torch.addmm(bias, h, layer.qkv)
        pairs = qkv[:, : 2 * self.width].unflatten(1, (-1, _PAIRS, 2))
        torch.view_as_complex(pairs).mul_(turns)
        return qkv

    @staticmethod
    def _after_attention(layer: PackedLayer, x: Tensor, attended: Tensor) -> Tensor:
        x = torch.addmm(x, attended, layer.out)
        h = F.rms_norm(x, (x.shape[-1],), layer.mlp_norm, NORM_EPS)
        gate, up = torch.mm(h, layer.gate_up).chunk(2, -1)
        return x.addmm_(F.silu(gate).mul_(up), layer.down)

    def logits(self, hidden: Tensor) -> Tensor:
        """Next-token logits ``(rows, vocabulary)`` of hidden states ``(rows, hidden)``."""
        return torch.mm(_at_least_min_rows(hidden), self.unembedding)[: len(hidden)]

    def step_scores(self, hidden: Tensor) -> Tensor:
        """A process reward model's two logits ``(rows, 2)`` at hidden states of step tags."""
        (weight, bias), (weight_out, bias_out) = self.score, self.score_out
        h = torch.addmm(bias, _at_least_min_rows(hidden), weight).relu_()
        return torch.addmm(bias_out, h, weight_out)[: len(hidden), :2]


def _weighted_sum(weights: Tensor, values: Tensor) -> Tensor:
    """``weights (batch, queries, keys) @ values (batch, keys, size)``, block after block."""
    total = torch.bmm(weights[:, :, :KEY_BLOCK], values[:, :KEY_BLOCK])
    for at in range(KEY_BLOCK, values.shape[1], KEY_BLOCK):
        block = slice(at, at + KEY_BLOCK)
        total = total.baddbmm_(weights[:, :, block], values[:, block])
    return total


def _at_least_min_rows(x: Tensor) -> Tensor:
    missing = MIN_ROWS - len(x)
    return x if missing <= 0 else F.pad(x, (0, 0, 0, missing))


def _round_up(total: int) -> int:
    return -(-total // KEY_STEP) * KEY_STEP
