"""Fleets of real processes, with a stand-in for vLLM: up, down, and killed in every way."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from servers.fleet import launch, leftovers
from servers.fleet.restarts import Timing
from servers.fleet.spec import FleetError, FleetSpec, ModelSpec, Placement, ServiceSpec
from servers.fleet.state import FleetState

PLACEMENTS = [Placement(service="policy", replica=0), Placement(service="prm", replica=0)]
QUICK = Timing(
    poll=0.02,
    watch=0.05,
    answer=0.3,
    hung=0.6,
    grace=1.0,
    first_delay=0.05,
    longest_delay=0.2,
    tries=2,
)
PATIENCE_S = 30.0


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The folder whose files tell the policy's stand-in what to do."""
    folder = tmp_path / "model"
    folder.mkdir()
    return folder


@pytest.fixture
def spec(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FleetSpec]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\nexec {sys.executable} -S {Path(__file__).with_name("standin_vllm.py")} "$@"\n'
    )
    python.chmod(0o755)
    well = tmp_path / "well"
    well.mkdir()
    policy = ModelSpec(name="small", source=str(model), role="policy", context=512)
    prm = ModelSpec(name="judge", source=str(well), role="prm", context=512)
    spec = FleetSpec(
        name="test",
        services=(
            ServiceSpec(name="policy", model=policy),
            ServiceSpec(name="prm", model=prm),
        ),
        python=python,
    )
    yield spec
    launch.stop(spec.name)


def up(spec: FleetSpec) -> FleetState:
    return launch.follow(launch.start(spec, PLACEMENTS, timing=QUICK))


def await_state(is_so: Callable[[FleetState], bool]) -> FleetState:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        state = launch.find("test")
        if state is not None and is_so(state):
            return state
        time.sleep(0.02)
    raise AssertionError(f"it did not come to that: {launch.find('test')}")


def await_none(run: str) -> None:
    until = time.monotonic() + PATIENCE_S
    while leftovers.marked(run):
        assert time.monotonic() < until, f"processes {leftovers.marked(run)} stay"
        time.sleep(0.02)


def await_gone(state: FleetState) -> None:
    until = time.monotonic() + PATIENCE_S
    while state.is_supervised:
        assert time.monotonic() < until, "the supervisor stays"
        time.sleep(0.02)


def is_listening(url: str) -> bool:
    host, port = url.removeprefix("http://").split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_fleet_answers_on_its_urls_with_its_key_and_leaves_nothing(spec: FleetSpec) -> None:
    seen: list[FleetState] = []
    with launch.running(spec, PLACEMENTS, seen.append, timing=QUICK) as state:
        headers = {"Authorization": f"Bearer {launch.api_key('test')}"}
        for service, name in (("policy", "small"), ("prm", "judge")):
            (url,) = state.urls(service)
            assert httpx.get(f"{url}/v1/models").status_code == 401
            models = httpx.get(f"{url}/v1/models", headers=headers).json()["data"]
            assert models == [{"id": name}]
        assert len(leftovers.marked(state.run)) == 1 + 2 * 4  # keeper, server, two children each
    assert not leftovers.marked(state.run)
    assert not any(is_listening(replica.url) for replica in state.replicas)
    assert launch.find("test") is None
    assert {replica.phase for replica in seen[0].replicas} == {"starting"}
    assert seen[-1] == state


def test_the_key_is_in_no_argument_log_or_readable_file(spec: FleetSpec, tmp_path: Path) -> None:
    with launch.running(spec, PLACEMENTS, timing=QUICK) as state:
        key = launch.api_key("test").encode()
        for pid in leftovers.marked(state.run):
            assert key not in Path(f"/proc/{pid}/cmdline").read_bytes()
        folder = tmp_path / "state/orchard/fleets/test"
        assert folder.stat().st_mode & 0o777 == 0o700
        files = [path for path in folder.rglob("*") if path.is_file()]
        assert [path.name for path in files if key in path.read_bytes()] == ["key"]
        assert (folder / "key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("victim", ["server", "keeper"])
def test_a_killed_server_comes_back_at_its_url(spec: FleetSpec, victim: str) -> None:
    before = up(spec)
    first = before.replicas[0].pid
    assert first is not None
    os.kill(first if victim == "server" else parent_of(first), signal.SIGKILL)
    after = await_state(lambda state: state.is_ready and state.replicas[0].restarts == 1)
    assert after.urls("policy") == before.urls("policy")
    assert after.replicas[1] == before.replicas[1]
    assert len(leftovers.marked(after.run)) == 1 + 2 * 4


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_nothing_outlives_a_supervisor(spec: FleetSpec, number: signal.Signals) -> None:
    state = up(spec)
    os.kill(state.supervisor, number)
    await_none(state.run)
    assert not any(is_listening(replica.url) for replica in state.replicas)


def test_what_supervisor_and_keepers_killed_at_once_leave_is_ended_by_the_next(
    spec: FleetSpec,
) -> None:
    state = up(spec)
    keepers = [parent_of(replica.pid or 0) for replica in state.replicas]
    for number in (signal.SIGSTOP, signal.SIGKILL):  # none is to see another one's end
        for pid in (state.supervisor, *keepers):
            os.kill(pid, number)
    await_gone(state)
    again = up(spec)
    assert not leftovers.marked(state.run)
    assert again.is_ready


def test_an_attached_fleet_ends_with_a_killed_parent(spec: FleetSpec, tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", _parent(spec, attached=True)])
    state = await_state(lambda state: state.is_ready)
    parent.kill()
    parent.wait()
    await_none(state.run)


def test_a_detached_fleet_survives_its_parent_until_it_is_stopped(spec: FleetSpec) -> None:
    subprocess.run([sys.executable, "-c", _parent(spec, attached=False)], check=True)
    state = await_state(lambda state: state.is_ready)
    assert launch.follow("test") == state
    launch.stop("test")
    assert not leftovers.marked(state.run)
    left = launch.Folder.of("test").read_state()
    assert left is not None and {replica.phase for replica in left.replicas} == {"stopped"}
    launch.stop("test")  # nothing to do


def test_an_interrupt_while_it_starts_ends_it_all(spec: FleetSpec) -> None:
    seen: list[FleetState] = []

    def interrupt(state: FleetState) -> None:
        seen.append(state)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), launch.running(spec, PLACEMENTS, interrupt):
        pass
    assert not leftovers.marked(seen[0].run)


def test_a_server_that_ignores_sigterm_is_killed_after_its_grace(
    spec: FleetSpec, model: Path
) -> None:
    (model / "stubborn").touch()
    state = up(spec)
    began = time.monotonic()
    launch.stop("test")
    assert time.monotonic() - began >= QUICK.grace
    assert not leftovers.marked(state.run)


def test_a_server_that_hangs_is_ended_and_started_again(spec: FleetSpec, model: Path) -> None:
    before = up(spec)
    (model / "hang").touch()
    hung = await_state(lambda state: state.replicas[0].phase == "restarting")
    assert "stopped answering" in (hung.replicas[0].problem or "")
    (model / "hang").unlink()
    after = await_state(lambda state: state.is_ready)
    assert after.replicas[0].pid != before.replicas[0].pid


def test_a_cause_that_will_not_pass_fails_the_fleet_at_once(spec: FleetSpec, model: Path) -> None:
    (model / "refuse").write_text("RuntimeError: Cannot find any model weights with `/m`")
    with pytest.raises(FleetError, match=r"policy-0 .small. did not start: there are no weights"):
        up(spec)
    state = launch.Folder.of("test").read_state()
    assert state is not None and state.replicas[0].restarts == 0
    assert not leftovers.marked(state.run)


def test_a_cause_unknown_is_tried_again_before_the_fleet_fails(
    spec: FleetSpec, model: Path
) -> None:
    (model / "refuse").write_text("RuntimeError: never seen before")
    with pytest.raises(FleetError, match=r"2 starts\): it ended with code 1 .*never seen before"):
        up(spec)


def test_a_server_that_was_ready_is_not_given_up(spec: FleetSpec, model: Path) -> None:
    state = up(spec)
    (model / "refuse").write_text("RuntimeError: Cannot find any model weights with `/m`")
    os.kill(state.replicas[0].pid or 0, signal.SIGKILL)
    await_state(lambda state: state.replicas[0].restarts >= QUICK.tries + 1)
    (model / "refuse").unlink()
    assert await_state(lambda state: state.is_ready).problem is None


def test_a_running_fleet_is_not_started_again(spec: FleetSpec) -> None:
    state = up(spec)
    with pytest.raises(FleetError, match=r"already running.*orchard servers down test"):
        launch.start(spec, PLACEMENTS)
    assert launch.find("test") == state


def test_a_port_in_use_is_said_before_anything_starts(spec: FleetSpec) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        (policy, prm) = spec.services
        services = (ServiceSpec(name="policy", model=policy.model, port=port), prm)
        with pytest.raises(FleetError, match=f"port {port} on 127.0.0.1 cannot be used"):
            launch.start(FleetSpec(name="test", services=services, python=spec.python), PLACEMENTS)


def _parent(spec: FleetSpec, *, attached: bool) -> str:
    """A program that starts the fleet; with ``attached`` it then waits to be killed."""
    return f"""
import time
from pathlib import PosixPath
from servers.fleet.launch import follow, start
from servers.fleet.restarts import Timing
from servers.fleet.spec import FleetSpec, ModelSpec, Placement, ServiceSpec
follow(start({spec!r}, {PLACEMENTS!r}, attached={attached}, timing={QUICK!r}))
time.sleep({600 if attached else 0})
"""
