"""The models that come with Orchard: ordinary Hugging Face folders, small, and as trained."""

import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen2Config, Qwen2Model

from orchestrator.config.reading import shipped_config
from orchestrator.config.run import load
from servers.tiny.problems import held_out
from servers.tiny.runtime import Runtime
from servers.tiny.shipped import MODELS, shipped_models
from servers.tiny.tokenizer import build, training_text

POLICIES = ("policy-160k", "policy-430k", "policy-2m")
PRMS = ("prm-qwen", "prm-shepherd")


def test_the_ladder_and_both_prm_layouts_are_there() -> None:
    assert set(shipped_models()) == {*POLICIES, *PRMS}


def test_together_they_are_small_enough_to_ship() -> None:
    total = sum(file.stat().st_size for file in MODELS.rglob("*.safetensors"))
    assert total <= 15_000_000


def test_weights_are_in_half_precision() -> None:
    from safetensors.torch import load_file

    for name, folder in shipped_models().items():
        kinds = {t.dtype for t in load_file(folder / "model.safetensors").values()}
        assert kinds == {torch.bfloat16}, name


@pytest.mark.parametrize("name", [*POLICIES, *PRMS])
def test_config_and_card_state_the_true_number_of_parameters(name: str) -> None:
    from safetensors.torch import load_file

    count = sum(t.numel() for t in load_file(MODELS / name / "model.safetensors").values())
    assert json.loads((MODELS / name / "training.json").read_text())["parameters"] == count
    assert f"{count:,} parameters" in (MODELS / name / "README.md").read_text()
    config = load(shipped_config("tiny.yaml").with_name("demo.yaml"))
    assert {**config.policies, **config.prms}[name].parameters == count


@pytest.mark.parametrize("name", [*POLICIES, *PRMS])
def test_every_reader_of_a_folder_finds_the_token_ids_of_the_training(name: str) -> None:
    """transformers (and so vLLM) picks a tokenizer class by the model's type; the embedded server
    reads tokenizer.json itself. Both must part text as the training did."""
    trained, chosen = build(), AutoTokenizer.from_pretrained(MODELS / name)
    read = Tokenizer.from_file(str(MODELS / name / "tokenizer.json"))
    for chain in held_out(50, seed=5):
        text = training_text(chain.question, chain.solution)
        for layout in (text, text.replace("\n\n", "<extra_0>"), text.replace("\n\n", " ки\n")):
            expected = trained.encode(layout, add_special_tokens=False)
            assert chosen.encode(layout, add_special_tokens=False) == expected
            assert read.encode(layout, add_special_tokens=False).ids == expected
            assert chosen.decode(expected) == layout


@torch.inference_mode()
@pytest.mark.parametrize("name", [*POLICIES, "prm-shepherd"])
def test_transformers_computes_the_same_logits(name: str) -> None:
    ids = _ids(MODELS / name)
    reference = AutoModelForCausalLM.from_pretrained(MODELS / name, dtype=torch.float32).eval()
    expected = reference(ids).logits[0]
    runtime = Runtime(MODELS / name)
    hidden = _prefilled(runtime, ids)
    assert torch.allclose(runtime.logits(hidden), expected, atol=2e-3)


@torch.inference_mode()
def test_transformers_computes_the_same_step_scores() -> None:
    folder = MODELS / "prm-qwen"
    ids = _ids(folder)
    trunk = Qwen2Model(Qwen2Config.from_pretrained(folder)).eval()
    from safetensors.torch import load_file

    weights = {k: v.float() for k, v in load_file(folder / "model.safetensors").items()}
    trunk.load_state_dict(
        {k.removeprefix("model."): v for k, v in weights.items() if k.startswith("model.")}
    )
    hidden = trunk(ids).last_hidden_state[0]
    first = torch.relu(hidden @ weights["score.0.weight"].T + weights["score.0.bias"])
    expected = first @ weights["score.2.weight"].T + weights["score.2.bias"]
    runtime = Runtime(folder)
    assert torch.allclose(runtime.step_scores(_prefilled(runtime, ids)), expected, atol=2e-3)


def _ids(folder: Path) -> torch.Tensor:
    (chain,) = held_out(1, seed=1)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = training_text(chain.question, chain.solution)
    return torch.tensor([tokenizer.encode(text, add_special_tokens=False)])


def _prefilled(runtime: Runtime, ids: torch.Tensor) -> torch.Tensor:
    store = runtime.empty_store(4, ids.shape[1])
    return runtime.prefill(store, 0, ids, torch.zeros(1, dtype=torch.long))[0]
