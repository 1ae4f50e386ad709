"""A search that asks again: self-correction over several turns, on a real server and in a run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest

from orchestrator.core.fanout import fan_out
from orchestrator.core.node import Node, Turn
from orchestrator.core.ports import Models, Need
from orchestrator.core.problem import Problem
from orchestrator.core.records import Record
from orchestrator.endpoints.policies.http_policy import ChatPolicy, HttpPolicy, TokenPolicy
from orchestrator.runs.plan import Cell, NamedModel, Plan, Ports
from orchestrator.runs.scheduler import Scheduler
from orchestrator.storage.journal import JOURNAL, Journal
from orchestrator.storage.store import Store, read_records
from orchestrator.tasks.math.task import MathTask
from servers.simulated import problems as sums
from servers.simulated.fleet import Fleet
from servers.simulated.front import HttpFront
from servers.simulated.hardware import GPUS, MODELS, Speed
from servers.simulated.replica import Service
from tests.integration.misbehaving import CHAT, COMPLETIONS, Server
from tests.integration.ports import STEP, WHOLE, policy_at, prm_at, problem

SURE = "Are you sure? Solve it once more."
LONG = replace(STEP, max_tokens=512)


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfCorrection:
    """``n`` solutions, each of which is asked about and then corrected."""

    needs: ClassVar[frozenset[Need]] = frozenset({"turns"})

    n: int = 3

    async def __call__(self, root: Node, models: Models) -> list[Node]:
        first = await models.policy.extend(root, self.n, WHOLE)
        again = await fan_out(models.policy.extend(leaf.ask(SURE), 1, WHOLE) for leaf in first)
        return [leaf for leaves in again for leaf in leaves]


def states(leaves: Sequence[Node]) -> list[tuple[object, ...]]:
    return [(leaf.path, leaf.seed, leaf.turns, leaf.tokens) for leaf in leaves]


@pytest.mark.parametrize("kind", [TokenPolicy, ChatPolicy])
async def test_a_self_correction_shows_each_solution_and_asks_for_another(
    server: Server, kind: type[HttpPolicy]
) -> None:
    async with policy_at(server.url, kind=kind) as policy, prm_at(server.url) as prm:
        leaves = await SelfCorrection()(problem(), Models(policy, prm))
        scored = await prm.score(leaves)
        assert states(await SelfCorrection()(problem(), Models(policy, prm))) == states(leaves)
    first, *asked = [call.body["messages"] for call in server.calls if call.path == CHAT][:4]
    for messages, leaf in zip(
        sorted(asked, key=str), sorted(leaves, key=lambda leaf: leaf.earlier[0].text), strict=True
    ):
        assert messages[:-2] == first
        assert [(each["role"], each["content"]) for each in messages[-2:]] == [
            ("assistant", leaf.earlier[0].text), ("user", SURE),
        ]  # fmt: skip
    assert len({leaf.path for leaf in leaves}) == len({leaf.seed for leaf in leaves}) == 3
    assert all(len(leaf.scores) == len(leaf.steps) for leaf in scored)


async def test_a_corrected_solution_grows_by_steps_from_token_ids(server: Server) -> None:
    async with policy_at(server.url, kind=TokenPolicy) as policy:
        (leaf,) = await policy.extend(problem(), 1, WHOLE)
        (step,) = await policy.extend(leaf.ask(SURE), 1, STEP)
        (after,) = await policy.extend(step, 1, STEP)
    assert [call.path for call in server.calls] == [CHAT, CHAT, COMPLETIONS]
    assert after.steps[0] == step.text and len(after.steps) == 2
    assert after.earlier == (Turn("assistant", leaf.text), Turn("user", SURE))


async def run(server: Server, folder: Path) -> list[Record]:
    cell = Cell(
        task="sums", policies=(NamedModel(name="policy"),),
        strategy_name="self_correction", strategy=SelfCorrection(),
    )  # fmt: skip
    plan = Plan(problems=[Problem(id="p", question="What is p?", answer="1")], cells=[cell])
    async with policy_at(server.url) as policy, MathTask() as task:
        ports = Ports(policies={"policy": policy}, prms={}, task=task)
        with Store(folder) as store, Journal(folder / JOURNAL) as journal:
            await Scheduler(plan, ports, store, journal).run()
    return list(read_records(folder))


async def test_a_record_shows_the_turns_and_a_journal_replays_them(
    server: Server, tmp_path: Path
) -> None:
    (record,) = await run(server, tmp_path)
    requests = len(server.calls)
    assert [leaf.earlier[-1] for leaf in record.leaves] == [Turn("user", SURE)] * 3
    assert all(leaf.earlier[0].role == "assistant" for leaf in record.leaves)
    assert (record.samples, record.requests, record.wasted_tokens) == (6, 4, 0)
    (tmp_path / "records.jsonl").unlink()
    (again,) = await run(server, tmp_path)
    assert len(server.calls) == requests
    assert again.leaves == record.leaves


async def test_a_simulated_policy_draws_a_solution_of_its_own_for_each_question() -> None:
    speed = Speed.of(MODELS["1B"], GPUS["H100"])
    fleet = Fleet([Service(model="policy", role="policy", speed=speed)])
    (posed,) = sums.generate(1, 11, range(4, 5))
    async with HttpFront(fleet) as front:
        for kind in (TokenPolicy, ChatPolicy):
            async with policy_at(*front.urls.values(), kind=kind) as policy:
                start = problem(posed.question)
                (leaf,) = await policy.extend(start, 1, WHOLE)
                (second,) = await policy.extend(leaf.ask(SURE), 1, LONG)
                (third,) = await policy.extend(second, 1, LONG)
            assert second.prompt_tokens > leaf.prompt_tokens
            assert second.text.startswith("Step 1:") and third.steps[1].startswith("Step 2:")
