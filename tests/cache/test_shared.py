"""The cache in two levels: several processes (here: several caches) and one real Redis."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.cache.conftest import PATIENT_SECONDS, OpenClient, Until
from tests.cache.redis_server import RedisServer, age_all
from tests.cache.values import READING

from balance_tracker.cache.redis_client import COMMAND_SECONDS, RedisClient
from balance_tracker.cache.shared import KEPT_SECONDS, LOCK_SECONDS, SharedCache
from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.portfolio import Reading
from balance_tracker.ports import Cache

pytestmark = pytest.mark.integration

type OpenCache = Callable[..., Awaitable[SharedCache]]


class Source:
    """Counts its loads; each takes a while, or fails."""

    def __init__(self, seconds: float = 0.0, error: Exception | None = None) -> None:
        self.loads = 0
        self.seconds = seconds
        self.error = error

    async def load(self) -> Reading:
        self.loads += 1
        await asyncio.sleep(self.seconds)
        if self.error is not None:
            raise self.error
        return READING


def always(_value: object) -> bool:
    return True


async def ask(
    cache: Cache, source: Source, key: str = "a", ttl: float = 60, keep: Callable[[Reading], bool] = always
) -> tuple[Reading, float]:
    return await cache.get_or_load(key, ttl, source.load, keep, Reading)


@pytest.fixture
async def open_cache(server: RedisServer) -> AsyncIterator[OpenCache]:
    """Opens caches that stand for those of as many processes, each with its own client."""
    async with AsyncExitStack() as stack:

        async def opened(
            namespace: str = "same",
            lock_seconds: float = 3.0,
            command_seconds: float = PATIENT_SECONDS,
        ) -> SharedCache:
            client = RedisClient(server.url, command_seconds=command_seconds)
            await stack.enter_async_context(client)
            cache = SharedCache("test", client, namespace, lock_seconds=lock_seconds)
            return await stack.enter_async_context(cache)

        yield opened


async def settled(*caches: SharedCache) -> None:
    """Everything that was to be told to Redis is told."""
    for cache in caches:
        await asyncio.gather(*cache._behind)


async def test_a_fresh_value_is_used_by_other_processes_with_its_age(
    open_cache: OpenCache, open_client: OpenClient
) -> None:
    one, two, source = await open_cache(), await open_cache(), Source()
    assert await ask(one, source) == (READING, 0.0)
    await settled(one)
    await age_all(await open_client(), 10)
    value, age = await ask(two, source)
    assert value == READING
    assert 10 <= age < 12
    assert source.loads == 1
    assert (await ask(two, source))[1] >= age
    assert two.fresh("a", 60, Reading) is not None
    assert two.fresh("a", 5, Reading) is None


async def test_a_value_that_is_too_old_for_one_asker_is_loaded_and_replaced(
    open_cache: OpenCache, open_client: OpenClient
) -> None:
    one, two, three, source = await open_cache(), await open_cache(), await open_cache(), Source()
    await ask(one, source)
    await settled(one)
    await age_all(await open_client(), 10)
    assert await ask(two, source, ttl=5) == (READING, 0.0)
    await settled(two)
    assert (await ask(three, source, ttl=5))[1] < 5
    assert source.loads == 2


async def test_however_many_processes_ask_at_once_one_loads(open_cache: OpenCache) -> None:
    caches = [await open_cache() for _ in range(5)]
    source = Source(seconds=0.3)
    answers = await asyncio.gather(*(ask(cache, source) for cache in caches for _ in range(20)))
    assert {value == READING for value, _ in answers} == {True}
    assert source.loads == 1


async def test_when_the_loader_dies_the_others_wait_for_its_lock_and_then_one_loads(
    open_cache: OpenCache, until: Until
) -> None:
    dying = await open_cache(lock_seconds=0.6)
    others = [await open_cache(lock_seconds=0.6) for _ in range(3)]
    never, source = Source(seconds=60), Source(seconds=0.2)
    asked = asyncio.create_task(ask(dying, never))
    await until(lambda: never.loads == 1)
    (flight,) = dying._flights.values()
    dying._extend_script = _says_nothing  # type: ignore[assignment]
    dying._release_script = _says_nothing  # type: ignore[assignment]
    started = time.monotonic()
    await asyncio.gather(*(ask(cache, source) for cache in others))
    assert time.monotonic() - started < 0.6 + 0.2 + 0.4
    assert (never.loads, source.loads) == (1, 1)
    asked.cancel()
    await asyncio.gather(asked, flight.task, return_exceptions=True)


async def _says_nothing(_keys: Sequence[str], _args: Sequence[Any]) -> None:
    return None


async def test_a_load_that_takes_longer_than_a_lock_keeps_it(open_cache: OpenCache) -> None:
    one, two = await open_cache(lock_seconds=0.4), await open_cache(lock_seconds=0.4)
    source = Source(seconds=1.2)
    await asyncio.gather(ask(one, source), ask(two, source))
    assert source.loads == 1


async def test_when_a_load_fails_each_process_learns_it_for_itself_and_at_once(open_cache: OpenCache) -> None:
    caches = [await open_cache() for _ in range(4)]
    source = Source(seconds=0.2, error=UpstreamError("no endpoint answered"))
    started = time.monotonic()
    results = await asyncio.gather(*(ask(cache, source) for cache in caches), return_exceptions=True)
    assert all(isinstance(result, UpstreamError) for result in results)
    assert time.monotonic() - started < 1.0
    source.error = None
    assert await ask(caches[0], source) == (READING, 0.0)


async def test_when_the_asker_leaves_another_process_loads_at_once(
    open_cache: OpenCache, until: Until
) -> None:
    one, two = await open_cache(), await open_cache()
    slow, source = Source(seconds=60), Source()
    leaving = asyncio.create_task(ask(one, slow))
    await until(lambda: slow.loads == 1)
    waiting = asyncio.create_task(ask(two, source))
    await asyncio.sleep(0.05)
    leaving.cancel()
    started = time.monotonic()
    assert await waiting == (READING, 0.0)
    assert time.monotonic() - started < 0.5


async def test_a_value_that_is_not_kept_is_not_shared(open_cache: OpenCache) -> None:
    one, two, source = await open_cache(), await open_cache(), Source()
    await ask(one, source, keep=lambda _value: False)
    await settled(one)
    await ask(two, source)
    assert source.loads == 2


async def test_the_last_good_value_of_another_process_is_told_when_a_load_fails(
    open_cache: OpenCache, open_client: OpenClient
) -> None:
    one, two, source = await open_cache(), await open_cache(), Source()
    await ask(one, source)
    await settled(one)
    await age_all(await open_client(), 7200)
    source.error = UpstreamError("no endpoint answered")
    assert two.last_good("a", Reading) is None
    with pytest.raises(UpstreamError):
        await ask(two, source)
    stale = two.last_good("a", Reading)
    assert stale is not None
    assert stale[0] == READING
    assert 7200 <= stale[1] < 7203
    assert two.fresh("a", 60, Reading) is None


async def test_values_are_kept_for_a_day_and_no_longer(
    open_cache: OpenCache, open_client: OpenClient
) -> None:
    cache, client = await open_cache(), await open_client()
    await ask(cache, Source())
    await settled(cache)
    (name,) = await client.run(lambda redis: redis.keys("tracker:1:cache:*"))
    assert KEPT_SECONDS - 5 < await client.run(lambda redis: redis.ttl(name)) <= KEPT_SECONDS


async def test_the_values_in_redis_are_bounded_and_the_oldest_go(
    server: RedisServer, open_client: OpenClient
) -> None:
    client, source = await open_client(), Source()
    async with SharedCache("test", client, "same", most_values=10) as cache:
        for number in range(30):
            await ask(cache, source, key=str(number))
            await settled(cache)
        assert len(await client.run(lambda redis: redis.keys("tracker:1:cache:*"))) == 10
        assert await client.run(lambda redis: redis.zcard("tracker:1:cache")) == 10
        assert 0 < await client.run(lambda redis: redis.ttl("tracker:1:cache")) <= KEPT_SECONDS


async def test_only_processes_with_the_same_facts_share(open_cache: OpenCache) -> None:
    one, other, source = await open_cache("these"), await open_cache("those"), Source()
    await ask(one, source)
    await settled(one)
    await ask(other, source)
    assert source.loads == 2


async def test_a_ttl_of_zero_and_values_without_a_type_stay_in_the_process(
    open_cache: OpenCache, open_client: OpenClient
) -> None:
    cache, source = await open_cache(), Source()
    await ask(cache, source, ttl=0)
    await cache.get_or_load("b", 60, source.load, always)
    await settled(cache)
    assert await (await open_client()).run(lambda redis: redis.keys("*")) == []


@pytest.mark.parametrize("spoilt", [b"nonsense", b"", "a list"])
async def test_a_value_that_cannot_be_read_is_loaded_again(
    open_cache: OpenCache, open_client: OpenClient, spoilt: bytes | str
) -> None:
    one, two, three = await open_cache(), await open_cache(), await open_cache()
    client, source = await open_client(), Source()
    await ask(one, source)
    await settled(one)
    (name,) = await client.run(lambda redis: redis.keys("tracker:1:cache:*"))

    async def spoil(redis: Any) -> None:
        if isinstance(spoilt, bytes):
            await redis.set(name, spoilt, px=KEPT_SECONDS * 1000)
        else:
            await redis.delete(name)
            await redis.lpush(name, spoilt)
            await redis.pexpire(name, KEPT_SECONDS * 1000)

    await client.run(spoil)
    assert await ask(two, source) == (READING, 0.0)
    await settled(two)
    assert (await ask(three, source))[0] == READING
    assert source.loads == 2
    assert client.up


async def test_when_redis_is_full_or_emptied_values_are_loaded_and_kept_in_process(
    open_cache: OpenCache, open_client: OpenClient
) -> None:
    one, two = await open_cache(), await open_cache()
    client, source = await open_client(), Source()
    await client.run(lambda redis: redis.config_set("maxmemory", "1"))
    await ask(one, source)
    await settled(one)
    assert (await ask(one, source))[1] > 0
    await ask(two, source)
    assert source.loads == 2
    await client.run(lambda redis: redis.config_set("maxmemory", "0"))
    await client.run(lambda redis: redis.flushall())
    assert (await ask(one, source))[1] > 0
    await ask(one, source, key="b")
    await settled(one)
    assert (await ask(two, source, key="b"))[1] > 0
    assert source.loads == 3


async def test_killing_and_freezing_redis_during_use_harms_no_answer(
    server: RedisServer, open_cache: OpenCache, until: Until
) -> None:
    caches = [await open_cache(command_seconds=COMMAND_SECONDS) for _ in range(3)]
    source = Source(seconds=0.02)
    slowest = 0.0
    ends = time.monotonic() + 4

    async def asker(cache: SharedCache, number: int) -> None:
        nonlocal slowest
        asked = 0
        while time.monotonic() < ends:
            asked += 1
            started = time.monotonic()
            value, _ = await ask(cache, source, key=f"{number}.{asked % 7}", ttl=0.05)
            slowest = max(slowest, time.monotonic() - started)
            assert value == READING

    async def havoc() -> None:
        for _ in range(2):
            await asyncio.sleep(0.4)
            server.kill()
            await asyncio.sleep(0.4)
            server.start()
            await asyncio.sleep(0.5)
            server.freeze()
            await asyncio.sleep(0.3)
            server.thaw()

    async with asyncio.TaskGroup() as group:
        group.create_task(havoc())
        for cache in caches:
            for number in range(5):
                group.create_task(asker(cache, number))
    await until(lambda: all(cache._client.up for cache in caches))
    # Looking and waiting for another process's load that Redis forgot: the lock's few seconds at most.
    assert slowest < 3 + 2 * COMMAND_SECONDS + 0.5


async def test_when_a_process_is_killed_while_it_loads_another_one_loads_once(
    server: RedisServer, tmp_path: Path, until: Until
) -> None:
    script = str(Path(__file__).with_name("cache_process.py"))
    noted = tmp_path / "loads"

    async def started(seconds: float) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, script, server.url, str(noted), str(seconds), stdout=asyncio.subprocess.PIPE
        )

    first = await started(60)
    await until(noted.exists)
    others = [await started(0.3) for _ in range(3)]
    await asyncio.sleep(1.5)
    first.kill()
    killed = time.monotonic()
    outputs = await asyncio.gather(*(process.communicate() for process in others))
    assert time.monotonic() - killed < LOCK_SECONDS + 2
    assert [output for output, _ in outputs] == [b"READING\n"] * 3
    assert noted.read_text().count("load") == 2
    await first.wait()
