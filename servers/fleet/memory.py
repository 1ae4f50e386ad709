"""What a replica takes of each of its GPUs: estimates from a model's size and vLLM's flags.

The figures follow vLLM 0.32. Where published logs allow a check they come out right or a little
high: beside weights and KV cache, Llama-3.1-8B took 0.6 GiB on an A100 40 GB (batches of 2,048
tokens and 256 sequences) and 2.2 GiB on an H100 NVL (8,192 and 1,024), before vLLM counted CUDA
graphs in; the estimates are 0.7 and 2.2 GiB.
"""

import math
from dataclasses import dataclass

from servers.fleet.checkpoint import Checkpoint
from servers.fleet.gpus import GIB, GPU
from servers.fleet.spec import Flag, ServiceSpec

CUDA_CONTEXT = GIB // 2
"""What CUDA keeps for a process before vLLM looks at the GPU: it is not part of its share."""

_RUNTIME = GIB // 4
"""cuBLAS and NCCL buffers, loaded kernels: 0.1 to 0.4 GiB in vLLM's logs."""

_GRAPHS_PER_LAYER = 16 * 2**20
"""CUDA graphs of vLLM's 51 batch sizes; its logs tell of 0.4 to 0.8 GiB for some 30 layers."""

_BLOCK = 16
"""Tokens of a block of the KV cache, one of which vLLM holds back."""

_USEFUL_TOKENS = 16 * 1024
"""A KV cache worth having: a beam search of N = 16 at a thousand tokens a path; of models with a
short context, four sequences."""

_QUANTIZED_BYTES = {
    "fp8": 1.0, "awq": 0.75, "awq_marlin": 0.75, "gptq": 0.75, "gptq_marlin": 0.75,
    "bitsandbytes": 0.75,
}  # fmt: skip
"""Bytes a parameter, the embeddings that stay at two bytes counted in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryDemand:
    """What one replica takes of each of its ``tensor_parallel`` GPUs, in bytes.

    ``overhead`` is all that is neither weights nor KV cache. ``token`` is the KV cache of one
    token; a replica needs ``least_tokens`` of it to start and be of use, and more than
    ``most_tokens`` (None is no limit) brings nothing. ``context`` is in tokens.
    """

    tensor_parallel: int
    weights: int
    overhead: int
    token: int
    least_tokens: int
    most_tokens: int | None
    context: int

    @property
    def least(self) -> int:
        """Bytes below which the replica is not worth starting."""
        return self.weights + self.overhead + self.least_tokens * self.token


def demand(
    service: ServiceSpec, checkpoint: Checkpoint, tensor_parallel: int, gpu: GPU
) -> MemoryDemand:
    """What a replica of ``service`` takes of each GPU when it is split over so many like ``gpu``.

    Weights are split evenly (what tensor parallelism copies, norms and the like, is nothing
    beside them); a KV head is copied where there are fewer heads than GPUs (``get_num_kv_heads``
    in vLLM's config/model.py).

    At least one whole context must fit or vLLM refuses to start, pooling models included: they
    are decoders that compute attention over a KV cache like any (``_check_enough_kv_cache_memory``
    in v1/core/kv_cache_utils.py). Scores of single tokens are never read from the prefix cache,
    so a pooling server's blocks are free again once a sequence is read, and a few steps' worth of
    them is all it can use.
    """
    flags = settings(service)
    pooling = flags.get("runner") == "pooling"
    tokens, sequences = _batch(flags, gpu, service.model.context if pooling else 0)
    value = _value_bytes(flags, checkpoint)
    shape = checkpoint.shape
    kv_heads = max(1, shape.kv_heads // tensor_parallel)
    cached = 1 if str(flags.get("kv-cache-dtype", "auto")).startswith("fp8") else value
    context = service.model.context
    least = max(context, min(_USEFUL_TOKENS, 4 * context)) + _BLOCK
    return MemoryDemand(
        tensor_parallel=tensor_parallel,
        weights=math.ceil(_weights(flags, checkpoint) / tensor_parallel),
        overhead=CUDA_CONTEXT
        + _RUNTIME
        + (0 if flags.get("enforce-eager") else _GRAPHS_PER_LAYER * shape.layers)
        + max(
            _layers(checkpoint, tokens, tensor_parallel) * value,
            0 if pooling else _sampler(checkpoint, sequences),
        ),
        token=2 * shape.layers * kv_heads * shape.head_dim * cached,
        least_tokens=least,
        most_tokens=max(least, 4 * tokens) if pooling else None,
        context=context,
    )


def splits(checkpoint: Checkpoint, tensor_parallel: int) -> bool:
    """Whether vLLM can split the model over so many GPUs.

    Attention heads must divide evenly and KV heads either divide or be copied evenly; where the
    attention heads are not known, only as many GPUs as divide the KV heads are safe.
    """
    kv_heads, heads = checkpoint.shape.kv_heads, checkpoint.heads
    if heads is None:
        return kv_heads % tensor_parallel == 0
    copied = tensor_parallel % kv_heads == 0
    return heads % tensor_parallel == 0 and (kv_heads % tensor_parallel == 0 or copied)


def settings(service: ServiceSpec) -> dict[str, Flag]:
    """vLLM's flags by their long names, the service's over the model's."""
    return {
        name.lstrip("-").replace("_", "-"): flag
        for layer in (service.model.flags, service.flags)
        for name, flag in layer.items()
    }


def _weights(flags: dict[str, Flag], checkpoint: Checkpoint) -> int:
    if checkpoint.quantized:
        return checkpoint.weights
    method = flags.get("quantization")
    each = _QUANTIZED_BYTES.get(str(method), _value_bytes(flags, checkpoint))
    return math.ceil(checkpoint.parameters * each)


def _value_bytes(flags: dict[str, Flag], checkpoint: Checkpoint) -> int:
    """Bytes of a number as it is served: vLLM's "auto" takes float32 checkpoints to 16 bits."""
    asked = str(flags.get("dtype", "auto"))
    return 4 if asked in ("float", "float32") else min(2, checkpoint.value_bytes)


def _batch(flags: dict[str, Flag], gpu: GPU, context: int) -> tuple[int, int]:
    """Tokens and sequences of the largest batch, by vLLM's defaults for a server
    (``get_batch_defaults`` in engine/arg_utils.py). A prompt pooled at its steps is not read in
    parts, so the batch has at least its ``context``."""
    if gpu.memory >= 160 * GIB:
        tokens, sequences = 16_384, 1024
    elif gpu.memory >= 70 * GIB and "a100" not in gpu.name.lower():
        tokens, sequences = 8192, 1024
    else:
        tokens, sequences = 2048, 256
    return (
        int(str(flags.get("max-num-batched-tokens", max(tokens, context)))),
        int(str(flags.get("max-num-seqs", sequences))),
    )


def _layers(checkpoint: Checkpoint, tokens: int, tensor_parallel: int) -> int:
    """Numbers that one layer holds at its peak over a batch.

    A layer has about 12 width² parameters, whence the width. Its peak is in the gated MLP, some
    3.5 widths wide: gate, up and their product, 14 widths with what the allocator keeps, split over
    the GPUs, and 6 widths of residual, norms and attention that each GPU has whole.
    """
    width = math.sqrt(checkpoint.parameters / (12 * checkpoint.shape.layers))
    return math.ceil(tokens * width * (14 / tensor_parallel + 6))


def _sampler(checkpoint: Checkpoint, sequences: int) -> int:
    """Bytes of the logits and what is made of them, on every GPU: 2 as computed, then 4 each as
    32-bit logits, as probabilities and as noise, with some room (``_dummy_sampler_run`` in
    v1/worker/gpu_model_runner.py)."""
    return 16 * sequences * checkpoint.vocabulary
