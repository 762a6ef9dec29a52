"""Real Redis servers, and clients of them."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.cache.redis_server import SERVERS, RedisServer

from balance_tracker.cache.redis_client import RedisClient

PATIENT_SECONDS = 3.0
"""What a command may take where a test is not about that: machines that test stall for moments."""

type OpenClient = Callable[..., Awaitable[RedisClient]]
type Until = Callable[[Callable[[], bool]], Awaitable[None]]


@pytest.fixture(params=list(SERVERS))
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(SERVERS[request.param], tmp_path) as started:
        yield started


@pytest.fixture
async def open_client(server: RedisServer) -> AsyncIterator[OpenClient]:
    """Opens clients that stand for as many processes."""
    async with AsyncExitStack() as stack:

        async def opened(command_seconds: float = PATIENT_SECONDS) -> RedisClient:
            client = RedisClient(server.url, command_seconds=command_seconds)
            return await stack.enter_async_context(client)

        yield opened


@pytest.fixture
def until() -> Until:
    """Waits until something is so, at most a few seconds."""

    async def waited(is_so: Callable[[], bool]) -> None:
        end = time.monotonic() + 8
        while not is_so():
            assert time.monotonic() < end, "it did not come about"
            await asyncio.sleep(0.01)

    return waited
