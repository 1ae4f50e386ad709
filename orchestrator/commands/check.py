"""``orchard check``: probe every endpoint of a config, before anything is spent."""

import asyncio
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from orchestrator.config.run import RunConfig
from orchestrator.console.fleet_view import LiveFleet
from orchestrator.console.terminal import Terminal
from orchestrator.errors import ConfigError
from orchestrator.runs.plan import Cell
from orchestrator.wiring.connect import connect
from orchestrator.wiring.experiment import Experiment
from orchestrator.wiring.needs import Found, check_able, remarks, substitutes
from orchestrator.wiring.problem_sets import task_of
from orchestrator.wiring.serving import Addresses, started_servers


def check_endpoints(experiment: Experiment, console: Terminal) -> list[dict[str, Any]]:
    """What each endpoint can do, or its ``error``. Starts the servers of the run to find out.

    An entry has ``name``, ``role``, ``urls``, ``model``, ``hosted`` (the API of its cloud), its
    ``price`` where known, what is ``emulated`` for its cells, the endpoint's abilities, and
    ``remarks`` for a person to read. Raises ``ConfigError`` and ``ServerError``.
    """
    with tempfile.TemporaryDirectory() as logs, LiveFleet(console) as live:  # noqa: SIM117
        with started_servers(experiment.config, Path(logs), live.show) as addresses:
            return asyncio.run(_ask(experiment, addresses))


async def _ask(experiment: Experiment, addresses: Addresses) -> list[dict[str, Any]]:
    config, cells = experiment.config, experiment.cells
    entries: dict[str, dict[str, Any]] = {}
    asked = connect(
        config.policies,
        config.prms,
        task=task_of(config.task),
        addresses=addresses,
        cells=cells,
        tolerant=True,
    )
    async with asked as connected:
        for name, each in connected.endpoints.items():
            price = experiment.prices.get(name)
            entries[name] = {
                "name": name,
                "role": "prm" if name in config.prms else "policy",
                "urls": list(each.transport.endpoint.urls),
                "model": each.transport.endpoint.model,
                "hosted": each.settings.hosted,
                "price": asdict(price) if price else None,
                "emulated": [],
            }
    found = connected.found
    for name, can in found.items():
        entries[name] |= asdict(can)
    for name, error in connected.failures.items():
        entries[name]["error"] = str(error).removeprefix(f"{name}: ")
    for cell in cells:
        for policy in cell.policies:
            alone = replace(cell, policies=(policy,))
            try:
                check_able([alone] if policy.name in found else [], config.policies, found)
            except ConfigError as error:
                entries[policy.name].setdefault("error", str(error))
            else:
                _note_emulated(entries[policy.name], alone, config, found)
    for name in found:
        entries[name]["remarks"] = remarks(name, cells, found)
    return list(entries.values())


def _note_emulated(entry: dict[str, Any], cell: Cell, config: RunConfig, found: Found) -> None:
    if entry["name"] in found:
        emulated = substitutes(cell, config.policies, found).emulated
        entry["emulated"] += [each for each in emulated if each not in entry["emulated"]]
