"""The arithmetic of the paper's Table 4, with the sizes and tokens that the makers state."""

from pathlib import Path

import pytest
import yaml

from orchestrator.core.compute import (
    Flops,
    TotalFlops,
    inference_flops,
    search_flops,
    training_flops,
)

MODELS = yaml.safe_load((Path(__file__).parents[4] / "configs" / "models.yaml").read_text())[
    "models"
]


@pytest.mark.parametrize(
    ("billions", "trillions", "paper"),
    [(3, 9, 1.62e23), (405, 15, 3.65e25), (7, 18, 7.56e23), (671, 14.8, 5.96e25)],
    ids=["Llama-3.2-3B", "Llama-3.1-405B", "R1-Distill-7B", "DeepSeek-R1"],
)
def test_pre_training_takes_what_table_4_says(billions, trillions, paper):
    found = training_flops(int(billions * 1e9), trillions * 1e12)
    assert float(f"{found:.2e}") == pytest.approx(paper, rel=0.003)


@pytest.mark.parametrize(
    ("model", "paper"),
    [("llama-3.2-3b", 1.62e23), ("llama-3.1-405b", 3.65e25), ("r1-distill-qwen-7b", 7.56e23)],
)
def test_the_shipped_table_comes_near_table_4_by_the_true_sizes(model, paper):
    entry = MODELS[model]
    found = training_flops(entry["parameters"], entry["training_tokens"])
    assert found == pytest.approx(paper, rel=0.09)


def test_every_policy_of_the_shipped_table_says_what_it_was_trained_on():
    policies = {name: each for name, each in MODELS.items() if each["role"] == "policy"}
    assert {name for name, each in policies.items() if each["training_tokens"] > 1e12} == set(
        policies
    )


def test_table_4s_inference_is_a_plausible_length_of_math_500_solutions():
    """4.25e17 FLOPs of a 405B policy are 1,049 tokens for each of 500 problems."""
    found = inference_flops(405_000_000_000, prefill_tokens=0, decode_tokens=500 * 1049)
    assert found == pytest.approx(4.25e17, rel=0.001)


def test_reading_costs_as_writing_and_what_a_cache_held_nothing():
    use = {"policy_tokens": 7, "prompt_tokens": 5, "cached_tokens": 5, "prm_tokens": 0,
           "prm_cached_tokens": 0}  # fmt: skip
    assert search_flops(10, None, **use).total == inference_flops(
        10, prefill_tokens=0, decode_tokens=7
    )
    read = search_flops(10, None, **use | {"cached_tokens": 0})
    assert (read.policy_prefill, read.policy_decode, read.prm) == (100, 140, 0)


def test_a_prefix_cache_saves_the_prm_its_reading_too():
    use = {"policy_tokens": 0, "prompt_tokens": 0, "cached_tokens": 0, "prm_tokens": 9,
           "prm_cached_tokens": 4}  # fmt: skip
    found = search_flops(10, 3, **use)
    assert (found.policy_prefill, found.policy_decode, found.prm) == (0, 0, 2 * 3 * 5)


def test_totals_are_sums():
    assert Flops(policy_prefill=1, policy_decode=20, prm=300).total == 321
    assert TotalFlops(pretraining=5, inference=70).total == 75
