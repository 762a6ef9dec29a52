"""The in-process cache: bounded, fresh for a while, and one load for all."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from balance_tracker.cache.memory import MemoryCache, Obtained


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Source:
    """Counts its loads; answers with their number, when it is let."""

    def __init__(self) -> None:
        self.loads = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: Exception | None = None

    async def load(self) -> int:
        self.loads += 1
        number = self.loads
        await self.gate.wait()
        if self.error:
            raise self.error
        return number


def always(_value: object) -> bool:
    return True


def never(_value: object) -> bool:
    return False


async def ask(
    cache: MemoryCache, source: Source, key: str = "a", ttl: float = 60, keep: Callable[[int], bool] = always
) -> tuple[int, float]:
    return await cache.get_or_load(key, ttl, source.load, keep)


async def test_a_value_is_loaded_once_and_then_kept_until_it_is_too_old() -> None:
    clock, source = Clock(), Source()
    async with MemoryCache("balances", clock=clock) as cache:
        assert await ask(cache, source) == (1, 0.0)
        clock.now += 59
        assert await ask(cache, source) == (1, 59.0)
        clock.now += 1
        assert await ask(cache, source) == (2, 0.0)


async def test_a_kept_value_has_an_age_even_when_the_clock_did_not_move() -> None:
    source = Source()
    async with MemoryCache("balances", clock=Clock()) as cache:
        await ask(cache, source)
        _, age = await ask(cache, source)
        assert age > 0


async def test_one_value_may_be_fresh_for_one_asker_and_too_old_for_another() -> None:
    clock, source = Clock(), Source()
    async with MemoryCache("balances", clock=clock) as cache:
        await ask(cache, source, ttl=60)
        clock.now += 10
        assert (await ask(cache, source, ttl=60))[0] == 1
        assert (await ask(cache, source, ttl=5))[0] == 2


async def test_however_many_ask_at_once_there_is_one_load() -> None:
    source = Source()
    source.gate.clear()
    async with MemoryCache("balances") as cache, asyncio.TaskGroup() as group:
        tasks = [group.create_task(ask(cache, source)) for _ in range(50)]
        await asyncio.sleep(0)
        source.gate.set()
    assert {task.result() for task in tasks} == {(1, 0.0)}
    assert source.loads == 1


async def test_the_load_goes_on_for_the_others_when_the_first_asker_leaves() -> None:
    source = Source()
    source.gate.clear()
    async with MemoryCache("balances") as cache:
        first = asyncio.create_task(ask(cache, source))
        second = asyncio.create_task(ask(cache, source))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        source.gate.set()
        assert await second == (1, 0.0)
        assert first.cancelled()
        assert source.loads == 1


async def test_a_load_that_nobody_waits_for_ends_and_the_next_asker_starts_anew() -> None:
    source = Source()
    source.gate.clear()
    async with MemoryCache("balances") as cache:
        only = asyncio.create_task(ask(cache, source))
        await asyncio.sleep(0)
        only.cancel()
        await asyncio.sleep(0)
        source.gate.set()
        assert await ask(cache, source) == (2, 0.0)
        with pytest.raises(asyncio.CancelledError):
            await only


async def test_an_exception_is_shared_by_those_who_wait_and_not_kept() -> None:
    source = Source()
    source.gate.clear()
    source.error = ValueError("no")
    async with MemoryCache("balances") as cache:
        tasks = [asyncio.create_task(ask(cache, source)) for _ in range(3)]
        await asyncio.sleep(0)
        source.gate.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [str(result) for result in results] == ["no", "no", "no"]
        assert source.loads == 1
        source.error = None
        assert await ask(cache, source) == (2, 0.0)


async def test_what_should_not_be_kept_is_handed_over_and_forgotten() -> None:
    source = Source()
    async with MemoryCache("balances") as cache:
        assert (await ask(cache, source, keep=never))[0] == 1
        assert (await ask(cache, source))[0] == 2
        assert len(cache) == 1


async def test_a_time_to_live_of_zero_shares_loads_and_keeps_nothing() -> None:
    source = Source()
    source.gate.clear()
    async with MemoryCache("balances") as cache:
        tasks = [asyncio.create_task(ask(cache, source, ttl=0)) for _ in range(3)]
        await asyncio.sleep(0)
        source.gate.set()
        assert [value for value, _ in await asyncio.gather(*tasks)] == [1, 1, 1]
        assert cache.last_good("a", int) is None
        assert (await ask(cache, source, ttl=0))[0] == 2


async def test_the_last_good_value_stays_however_old() -> None:
    clock, source = Clock(), Source()
    async with MemoryCache("balances", clock=clock) as cache:
        await ask(cache, source)
        clock.now += 3600
        assert cache.last_good("a", int) == (1, 3600.0)
        assert cache.last_good("a", str) is None
        assert cache.last_good("b", int) is None


async def test_the_value_unused_longest_goes_first() -> None:
    source = Source()
    async with MemoryCache("balances", max_entries=2) as cache:
        await ask(cache, source, "a")
        await ask(cache, source, "b")
        await ask(cache, source, "a")
        await ask(cache, source, "c")
        assert cache.last_good("b", int) is None
        assert cache.last_good("a", int) is not None
        assert len(cache) == 2


async def test_closing_ends_the_loads_under_way() -> None:
    source = Source()
    source.gate.clear()
    cache = MemoryCache("balances")
    waiter = asyncio.create_task(ask(cache, source))
    await asyncio.sleep(0)
    await cache.close()
    with pytest.raises(asyncio.CancelledError):
        await waiter


def test_a_cache_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        MemoryCache("balances", max_entries=0)


async def test_a_look_for_what_is_fresh_loads_nothing_and_is_no_use() -> None:
    clock, source = Clock(), Source()
    async with MemoryCache("balances", max_entries=2, clock=clock) as cache:
        await ask(cache, source, "a")
        await ask(cache, source, "b")
        clock.now += 10
        assert cache.fresh("a", 60, int) == (1, 10.0)
        assert cache.fresh("a", 10, int) is None
        assert cache.fresh("a", 60, str) is None
        assert cache.fresh("c", 60, int) is None
        await ask(cache, source, "c")
        assert cache.fresh("a", 60, int) is None
        assert source.loads == 3


async def test_heavy_values_make_room_for_each_other_before_there_are_too_many() -> None:
    class Heavy(MemoryCache):
        async def _obtain[T](
            self,
            key: str,
            ttl_seconds: float,
            load: Callable[[], Awaitable[T]],
            keep: Callable[[T], bool],
            kind: object,
        ) -> Obtained:
            return Obtained(await load(), 0.0, kept=True, weight=400)

    source = Source()
    async with Heavy("balances", max_weight=1000, clock=Clock()) as cache:
        for key in "abcab":
            await ask(cache, source, key)
        assert len(cache) == 2
        assert source.loads == 5
        assert cache._weight == 800
