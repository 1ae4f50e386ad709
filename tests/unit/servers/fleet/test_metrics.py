from servers.fleet.metrics import Metrics, parse_metrics, read_metrics

# As vLLM 0.32 writes them, shortened.
TEXT = """\
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
    assert parse_metrics(TEXT) == Metrics(
        running=4, waiting=2, kv_cache_usage=0.5, prefix_hit_ratio=0.75,
        generation_tokens=1200, preemptions=4,
    )  # fmt: skip


def test_a_server_that_has_done_nothing_has_no_hit_ratio() -> None:
    assert parse_metrics("vllm:prefix_cache_queries_total 0.0\n").prefix_hit_ratio is None


def test_a_server_that_does_not_answer_has_no_metrics(unused_tcp_port: int) -> None:
    assert read_metrics(f"http://127.0.0.1:{unused_tcp_port}") is None
