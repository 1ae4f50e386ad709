"""600 requests at once in a process of its own, which may open ``SOFT`` files, or up to ``HARD``.

    python -m tests.integration.many_requests SENDER SOFT HARD URL

prints what became of them, as JSON.
"""

import asyncio
import json
import resource
import sys
import time

from orchestrator.core.fanout import fan_out
from orchestrator.endpoints.hosted.sender import HostedSender
from orchestrator.endpoints.http.retry import RetryPolicy
from orchestrator.endpoints.http.sender import AiohttpSender
from orchestrator.endpoints.http.wire import ChatRequest, ChatResponse
from orchestrator.endpoints.transport.transport import Endpoint, Transport
from orchestrator.errors import EndpointError

REQUESTS = 600


async def main(sender: str, url: str) -> None:
    endpoint = Endpoint(urls=(url,), model="policy", retry=RetryPolicy(patience=120.0))
    speaks = AiohttpSender() if sender == "aiohttp" else HostedSender((url,), api_key="k")
    errors: list[str] = []
    async with Transport(endpoint, speaks) as transport:

        async def one(number: int) -> None:
            messages = [{"role": "user", "content": f"What is {number}?"}]
            request = ChatRequest(model="policy", messages=messages)
            try:
                await transport.post("/v1/chat/completions", request, ChatResponse)
            except EndpointError as error:
                errors.append(str(error))

        began = time.monotonic()
        await fan_out(one(number) for number in range(REQUESTS))
        took = time.monotonic() - began
        breakers = [replica.breaker.state for replica in transport.dispatcher.replicas]
    print(json.dumps({"seconds": took, "errors": errors, "breakers": breakers}))


if __name__ == "__main__":
    _, sender, soft, hard, url = sys.argv
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(soft), int(hard)))
    asyncio.run(main(sender, url))
