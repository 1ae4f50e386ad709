"""A policy and a PRM over HTTP, as tests of them begin."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from orchestrator.core.node import Node, root
from orchestrator.core.ports import Sampling
from orchestrator.endpoints.http.retry import RetryPolicy
from orchestrator.endpoints.policies.http_policy import HttpPolicy, TokenPolicy
from orchestrator.endpoints.prm import QwenMathPRM
from orchestrator.endpoints.transport.transport import Endpoint, Transport
from orchestrator.errors import EndpointError
from orchestrator.tasks.math.task import MathTask
from orchestrator.tasks.prompts import PROMPTS
from tests.integration.misbehaving import Server

STEP = Sampling(temperature=0.8, max_tokens=24, until="step")
WHOLE = Sampling(temperature=0.8, max_tokens=64, until="end")
QUICKLY = RetryPolicy(attempts=3, first_wait=0.01, longest_wait=0.02)
ONCE = RetryPolicy(attempts=1)


@asynccontextmanager
async def policy_at(
    *urls: str, kind: type[HttpPolicy] = TokenPolicy, model: str = "policy", **settings: Any
) -> AsyncIterator[HttpPolicy]:
    settings = {"retry": QUICKLY, **settings}
    async with Transport(Endpoint(urls=urls, model=model, **settings)) as transport:
        yield kind(transport, PROMPTS["tiny"].asking(MathTask.instruction))


@asynccontextmanager
async def prm_at(url: str, *, retry: RetryPolicy = QUICKLY) -> AsyncIterator[QwenMathPRM]:
    async with Transport(Endpoint(urls=(url,), model="prm", retry=retry)) as transport:
        yield QwenMathPRM(transport=transport)


def problem(name: str = "p") -> Node:
    return root(f"What is {name}?", seed=7, problem_id=name)


async def failure(server: Server, *, n: int = 2, **settings: Any) -> EndpointError:
    """What one request for ``n`` first steps fails with: always one clear line."""
    async with policy_at(server.url, **settings) as policy:
        with pytest.raises(EndpointError) as caught:
            await policy.extend(problem(), n, STEP)
    assert server.url in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value
