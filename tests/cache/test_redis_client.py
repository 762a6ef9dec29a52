"""The client of Redis: brief, away when Redis is, and back by itself."""

import asyncio
import time
from typing import Any

import pytest
from redis.asyncio import Redis
from tests.cache.conftest import OpenClient, Until
from tests.cache.redis_server import SERVERS, RedisServer

from balance_tracker.cache.redis_client import COMMAND_SECONDS, RedisAwayError, RedisClient
from balance_tracker.core.errors import ConfigurationError
from balance_tracker.telemetry.metrics import METRICS

pytestmark = pytest.mark.integration


async def ping(redis: Redis) -> Any:
    return await redis.ping()  # type: ignore[misc]


async def tries(client: RedisClient) -> bool:
    try:
        await client.run(ping)
    except RedisAwayError:
        return False
    return True


def gauge() -> float | None:
    return METRICS.registry.get_sample_value("tracker_redis_up")


async def test_a_server_that_is_killed_is_away_at_once_and_back_by_itself(
    server: RedisServer, open_client: OpenClient, until: Until
) -> None:
    client = await open_client(COMMAND_SECONDS)
    assert await tries(client)
    assert gauge() == 1
    server.kill()
    started = time.monotonic()
    assert not await tries(client)
    assert time.monotonic() - started < 0.25
    assert not client.up
    assert gauge() == 0
    started = time.monotonic()
    for _ in range(1000):
        assert not await tries(client)
    assert time.monotonic() - started < 0.25
    server.start()
    await until(lambda: client.up)
    assert await tries(client)
    assert gauge() == 1


async def test_a_server_that_hangs_delays_nobody_for_longer_than_a_command_may_take(
    server: RedisServer, open_client: OpenClient, until: Until
) -> None:
    client = await open_client(COMMAND_SECONDS)
    assert await tries(client)
    server.freeze()
    started = time.monotonic()
    assert await asyncio.gather(*(tries(client) for _ in range(200))) == [False] * 200
    assert time.monotonic() - started < COMMAND_SECONDS + 0.15
    started = time.monotonic()
    assert not await tries(client)
    assert time.monotonic() - started < 0.02
    server.thaw()
    await until(lambda: client.up)
    assert await tries(client)


async def test_a_server_that_comes_back_before_anybody_asks_was_never_away(
    server: RedisServer, open_client: OpenClient
) -> None:
    client = await open_client(COMMAND_SECONDS)
    assert all(await asyncio.gather(*(tries(client) for _ in range(20))))
    failures = client.failures
    server.kill()
    server.start()
    assert all(await asyncio.gather(*(tries(client) for _ in range(20))))
    assert client.up
    assert client.failures > failures


async def test_a_server_that_is_not_there_stops_no_start(tmp_path: Any, until: Until) -> None:
    late = RedisServer(SERVERS["valkey"], tmp_path)
    started = time.monotonic()
    async with RedisClient(late.url) as client:
        assert time.monotonic() - started < 0.7
        assert not await tries(client)
        with late:
            await until(lambda: client.up)
            assert await tries(client)


async def test_what_the_server_refuses_is_one_commands_matter(open_client: OpenClient) -> None:
    client = await open_client(COMMAND_SECONDS)

    async def nonsense(redis: Redis) -> Any:
        return await redis.execute_command("NONSENSE")

    before = METRICS.registry.get_sample_value("tracker_redis_errors_total", {"reason": "refused"}) or 0
    with pytest.raises(RedisAwayError):
        await client.run(nonsense)
    assert client.up
    assert await tries(client)
    after = METRICS.registry.get_sample_value("tracker_redis_errors_total", {"reason": "refused"})
    assert after == before + 1


async def test_a_loop_that_was_busy_elsewhere_does_not_blame_the_server(open_client: OpenClient) -> None:
    client = await open_client(COMMAND_SECONDS)

    async def slow(redis: Redis) -> Any:
        time.sleep(COMMAND_SECONDS + 0.1)  # noqa: ASYNC251 - that is what is tested
        return await redis.ping()  # type: ignore[misc]

    with pytest.raises(RedisAwayError):
        await client.run(slow)
    assert client.up


async def test_a_change_is_one_line_of_the_log(
    server: RedisServer, open_client: OpenClient, until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    client = await open_client(COMMAND_SECONDS)
    server.kill()
    assert await asyncio.gather(*(tries(client) for _ in range(50))) == [False] * 50
    await asyncio.sleep(0.6)
    server.start()
    await until(lambda: client.up)
    told = [record.getMessage() for record in caplog.records]
    assert sum("redis_away" in line for line in told) == 1
    assert sum("redis_back" in line for line in told) == 1


@pytest.mark.parametrize("wrong", ["redis://:secret@host:notaport/0", "redis://:secret@host/0?colour=red"])
def test_a_wrong_url_stops_the_start_without_being_shown(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match="REDIS_URL") as caught:
        RedisClient(wrong)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["rediss://user:secret@host:6380/1", "unix:///run/redis.sock?db=2"])
def test_tls_and_unix_sockets_are_taken_too(url: str) -> None:
    assert RedisClient(url).url == url


async def test_a_password_is_needed_where_one_is_set(server: RedisServer, open_client: OpenClient) -> None:
    client = await open_client(COMMAND_SECONDS)
    await client.run(lambda redis: redis.config_set("requirepass", "open-sesame"))
    async with RedisClient(server.url) as without:
        assert not without.up
        assert not await tries(without)
    async with RedisClient(server.url.replace("redis://", "redis://:open-sesame@")) as with_it:
        assert await tries(with_it)
