"""Bad minutes: trials, hedges and splits are counted, and never become a storm."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from tests.fakes.http_wire import Request, render
from tests.transport.clock import Clock
from tests.transport.servers import Act, Server, answers, echo, rpc, serving, silent

from balance_tracker.core.errors import UpstreamError
from balance_tracker.telemetry.metrics import METRICS
from balance_tracker.transport.endpoint import Endpoint
from balance_tracker.transport.http import HttpClient
from balance_tracker.transport.jsonrpc import RpcCall
from balance_tracker.transport.memory import Memory, MemoryFile
from balance_tracker.transport.pool import Pool, Session, endpoint_names, open_pool

good = rpc(echo)
BROKEN = answers(b"oops", 502)
ONE_HOST_TWO_KEYS = ["https://a.example/key-one", "https://a.example/key-two"]


class Switch:
    """A server that is good or bad as the test says."""

    def __init__(self, bad: Act = BROKEN, *, broken: bool = True, delay_seconds: float = 0.0) -> None:
        self.broken = broken
        self._bad = bad
        self._good = rpc(echo, delay_seconds=delay_seconds)

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        await (self._bad if self.broken else self._good)(request, writer)


@asynccontextmanager
async def pool_of(
    *acts: Act, clock: Clock | None = None, attempt_seconds: float = 2.0
) -> AsyncIterator[tuple[Pool, list[Server], list[Endpoint]]]:
    """A pool whose clock stands still, if one is given."""
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(serving(act)) for act in acts]
        http = await stack.enter_async_context(HttpClient())
        endpoints = [
            Endpoint("testnet", server.url, http, attempt_seconds, clock=clock or time.monotonic)
            for server in servers
        ]
        yield Pool("testnet", endpoints, clock=clock or time.monotonic), servers, endpoints


def soon(seconds: float = 3.0) -> float:
    return asyncio.get_running_loop().time() + seconds


async def who(session: Session) -> str:
    await session.ask([RpcCall("eth_chainId")])
    return session.name


async def read(pool: Pool, seconds: float = 3.0) -> str:
    """One read; the code of the error where it fails."""
    try:
        return await pool.run(who, soon(seconds))
    except UpstreamError as error:
        return error.code


def asked(servers: list[Server]) -> list[int]:
    return [len(server.requests) for server in servers]


def hedges() -> float:
    """All that were counted; by name the endpoints of a long test run are ``other`` at last."""
    families = {family.name: family for family in METRICS.registry.collect()}
    samples = families["tracker_rpc_hedges"].samples
    return sum(sample.value for sample in samples if sample.name.endswith("_total"))


# Trials.


async def test_of_many_reads_one_tries_the_endpoint_that_has_rested() -> None:
    clock, switch = Clock(), Switch(rpc(echo, delay_seconds=0.2))
    async with pool_of(switch, good, clock=clock) as (pool, servers, endpoints):
        endpoints[0].failed(UpstreamError("It was bad.", code="bad_response"))
        clock.move(2.0)
        names = await asyncio.gather(*(read(pool) for _ in range(20)))
    assert asked(servers) == [1, 19]
    assert names.count(servers[0].name) == 1


async def test_a_trial_that_succeeds_brings_the_endpoint_back() -> None:
    clock, switch = Clock(), Switch()
    async with pool_of(switch, good, clock=clock) as (pool, servers, endpoints):
        await read(pool)
        switch.broken = False
        clock.move(2.0)
        assert await read(pool) == servers[0].name
        assert endpoints[0].state == "healthy"


async def test_a_trial_that_fails_costs_one_request_and_the_read_is_answered() -> None:
    clock = Clock()
    async with pool_of(BROKEN, good, clock=clock) as (pool, servers, endpoints):
        await read(pool)
        clock.move(2.0)
        assert await read(pool) == servers[1].name
        assert asked(servers) == [2, 2]
        assert endpoints[0].resting_seconds > 1.5


async def test_trials_cost_a_tenth_of_the_reads_at_most() -> None:
    clock = Clock()
    async with pool_of(BROKEN, good, clock=clock) as (pool, servers, _):
        for _ in range(60):
            clock.move(61.0)
            assert await read(pool) == servers[1].name
        assert asked(servers)[0] <= 1 + 1 + 60 / 10


async def test_the_only_endpoint_is_asked_even_while_it_rests() -> None:
    clock, switch = Clock(), Switch()
    async with pool_of(switch, clock=clock) as (pool, servers, _):
        assert await read(pool) == "bad_response"
        switch.broken = False
        assert await asyncio.gather(*(read(pool) for _ in range(3))) == [servers[0].name] * 3
        assert asked(servers) == [4]


# Hedges.


async def test_the_next_endpoint_starts_after_this_ones_own_95th_percentile() -> None:
    switch = Switch(silent, broken=False, delay_seconds=0.02)
    async with pool_of(switch, good) as (pool, servers, endpoints):
        for _ in range(10):
            await read(pool)
        switch.broken = True
        started = time.monotonic()
        assert await read(pool, 10.0) == servers[1].name
        assert 0.2 < time.monotonic() - started < 0.6
        assert asked(servers) == [11, 1]
        assert endpoints[0].state == "resting"
        assert endpoints[0].health().errors == {"overtaken": 1}
        assert await read(pool) == servers[1].name
        assert asked(servers) == [11, 2]


async def test_a_slow_endpoint_is_given_the_time_that_it_usually_takes() -> None:
    async with pool_of(rpc(echo, delay_seconds=0.4), good) as (pool, servers, endpoints):
        for _ in range(9):
            endpoints[0].latency.took(0.45, 50)
        endpoints[1].latency.took(0.9, 50)
        assert await read(pool) == servers[0].name
        assert asked(servers) == [1, 0]


async def test_a_read_of_many_requests_is_not_overtaken_while_it_gets_on() -> None:
    async def long(session: Session) -> str:
        for _ in range(8):
            await who(session)
        return session.name

    async with pool_of(rpc(echo, delay_seconds=0.1), good) as (pool, servers, endpoints):
        for _ in range(9):
            endpoints[0].latency.took(0.1, 50)
        assert await pool.run(long, soon(10.0)) == servers[0].name
        assert asked(servers) == [8, 0]


async def test_hedges_are_counted() -> None:
    async with pool_of(silent, good) as (pool, _, __):
        before = hedges()
        await read(pool, 1.0)
        assert hedges() - before == 1


# What a bad minute costs.


@pytest.mark.parametrize(
    "fault",
    [
        answers(b"", 400),
        answers(b"", 405),
        answers(b"", 413),
        answers(b"", 415),
        answers(b"", 422),
        answers(b"", 429),
        answers(b"", 429, Retry_After="0"),
        answers(b"", 500),
        answers(b"", 501),
        answers(b"", 503),
        answers(b"<html>"),
        answers(
            json.dumps({"jsonrpc": "2.0", "id": None, "error": {"code": -32000, "message": "x"}}).encode()
        ),
    ],
)
async def test_a_broken_endpoint_costs_two_requests_per_read_at_most(fault: Act) -> None:
    """Also where it looks like a limit of batches or bodies, and where it is the only one."""

    async def many(session: Session) -> int:
        return len(await session.ask([RpcCall("eth_call", ["x" * 100]) for _ in range(50)]))

    async with pool_of(fault) as (pool, servers, _):
        spent = []
        for _ in range(4):
            before = asked(servers)[0]
            with pytest.raises(UpstreamError):
                await pool.run(many, soon(0.5))
            spent.append(asked(servers)[0] - before)
    assert max(spent) <= 2


async def test_single_requests_end_with_the_first_that_fails() -> None:
    clock = Clock()
    async with pool_of(BROKEN, clock=clock) as (pool, servers, endpoints):
        endpoints[0].batch_limit = 1

        async def many(session: Session) -> int:
            return len(await session.ask([RpcCall("eth_call") for _ in range(50)]))

        with pytest.raises(UpstreamError):
            await pool.run(many, soon())
    assert asked(servers) == [1]


async def test_a_limit_that_is_not_named_is_found_and_kept() -> None:
    async def act(request: Request, writer: asyncio.StreamWriter) -> None:
        calls = json.loads(request.body)
        if isinstance(calls, list) and len(calls) > 3:
            error = {"code": -32600, "message": "Batch refused"}
            writer.write(render(200, json.dumps({"jsonrpc": "2.0", "id": None, "error": error}).encode()))
        else:
            await good(request, writer)

    async def many(session: Session) -> int:
        return len(await session.ask([RpcCall("eth_call") for _ in range(12)]))

    async with pool_of(act) as (pool, servers, endpoints):
        assert await pool.run(many, soon()) == 12
        first = asked(servers)[0]
        assert await pool.run(many, soon()) == 12
        assert (first, asked(servers)[0] - first, endpoints[0].batch_limit) == (7, 4, 3)


async def test_bodies_are_kept_below_the_size_that_was_refused() -> None:
    refused: list[int] = []

    async def act(request: Request, writer: asyncio.StreamWriter) -> None:
        if len(request.body) > 10_000:
            refused.append(len(request.body))
            await answers(b"", 413)(request, writer)
        else:
            await good(request, writer)

    async def many(session: Session) -> int:
        return len(await session.ask([RpcCall("eth_call", ["x" * 200]) for _ in range(60)]))

    async with pool_of(act) as (pool, _, endpoints):
        assert await pool.run(many, soon()) == 60
        assert await pool.run(many, soon()) == 60
        assert len(refused) == 1
        assert endpoints[0].body_bytes == refused[0] // 2


# Limits of the rate.


async def test_a_short_pause_is_waited_for_where_nobody_else_is_left() -> None:
    calls = 0

    async def act(request: Request, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        await (answers(b"", 429, Retry_After="1") if calls == 1 else good)(request, writer)

    async with pool_of(act) as (pool, servers, _):
        started = time.monotonic()
        assert await read(pool, 6.0) == servers[0].name
        assert 1.0 <= time.monotonic() - started < 2.5
        assert asked(servers) == [2]


async def test_a_limited_endpoint_is_asked_more_slowly_and_the_rest_goes_elsewhere() -> None:
    clock = Clock()
    async with pool_of(answers(b"", 429), good, clock=clock) as (pool, servers, endpoints):
        await read(pool)
        assert endpoints[0].health().learned == {"requests_per_second": "0.70"}
        assert [await read(pool) for _ in range(5)] == [servers[1].name] * 5
        assert asked(servers) == [1, 6]


async def test_a_turn_that_comes_too_late_is_no_fault_of_the_endpoint() -> None:
    clock = Clock()
    async with pool_of(good, clock=clock) as (pool, servers, endpoints):
        endpoints[0].bucket.refused(clock())
        assert await read(pool, 0.5) == "rate_limited"
        assert asked(servers) == [0]
        assert (endpoints[0].standing.failures, endpoints[0].state) == (0, "unknown")


async def test_an_endpoint_that_asked_for_a_pause_is_not_tried_out_before_its_end() -> None:
    clock = Clock()
    async with pool_of(answers(b"", 503, Retry_After="3"), good, clock=clock) as (pool, servers, _):
        await read(pool)
        clock.move(2.0)
        started = time.monotonic()
        assert await read(pool, 15.0) == servers[1].name
        assert time.monotonic() - started < 0.5
        clock.move(1.0)
        await read(pool, 15.0)
        assert asked(servers) == [2, 3]


# Who is not asked.


async def refuses_history(session: Session) -> str:
    await who(session)
    raise UpstreamError("The state is gone.", code="history_unavailable", retryable=False)


async def test_an_endpoint_known_to_have_no_such_old_state_is_not_asked_for_it() -> None:
    async with pool_of(good, good) as (pool, servers, endpoints):
        pool.saw_head(endpoints[0], 1_000)

        async def operation(session: Session) -> str:
            if session.endpoint is endpoints[0]:
                return await refuses_history(session)
            return await who(session)

        assert await pool.run(operation, soon(), block=500) == servers[1].name
        assert await pool.run(operation, soon(), block=400) == servers[1].name
        assert asked(servers) == [1, 2]
        assert endpoints[0].state == "unknown"
        assert endpoints[0].health().learned == {"history_refused_blocks": "500"}
        assert endpoints[1].health().learned == {"history_blocks": "600"}
        assert await pool.run(who, soon(), block=990, without=endpoints[1]) == servers[0].name


async def test_where_nobody_has_the_state_nobody_is_asked_again() -> None:
    async with pool_of(good) as (pool, servers, endpoints):
        pool.saw_head(endpoints[0], 1_000)
        for _ in range(3):
            with pytest.raises(UpstreamError) as caught:
                await pool.run(refuses_history, soon(), block=500)
            assert caught.value.code == "history_unavailable"
        assert asked(servers) == [1]


async def test_a_refused_block_teaches_nothing_while_no_head_is_known() -> None:
    async with pool_of(good) as (pool, servers, endpoints):
        for _ in range(2):
            with pytest.raises(UpstreamError):
                await pool.run(refuses_history, soon(), block=10)
        assert endpoints[0].health().learned == {}
        assert await pool.run(who, soon(), block=395) == servers[0].name
        assert endpoints[0].health().learned == {}


async def test_a_refusal_of_what_every_node_keeps_teaches_nothing() -> None:
    async with pool_of(good) as (pool, servers, endpoints):
        pool.saw_head(endpoints[0], 1_000)
        with pytest.raises(UpstreamError):
            await pool.run(refuses_history, soon(), block=1_000 - 127)
        assert endpoints[0].health().learned == {}
        with pytest.raises(UpstreamError):
            await pool.run(refuses_history, soon(), block=1_000 - 128)
        assert endpoints[0].health().learned == {"history_refused_blocks": "128"}
        assert await pool.run(who, soon(), block=1_000 - 127) == servers[0].name


async def test_an_endpoint_whose_head_is_before_the_block_is_not_asked_for_it() -> None:
    clock = Clock()
    async with pool_of(good, good, clock=clock) as (pool, servers, endpoints):
        pool.saw_head(endpoints[0], 100)
        pool.saw_head(endpoints[1], 102)
        assert await pool.run(who, soon(), block=102) == servers[1].name
        clock.move(60.0)
        assert await pool.run(who, soon(), block=102) == servers[1].name
        assert await pool.run(who, soon(), block=102, without=endpoints[1]) == servers[0].name


async def test_two_endpoints_of_one_host_are_two_and_neither_shows_its_key() -> None:
    async with open_pool("testnet", ONE_HOST_TWO_KEYS) as pool:
        first, second = pool.ordered()
        first.batch_limit = 3
        assert (first.batch_limit, second.batch_limit) == (3, 100)
        assert [health.name for health in pool.health()] == ["a.example", "a.example (2)"]
    assert endpoint_names(["wss://b.example/k", "https://b.example/k"]) == ["b.example", "b.example (2)"]


async def test_without_names_an_endpoint_and_not_its_host() -> None:
    async with pool_of(good, good) as (pool, servers, endpoints):
        for endpoint in endpoints:
            endpoint.name = "same.example"
        await pool.run(who, soon(), without=endpoints[0])
        assert asked(servers) == [0, 1]


# What is kept, and what is seen.


async def test_what_an_endpoint_has_shown_survives_a_restart(tmp_path: Path) -> None:
    async with serving(good) as server:
        for expected in (100, 3):
            async with (
                MemoryFile(tmp_path / "endpoints.json") as memories,
                open_pool("testnet", [server.url], memories=memories) as pool,
            ):
                (endpoint,) = pool.ordered()
                assert endpoint.batch_limit == expected
                endpoint.batch_limit = 3


async def test_health_says_how_an_endpoint_fares() -> None:
    clock = Clock()
    async with pool_of(good, clock=clock) as (pool, _, endpoints):
        await read(pool)
        pool.saw_head(endpoints[0], 100)
        endpoints[0].failed(UpstreamError("It was bad.", code="bad_response"))
        endpoints[0].latency.took(0.5, 50)
        clock.move(7.0)
        (health,) = pool.health()
    assert (health.requests, health.successes, health.failures) == (1, 1, 1)
    assert health.errors == {"bad_response": 1}
    assert (health.head, health.head_age_seconds, health.blocks_behind) == (100, 7, 0)
    assert health.p95_latency_ms == 500


async def test_the_state_of_endpoints_is_a_metric_while_their_pool_is_open() -> None:
    async with serving(good) as server, open_pool("testnet", [server.url]) as pool:
        await read(pool)
        pool.saw_head(pool.ordered()[0], 77)
        labels = {"network": "testnet", "endpoint": server.name}
        value = METRICS.registry.get_sample_value
        assert value("tracker_rpc_endpoint_state", {**labels, "state": "healthy"}) == 1
        assert value("tracker_rpc_endpoint_head", labels) == 77
        assert value("tracker_rpc_endpoint_latency_seconds", {**labels, "quantile": "0.95"}) is not None
    assert value("tracker_rpc_endpoint_head", labels) is None


def test_a_method_that_an_endpoint_lacks_is_remembered() -> None:
    memory = Memory(Clock())
    endpoint = Endpoint("testnet", "https://a.example", HttpClient(), 1.0, memory=memory)
    assert endpoint.memory is memory
    endpoint.learned["lacks.eth_foo"] = "yes"
    assert dict(endpoint.learned) == endpoint.health().learned == {"lacks.eth_foo": "yes"}
