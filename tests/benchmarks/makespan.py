"""How close a run comes to the shortest time its fleet could take: makespan / lower bound.

The real orchestrator (scheduler, dispatcher, transport, coalesced scoring) runs 500 problems of
beam search at N = 64 on a simulated fleet of H100s, in virtual time: 8 replicas of a 1B policy and
2 of a 7B PRM, where the PRM is the bottleneck; and, under ``policy_bound``, 2 replicas of an 8B
policy and 8 of the same PRM. The lower bound is the largest of three:

- the policy's work at the best its hardware can do: every generated token in a full batch, paying
  for its own context, and every prompt token that no prefix cache can hold (each question once,
  and of each sample's prompt the block of 16 that is not full) at its arithmetic alone;
- the PRM's work: every token it was sent, in full batches (this PRM's route reads no prefix cache);
- the longest chain of steps: of each level of a tree its longest step, then its scoring, alone on
  an idle fleet, the scores of one level spread over all PRM replicas.

Beside it the same work on the same fleet as huggingface/search-and-learn does it (commit 6f81cac):
batches of problems whose searches advance one level together, the policy first and then the PRM.

- ``lockstep_ratio``: batches of 25, its default ``search_batch_size`` (``src/sal/config.py``), that
  its recipes for best-of-N and DVTS keep. Its beam search takes no such batch, so this is the
  method at its best, not what one gets.
- ``one_by_one_ratio``: batches of 1, the only size that its beam search accepts (``config.py``,
  ``__post_init__``), in as many jobs at once as there are policy replicas (its
  ``recipes/launch_array.slurm`` runs 8). Its jobs hold policy and PRM on one GPU each; here they
  share all replicas of both, which can only help them.

Prints one JSON line.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from orchestrator.commands.forecast.simulation import SimulatedSender, urls
from orchestrator.core.fanout import fan_out
from orchestrator.core.node import Node, Tree, root
from orchestrator.core.ports import PRM, Models, Policy, Sampling
from orchestrator.core.problem import Problem
from orchestrator.core.selection import best
from orchestrator.endpoints.policies.http_policy import TokenPolicy
from orchestrator.endpoints.prm import QwenMathPRM
from orchestrator.endpoints.transport.transport import Endpoint, Transport
from orchestrator.runs.plan import Cell, NamedModel, Plan, Ports
from orchestrator.runs.scheduler import Scheduler
from orchestrator.storage.store import Store
from orchestrator.strategies import BeamSearch
from orchestrator.strategies.expansion import expand
from orchestrator.tasks.math.task import MathTask
from orchestrator.tasks.prompts import PROMPTS
from servers.simulated import clock, problems
from servers.simulated.fleet import Fleet
from servers.simulated.hardware import GPUS, MODELS, Speed
from servers.simulated.prefix_cache import BLOCK
from servers.simulated.replica import Service


@dataclass(frozen=True, slots=True)
class Setting:
    """So many replicas of a policy and of a PRM."""

    policies: int
    policy: Speed
    prms: int
    prm: Speed


def on_h100(size: str) -> Speed:
    return Speed.of(MODELS[size], GPUS["H100"])


STANDARD = Setting(8, on_h100("1B"), 2, on_h100("7B"))
POLICY_BOUND = Setting(2, on_h100("8B"), 8, on_h100("7B"))


@dataclass(slots=True)
class Bound:
    """What the work that passes through a policy and a PRM takes at least, in seconds.

    ``steps`` and ``scored`` hold, by problem and level, the longest step and the tokens scored.
    """

    setting: Setting
    policy_s: float = 0.0
    prm_s: float = 0.0
    steps: dict[str, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))
    scored: dict[str, dict[int, int]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(int))
    )

    def generated(self, node: Node, children: Sequence[Node]) -> None:
        policy = self.setting.policy
        levels, level = self.steps[node.question], len(node.steps)
        prompt = children[0].prompt_tokens
        if not level:
            self.policy_s += prompt // BLOCK * BLOCK * policy.prompt_token()
        for child in children:
            tail = (prompt - 1) % BLOCK + 1
            context = prompt + child.step_tokens / 2
            self.policy_s += child.step_tokens * policy.decode_token(context)
            self.policy_s += tail * policy.prompt_token()
            alone = child.step_tokens * policy.iteration(1, context)
            levels[level] = max(levels.get(level, 0.0), alone)

    def judged(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            self.prm_s += node.prm_tokens * self.setting.prm.read_token()
            self.scored[node.question][len(node.steps) - 1] += node.prm_tokens

    @property
    def chain_s(self) -> float:
        prm, prms = self.setting.prm, self.setting.prms
        return max(
            sum(
                alone + max(prm.iteration(0, 0), self.scored[name][level] * prm.token_s / prms)
                for level, alone in levels.items()
            )
            for name, levels in self.steps.items()
        )

    @property
    def each_policy_s(self) -> float:
        return self.policy_s / self.setting.policies

    @property
    def each_prm_s(self) -> float:
        return self.prm_s / self.setting.prms

    @property
    def seconds(self) -> float:
        return max(self.each_policy_s, self.each_prm_s, self.chain_s)


@dataclass(slots=True)
class MeasuredPolicy:
    policy: Policy
    bound: Bound

    async def extend(self, node: Node, n: int, sampling: Sampling) -> list[Node]:
        children = await self.policy.extend(node, n, sampling)
        self.bound.generated(node, children)
        return children


@dataclass(slots=True)
class MeasuredPRM:
    prm: PRM
    bound: Bound

    async def score(self, nodes: Sequence[Node]) -> list[Node]:
        scored = await self.prm.score(nodes)
        self.bound.judged(scored)
        return scored


@asynccontextmanager
async def fleet_and_ports(setting: Setting) -> AsyncIterator[tuple[Fleet, Bound, Ports]]:
    fleet = Fleet(
        [
            Service(model="policy", role="policy", speed=setting.policy, replicas=setting.policies),
            Service(model="prm", role="prm", speed=setting.prm, replicas=setting.prms),
        ]
    )
    endpoints = [Endpoint(urls=urls(fleet, name), model=name) for name in ("policy", "prm")]
    policy, prm = (Transport(each, SimulatedSender(fleet)) for each in endpoints)
    bound = Bound(setting)
    async with policy, prm, MathTask() as task:
        ports = Ports(
            policies={
                "policy": MeasuredPolicy(
                    TokenPolicy(policy, PROMPTS["qwen"].asking(task.instruction)), bound
                )
            },
            prms={"prm": MeasuredPRM(QwenMathPRM(transport=prm), bound)},
            task=task,
        )
        yield fleet, bound, ports


async def orchard(
    setting: Setting, questions: list[Problem], n: int, trees: int
) -> dict[str, float]:
    cell = Cell(
        task="sums", policies=(NamedModel(name="policy"),), prms=(NamedModel(name="prm"),),
        strategy_name="beam_search", strategy=BeamSearch(n=n),
    )  # fmt: skip
    async with fleet_and_ports(setting) as (fleet, bound, ports):
        with tempfile.TemporaryDirectory() as folder, Store(Path(folder)) as store:
            plan = Plan(problems=questions, cells=[cell], trees=trees)
            await Scheduler(plan, ports, store).run()
            assert len(store.finished(cell.id)) == len(questions)
        makespan = asyncio.get_running_loop().time()
    busy = {
        model: sum(fleet.replicas[name].engine.counts.busy_s for name in fleet.names(model))
        / (makespan * len(fleet.names(model)))
        for model in ("policy", "prm")
    }
    return {
        "makespan_s": round(makespan, 1),
        "bound_s": round(bound.seconds, 1),
        "ratio": round(makespan / bound.seconds, 3),
        "policy_s": round(bound.each_policy_s, 1),
        "prm_s": round(bound.each_prm_s, 1),
        "chain_s": round(bound.chain_s, 1),
        "policy_busy": round(busy["policy"], 3),
        "prm_busy": round(busy["prm"], 3),
    }


class OneLevel:
    """A policy and a PRM for which all searches of a batch wait, so that they go level by level."""

    def __init__(self, policy: Policy, prm: PRM) -> None:
        self.policy = policy
        self.prm = prm

    async def search(self, roots: list[Node], strategy: BeamSearch) -> None:
        kept: list[tuple[list[Node], int]] = [([node], 0) for node in roots]
        first = True
        while any(beams for beams, _ in kept):
            width = strategy.n if first else strategy.width
            models, sampling, rules = (
                Models(self.policy, self),
                strategy.sampling,
                strategy.expansion,
            )
            grown = await fan_out(
                fan_out(expand(beam, width, models, sampling, rules) for beam in beams)
                for beams, _ in kept
            )
            scored = await fan_out(
                fan_out(self.prm.score(children) for children in level) for level in grown
            )
            first = False
            after = []
            for (_, answered), level in zip(kept, scored, strict=True):
                children = [child for siblings in level for child in siblings]
                beams = best(children, strategy.n // strategy.width - answered, strategy.reward)
                finished = sum(beam.is_finished for beam in beams)
                after.append(([b for b in beams if not b.is_finished], answered + finished))
            kept = after

    async def score(self, nodes: Sequence[Node]) -> list[Node]:
        """Nothing yet: the level is scored when all of it is there."""
        return list(nodes)


async def lockstep(
    setting: Setting, questions: list[Problem], n: int, *, batch: int, jobs: int
) -> float:
    """Makespan / bound of ``jobs`` at once that take batches of so many problems."""
    batches = iter([questions[at : at + batch] for at in range(0, len(questions), batch)])
    async with fleet_and_ports(setting) as (_, bound, ports):
        levels = OneLevel(ports.policies["policy"], ports.prms["prm"])

        async def job() -> None:
            for part in batches:
                roots = [
                    root(each.question, seed=0, problem_id=each.id, tree=Tree(number=number))
                    for number, each in enumerate(part)
                ]
                await levels.search(roots, BeamSearch(n=n))

        await fan_out(job() for _ in range(jobs))
        makespan = asyncio.get_running_loop().time()
    return round(makespan / bound.seconds, 3)


def measure(
    setting: Setting, questions: list[Problem], n: int, trees: int, batch: int
) -> dict[str, float]:
    jobs = setting.policies
    return {
        **clock.run(orchard(setting, questions, n, trees)),
        "lockstep_ratio": clock.run(lockstep(setting, questions, n, batch=batch, jobs=1)),
        "one_by_one_ratio": clock.run(lockstep(setting, questions, n, batch=1, jobs=jobs)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=500)
    parser.add_argument("--n", type=int, default=64)
    parser.add_argument("--trees", type=int, default=128, help="in flight at once, as in a config")
    parser.add_argument("--batch", type=int, default=25, help="problems of a lock-step batch")
    options = parser.parse_args()
    questions = [
        Problem(id=f"sum-{i}", question=each.question, answer=each.answer)
        for i, each in enumerate(problems.generate(options.problems, 2026))
    ]
    began = time.process_time()
    standard, policy_bound = (
        measure(setting, questions, options.n, options.trees, options.batch)
        for setting in (STANDARD, POLICY_BOUND)
    )
    cpu_s = round(time.process_time() - began, 1)
    print(json.dumps({**standard, "policy_bound": policy_bound, "cpu_s": cpu_s}))


if __name__ == "__main__":
    main()
