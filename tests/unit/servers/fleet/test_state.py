import os
from dataclasses import replace
from pathlib import Path

import pytest

from servers.fleet.leftovers import start_time
from servers.fleet.restarts import Timing
from servers.fleet.spec import FleetError, FleetSpec, ModelSpec, Placement, ServiceSpec, Shape
from servers.fleet.state import FleetState, Folder, ReplicaState, StartOrders

REPLICA = ReplicaState(
    service="policy", model="small", role="policy", index=0, url="http://127.0.0.1:1", port=1,
    log="l", gpus=(0, 1),
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    folder = Folder.of("mine")
    folder.create()
    return folder


def state(*replicas: ReplicaState) -> FleetState:
    started = start_time(os.getpid())
    assert started is not None
    return FleetState(
        name="mine", run="r", supervisor=os.getpid(), supervisor_started=started, replicas=replicas
    )


def test_a_state_reads_as_it_was_written_and_only_for_its_user(folder: Folder) -> None:
    written = state(REPLICA, replace(REPLICA, index=1, phase="restarting", problem="why"))
    folder.write_state(written)
    assert folder.read_state() == written
    assert (folder.path / "state.json").stat().st_mode & 0o777 == 0o600
    assert folder.path.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in folder.path.glob("*.part")] == []


def test_orders_read_as_they_were_written_but_keep_the_key_apart(folder: Folder) -> None:
    model = ModelSpec(
        name="m", source="s", role="prm", context=9, shape=Shape(layers=1, kv_heads=2, head_dim=3),
        flags={"a": True, "b": {"c": [1, "d"]}, "e": 0.5, "f": ["g"], "h": 3, "i": "j"},
    )  # fmt: skip
    spec = FleetSpec(
        name="mine", services=(ServiceSpec(name="p", model=model, port=8000),), api_key="hush",
        python=Path("/venv/bin/python"), environment={"A": "b"},
    )  # fmt: skip
    orders = StartOrders(
        spec=spec, placements=(Placement(service="p", replica=0, gpus=(1,)),), run="r",
        timing=Timing(tries=9),
    )  # fmt: skip
    folder.write_orders(orders, "hush")
    assert folder.read_orders() == orders
    assert b"hush" not in (folder.path / "fleet.json").read_bytes()
    assert (folder.path / "key").stat().st_mode & 0o777 == 0o600


def test_nothing_written_or_half_a_state_is_no_state(folder: Folder) -> None:
    assert folder.read_state() is None
    (folder.path / "state.json").write_text('{"name": "mi')
    assert folder.read_state() is None


def test_a_reused_process_id_is_not_the_supervisor() -> None:
    mine = state()
    assert mine.is_supervised
    assert not replace(mine, supervisor_started=mine.supervisor_started + 1).is_supervised


def test_a_fleet_is_ready_when_every_replica_is() -> None:
    ready = replace(REPLICA, phase="ready")
    assert state(ready, ready).is_ready
    assert not state(ready, replace(REPLICA, phase="restarting")).is_ready
    assert not state().is_ready


def test_urls_are_those_of_one_service() -> None:
    other = replace(REPLICA, service="prm", url="http://127.0.0.1:2")
    assert state(REPLICA, other).urls("policy") == ["http://127.0.0.1:1"]


def test_the_lock_is_held_until_the_last_copy_of_it_is_closed(folder: Folder) -> None:
    lock = folder.lock()
    copy = os.dup(lock)
    os.close(lock)
    with pytest.raises(FleetError, match="the fleet mine is already running"):
        folder.lock()
    os.close(copy)
    os.close(folder.lock())


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "a b"])
def test_a_name_that_is_no_folder_s_is_refused(name: str) -> None:
    with pytest.raises(FleetError, match="cannot name a fleet"):
        Folder.of(name)
