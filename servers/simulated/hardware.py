"""What a GPU can do, what a model asks of it, and how long an iteration of the two takes.

Everything here is an estimate by the roofline: bytes over bandwidth, operations over peak.

- **GPUs**: bandwidth, memory and dense bf16 peak of NVIDIA's data sheets for H100 SXM and H200 SXM.
  PCIe and NVL cards are slower (H100 PCIe has 2.0 TB/s and 756 TFLOP/s): take 0.6 of these.
- **Models**: two bytes a parameter, read once an iteration; two operations a parameter and token;
  keys and values from the layers' shape. Attention's own arithmetic is left out, which flatters
  prompts of many thousands of tokens.
- **Shares**: of the bandwidth 0.75, of the peak 0.5, and 2 ms an iteration and 8 us a sequence of
  the server's own, are round numbers in the middle of what is published for vLLM's V1 engine. Older
  versions lost 5 to 13 ms an iteration (vllm-project/vllm#6854): small models suffer most.

Against measurements (``tests/unit/servers/simulated/test_hardware.py``): one request to an 8B on an
A100 gets 63 tokens/s here and got 75; a thousand ShareGPT conversations with an 8B on an H100 get
6,600 here, where 6,583 (on a GPU not named) and 12,500 are published. So expect a real server
within a factor of about 1.5, and more of very small models and of ones over several GPUs, which
were checked against nothing. The ratio of two fleets is better than that.
"""

import re
from dataclasses import dataclass

GB = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class GPUSpeed:
    """``bandwidth`` and ``memory`` of the HBM in bytes/s and bytes, ``flops`` dense bf16 peak."""

    name: str
    bandwidth: float
    memory: float
    flops: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSize:
    """The shape of a dense transformer, held in 16 bits."""

    name: str
    parameters: float
    layers: int
    kv_heads: int
    head_dim: int

    @property
    def weights(self) -> float:
        """Bytes."""
        return 2 * self.parameters

    @property
    def kv_bytes(self) -> int:
        """Bytes of one token's keys and values."""
        return 2 * 2 * self.layers * self.kv_heads * self.head_dim


GPUS = {
    "H100": GPUSpeed(name="H100", bandwidth=3.35e12, memory=80 * GB, flops=989e12),
    "H200": GPUSpeed(name="H200", bandwidth=4.8e12, memory=141 * GB, flops=989e12),
}

MODELS = {
    model.name: model
    for model in (
        ModelSize(name="0.5B", parameters=0.494e9, layers=24, kv_heads=2, head_dim=64),
        ModelSize(name="1B", parameters=1.236e9, layers=16, kv_heads=8, head_dim=64),
        ModelSize(name="1.5B", parameters=1.544e9, layers=28, kv_heads=2, head_dim=128),
        ModelSize(name="3B", parameters=3.213e9, layers=28, kv_heads=8, head_dim=128),
        ModelSize(name="7B", parameters=7.616e9, layers=28, kv_heads=4, head_dim=128),
        ModelSize(name="8B", parameters=8.030e9, layers=32, kv_heads=8, head_dim=128),
        ModelSize(name="14B", parameters=14.77e9, layers=48, kv_heads=8, head_dim=128),
        ModelSize(name="32B", parameters=32.76e9, layers=64, kv_heads=8, head_dim=128),
        ModelSize(name="70B", parameters=70.55e9, layers=80, kv_heads=8, head_dim=128),
        ModelSize(name="72B", parameters=72.71e9, layers=80, kv_heads=8, head_dim=128),
    )
}
"""Llama 3 and Qwen2.5 checkpoints, by the names people call their sizes."""

BANDWIDTH_SHARE = 0.75
"""Of the data sheet's bandwidth, what reading weights and keys reaches."""

FLOPS_SHARE = 0.5
"""Of the data sheet's peak, what large matrix products reach in a whole forward pass (MFU)."""

ITERATION_S = 2e-3
"""The server's own time for an iteration: scheduling, launching, handing over."""

SEQUENCE_S = 8e-6
"""The server's own time for a sequence in an iteration: sampling, detokenising, stop strings."""

ALL_REDUCE_S = 15e-6
"""One exchange between GPUs that share a model; a layer has two."""

MEMORY_SHARE = 0.9
"""vLLM's ``--gpu-memory-utilization`` at its default."""

RUNTIME_BYTES = 3 * GB
"""On each GPU, beside weights and KV cache: CUDA's context, graphs and activations."""


class DoesNotFit(ValueError):
    """A model that its GPUs cannot hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """How fast one replica is; the last three are its scheduler's limits, as vLLM's defaults.

    An iteration that decodes ``B`` sequences over ``K`` tokens of context and reads ``P`` prompt
    tokens takes ``iteration_s + sequence_s B + max(weights_s, token_s (B + P)) + kv_s K``: matrix
    products wait for weights or for arithmetic, attention waits for keys and values.
    """

    iteration_s: float
    sequence_s: float
    weights_s: float
    token_s: float
    kv_s: float
    kv_tokens: int
    max_seqs: int = 1024
    max_batched_tokens: int = 8192

    @classmethod
    def of(cls, model: ModelSize, gpu: GPUSpeed, gpus: int = 1) -> "Speed":
        """A replica of ``model`` over so many GPUs. Raises ``DoesNotFit``."""
        bandwidth = gpu.bandwidth * BANDWIDTH_SHARE * gpus
        exchanges = 2 * model.layers * ALL_REDUCE_S if gpus > 1 else 0.0
        room = (gpu.memory * MEMORY_SHARE - RUNTIME_BYTES) * gpus - model.weights
        if room < model.kv_bytes * 8192:
            least = 1
            while (gpu.memory * MEMORY_SHARE - RUNTIME_BYTES) * least < 1.02 * model.weights:
                least *= 2
            raise DoesNotFit(
                f"a {model.name} model of {model.weights / GB:.0f} GB does not fit {gpus} "
                f"{gpu.name} of {gpu.memory / GB:.0f} GB: give each replica {least}"
            )
        return cls(
            iteration_s=ITERATION_S + exchanges,
            sequence_s=SEQUENCE_S,
            weights_s=model.weights / bandwidth,
            token_s=2 * model.parameters / (gpu.flops * FLOPS_SHARE * gpus),
            kv_s=model.kv_bytes / bandwidth,
            kv_tokens=int(room / model.kv_bytes),
        )

    def iteration(self, sequences: int, context: float, prompt: int = 0) -> float:
        """Seconds of one iteration."""
        tokens = sequences + prompt
        return (
            self.iteration_s
            + self.sequence_s * sequences
            + max(self.weights_s, self.token_s * tokens)
            + self.kv_s * context
        )

    def decode_token(self, context: float) -> float:
        """Seconds a generated token takes of the replica at its best: in a full batch."""
        batch = min(self.max_seqs, max(1, int(self.kv_tokens / max(context, 1.0))))
        return self.iteration(batch, batch * context) / batch

    def prompt_token(self) -> float:
        """Seconds a prompt token takes of the replica at its best: beside a full batch, where the
        iteration is there already and only arithmetic is added."""
        return self.token_s

    def read_token(self) -> float:
        """Seconds a token takes that is only read, at its best: in full batches of prompts."""
        return self.iteration(0, 0, self.max_batched_tokens) / self.max_batched_tokens


def replica_of(text: str) -> tuple[int, GPUSpeed, int, ModelSize]:
    """Read ``8xH100:1B``, or ``2x4xH100:72B`` for replicas of four GPUs: replicas, GPU, GPUs of
    each, model. Raises ``ValueError`` with what is wrong."""
    match = re.fullmatch(r"(?:(\d+)x)?(?:(\d+)x)?([A-Za-z]\w*):([\w.]+)", text.strip())
    if match is None:
        raise ValueError(
            f"{text!r} is no fleet: write REPLICASxGPU:SIZE, such as 8xH100:1B, or "
            "REPLICASxGPUSxGPU:SIZE, such as 2x4xH100:72B"
        )
    replicas, gpus = int(match[1] or 1), int(match[2] or 1)
    if match[3] not in GPUS:
        raise ValueError(f"no GPU is named {match[3]!r}: known are {', '.join(GPUS)}")
    if match[4] not in MODELS:
        raise ValueError(f"no model size is named {match[4]!r}: known are {', '.join(MODELS)}")
    if not replicas or not gpus:
        raise ValueError(f"{text!r} has no GPU: give at least one replica of one GPU")
    return replicas, GPUS[match[3]], gpus, MODELS[match[4]]
