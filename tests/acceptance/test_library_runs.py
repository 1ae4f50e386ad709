"""A run directory that the library began and the command line goes on with, and the other way."""

from contextlib import aclosing
from pathlib import Path
from typing import Any

import orchestrator as orchard
from tests.acceptance.conftest import SEARCH, Person
from tests.integration.misbehaving import Server

STRATEGIES = [orchard.CoT(), orchard.BeamSearch(**SEARCH)]
PROBLEMS = [
    orchard.Problem(id=f"p{i}", question=f"Add {i} to {i}.", answer=str(i % 3)) for i in range(5)
]


async def evaluated(server: Server, out: Path, most: int = 100) -> list[orchard.Record]:
    """The first ``most`` records; what is under way then is cancelled."""
    policy = orchard.Policy(server.url, model="policy", prompt="tiny")
    prm = orchard.PRM(server.url, model="prm", family="qwen_math")
    found: list[orchard.Record] = []
    async with orchard.connect(policy, prm) as models:
        run = orchard.evaluate(PROBLEMS, models, STRATEGIES, out=out, concurrency=2)
        async with aclosing(run) as records:
            async for record in records:
                found.append(record)
                if len(found) == most:
                    break
    return found


def answers(records: list[dict[str, Any]]) -> dict[tuple[str, str], Any]:
    return {
        (each["cell"], each["problem"]): [leaf["steps"] for leaf in each["leaves"]]
        for each in records
        if each["error"] is None
    }


async def test_the_command_line_goes_on_with_what_the_library_began(person: Person) -> None:
    await evaluated(person.server, person.home / "whole")
    began = await evaluated(person.server, person.home / "part", most=3)
    assert len(began) == 3
    resumed = person.orchard("resume", "part")
    assert resumed.code == 0, resumed.err
    assert answers(person.records("part")) == answers(person.records("whole"))
    assert len(answers(person.records("part"))) == len(PROBLEMS) * len(STRATEGIES)


async def test_the_library_goes_on_with_what_the_command_line_finished(person: Person) -> None:
    await evaluated(person.server, person.home / "run", most=1)
    assert person.orchard("resume", "run").code == 0
    asked = len(person.server.generated())
    records = await evaluated(person.server, person.home / "run")
    assert len(records) == len(PROBLEMS) * len(STRATEGIES)
    assert not any("Add" in str(call.body) for call in person.server.generated()[asked:])
