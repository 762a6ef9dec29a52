"""Rate limits: against a simple model, the same in process and in Redis, exact over processes."""

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.cache.conftest import OpenClient, Until
from tests.cache.redis_server import RedisServer

from balance_tracker.cache.limiter import MemoryLimiter
from balance_tracker.cache.redis_client import RedisClient
from balance_tracker.cache.redis_limiter import EPOCH, RedisLimiter
from balance_tracker.cache.scripts import TAKE
from balance_tracker.core.access import Limit
from balance_tracker.ports.keeping import Verdict

STEP = tuple[int, int, int]
"""Microseconds that pass, then the cost of what is asked, and what its request has cost before."""

limits = st.builds(Limit, st.integers(1, 1000), st.sampled_from([1, 60, 3600, 86_400]))
steps = st.lists(
    st.tuples(
        st.one_of(st.just(0), st.integers(0, 2_000_000), st.integers(0, 86_400_000_000)),
        st.one_of(st.just(1), st.integers(1, 20), st.integers(1, 3000)),
        st.integers(0, 2),
    ),
    max_size=40,
)


class Model:
    """A vessel that leaks: as plain as it can be said, in fractions."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._level = Fraction(0)
        self._leak = Fraction(limit.units, limit.period_seconds * 1_000_000)

    def passes(self, microseconds: int) -> None:
        self._level = max(Fraction(0), self._level - microseconds * self._leak)

    def take(self, cost: int, counted: int) -> tuple[bool, int, Fraction, Fraction]:
        """Whether it is let through, what remains, and microseconds until all is there and until it fits."""
        is_large = cost + counted > self._limit.units
        allowed = self._level + cost <= self._limit.units or (is_large and self._level <= counted)
        wait = Fraction(0)
        if allowed:
            self._level += cost
        else:
            wait = self._level / self._leak
            if not is_large:
                wait = (self._level + cost + counted - self._limit.units) / self._leak
        remaining = max(0, int((self._limit.units - self._level) // 1))
        return allowed, remaining, self._level / self._leak, wait


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000_000_000

    def __call__(self) -> int:
        return self.now


class TimedLimiter(RedisLimiter):
    """The one in Redis, whose script is told the time in place of asking for it."""

    def __init__(self, client: RedisClient, clock: Clock) -> None:
        super().__init__(client)
        script = client.script(TAKE.replace("redis.call('TIME')", "{ARGV[6], ARGV[7]}"))

        async def take(keys: Sequence[str], args: Sequence[str | bytes | int]) -> Any:
            return await script(keys, (*args, clock.now // 1_000_000, clock.now % 1_000_000))

        self._take = take  # type: ignore[assignment]


async def agree(limiter: MemoryLimiter | RedisLimiter, clock: Clock, limit: Limit, asked: list[STEP]) -> None:
    model = Model(limit)
    for microseconds, cost, counted in asked:
        clock.now += microseconds
        model.passes(microseconds)
        verdict = await limiter.take("somebody", limit, cost, counted)
        allowed, remaining, reset, wait = model.take(cost, counted)
        assert (verdict.allowed, verdict.remaining) == (allowed, remaining)
        assert 0 <= round(verdict.reset_seconds * 1_000_000) - reset < 1
        assert 0 <= round(verdict.retry_seconds * 1_000_000) - wait < 1


@given(limits, steps)
@example(Limit(1, 1), [(0, 1, 0), (999_999, 1, 0), (1, 1, 0)])
@example(Limit(7, 1), [(0, 7, 0), (142_857, 1, 0), (1, 1, 0)])
async def test_in_process_it_decides_as_the_model(limit: Limit, asked: list[STEP]) -> None:
    clock = Clock()
    await agree(MemoryLimiter(clock=clock), clock, limit, asked)


@pytest.mark.integration
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(limits, steps)
@example(Limit(7, 1), [(0, 7, 0), (142_857, 1, 0), (1, 1, 0)])
async def test_in_redis_it_decides_as_the_model(server: RedisServer, limit: Limit, asked: list[STEP]) -> None:
    clock = Clock()
    async with RedisClient(server.url) as client:
        await client.run(lambda redis: redis.flushall())
        await agree(TimedLimiter(client, clock), clock, limit, asked)


async def test_after_the_wait_that_was_told_it_is_let_through_and_not_before() -> None:
    clock = Clock()
    limiter = MemoryLimiter(clock=clock)
    limit = Limit(7, 60)
    for _ in range(7):
        assert (await limiter.take("a", limit)).allowed
    refused = await limiter.take("a", limit, 3)
    assert not refused.allowed
    clock.now += round(refused.retry_seconds * 1_000_000) - 1
    assert not (await limiter.take("a", limit, 3)).allowed
    clock.now += 1
    assert (await limiter.take("a", limit, 3)).allowed


async def test_work_above_the_whole_limit_goes_through_when_all_is_there_and_is_owed() -> None:
    clock = Clock()
    limiter = MemoryLimiter(clock=clock)
    limit = Limit(10, 10)
    big = await limiter.take("a", limit, 35)
    assert big.allowed
    assert (big.remaining, big.reset_seconds) == (0, 35.0)
    clock.now += 25_000_000
    assert not (await limiter.take("a", limit)).allowed
    clock.now += 1_000_000
    assert (await limiter.take("a", limit)).allowed
    assert not (await limiter.take("a", limit, 11)).allowed


@pytest.mark.parametrize("cost", [9, 10, 11, 1000])
async def test_work_above_the_whole_limit_goes_through_though_its_request_has_cost_a_unit(cost: int) -> None:
    clock = Clock()
    limiter = MemoryLimiter(clock=clock)
    limit = Limit(10, 10)
    assert (await limiter.take("a", limit)).allowed
    assert (await limiter.take("a", limit)).allowed
    refused = await limiter.take("a", limit, cost, counted=1)
    assert not refused.allowed
    clock.now += round(refused.retry_seconds * 1_000_000)
    assert (await limiter.take("a", limit)).allowed
    big = await limiter.take("a", limit, cost, counted=1)
    assert big.allowed
    assert big.reset_seconds == cost + 1


async def test_subjects_do_not_share_a_limit_and_a_new_limit_begins_anew() -> None:
    limiter = MemoryLimiter(clock=Clock())
    assert (await limiter.take("a", Limit(1, 60))).allowed
    assert not (await limiter.take("a", Limit(1, 60))).allowed
    assert (await limiter.take("b", Limit(1, 60))).allowed
    assert (await limiter.take("a", Limit(2, 60))).allowed


async def test_the_subjects_remembered_are_bounded() -> None:
    limiter = MemoryLimiter(most_subjects=10, clock=Clock())
    for number in range(100):
        await limiter.take(f"subject {number}", Limit(1, 60))
    assert len(limiter) == 10
    assert not (await limiter.take("subject 99", Limit(1, 60))).allowed


@pytest.mark.integration
async def test_counters_end_with_what_they_count(server: RedisServer, open_client: OpenClient) -> None:
    client = await open_client()
    limiter = RedisLimiter(client)
    await limiter.take("a", Limit(10, 60), 5)
    await limiter.take("b", Limit(10, 86_400), 10)
    names = await client.run(lambda redis: redis.keys("tracker:1:limit:*"))
    left = sorted([await client.run(lambda redis, name=name: redis.pttl(name)) for name in names])  # type: ignore[misc]
    assert 30_000 < left[0] <= 31_001
    assert 86_400_000 < left[1] <= 86_401_001


@pytest.mark.integration
async def test_the_epoch_is_another_one_after_every_change_and_after_every_loss(
    server: RedisServer, open_client: OpenClient, until: Until
) -> None:
    one, other = RedisLimiter(await open_client()), RedisLimiter(client := await open_client())
    limit = Limit(1000, 60)

    async def epoch() -> str | None:
        return (await one.take("a", limit)).epoch

    seen = [await epoch()]
    assert await epoch() == seen[0]
    await other.bump_epoch()
    seen.append(await epoch())
    assert await epoch() == seen[1]
    await client.run(lambda redis: redis.flushall())
    seen.append(await epoch())
    server.kill()
    assert await epoch() is None
    await other.bump_epoch()
    server.start()
    await until(lambda: client.up and one._client.up)
    seen.append(await epoch())
    await other.take("b", limit)
    seen.append(await epoch())
    assert None not in seen
    assert len(set(seen)) == len(seen) == 5


@pytest.mark.integration
async def test_an_epoch_that_comes_back_with_an_old_copy_of_the_data_is_not_taken_for_known(
    server: RedisServer, open_client: OpenClient
) -> None:
    client = await open_client()
    limiter = RedisLimiter(client)
    before = (await limiter.take("a", Limit(10, 60))).epoch
    kept = await client.run(lambda redis: redis.get(EPOCH))
    server.kill()
    server.start()
    await client.run(lambda redis: redis.set(EPOCH, kept))
    assert (await limiter.take("a", Limit(10, 60))).epoch != before


@pytest.mark.integration
async def test_while_redis_is_away_limits_go_on_from_where_they_were(
    server: RedisServer, open_client: OpenClient, until: Until
) -> None:
    client = await open_client()
    limiter = RedisLimiter(client)
    limit = Limit(10, 86_400)
    for _ in range(6):
        assert (await limiter.take("a", limit)).allowed
    server.kill()
    verdicts = [await limiter.take("a", limit) for _ in range(6)]
    assert [verdict.allowed for verdict in verdicts] == [True] * 4 + [False] * 2
    assert all(verdict.epoch is None for verdict in verdicts)
    server.start()
    await until(lambda: client.up)
    assert (await limiter.take("a", limit)).epoch is not None


@pytest.mark.integration
async def test_a_server_that_answers_nonsense_or_has_no_room_limits_nobody_less(
    server: RedisServer, open_client: OpenClient
) -> None:
    client = await open_client()
    limiter = RedisLimiter(client)
    limit = Limit(3, 86_400)
    await limiter.take("a", limit)
    (name,) = await client.run(lambda redis: redis.keys("tracker:1:limit:*"))

    async def as_a_list(redis: Any) -> None:
        await redis.delete(name)
        await redis.lpush(name, "x")

    await client.run(as_a_list)
    verdicts: list[Verdict] = [await limiter.take("a", limit) for _ in range(3)]
    assert [verdict.allowed for verdict in verdicts] == [True, True, False]
    await client.run(lambda redis: redis.set(name, "nonsense"))
    assert (await limiter.take("a", limit)).epoch is not None
    await client.run(lambda redis: redis.config_set("maxmemory", "1"))
    full = [await limiter.take("b", limit) for _ in range(4)]
    assert [verdict.allowed for verdict in full] == [True, True, True, False]
    assert client.up


@pytest.mark.integration
async def test_in_a_burst_of_three_processes_exactly_the_limit_is_let_through(server: RedisServer) -> None:
    results = await load(server, "300/day", seconds=0.6)
    assert sum(result["allowed"] for result in results) == 300
    assert all(result["refused"] > 0 for result in results)


@pytest.mark.integration
async def test_over_time_three_processes_never_get_more_than_the_rate(server: RedisServer) -> None:
    results = await load(server, "100/second", seconds=2.0)
    span = max(result["last"] for result in results) - min(result["first"] for result in results)
    allowed = sum(result["allowed"] for result in results)
    assert allowed <= 100 + 100 * span
    assert allowed >= 100 + 100 * 1.7


async def load(server: RedisServer, limit: str, *, seconds: float) -> list[dict[str, Any]]:
    """A hundred clients in three processes."""
    begin = time.time() + 2.5
    script = str(Path(__file__).with_name("limiter_process.py"))
    started = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            script,
            server.url,
            limit,
            str(clients),
            str(seconds),
            str(begin),
            stdout=asyncio.subprocess.PIPE,
        )
        for clients in (34, 33, 33)
    ]
    outputs = [await process.communicate() for process in started]
    assert [process.returncode for process in started] == [0, 0, 0]
    return [json.loads(output) for output, _ in outputs]
