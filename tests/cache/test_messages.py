"""Messages between processes: in process, through Redis, and told of where they may have been lost."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from tests.cache.conftest import PATIENT_SECONDS, OpenClient, Until
from tests.cache.redis_server import RedisServer

from balance_tracker.cache.messages import LOST, MOST_WAITING, MemoryMessages
from balance_tracker.cache.redis_client import RedisClient
from balance_tracker.cache.redis_messages import RedisMessages

type OpenMessages = Callable[[], Awaitable[RedisMessages]]


@pytest.fixture
async def open_messages(server: RedisServer) -> AsyncIterator[OpenMessages]:
    """Opens messages that stand for those of as many processes."""
    async with AsyncExitStack() as stack:

        async def opened() -> RedisMessages:
            client = RedisClient(server.url, command_seconds=PATIENT_SECONDS)
            await stack.enter_async_context(client)
            return await stack.enter_async_context(RedisMessages(client))

        yield opened


async def get(messages: AsyncIterator[bytes], seconds: float = 8) -> bytes:
    return await asyncio.wait_for(anext(messages), seconds)


async def until_lost(messages: AsyncIterator[bytes]) -> None:
    while await get(messages) != LOST:
        pass


async def test_every_subscriber_of_a_channel_gets_its_messages_in_order() -> None:
    messages = MemoryMessages()
    async with (
        messages.subscribe("a") as one,
        messages.subscribe("a") as two,
        messages.subscribe("b") as other,
    ):
        for text in (b"1", b"2"):
            await messages.publish("a", text)
        await messages.publish("b", b"3")
        assert [await get(one), await get(one)] == [await get(two), await get(two)] == [b"1", b"2"]
        assert await get(other) == b"3"
    await messages.publish("a", b"nobody hears it")


async def test_a_reader_that_is_too_slow_is_told_that_it_missed_something() -> None:
    messages = MemoryMessages()
    async with messages.subscribe("a") as slow:
        for number in range(MOST_WAITING + 1):
            await messages.publish("a", b"%d" % number)
        assert await get(slow) == LOST
        assert await get(slow) == b"%d" % MOST_WAITING


@pytest.mark.integration
async def test_other_processes_hear_each_message_once_and_so_does_ones_own(
    open_messages: OpenMessages,
) -> None:
    here, there = await open_messages(), await open_messages()
    async with here.subscribe("a") as own, there.subscribe("a") as others, there.subscribe("b") as quiet:
        for number in range(100):
            await here.publish("a", b"%d" % number)
        await there.publish("b", b"end")
        expected = [b"%d" % number for number in range(100)]
        assert [await get(own) for _ in range(100)] == expected
        assert [await get(others) for _ in range(100)] == expected
        assert await get(quiet) == b"end"
        await here.publish("b", b"from here")
        assert await get(quiet) == b"from here"


@pytest.mark.integration
async def test_who_came_later_and_who_came_back_hear_too(open_messages: OpenMessages) -> None:
    here, there = await open_messages(), await open_messages()
    async with there.subscribe("a") as first:
        async with there.subscribe("b"):
            pass
        async with there.subscribe("b") as again:
            await here.publish("b", b"1")
            assert await get(again) == b"1"
        await here.publish("a", b"2")
        assert await get(first) == b"2"


@pytest.mark.integration
async def test_a_server_that_is_killed_costs_messages_and_everybody_is_told(
    server: RedisServer, open_messages: OpenMessages
) -> None:
    here, there = await open_messages(), await open_messages()
    async with here.subscribe("a") as own, there.subscribe("a") as others:
        server.kill()
        await until_lost(others)
        await until_lost(own)
        await here.publish("a", b"only here")
        while (got := await get(own)) == LOST:
            pass
        assert got == b"only here"
        server.start()
        await until_lost(others)
        while await heard(here, others, b"again") is None:
            pass


async def heard(publisher: RedisMessages, reader: AsyncIterator[bytes], text: bytes) -> bytes | None:
    """The text, once it gets through."""
    await publisher.publish("a", text)
    try:
        while (got := await get(reader, 0.2)) == LOST:
            pass
    except TimeoutError:
        return None
    return got


@pytest.mark.integration
async def test_what_one_process_could_not_publish_is_told_to_the_others(
    server: RedisServer, open_messages: OpenMessages, until: Until
) -> None:
    here, there = await open_messages(), await open_messages()
    async with there.subscribe("a") as others:
        here._client._went_away("connection", ConnectionError("the network between here and there"))
        await here.publish("a", b"lost")
        await until(lambda: here._client.up)
        assert await get(others) == LOST
        await here.publish("a", b"next")
        assert await get(others) == b"next"


@pytest.mark.integration
async def test_a_server_that_hangs_is_noticed_without_any_message(
    server: RedisServer, open_messages: OpenMessages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("balance_tracker.cache.redis_messages._QUIET_SECONDS", 0.1)
    monkeypatch.setattr("balance_tracker.cache.redis_messages._PONG_SECONDS", 0.2)
    messages = await open_messages()
    async with messages.subscribe("a") as reader:
        with pytest.raises(TimeoutError):
            await get(reader, 0.5)
        server.freeze()
        await until_lost(reader)
        server.thaw()
        other = await open_messages()
        while await heard(other, reader, b"again") is None:
            pass


@pytest.mark.integration
async def test_without_a_server_subscribing_is_not_held_up(
    server: RedisServer, open_client: OpenClient
) -> None:
    client = await open_client()
    server.kill()
    async with RedisMessages(client) as messages:
        started = asyncio.get_running_loop().time()
        async with messages.subscribe("a") as reader:
            assert asyncio.get_running_loop().time() - started < 0.4
            assert await get(reader) == LOST
            await messages.publish("a", b"here")
            while (got := await get(reader)) == LOST:
                pass
            assert got == b"here"
