"""The serving forward pass against transformers, and against itself in other batches."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import LlamaForCausalLM, Qwen2Config, Qwen2Model

from servers.tiny.random_weights import write_random_model
from servers.tiny.runtime import Runtime

FRESH = torch.zeros(3, dtype=torch.long)


@pytest.fixture(scope="module")
def ids() -> torch.Tensor:
    return torch.randint(4, 700, (3, 40), generator=torch.Generator().manual_seed(0))


@torch.inference_mode()
@pytest.mark.parametrize(("hidden", "heads"), [(64, 2), (96, 3), (320, 5)])
def test_logits_equal_those_of_transformers(
    tmp_path: Path, ids: torch.Tensor, hidden: int, heads: int
) -> None:
    folder = write_random_model(tmp_path / "m", "policy", hidden=hidden, heads=heads)
    reference = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    runtime = Runtime(folder)
    states = runtime.prefill(runtime.empty_store(4, 64), 0, ids, FRESH)
    expected = reference(ids).logits
    torch.testing.assert_close(
        runtime.logits(states.flatten(0, 1)), expected.flatten(0, 1), atol=1e-4, rtol=0
    )


@torch.inference_mode()
def test_hidden_states_of_a_prm_equal_those_of_transformers(
    folders: dict[str, Path], ids: torch.Tensor
) -> None:
    folder = folders["qwen-prm"]
    config = Qwen2Config(**json.loads((folder / "config.json").read_text()))
    weights = {k: v.float() for k, v in load_file(folder / "model.safetensors").items()}
    reference = Qwen2Model(config).float().eval()
    trunk = {k.removeprefix("model."): v for k, v in weights.items() if k.startswith("model.")}
    reference.load_state_dict(trunk)
    runtime = Runtime(folder)
    states = runtime.prefill(runtime.empty_store(4, 64), 0, ids, FRESH)
    expected = reference(ids).last_hidden_state
    torch.testing.assert_close(states, expected, atol=1e-4, rtol=0)
    head = torch.nn.Sequential(torch.nn.Linear(96, 96), torch.nn.ReLU(), torch.nn.Linear(96, 2))
    head.load_state_dict({k[6:]: v for k, v in weights.items() if k.startswith("score.")})
    torch.testing.assert_close(runtime.step_scores(states[0]), head(expected[0]), atol=1e-4, rtol=0)


@torch.inference_mode()
def test_decoding_token_by_token_equals_prefill(
    folders: dict[str, Path], ids: torch.Tensor
) -> None:
    runtime = Runtime(folders["policy"])
    expected = runtime.prefill(runtime.empty_store(4, 64), 0, ids, FRESH)
    store, lengths = runtime.empty_store(4, 64), torch.zeros(4, dtype=torch.long)
    for at in range(ids.shape[1]):
        tokens = torch.cat((ids[:, at], ids[:1, at]))
        states = runtime.decode(store, tokens, lengths, at)
        torch.testing.assert_close(states[:3], expected[:, at], atol=1e-5, rtol=0)
        lengths += 1


@torch.inference_mode()
def test_rows_of_other_lengths_in_the_batch_change_nothing(folders: dict[str, Path]) -> None:
    runtime = Runtime(folders["policy"])
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(4, 700, (6, 50), generator=generator)
    store, starts = runtime.empty_store(6, 128), torch.tensor([0, 5, 16, 33, 8, 50])
    runtime.prefill(store, 0, ids, torch.zeros(6, dtype=torch.long))
    together = runtime.prefill(store, 0, ids[:, :20], starts)
    for row, start in enumerate(starts.tolist()):
        alone = runtime.empty_store(1, 128)
        runtime.prefill(alone, 0, ids[row : row + 1], torch.tensor([0]))
        states = runtime.prefill(alone, 0, ids[row : row + 1, :20], torch.tensor([start]))
        torch.testing.assert_close(states[0], together[row], atol=1e-5, rtol=0)


@torch.inference_mode()
def test_decoding_many_rows_at_once_equals_decoding_a_few(folders: dict[str, Path]) -> None:
    runtime, generator = Runtime(folders["policy"]), torch.Generator().manual_seed(2)
    store = runtime.empty_store(70, 160).normal_(generator=generator)
    ids = torch.randint(4, 700, (70,), generator=generator)
    lengths = torch.randint(1, 150, (70,), generator=generator)
    together = runtime.decode(store.clone(), ids, lengths, int(lengths.max()))
    for first in range(0, 70, 5):
        few = slice(first, first + 5)
        longest = int(lengths[few].max())
        states = runtime.decode(store[:, few].clone(), ids[few], lengths[few], longest)
        torch.testing.assert_close(states, together[few], atol=1e-5, rtol=0)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Runtime(tmp_path)
