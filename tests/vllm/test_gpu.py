"""What only a GPU can show: replicas planned onto one card serve a search side by side."""

from pathlib import Path

import pytest

from servers.fleet import launch
from servers.fleet.gpus import detect
from tests.vllm import shipped

pytestmark = pytest.mark.skipif(not detect(), reason="no NVIDIA GPU on this machine")


def test_a_run_brings_its_own_fleet_up_and_down(tmp_path: Path, vllm_python: Path) -> None:
    servers = shipped.fleet(vllm_python)["servers"]
    config = shipped.write(tmp_path, "gpu.yaml", shipped.run(servers, problems=8, seed=1))
    plan = shipped.completed("servers", "plan", config, "--json")
    assert '"gpus": [' in plan
    records = shipped.searched(config, tmp_path / "runs" / "gpu")
    assert len(records) == 3 * 8
    assert not [record for record in records if record.error]
    assert launch.find(shipped.FLEET) is None
