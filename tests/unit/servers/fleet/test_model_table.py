"""configs/models.yaml: what every entry must have, and numbers that belong together."""

from pathlib import Path

import pytest
import yaml

PATH = Path(__file__).parents[4] / "configs" / "models.yaml"
MODELS = yaml.safe_load(PATH.read_text())["models"]
PAPER = [
    "llama-3.2-1b", "llama-3.2-3b", "llama-3.1-8b", "llama-3.1-70b", "llama-3.1-405b",
    *(f"qwen2.5-{size}b" for size in ("0.5", "1.5", "3", "7", "14", "32", "72")),
    *(f"r1-distill-qwen-{size}b" for size in ("1.5", "7", "14", "32")),
    "r1-distill-llama-8b", "r1-distill-llama-70b", "qwq-32b-preview",
    "qwen2.5-math-prm-7b", "qwen2.5-math-prm-72b", "math-shepherd-7b", "rlhflow-mistral-8b",
    "rlhflow-deepseek-8b", "skywork-prm-1.5b", "skywork-prm-7b",
]  # fmt: skip


def test_all_policies_and_prms_of_the_paper_are_there():
    assert set(PAPER) <= set(MODELS)


def test_no_name_and_no_checkpoint_is_there_twice():
    (entry,) = [
        value for key, value in yaml.compose(PATH.read_text()).value if key.value == "models"
    ]
    names = [key.value for key, _ in entry.value]
    assert len(names) == len(set(names)) == len(MODELS)
    assert len({model["source"] for model in MODELS.values()}) == len(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_parameters_and_shape_belong_together(name):
    """A transformer of this width has 12 width² parameters a layer beside its embeddings; the
    queries of the heads are as wide, and 1 to 16 of them share a KV head."""
    model = MODELS[name]
    shape, billions = model["shape"], model["parameters"] / 1e9
    width = (model["parameters"] / (12 * shape["layers"])) ** 0.5
    assert 0.5 < width / (shape["kv_heads"] * shape["head_dim"]) < 18
    assert shape["head_dim"] in (64, 128)
    said = float(
        name.removesuffix("-preview").rsplit("-", 1)[1].removesuffix("b").removeprefix("qwen")
    )
    assert said * 0.95 <= billions <= said * 1.25


@pytest.mark.parametrize("name", MODELS)
def test_policies_have_a_prompt_and_prms_a_family(name):
    model = MODELS[name]
    assert name == name.lower()
    assert ("prompt" in model, "family" in model) == (
        (True, False) if model["role"] == "policy" else (False, True)
    )
    assert all(flag == flag.lstrip("-") and "_" not in flag for flag in model.get("flags", {}))


@pytest.mark.parametrize("name", [name for name in MODELS if MODELS[name]["role"] == "policy"])
def test_reasoning_models_have_the_papers_longer_context(name):
    long = name.startswith(("r1", "qwq"))
    assert MODELS[name]["context"] == (32_768 if long else 8192)
