import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from servers.fleet.checkpoint import Checkpoint
from servers.fleet.gpus import GIB, GPU, parse
from servers.fleet.packing import USABLE, pack
from servers.fleet.placement import PlacementPlan, arrange, place
from servers.fleet.spec import FleetError, FleetSpec, ModelSpec, ServiceSpec, Shape

TABLE = yaml.safe_load((Path(__file__).parents[4] / "configs" / "models.yaml").read_text())
SMALL_POLICIES = [
    "qwen2.5-0.5b", "qwen2.5-1.5b", "qwen2.5-3b", "qwen2.5-7b", "qwen2.5-14b",
    "llama-3.2-1b", "llama-3.2-3b", "llama-3.1-8b",
]  # fmt: skip
SMALL_PRMS = [
    "skywork-prm-1.5b", "skywork-prm-7b", "math-shepherd-7b", "qwen2.5-math-prm-7b",
    "rlhflow-mistral-8b", "rlhflow-deepseek-8b",
]  # fmt: skip
CARDS_80_GB = ["A100-80", "H100", "80GB"]


@pytest.fixture(autouse=True)
def empty_hub(tmp_path, monkeypatch):
    """Sizes come from the model table, whatever this machine has downloaded."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))


def service(name: str, **settings) -> ServiceSpec:
    entry = TABLE["models"][name]
    model = ModelSpec(
        name=name,
        source=entry["source"],
        role=entry["role"],
        context=entry["context"],
        parameters=entry["parameters"],
        shape=Shape(**entry["shape"]),
        flags=entry.get("flags", {}),
    )
    return ServiceSpec(name=name, model=model, **settings)


def planned(gpus: str | list[GPU], *services: str | ServiceSpec, device="auto") -> PlacementPlan:
    asked = tuple(service(one) if isinstance(one, str) else one for one in services)
    found = parse(gpus) if isinstance(gpus, str) else gpus
    return place(FleetSpec(name="f", services=asked, device=device), found)


def refused(gpus: str | list[GPU], *services: str | ServiceSpec) -> str:
    with pytest.raises(FleetError) as error:
        planned(gpus, *services)
    assert "\n" not in str(error.value)
    return str(error.value)


def lies_on(plan: PlacementPlan) -> dict[tuple[str, int], tuple[int, ...]]:
    return {(one.service, one.replica): one.gpus for one in plan.placements}


@pytest.mark.parametrize("card", CARDS_80_GB)
@pytest.mark.parametrize("policy", SMALL_POLICIES)
@pytest.mark.parametrize("prm", SMALL_PRMS)
def test_a_policy_up_to_14b_and_a_prm_up_to_8b_share_one_80_gb_gpu(card, policy, prm):
    plan = planned(f"1x{card}", policy, prm)
    assert lies_on(plan) == {(policy, 0): (0,), (prm, 0): (0,)}


@pytest.mark.parametrize("card", CARDS_80_GB)
@pytest.mark.parametrize("prm", ["rlhflow-mistral-8b", "qwen2.5-math-prm-7b"])
@pytest.mark.parametrize(("policy", "gpus"), [("qwen2.5-32b", 2), ("qwen2.5-72b", 3)])
def test_32b_with_a_prm_takes_two_gpus_and_72b_three(card, policy, gpus, prm):
    plan = planned(f"{gpus}x{card}", policy, prm)
    assert len(lies_on(plan)[policy, 0]) == gpus - 1
    assert len(lies_on(plan)[prm, 0]) == 1
    assert f"{gpus} × {card}" in refused(f"{gpus - 1}x{card}", policy, prm)


@pytest.mark.parametrize("card", CARDS_80_GB)
def test_72b_with_a_72b_prm_takes_four_gpus(card):
    plan = planned(f"4x{card}", "qwen2.5-72b", "qwen2.5-math-prm-72b")
    pairs = [set(gpus) for gpus in lies_on(plan).values()]
    assert [len(pair) for pair in pairs] == [2, 2]
    assert pairs[0] | pairs[1] == {0, 1, 2, 3}
    assert f"4 × {card}" in refused(f"3x{card}", "qwen2.5-72b", "qwen2.5-math-prm-72b")


def test_replicas_of_a_service_spread_over_the_gpus_and_share_them_with_another():
    plan = planned(
        "4xH100", service("qwen2.5-7b", replicas=4), service("math-shepherd-7b", replicas=4)
    )
    for name in ("qwen2.5-7b", "math-shepherd-7b"):
        assert sorted(lies_on(plan)[name, replica] for replica in range(4)) == [
            (0,), (1,), (2,), (3,)
        ]  # fmt: skip


def test_with_gpus_to_spare_policy_and_prm_each_have_their_own():
    assert len(set(lies_on(planned("2xH100", "qwen2.5-1.5b", "math-shepherd-7b")).values())) == 2


def test_the_policy_gets_the_larger_part_of_what_is_left():
    policy, prm = planned("1xH100", "qwen2.5-7b", "rlhflow-mistral-8b").placements
    assert 1.5 * prm.kv_cache < policy.kv_cache < 2 * prm.kv_cache


def test_a_pooling_prm_leaves_what_it_cannot_use_to_the_policy():
    plan = planned("1xH100", "qwen2.5-1.5b", "qwen2.5-math-prm-7b")
    policy, prm = plan.placements
    assert plan.tokens(prm) == 4 * 8192
    taken = sum(one.weights + one.overhead + one.kv_cache for one in (policy, prm))
    assert taken == pytest.approx(USABLE * parse("H100")[0].memory, rel=1e-4)


def test_a_plan_tells_tokens_and_whole_contexts():
    plan = planned("1xH100", "llama-3.1-8b")
    (alone,) = plan.placements
    assert plan.tokens(alone) == alone.kv_cache // (2 * 32 * 8 * 128 * 2)
    assert plan.sequences(alone) == plan.tokens(alone) / 8192


def test_a_degree_asked_for_is_taken():
    plan = planned("4xH100", service("qwen2.5-7b", tensor_parallel=4))
    assert lies_on(plan) == {("qwen2.5-7b", 0): (0, 1, 2, 3)}


def test_replicas_are_split_further_where_whole_ones_leave_holes():
    """Three replicas of 32B do not fit on two H200s unless each lies on both."""
    plan = planned("2xH200", service("qwen2.5-32b", replicas=3))
    assert set(lies_on(plan).values()) == {(0, 1)}


def test_gpus_in_use_by_others_are_avoided_or_shared_with_them():
    gpus = parse("2xH100")
    busy = [replace(gpus[0], used=70 * GIB), gpus[1]]
    assert lies_on(planned(busy, "qwen2.5-7b", "math-shepherd-7b")) == {
        ("qwen2.5-7b", 0): (1,),
        ("math-shepherd-7b", 0): (1,),
    }
    assert "70.0 GiB of it in use" in refused(busy[:1], "qwen2.5-7b")


def test_a_replica_lies_on_gpus_of_one_kind():
    mixed = [*parse("1xH100"), *(replace(gpu, index=gpu.index + 1) for gpu in parse("2xA100-80"))]
    assert lies_on(planned(mixed, "qwen2.5-72b"))["qwen2.5-72b", 0] == (1, 2)


@pytest.mark.parametrize(("device", "gpus"), [("auto", ""), ("cpu", ""), ("cpu", "1xH100")])
def test_on_a_cpu_each_replica_has_a_place_without_gpus(device, gpus):
    plan = planned(
        parse(gpus) if gpus else [], service("qwen2.5-0.5b", replicas=2), "skywork-prm-1.5b",
        device=device,
    )  # fmt: skip
    assert lies_on(plan) == {
        ("qwen2.5-0.5b", 0): (), ("qwen2.5-0.5b", 1): (), ("skywork-prm-1.5b", 0): ()
    }  # fmt: skip


def test_a_fleet_for_gpus_without_any_is_refused():
    with pytest.raises(FleetError, match="no NVIDIA driver"):
        planned([], "qwen2.5-0.5b", device="gpu")


def test_a_refusal_says_by_how_much_and_that_much_would_do():
    text = refused("1xH100", "qwen2.5-32b", "rlhflow-mistral-8b")
    short = float(re.search(r"([\d.]+) GiB short on each GPU", text)[1])
    (gpu,) = parse("H100")
    assert planned([replace(gpu, used=-int(short * GIB))], "qwen2.5-32b", "rlhflow-mistral-8b")
    assert refused(
        [replace(gpu, used=-int((short - 0.2) * GIB))], "qwen2.5-32b", "rlhflow-mistral-8b"
    )


def test_every_remedy_of_a_refusal_works():
    text = refused("1xH100", service("qwen2.5-7b", replicas=5), "rlhflow-mistral-8b")
    more, other, fewer = re.search(
        r"this would: (\d+ × H100); (1 × \S+); (\d) replicas? of qwen2.5-7b", text
    ).groups()
    for gpus in (more, other):
        assert planned(gpus, service("qwen2.5-7b", replicas=5), "rlhflow-mistral-8b")
    assert planned("1xH100", service("qwen2.5-7b", replicas=int(fewer)), "rlhflow-mistral-8b")
    assert refused("1xH100", service("qwen2.5-7b", replicas=int(fewer) + 1), "rlhflow-mistral-8b")


def test_a_shorter_context_is_named_where_it_helps():
    long = service("r1-distill-qwen-7b")
    long = replace(long, model=replace(long.model, context=131_072))
    text = refused("1xL4", long)
    context = int(re.search(r"with a context of ([\d,]+)", text)[1].replace(",", ""))
    assert planned("1xL4", replace(long, model=replace(long.model, context=context)))


def test_a_degree_that_stands_in_the_way_is_named():
    text = refused("2xH100", service("qwen2.5-72b", tensor_parallel=1))
    assert "qwen2.5-72b without `tensor_parallel: 1`" in text


@pytest.mark.parametrize(
    ("degree", "reason"), [(3, "does not divide.* 1 or 2 or 4 or 8 does"), (8, "needs 8 GPUs")]
)
def test_an_impossible_degree_is_refused_with_the_reason(degree, reason):
    assert re.search(reason, refused("4xH100", service("qwen2.5-14b", tensor_parallel=degree)))


def test_a_fleet_beyond_any_machine_is_advised_smaller_models():
    assert refused("1xT4", service("llama-3.1-405b")).endswith("take smaller models")


SIZES = st.builds(
    lambda billions, layers, kv_heads: Checkpoint(
        weights=2 * billions * 10**9,
        parameters=billions * 10**9,
        value_bytes=2,
        quantized=False,
        shape=Shape(layers=layers, kv_heads=kv_heads, head_dim=128),
        heads=None,
        vocabulary=152_064,
    ),
    st.sampled_from([1, 3, 8, 14, 32, 72]),
    st.sampled_from([16, 28, 48, 80]),
    st.sampled_from([2, 4, 8]),
)
SERVICES = st.builds(
    lambda role, replicas, degree, context, pooling: ServiceSpec(
        name="s",
        model=ModelSpec(
            name="m", source="m", role=role, context=context,
            flags={"runner": "pooling"} if pooling else {},
        ),
        replicas=replicas,
        tensor_parallel=degree,
    ),
    st.sampled_from(["policy", "prm"]),
    st.integers(1, 4),
    st.sampled_from([None, None, 1, 2]),
    st.sampled_from([2048, 8192, 32_768]),
    st.booleans(),
)  # fmt: skip
MACHINES = st.lists(
    st.tuples(st.sampled_from(["L40S", "A100-80", "H100", "H200"]), st.integers(0, 20)),
    min_size=2,
    max_size=8,
).map(
    lambda cards: [
        replace(parse(card)[0], index=index, used=used * GIB)
        for index, (card, used) in enumerate(cards)
    ]
)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(SERVICES, SIZES), min_size=1, max_size=3), MACHINES)
def test_no_gpu_is_overcommitted_and_no_replica_dropped(fleet, gpus):
    services = [replace(one, name=f"s{at}") for at, (one, _) in enumerate(fleet)]
    sizes = {f"s{at}": size for at, (_, size) in enumerate(fleet)}
    assume(pack(services, sizes, gpus) is not None)
    plan = arrange(services, sizes, gpus)
    assert [(one.service, one.replica) for one in plan.placements] == [
        (one.name, replica) for one in services for replica in range(one.replicas)
    ]
    taken, shares = defaultdict(int), defaultdict(float)
    for one in plan.placements:
        assert len(set(one.gpus)) == len(one.gpus) == plan.demands[one.service].tensor_parallel
        assert len({(gpus[at].name, gpus[at].memory) for at in one.gpus}) == 1
        assert plan.tokens(one) >= plan.demands[one.service].context
        for at in one.gpus:
            taken[at] += one.weights + one.kv_cache + one.overhead
            shares[at] += one.share
            assert one.share * gpus[at].memory <= one.weights + one.kv_cache + one.overhead
    for gpu in gpus:
        assert taken[gpu.index] <= USABLE * gpu.memory - gpu.used or not taken[gpu.index]
        assert shares[gpu.index] <= USABLE
    assert arrange(services, sizes, gpus) == plan
