"""Prefix-cache hit rate of beam search on 4 replicas, relative to 1: do trees stay where their
prefix is?

A simulated fleet in virtual time, each replica with a KV cache that holds the prefixes of about as
many trees as it works on. One replica grows a quarter of the trees that four do, so that each has
the same load. Prints one JSON line: ``ratio`` of the hit rates, ``random_ratio`` the same where
each request goes to any replica.
"""

import argparse
import json
import random
from collections.abc import Collection
from dataclasses import replace

from orchestrator.commands.forecast.simulation import SimulatedSender, urls
from orchestrator.core.fanout import fan_out
from orchestrator.core.node import Tree, root
from orchestrator.core.ports import Models
from orchestrator.endpoints.admission.replicas import Replica
from orchestrator.endpoints.policies.http_policy import TokenPolicy
from orchestrator.endpoints.prm import QwenMathPRM
from orchestrator.endpoints.transport.transport import Endpoint, Transport
from orchestrator.strategies import BeamSearch
from orchestrator.tasks.math.task import MathTask
from orchestrator.tasks.prompts import PROMPTS
from servers.simulated import clock, problems
from servers.simulated.fleet import Fleet
from servers.simulated.hardware import GPUS, MODELS, Speed
from servers.simulated.replica import Service

KV_TOKENS = 40_000
"""Of a policy's replica: the prefixes of a few dozen trees, beside what is being written."""


async def hit_rate(replicas: int, trees: int, *, at_random: bool = False) -> float:
    """Prompt tokens that the policy's replicas had cached, of all that they were sent."""
    policy_speed = replace(Speed.of(MODELS["1B"], GPUS["H100"]), kv_tokens=KV_TOKENS)
    fleet = Fleet(
        [
            Service(model="policy", role="policy", speed=policy_speed, replicas=replicas),
            Service(
                model="prm", role="prm", speed=Speed.of(MODELS["7B"], GPUS["H100"]), replicas=2
            ),
        ]
    )
    work = iter(enumerate(problems.generate(100 * replicas, 1)))
    search = BeamSearch(n=16)
    async with (
        Transport(
            Endpoint(urls=urls(fleet, "policy"), model="policy"), SimulatedSender(fleet)
        ) as to_policy,
        Transport(Endpoint(urls=urls(fleet, "prm"), model="prm"), SimulatedSender(fleet)) as to_prm,
    ):
        if at_random:
            chosen = random.Random(1)

            def choose(question: str, now: float, tried: Collection[Replica] = ()) -> Replica:
                return chosen.choice(list(to_policy.dispatcher.replicas))

            to_policy.dispatcher.replicas.choose = choose  # type: ignore[method-assign]
        policy = TokenPolicy(to_policy, PROMPTS["qwen"].asking(MathTask.instruction))
        prm = QwenMathPRM(transport=to_prm)

        async def worker() -> None:
            for number, problem in work:
                tree = Tree(number=number)
                await search(
                    root(problem.question, seed=1, problem_id=f"{number}", tree=tree),
                    Models(policy, prm),
                )

        await fan_out(worker() for _ in range(trees * replicas))
    caches = [fleet.replicas[name].engine.cache for name in fleet.names("policy")]
    return sum(cache.hits for cache in caches) / sum(cache.queries for cache in caches)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trees", type=int, default=24, help="under way at a time, a replica")
    trees = parser.parse_args().trees
    one = clock.run(hit_rate(1, trees))
    four = clock.run(hit_rate(4, trees))
    anywhere = clock.run(hit_rate(4, trees, at_random=True))
    result = {
        "ratio": round(four / one, 3),
        "random_ratio": round(anywhere / one, 3),
        "hit_rate_of_1": round(one, 3),
        "hit_rate_of_4": round(four, 3),
        "hit_rate_at_random": round(anywhere, 3),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
