from dataclasses import replace
from pathlib import Path

import pytest

from servers.fleet.command import command, environment
from servers.fleet.spec import Flag, FleetError, FleetSpec, ModelSpec, Placement, ServiceSpec

POLICY = ModelSpec(name="small", source="org/small", role="policy", context=8192)
PRM = ModelSpec(
    name="judge", source="org/judge", role="prm", context=4096, flags={"runner": "pooling"}
)
ON_GPUS = Placement(service="s", replica=0, gpus=(2, 3), kv_cache=5 * 2**30, share=0.4)
ON_CPU = Placement(service="s", replica=0)


def fleet(model: ModelSpec = POLICY, flags: dict[str, Flag] | None = None) -> FleetSpec:
    service = ServiceSpec(name="s", model=model, flags=flags or {})
    return FleetSpec(name="f", services=(service,), api_key="hush", python=Path("/venv/python"))


def arguments(spec: FleetSpec, placement: Placement = ON_GPUS) -> list[str]:
    return command(spec, spec.services[0], placement, port=8123)


def values(arguments: list[str], flag: str) -> list[str]:
    """What follows a flag."""
    rest = arguments[arguments.index(flag) + 1 :]
    return rest[: next((i for i, word in enumerate(rest) if word.startswith("--")), len(rest))]


def test_a_server_is_vllm_s_with_its_model_name_place_and_length() -> None:
    given = arguments(fleet())
    assert given[:3] == ["/venv/python", "-m", "vllm.entrypoints.openai.api_server"]
    assert values(given, "--model") == ["org/small"]
    assert values(given, "--served-model-name") == ["small"]
    assert values(given, "--host") == ["127.0.0.1"]
    assert values(given, "--port") == ["8123"]
    assert values(given, "--max-model-len") == ["8192"]


def test_only_policies_ignore_the_checkpoint_s_sampling_and_tell_cached_tokens() -> None:
    assert values(arguments(fleet(POLICY)), "--generation-config") == ["vllm"]
    assert values(arguments(fleet(POLICY)), "--enable-prompt-tokens-details") == []
    assert "--generation-config" not in arguments(fleet(PRM))
    assert "--enable-prompt-tokens-details" not in arguments(fleet(PRM))


def test_a_replica_takes_its_gpus_and_its_share_of_their_memory() -> None:
    spec = fleet()
    given = arguments(spec)
    assert values(given, "--tensor-parallel-size") == ["2"]
    assert values(given, "--gpu-memory-utilization") == ["0.4"]
    assert values(given, "--kv-cache-memory-bytes") == [str(5 * 2**30)]
    added = environment(spec, spec.services[0], ON_GPUS)
    assert added["CUDA_VISIBLE_DEVICES"] == "2,3"
    assert added["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"


def test_without_a_planned_kv_cache_vllm_measures_its_own() -> None:
    assert "--kv-cache-memory-bytes" not in arguments(fleet(), replace(ON_GPUS, kv_cache=0))


def test_on_a_cpu_vllm_gets_its_cpu_flags_and_no_gpu_s() -> None:
    spec = fleet()
    given = arguments(spec, ON_CPU)
    assert values(given, "--dtype") == ["float32"]
    assert values(given, "--block-size") == ["32"]
    assert values(given, "--kv-cache-memory-bytes") == [str(2**30)]
    assert values(arguments(spec, replace(ON_CPU, kv_cache=7)), "--kv-cache-memory-bytes") == ["7"]
    assert "--gpu-memory-utilization" not in given
    added = environment(spec, spec.services[0], ON_CPU)
    assert added["TORCHDYNAMO_DISABLE"] == "1"
    assert "CUDA_VISIBLE_DEVICES" not in added


def test_flags_of_the_service_win_over_the_model_s_and_those_over_the_launcher_s() -> None:
    model = replace(POLICY, flags={"max_model_len": 1, "seed": 2, "dtype": "half"})
    given = arguments(fleet(model, {"max-model-len": 3, "--dtype": "float32"}))
    assert values(given, "--max-model-len") == ["3"]
    assert values(given, "--seed") == ["2"]
    assert values(given, "--dtype") == ["float32"]
    assert given.count("--max-model-len") == 1


def test_a_mapping_goes_as_json_true_bare_and_false_not_at_all() -> None:
    flags: dict[str, Flag] = {
        "pooler-config": {"task": "token_classify", "step_tag_id": 7},
        "enforce-eager": True,
        "enable-prompt-tokens-details": False,
        "lora-modules": ["a=1", "b=2"],
        "swap": 0.5,
    }
    given = arguments(fleet(POLICY, flags))
    assert values(given, "--pooler-config") == ['{"task":"token_classify","step_tag_id":7}']
    assert values(given, "--enforce-eager") == []
    assert "--enable-prompt-tokens-details" not in given
    assert values(given, "--lora-modules") == ["a=1", "b=2"]
    assert values(given, "--swap") == ["0.5"]


@pytest.mark.parametrize("flag", ["port", "api_key", "--served-model-name", "model", "uds"])
def test_what_the_fleet_sets_itself_cannot_be_a_flag(flag: str) -> None:
    with pytest.raises(FleetError, match=r"service s: the flag .* is set by the fleet itself"):
        arguments(fleet(POLICY, {flag: "x"}))


def test_the_key_travels_in_the_environment_alone() -> None:
    spec = fleet()
    assert environment(spec, spec.services[0], ON_GPUS)["VLLM_API_KEY"] == "hush"
    assert not any("hush" in word for word in arguments(spec))


def test_the_fleet_s_environment_wins() -> None:
    spec = replace(fleet(), environment={"OMP_NUM_THREADS": "8", "HF_TOKEN": "t"})
    added = environment(spec, spec.services[0], ON_CPU)
    assert (added["OMP_NUM_THREADS"], added["HF_TOKEN"]) == ("8", "t")
