"""A long run leaves nothing behind; ``tests/benchmarks/soak.py`` has a much longer one."""

from pathlib import Path

import uvloop

from tests.benchmarks.soak import soaked
from tests.benchmarks.step_cost import instant_server


def test_five_thousand_requests_leak_no_sockets_tasks_or_trees(tmp_path: Path) -> None:
    with instant_server("--faulty") as url:
        found = uvloop.run(soaked(url, 5_000, tmp_path))
    assert found.requests >= 5_000
    assert found.cancelled >= 100 and found.retries >= 100
    assert found.ended.tasks <= found.begun.tasks
    assert found.ended.fds <= found.begun.fds
    assert found.full.tasks <= found.warm.tasks
    # what grows are caches with a bound: verdicts, questions, and answers read as values
    assert found.full.objects - found.warm.objects < 8 * found.trees
