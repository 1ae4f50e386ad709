from dataclasses import replace
from pathlib import Path

import pytest

from servers.fleet import launch
from servers.fleet.spec import FleetError, FleetSpec, ModelSpec, Placement, ServiceSpec

MODEL = ModelSpec(name="small", source="s", role="policy", context=512)
SPEC = FleetSpec(name="f", services=(ServiceSpec(name="p", model=MODEL, replicas=2),))
PLACED = [Placement(service="p", replica=0), Placement(service="p", replica=1)]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


@pytest.mark.parametrize("placements", [[], PLACED[:1], PLACED + PLACED[:1], [PLACED[0]] * 2])
def test_every_replica_has_one_placement(placements: list[Placement]) -> None:
    with pytest.raises(FleetError, match=r"the placements of the fleet f are .* plan it again"):
        launch.start(SPEC, placements)


def test_no_two_replicas_have_one_port() -> None:
    services = (
        ServiceSpec(name="p", model=MODEL, replicas=2, port=8000),
        ServiceSpec(name="q", model=MODEL, port=8001),
    )
    with pytest.raises(FleetError, match="two replicas of the fleet f would have port 8001"):
        launch.start(replace(SPEC, services=services), [])


def test_a_fleet_has_a_key() -> None:
    with pytest.raises(FleetError, match="the fleet f has an empty api_key"):
        launch.start(replace(SPEC, api_key=""), PLACED)


def test_only_a_fleet_beyond_loopback_is_warned_of() -> None:
    assert launch.exposure_warning(SPEC) is None
    warning = launch.exposure_warning(replace(SPEC, host="0.0.0.0"))
    assert warning is not None
    assert all(route in warning for route in ("/generative_scoring", "/metrics", "/tokenize"))


def test_a_fleet_that_never_was_is_not_found_and_has_nothing_to_stop() -> None:
    assert launch.find("f") is None
    assert launch.names() == []
    launch.stop("f")
    with pytest.raises(FleetError, match="there is no fleet 'f': orchard servers up"):
        launch.api_key("f")
    with pytest.raises(FleetError, match="there is no fleet 'f': orchard servers up"):
        launch.follow("f")
