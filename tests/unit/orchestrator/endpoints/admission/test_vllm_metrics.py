import pytest

from orchestrator.endpoints.admission.vllm_metrics import (
    Metrics,
    ServerLoad,
    is_another_servers,
    parse_metrics,
    read_load,
)

METRICS = b"""# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 12.0
vllm:num_requests_running{engine="1",model_name="m"} 8.0
vllm:num_requests_waiting{engine="0",model_name="m"} 3.0
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.25
vllm:kv_cache_usage_perc{engine="1",model_name="m"} 0.75
vllm:num_preemptions_total{engine="0",model_name="m"} 5.0
vllm:num_preemptions_created{engine="0",model_name="m"} 1.7e+09
vllm:prompt_tokens_total{engine="0",model_name="m"} 1.5e+06
"""


def test_a_servers_load_is_that_of_all_its_engines() -> None:
    load = read_load(METRICS)
    assert load is not None
    assert (load.running, load.waiting, load.kv_cache_usage) == (20.0, 3.0, 0.75)
    assert (load.preemptions, load.preempted) == (5.0, 0.0)


def test_preemptions_count_from_one_look_to_the_next() -> None:
    before = read_load(METRICS.replace(b"} 5.0", b"} 2.0"))
    load = read_load(METRICS, before)
    assert load is not None and load.preempted == 3.0
    assert load.is_congested
    restarted = read_load(METRICS.replace(b"} 5.0", b"} 0.0"), load)
    assert restarted is not None and restarted.preempted == 0.0


def test_other_servers_metrics_say_nothing() -> None:
    for metrics in (b"", b"<html>", b"up 1\n", b"\xff\xfe", b"vllm:num_requests_waiting many\n"):
        assert read_load(metrics) is None


# For people

# As vLLM 0.32 writes them, shortened.
STATUS = b"""\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="small"} 3.0
vllm:num_requests_running{engine="1",model_name="small"} 1.0
vllm:num_requests_waiting{engine="0",model_name="small"} 2.0
vllm:kv_cache_usage_perc{engine="0",model_name="small"} 0.25
vllm:kv_cache_usage_perc{engine="1",model_name="small"} 0.5
vllm:prefix_cache_queries_total{engine="0",model_name="small"} 200.0
vllm:prefix_cache_queries_created{engine="0",model_name="small"} 1.7637e+09
vllm:prefix_cache_hits_total{engine="0",model_name="small"} 150.0
vllm:generation_tokens_total{engine="0",model_name="small"} 1.2e+03
vllm:num_preemptions_total{engine="0",model_name="small"} 4.0
python_gc_objects_collected_total{generation="0"} 9.0
"""


def test_counts_of_engines_add_up_and_the_fullest_cache_counts() -> None:
    assert parse_metrics(STATUS) == Metrics(
        running=4, waiting=2, kv_cache_usage=0.5, prefix_hit_ratio=0.75,
        generation_tokens=1200, preemptions=4,
    )  # fmt: skip


def test_a_server_that_has_done_nothing_has_no_hit_ratio() -> None:
    assert parse_metrics(b"vllm:prefix_cache_queries_total 0.0\n").prefix_hit_ratio is None


def loaded(**changes: float) -> ServerLoad:
    usual = {"running": 40.0, "waiting": 0.0, "kv_cache_usage": 0.5, "preemptions": 9.0}
    return ServerLoad(**usual | changes)


@pytest.mark.parametrize(
    ("changes", "is_saturated", "is_congested"),
    [
        ({"waiting": 2}, False, False),
        ({"waiting": 3}, True, False),
        ({"kv_cache_usage": 0.95}, False, False),
        ({"kv_cache_usage": 0.96}, True, False),
        ({"preempted": 1}, True, True),
        ({"waiting": 10}, True, False),
        ({"waiting": 11}, True, True),
        ({"waiting": 4, "running": 1}, True, False),
        ({"waiting": 5, "running": 1}, True, True),
    ],
)
def test_a_server_is_saturated_before_it_is_congested(
    changes: dict[str, float], is_saturated: bool, is_congested: bool
) -> None:
    load = loaded(**changes)
    assert (load.is_saturated, load.is_congested) == (is_saturated, is_congested)


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_server_without_the_route_is_another(status: int) -> None:
    assert is_another_servers(status, b"vllm:num_requests_running 1")


@pytest.mark.parametrize(
    ("status", "metrics", "is_another"),
    [
        (200, b"up 1", True), (200, METRICS, False), (403, b"", False), (406, b"", False),
        (500, b"", False), (502, b"", False), (503, b"", False), (201, b"", False),
    ],
)  # fmt: skip
def test_a_server_that_answers_something_else_is_another_and_one_out_of_reach_is_not(
    status: int, metrics: bytes, is_another: bool
) -> None:
    assert is_another_servers(status, metrics) is is_another
