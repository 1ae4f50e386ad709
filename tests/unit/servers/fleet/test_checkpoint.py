import json
from pathlib import Path

import pytest

from servers.fleet.checkpoint import find, read
from servers.fleet.spec import FleetError, ModelSpec, Shape

QWEN_7B = {
    "model_type": "qwen2", "num_hidden_layers": 28, "num_attention_heads": 28,
    "num_key_value_heads": 4, "hidden_size": 3584, "intermediate_size": 18944,
    "vocab_size": 152064, "torch_dtype": "bfloat16", "tie_word_embeddings": False,
}  # fmt: skip


def spec(source, **given) -> ModelSpec:
    return ModelSpec(name="m", source=str(source), role="policy", context=8192, **given)


def checkpoint(folder: Path, config: dict, files: dict | None = None) -> Path:
    """A folder with a config and ``files``: of so many bytes, or with this JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in {"config.json": config, **(files or {})}.items():
        size = isinstance(content, int)
        (folder / name).write_bytes(bytes(content) if size else json.dumps(content).encode())
    return folder


@pytest.fixture(autouse=True)
def hub(tmp_path, monkeypatch) -> Path:
    """An empty Hugging Face cache."""
    for name in ("HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def test_an_index_tells_the_weights_of_a_checkpoint_in_parts(tmp_path):
    index = {"metadata": {"total_size": 15_231_233_024}, "weight_map": {}}
    folder = checkpoint(tmp_path / "m", QWEN_7B, {"model.safetensors.index.json": index})
    found = read(spec(folder))
    assert found.weights == 15_231_233_024
    assert found.parameters == 7_615_616_512
    assert found.shape == Shape(layers=28, kv_heads=4, head_dim=128)
    assert (found.heads, found.vocabulary, found.value_bytes) == (28, 152064, 2)


def test_without_an_index_the_files_sizes_count(tmp_path):
    files = {"model.safetensors": 5000, "consolidated.safetensors": 5000}
    folder = checkpoint(tmp_path / "a", QWEN_7B, files)
    assert read(spec(folder)).weights == 5000
    folder = checkpoint(tmp_path / "b", QWEN_7B, {"pytorch_model.bin": 7000})
    assert read(spec(folder)).weights == 7000


def test_without_weights_the_config_tells_their_number_to_a_thousandth(tmp_path):
    found = read(spec(checkpoint(tmp_path / "m", QWEN_7B)))
    assert found.parameters == pytest.approx(7_615_616_512, rel=1e-3)
    assert found.weights == 2 * found.parameters


def test_a_checkpoint_in_32_bits_counts_four_bytes_a_parameter(tmp_path):
    config = QWEN_7B | {"torch_dtype": "float32"}
    folder = checkpoint(tmp_path / "m", config, {"model.safetensors": 4000})
    found = read(spec(folder))
    assert (found.value_bytes, found.parameters) == (4, 1000)


def test_a_quantized_checkpoint_keeps_its_size_and_is_said_to_be_one(tmp_path):
    config = QWEN_7B | {"quantization_config": {"quant_method": "awq"}}
    folder = checkpoint(tmp_path / "m", config, {"model.safetensors": 4000})
    found = read(spec(folder, parameters=7000))
    assert (found.weights, found.parameters, found.quantized) == (4000, 7000, True)


def test_a_config_with_a_language_model_inside_is_read_there(tmp_path):
    nested = {"model_type": "vlm", "text_config": QWEN_7B | {"head_dim": 64}}
    found = read(spec(checkpoint(tmp_path / "m", nested, {"model.safetensors": 10})))
    assert found.shape == Shape(layers=28, kv_heads=4, head_dim=64)


def test_heads_without_groups_are_all_kv_heads(tmp_path):
    config = {key: value for key, value in QWEN_7B.items() if key != "num_key_value_heads"}
    assert read(spec(checkpoint(tmp_path / "m", config))).shape.kv_heads == 28


def test_a_model_is_found_in_the_hugging_face_cache(hub):
    repository = hub / "models--Qwen--Qwen2.5-7B"
    folder = checkpoint(repository / "snapshots" / "abc", QWEN_7B)
    assert find("Qwen/Qwen2.5-7B") is None
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    assert find("Qwen/Qwen2.5-7B") == folder


@pytest.mark.parametrize("variable", ["HF_HOME", "XDG_CACHE_HOME"])
def test_the_cache_lies_where_the_environment_says(variable, tmp_path, monkeypatch):
    monkeypatch.delenv("HF_HUB_CACHE")
    monkeypatch.setenv(variable, str(tmp_path))
    hub = tmp_path / "hub" if variable == "HF_HOME" else tmp_path / "huggingface" / "hub"
    folder = checkpoint(hub / "models--a--b" / "snapshots" / "abc", QWEN_7B)
    (hub / "models--a--b" / "refs").mkdir()
    (hub / "models--a--b" / "refs" / "main").write_text("abc")
    assert find("a/b") == folder


def test_what_is_not_at_hand_is_taken_from_the_model_table():
    shape = Shape(layers=28, kv_heads=4, head_dim=128)
    found = read(spec("Qwen/Qwen2.5-7B", parameters=7_615_616_512, shape=shape))
    assert found.weights == 15_231_233_024
    assert (found.shape, found.heads) == (shape, None)


@pytest.mark.parametrize(
    "given", [{}, {"parameters": 7}, {"shape": Shape(layers=1, kv_heads=1, head_dim=1)}]
)
def test_a_size_that_stays_open_is_an_error_that_says_what_to_give(given):
    with pytest.raises(FleetError, match=r"a/b is no folder.*`parameters` and `shape`"):
        read(spec("a/b", **given))


def test_a_damaged_config_is_named(tmp_path):
    folder = checkpoint(tmp_path / "m", QWEN_7B)
    (folder / "config.json").write_text("{")
    with pytest.raises(FleetError, match=r"config\.json cannot be read"):
        read(spec(folder))
