from dataclasses import replace

import pytest

from servers.fleet.checkpoint import Checkpoint
from servers.fleet.gpus import GIB, parse
from servers.fleet.memory import demand, splits
from servers.fleet.spec import ModelSpec, ServiceSpec, Shape

LLAMA_8B = Checkpoint(
    weights=16_060_522_496,
    parameters=8_030_261_248,
    value_bytes=2,
    quantized=False,
    shape=Shape(layers=32, kv_heads=8, head_dim=128),
    heads=32,
    vocabulary=128_256,
)


def needs(gpu="H100", degree=1, checkpoint=LLAMA_8B, context=8192, service=None, **flags):
    model = ModelSpec(name="m", source="m", role="policy", context=context, flags=flags)
    asked = ServiceSpec(name="s", model=model, flags=service or {})
    return demand(asked, checkpoint, degree, parse(gpu)[0])


def test_a_token_costs_keys_and_values_in_every_layer():
    assert needs().token == 2 * 32 * 8 * 128 * 2


def test_weights_and_kv_heads_are_split_over_the_gpus():
    assert needs(degree=4).weights == LLAMA_8B.weights // 4
    assert needs(degree=4).token == needs().token // 4


def test_a_kv_head_is_copied_where_there_are_more_gpus_than_heads():
    few = replace(LLAMA_8B, shape=Shape(layers=32, kv_heads=2, head_dim=128))
    assert needs(degree=8, checkpoint=few).token == needs(degree=2, checkpoint=few).token


@pytest.mark.parametrize(
    ("gpu", "seen"), [("A100-40", 0.6), ("H100-NVL", 2.2)], ids=["small batches", "large batches"]
)
def test_the_overhead_is_what_vllms_logs_show_or_a_little_more(gpu, seen):
    context_and_graphs = 0.5 + 0.5
    estimate = needs(gpu).overhead / GIB - context_and_graphs
    assert seen <= estimate < seen + 0.3


def test_smaller_batches_and_no_cuda_graphs_leave_more_memory():
    assert needs(**{"max-num-seqs": 128}).overhead < needs().overhead
    small = {"max-num-seqs": 128, "max-num-batched-tokens": 1024}
    assert needs(**small).overhead < needs(**{"max-num-seqs": 128}).overhead
    assert needs(**{"enforce-eager": True}).overhead == needs().overhead - GIB // 2


def test_a_services_flags_win_over_its_models_however_they_are_spelled():
    assert needs(service={"--max_num_seqs": 128}, **{"max-num-seqs": 512}).overhead == (
        needs(**{"max-num-seqs": 128}).overhead
    )


def test_32_bits_double_everything_and_auto_takes_32_bit_checkpoints_to_16():
    assert needs(dtype="float32").weights == 2 * LLAMA_8B.weights
    assert needs(dtype="float32").token == 2 * needs().token
    stored = replace(LLAMA_8B, value_bytes=4, weights=2 * LLAMA_8B.weights)
    assert needs(checkpoint=stored) == needs()


def test_quantization_shrinks_weights_and_not_the_kv_cache():
    assert needs(quantization="fp8").weights == LLAMA_8B.parameters
    assert needs(quantization="fp8").token == needs().token
    assert needs(**{"kv-cache-dtype": "fp8"}).token == needs().token // 2


def test_a_quantized_checkpoint_is_as_large_as_its_files():
    awq = replace(LLAMA_8B, weights=5_700_000_000, quantized=True)
    assert needs(checkpoint=awq, quantization="awq").weights == 5_700_000_000


@pytest.mark.parametrize(
    ("context", "tokens"), [(32_768, 32_768), (8192, 16_384), (4096, 16_384), (512, 2048)]
)
def test_a_kv_cache_holds_a_whole_context_and_a_useful_batch(context, tokens):
    """And the block that vLLM holds back, or it refuses to start."""
    assert needs(context=context).least_tokens == tokens + 16


def test_pooling_takes_a_kv_cache_too_but_no_more_than_a_few_batches():
    pooled = needs(runner="pooling", context=4096)
    assert pooled.least_tokens == needs(context=4096).least_tokens
    assert pooled.most_tokens == 4 * 8192
    assert needs().most_tokens is None


def test_pooling_samples_nothing():
    assert needs(runner="pooling", **{"max-num-seqs": 64}).overhead == (
        needs(runner="pooling", **{"max-num-seqs": 4096}).overhead
    )


@pytest.mark.parametrize(
    ("heads", "kv_heads", "degrees"),
    [
        (28, 4, [1, 2, 4]), (64, 8, [1, 2, 4, 8, 16, 32]), (14, 2, [1, 2]),
        (None, 8, [1, 2, 4, 8]), (None, 2, [1, 2]),
    ],
)  # fmt: skip
def test_only_degrees_that_divide_the_heads_are_possible(heads, kv_heads, degrees):
    shape = Shape(layers=1, kv_heads=kv_heads, head_dim=64)
    checkpoint = replace(LLAMA_8B, heads=heads, shape=shape)
    assert [n for n in (1, 2, 4, 8, 16, 32) if splits(checkpoint, n)] == degrees
