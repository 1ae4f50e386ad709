"""The server that misbehaves on demand."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.misbehaving import Server, running


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as server:
        yield server
