"""A run and its endpoints: what it takes to get from a config to connected models."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from orchestrator.commands.run import run_config
from orchestrator.config import run as config_module
from orchestrator.config.run import RunConfig, validate
from orchestrator.console.terminal import Terminal
from orchestrator.endpoints.transport.transport import Transport
from orchestrator.errors import EndpointUnavailable
from orchestrator.storage.run_directory import RunDirectory
from orchestrator.wiring import endpoint, prices
from orchestrator.wiring.connect import connect
from orchestrator.wiring.experiment import Experiment
from tests.integration.misbehaving import Server, running_beside
from tests.integration.test_endpoints import free_port


@pytest.fixture
def server() -> Iterator[Server]:
    with running_beside() as running:
        yield running


def config(server: Server, **changes: Any) -> RunConfig:
    search = {"n": 4, "width": 2, "max_depth": 4, "max_tokens": 24}
    values = {
        "task": {"name": "sums", "problems": 2},
        "policies": {"policy": {"url": server.url, "prompt": "tiny"}},
        "prms": {"prm": {"url": server.url, "family": "qwen_math"}},
        "cells": [
            {"policy": "policy", "strategy": "cot"},
            {"policy": "policy", "prm": "prm", "strategy": ["beam_search", "dvts"], **search},
        ],
    }
    return validate(values | changes, "run.yaml")


def test_a_run_builds_cells_reads_prices_and_opens_and_probes_each_endpoint_once(
    server: Server, tmp_path: Path
) -> None:
    opened, probed = Counter[str](), Counter[str]()
    enter, probe = Transport.__aenter__, endpoint.Connection.probe

    async def entered(transport: Transport) -> Transport:
        opened[transport.endpoint.name] += 1
        return await enter(transport)

    async def asked(connection: endpoint.Connection) -> None:
        probed[connection.name] += 1
        await probe(connection)

    with (
        mock.patch.object(config_module, "all_cells", wraps=config_module.all_cells) as built,
        mock.patch.object(prices, "read_prices", wraps=prices.read_prices) as read,
        mock.patch.object(Transport, "__aenter__", entered),
        mock.patch.object(endpoint.Connection, "probe", asked),
    ):
        result = run_config(config(server), RunDirectory(tmp_path), Terminal(stderr=True), "")
    assert (len(result.records), result.remaining) == (6, 0)
    assert (built.call_count, read.call_count) == (1, 1)
    assert opened == probed == {"policy": 1, "prm": 1}
    assert sum(call.path == "/v1/models" for call in server.calls) == 2


async def test_a_replica_that_is_down_at_the_probe_stays_known_and_gets_no_request(
    server: Server,
) -> None:
    down = f"http://127.0.0.1:{free_port()}"
    policies = {"policy": {"url": [down, server.url], "prompt": "tiny"}}
    described = config(server, policies=policies)
    async with connect(described.policies, {}) as connected:
        status = connected.statuses()["policy"]
        assert (status.replicas, status.up) == (2, 1)
        assert connected.policies.keys() == connected.found.keys() == {"policy"}


async def test_an_endpoint_where_nothing_answers_is_an_error_or_a_failure_of_its_own(
    server: Server,
) -> None:
    down = {"url": f"http://127.0.0.1:{free_port()}", "family": "qwen_math"}
    described = config(server, prms={"prm": down})
    with pytest.raises(EndpointUnavailable, match="prm: "):
        async with connect(described.policies, described.prms):
            raise AssertionError("never connected")
    async with connect(described.policies, described.prms, tolerant=True) as connected:
        assert connected.failures.keys() == {"prm"}
        assert (connected.policies.keys(), connected.prms.keys()) == ({"policy"}, set())


async def test_probes_are_paid_for_though_one_of_them_fails(server: Server) -> None:
    down = {"url": f"http://127.0.0.1:{free_port()}", "family": "qwen_math"}
    price = {"price": {"input": 1_000_000, "output": 1_000_000}}
    policies = {"policy": {"url": server.url, "prompt": "tiny", **price}}
    experiment = Experiment.of(config(server, policies=policies, prms={"prm": down}))
    paid: list[float] = []
    models = experiment.config.policies, experiment.config.prms
    with pytest.raises(EndpointUnavailable):
        async with connect(*models, prices=experiment.prices, pay=paid.append):
            raise AssertionError("never connected")
    assert len(paid) == 1
