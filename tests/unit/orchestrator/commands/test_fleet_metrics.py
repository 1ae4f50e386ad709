from orchestrator.commands.fleet_metrics import read_metrics


def test_a_server_that_does_not_answer_has_no_metrics(unused_tcp_port: int) -> None:
    assert read_metrics(f"http://127.0.0.1:{unused_tcp_port}") is None
