"""The model of the GPUs against what others measured of vLLM, within the range it claims."""

import asyncio
import random

import pytest

from servers.simulated import clock
from servers.simulated.engine import Engine, Prompt
from servers.simulated.hardware import GPUS, MODELS, GPUSpeed, Speed

CLAIMED = 1.5


def test_one_request_is_as_fast_as_measured_on_an_a100() -> None:
    """75 tokens/s of Llama-3.1-8B in bf16, 1,024 tokens read and 128 written, vLLM 0.23
    (johnmusgrave.com/p/vllm-throughput-latency-sweep-on)."""
    a100 = GPUSpeed(name="A100", bandwidth=1.555e12, memory=40e9, flops=312e12)
    speed = Speed.of(MODELS["8B"], a100)
    assert 75 / CLAIMED < 1 / speed.iteration(1, 1024 + 64) < 75 * CLAIMED


def test_a_thousand_conversations_take_between_what_two_measured_on_one_gpu() -> None:
    """ShareGPT on Llama-3.1-8B: 6,583 tokens/s written over HTTP (vllm-project/vllm#18566, 230
    tokens read and 203 written a request; the GPU is not named), 12,500 offline on an H100
    (morphllm.com/vllm-benchmarks)."""
    engine, draw = Engine(Speed.of(MODELS["8B"], GPUS["H100"])), random.Random(1)
    lengths = [max(1, min(1500, round(draw.lognormvariate(4.9, 0.9)))) for _ in range(1000)]

    async def serve() -> float:
        await asyncio.gather(*(engine.compute([Prompt(230, [length])]) for length in lengths))
        return asyncio.get_running_loop().time()

    assert 190 < sum(lengths) / 1000 < 216
    assert 6_583 / CLAIMED < sum(lengths) / clock.run(serve()) < 12_500 * CLAIMED


@pytest.mark.parametrize("gpu", ["H100", "H200"])
@pytest.mark.parametrize(("size", "gpus"), [("1B", 1), ("3B", 1), ("8B", 1), ("72B", 4)])
def test_presets_hold_a_full_batch_and_never_beat_the_data_sheet(
    gpu: str, size: str, gpus: int
) -> None:
    model, sheet = MODELS[size], GPUS[gpu]
    speed = Speed.of(model, sheet, gpus)
    assert speed.kv_tokens >= 128 * 1024
    assert speed.kv_tokens * model.kv_bytes + model.weights < gpus * sheet.memory
    assert speed.iteration(1, 0) > model.weights / (gpus * sheet.bandwidth)
    assert speed.read_token() > 2 * model.parameters / (gpus * sheet.flops)
