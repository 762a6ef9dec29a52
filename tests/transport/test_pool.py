"""The pool: who is asked first, who next, who is left alone, and nobody twice in a read."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from tests.fakes.http_wire import Request, render
from tests.transport.servers import Act, Fault, Server, answers, echo, rpc, serving, silent, until

from balance_tracker.core.errors import InputError, UpstreamError
from balance_tracker.transport.batches import SINGLES_AT_ONCE
from balance_tracker.transport.jsonrpc import RpcCall, RpcError
from balance_tracker.transport.pool import Pool, Session, open_pool

good = rpc(echo)
BROKEN = answers(b"oops", 502)


@asynccontextmanager
async def pool_of(*acts: Act, attempt_seconds: float = 2.0) -> AsyncIterator[tuple[Pool, list[Server]]]:
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(serving(act)) for act in acts]
        pool = await stack.enter_async_context(
            open_pool("testnet", [server.url for server in servers], attempt_seconds=attempt_seconds)
        )
        yield pool, servers


def soon(seconds: float = 2.0) -> float:
    return asyncio.get_running_loop().time() + seconds


async def who(session: Session) -> str:
    await session.ask([RpcCall("eth_chainId")])
    return session.name


async def failure(pool: Pool, seconds: float = 2.0) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        await pool.run(who, soon(seconds))
    assert "secret-path-key" not in caught.value.message
    return caught.value


def asked(servers: Sequence[Server]) -> list[int]:
    return [len(server.requests) for server in servers]


async def test_the_first_of_equals_is_asked_and_no_other() -> None:
    async with pool_of(good, good) as (pool, servers):
        assert await pool.run(who, soon()) == servers[0].name
        assert asked(servers) == [1, 0]
        assert [health.state for health in pool.health()] == ["healthy", "unknown"]


async def test_an_url_that_is_given_twice_is_one_endpoint() -> None:
    async with serving(good) as server, open_pool("testnet", [server.url] * 3) as pool:
        assert len(pool.health()) == 1


async def test_a_failed_endpoint_hands_over_and_is_asked_last_from_then_on() -> None:
    async with pool_of(BROKEN, good) as (pool, servers):
        for _ in range(3):
            assert await pool.run(who, soon()) == servers[1].name
        assert asked(servers) == [1, 3]
        healthy, resting = pool.health()
    assert (healthy.state, healthy.successes) == ("healthy", 3)
    assert (resting.state, resting.failures) == ("resting", 1)
    assert resting.last_error == "The endpoint answered with HTTP status 502."
    assert resting.retry_in_seconds == 1


async def test_faster_endpoints_come_first() -> None:
    async with pool_of(rpc(echo, delay_seconds=0.15), rpc(echo, delay_seconds=0.0)) as (pool, servers):
        await pool.probe(who, soon())
        assert [health.name for health in pool.health()] == [servers[1].name, servers[0].name]
        assert await pool.run(who, soon()) == servers[1].name
        assert asked(servers) == [1, 2]
        fast, slow = pool.health()
    assert fast.latency_ms is not None
    assert slow.latency_ms is not None
    assert fast.latency_ms < 150 <= slow.latency_ms


async def test_a_silent_endpoint_is_overtaken_before_its_time_is_up() -> None:
    async with pool_of(silent, good) as (pool, servers):
        started = time.monotonic()
        assert await pool.run(who, soon(1.2)) == servers[1].name
        assert time.monotonic() - started < 0.6
        assert asked(servers) == [1, 1]


async def test_an_endpoint_that_was_overtaken_is_known_as_slow() -> None:
    """The second is slower than an unknown one is taken to be, and still comes first from then on."""
    async with pool_of(silent, rpc(echo, delay_seconds=0.55)) as (pool, servers):
        for _ in range(2):
            assert await pool.run(who, soon(6.0)) == servers[1].name
        assert asked(servers) == [1, 2]


async def test_the_slow_answer_wins_if_the_next_endpoint_fails() -> None:
    async with pool_of(rpc(echo, delay_seconds=0.5), BROKEN) as (pool, servers):
        assert await pool.run(who, soon(1.2)) == servers[0].name
        assert asked(servers) == [1, 1]


async def test_no_endpoint_is_asked_twice_in_a_read() -> None:
    async with pool_of(BROKEN, answers(b""), answers(b"<html>")) as (pool, servers):
        error = await failure(pool)
        assert asked(servers) == [1, 1, 1]
    assert error.code == "bad_response"


async def test_when_all_rest_each_is_tried_once_more_and_recovers() -> None:
    broken = True

    async def mended(request: Request, writer: asyncio.StreamWriter) -> None:
        await (BROKEN if broken else good)(request, writer)

    async with pool_of(mended) as (pool, servers):
        await failure(pool)
        broken = False
        assert await pool.run(who, soon()) == servers[0].name
        (health,) = pool.health()
    assert (health.state, health.retry_in_seconds) == ("healthy", None)


async def test_an_endpoint_rests_twice_as_long_each_time_but_not_for_ever() -> None:
    async with pool_of(BROKEN) as (pool, _):
        rests = []
        for _ in range(9):
            await failure(pool)
            rests.append(pool.health()[0].retry_in_seconds)
    usual = [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert all(
        0.89 * full - 0.5 <= rest <= min(1.11 * full + 0.5, 60)
        for rest, full in zip(rests, usual, strict=True)
    )


@pytest.mark.parametrize("status", [429, 503, 403])
async def test_a_pause_that_was_asked_for_is_given_even_alone(status: int) -> None:
    async with pool_of(answers(b"", status, Retry_After="30")) as (pool, servers):
        await failure(pool)
        error = await failure(pool)
        assert asked(servers) == [1]
        assert pool.health()[0].retry_in_seconds == 30
    assert error.code == "rate_limited"
    assert error.retry_after_seconds is not None
    assert 29 < error.retry_after_seconds <= 30


async def test_a_pause_may_be_asked_for_by_a_date() -> None:
    when = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    async with pool_of(answers(b"", 429, Retry_After=when)) as (pool, servers):
        await failure(pool)
        await failure(pool)
        assert asked(servers) == [1]


async def test_a_pause_that_is_over_is_over() -> None:
    paused = True

    async def recovering(request: Request, writer: asyncio.StreamWriter) -> None:
        await (answers(b"", 429, Retry_After="0") if paused else good)(request, writer)

    async with pool_of(recovering) as (pool, servers):
        await failure(pool)
        paused = False
        endpoint = pool.ordered()[0]
        assert 0 < endpoint.resting_seconds <= 1.1
        endpoint.breaker.rests_until = time.monotonic()
        assert await pool.run(who, soon()) == servers[0].name


async def test_a_paused_endpoint_is_no_last_resort_of_others() -> None:
    async with pool_of(answers(b"", 429, Retry_After="30"), BROKEN) as (pool, servers):
        await failure(pool)
        await failure(pool)
        assert asked(servers) == [1, 2]


async def test_the_most_telling_error_is_told() -> None:
    async with pool_of(answers(b"", 401), BROKEN) as (pool, _):
        error = await failure(pool)
    assert (error.code, error.retryable) == ("unauthorized", False)


async def test_a_stale_head_is_told_and_the_fresh_one_is_asked_first() -> None:
    async with pool_of(good, good) as (pool, servers):
        fresh, stale = pool.ordered()

        async def operation(session: Session) -> str:
            name = await who(session)
            pool.saw_head(session.endpoint, 100 if session.endpoint is fresh else 94)
            return name

        await pool.probe(operation, soon())
        states = {health.name: health.state for health in pool.health()}
        assert pool.health()[0].head == 100
        assert await pool.run(operation, soon()) == servers[0].name
        with pytest.raises(UpstreamError) as caught:
            pool.saw_head(stale, 94)
        pool.saw_head(stale, 95)
    assert caught.value.code == "stale_head"
    assert states == {servers[0].name: "healthy", servers[1].name: "stale"}


async def test_an_endpoint_that_fell_behind_comes_after_those_that_did_not() -> None:
    async with pool_of(good, good) as (pool, servers):
        first, second = pool.ordered()
        pool.saw_head(first, 10)
        pool.saw_head(second, 20)
        assert pool.ordered() == [second, first]
        assert await pool.run(who, soon()) == servers[1].name


async def test_a_wrong_chain_is_a_state_of_its_own() -> None:
    async def operation(session: Session) -> None:
        raise UpstreamError("The endpoint serves chain 5, not 1.", code="wrong_chain", retryable=False)

    async with pool_of(good) as (pool, _):
        with pytest.raises(UpstreamError):
            await pool.run(operation, soon())
        assert pool.health()[0].state == "wrong_chain"


async def test_an_error_of_the_caller_is_not_tried_elsewhere() -> None:
    async def operation(session: Session) -> None:
        await who(session)
        raise InputError("No such block.")

    async with pool_of(good, good) as (pool, servers):
        with pytest.raises(InputError):
            await pool.run(operation, soon())
        assert asked(servers) == [1, 0]


async def test_a_defect_of_ours_is_not_hidden_as_a_failed_endpoint() -> None:
    async def operation(session: Session) -> None:
        raise ZeroDivisionError

    async with pool_of(good, good) as (pool, _):
        with pytest.raises(ZeroDivisionError):
            await pool.run(operation, soon())


async def test_nothing_hangs_past_the_deadline() -> None:
    async with pool_of(silent, silent, attempt_seconds=30) as (pool, servers):
        started = time.monotonic()
        error = await failure(pool, seconds=0.3)
        assert 0.25 < time.monotonic() - started < 0.6
        assert asked(servers) == [1, 1]
        assert {health.state for health in pool.health()} == {"resting"}
    assert error.code == "timed_out"


async def test_a_deadline_that_has_passed_is_told_at_once() -> None:
    async with pool_of(good) as (pool, _):
        assert (await failure(pool, seconds=-1)).code == "timed_out"


async def test_a_cancelled_read_leaves_no_task() -> None:
    async with pool_of(silent, silent) as (pool, servers):
        before = asyncio.all_tasks()
        reading = asyncio.create_task(pool.run(who, soon(0.6)))
        await until(lambda: asked(servers) == [1, 1])
        mine = asyncio.all_tasks() - before - {reading}
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        left = [task for task in mine if not task.done() and "Server" not in repr(task)]
    assert not left


async def test_the_loser_of_a_race_is_ended() -> None:
    ended = asyncio.Event()

    async def operation(session: Session) -> str:
        try:
            return await who(session)
        except asyncio.CancelledError:
            ended.set()
            raise

    async with pool_of(silent, good) as (pool, servers):
        assert await pool.run(operation, soon(1.2)) == servers[1].name
        assert ended.is_set()


async def test_a_fault_that_an_operation_lived_with_still_counts() -> None:
    async def operation(session: Session) -> str:
        session.endpoint.failed(UpstreamError("Half of it failed."))
        return await who(session)

    async with pool_of(good, good) as (pool, servers):
        assert await pool.run(operation, soon()) == servers[0].name
        states = {health.name: health.state for health in pool.health()}
        assert await pool.run(who, soon()) == servers[1].name
    assert states[servers[0].name] == "resting"


async def test_a_probe_asks_every_endpoint_and_learns_how_each_fares() -> None:
    async with pool_of(good, BROKEN, silent) as (pool, servers):
        await pool.probe(who, soon(0.3))
        assert asked(servers) == [1, 1, 1]
        states = {health.name: (health.state, health.last_error) for health in pool.health()}
    assert states[servers[0].name] == ("healthy", None)
    assert states[servers[1].name][0] == "resting"
    assert states[servers[2].name] == ("resting", "The endpoint did not answer in time.")


async def test_requests_are_counted_over_all_endpoints_of_a_read() -> None:
    async def operation(session: Session) -> int:
        await who(session)
        return session.requests

    async with pool_of(BROKEN, good) as (pool, _):
        assert await pool.run(operation, soon()) == 2
        assert await pool.run(operation, soon()) == 1


async def test_a_pool_without_endpoints_fails() -> None:
    async with open_pool("testnet", []) as pool:
        assert not pool.health()
        await failure(pool)


# How one endpoint is asked.


def batches_of_at_most(limit: int) -> Act:
    async def act(request: Request, writer: asyncio.StreamWriter) -> None:
        document = json.loads(request.body)
        if isinstance(document, list) and len(document) > limit:
            error = {"code": -32600, "message": f"batch of more than {limit}"}
            writer.write(render(200, json.dumps({"jsonrpc": "2.0", "id": None, "error": error}).encode()))
        else:
            await good(request, writer)

    return act


async def ask_many(session: Session, count: int = 25) -> tuple[list[Any], int]:
    replies = await session.ask([RpcCall(f"m{number}") for number in range(count)])
    return replies, session.requests


EXPECTED = [f"m{number}" for number in range(25)]


@pytest.mark.parametrize(
    ("limit", "first", "then", "learned"),
    [(100, 1, 1, None), (10, 4, 3, "10"), (5, 6, 5, "5"), (1, 26, 25, "1")],
)
async def test_the_limit_of_batches_is_found_and_kept(
    limit: int, first: int, then: int, learned: str | None
) -> None:
    async with pool_of(batches_of_at_most(limit)) as (pool, _):
        assert await pool.run(ask_many, soon()) == (EXPECTED, first)
        assert await pool.run(ask_many, soon()) == (EXPECTED, then)
        assert pool.health()[0].learned.get("batch_limit") == learned


@pytest.mark.parametrize("status", [400, 405, 415, 422, 501])
async def test_a_status_may_refuse_a_batch(status: int) -> None:
    async def act(request: Request, writer: asyncio.StreamWriter) -> None:
        await (answers(b"no", status) if request.body[:1] == b"[" else good)(request, writer)

    async with pool_of(act) as (pool, _):
        assert (await pool.run(ask_many, soon()))[0] == EXPECTED


async def test_a_reply_to_an_earlier_question_is_no_answer_and_the_next_endpoint_is_asked() -> None:
    """A cache that knows the question by its shape, or a gateway that answers twice."""
    first: list[bytes] = []

    async def replays(request: Request, writer: asyncio.StreamWriter) -> None:
        asked = json.loads(request.body)
        reply = {"jsonrpc": "2.0", "id": asked["id"], "result": asked["params"][0]}
        first.append(json.dumps(reply).encode())
        writer.write(render(200, first[0]))

    def balance_of(owner: str) -> Callable[[Session], Awaitable[Any]]:
        async def operation(session: Session) -> Any:
            return (await session.ask([RpcCall("eth_getBalance", (owner, "latest"))]))[0]

        return operation

    async with pool_of(replays) as (pool, _):
        assert await pool.run(balance_of("0xa"), soon()) == "0xa"
        with pytest.raises(UpstreamError) as caught:
            await pool.run(balance_of("0xb"), soon())
        assert caught.value.code == "bad_response"
    first.clear()
    async with pool_of(replays, rpc(lambda method, params: params[0])) as (pool, servers):
        assert await pool.run(balance_of("0xa"), soon()) == "0xa"
        assert await pool.run(balance_of("0xb"), soon()) == "0xb"
        assert asked(servers) == [2, 1]


@pytest.mark.parametrize("status", [400, 500])
async def test_a_good_answer_under_a_bad_status_is_read(status: int) -> None:
    async def act(request: Request, writer: asyncio.StreamWriter) -> None:
        error = {"code": 3, "message": "RPC Request failed."}
        reply = {"jsonrpc": "2.0", "id": json.loads(request.body)["id"], "error": error}
        writer.write(render(status, json.dumps(reply).encode()))

    async def operation(session: Session) -> list[Any]:
        return await session.ask([RpcCall("eth_call")])

    async with pool_of(act) as (pool, _):
        assert await pool.run(operation, soon()) == [RpcError(3, "RPC Request failed.")]


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (answers(b"", 413), "too_large"),
        (answers(b"", 401), "unauthorized"),
        (answers(b"", 403), "unauthorized"),
        (answers(b"", 429), "rate_limited"),
        (answers(b"", 400), "bad_response"),
        (answers(b"oops", 500), "bad_response"),
        (answers(b"", 502), "bad_response"),
        (answers(b""), "bad_response"),
        (answers(b"", 302, Location="http://127.0.0.1:1/"), "redirected"),
    ],
)
async def test_each_fault_has_its_code(act: Act, code: str) -> None:
    async with pool_of(act) as (pool, servers):
        assert (await failure(pool)).code == code
        assert asked(servers) == [1]


async def test_single_requests_are_few_at_once() -> None:
    under_way = most = 0

    async def act(request: Request, writer: asyncio.StreamWriter) -> None:
        nonlocal under_way, most
        if request.body[:1] == b"[":
            await answers(b"", 405)(request, writer)
            return
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1
        await good(request, writer)

    async with pool_of(act) as (pool, _):
        assert (await pool.run(ask_many, soon()))[0] == EXPECTED
    assert 1 < most <= SINGLES_AT_ONCE


async def test_a_fault_among_single_requests_ends_the_rest_and_keeps_what_is_known() -> None:
    async def act(request: Request, writer: asyncio.StreamWriter) -> None:
        refused = request.body[:1] == b"["
        limited = not refused and json.loads(request.body)["method"] == "m3"
        await (answers(b"", 405) if refused else BROKEN if limited else good)(request, writer)

    async with pool_of(act) as (pool, servers):
        replies, requests = await pool.run(ask_many, soon())
        assert requests < 25
        assert len(servers[0].requests) == requests
    assert replies[:3] == EXPECTED[:3]
    assert isinstance(replies[3], RpcError)
    assert isinstance(replies[-1], RpcError)
    assert all(reply == EXPECTED[place] or isinstance(reply, RpcError) for place, reply in enumerate(replies))


async def test_single_requests_that_all_fail_are_a_failed_endpoint() -> None:
    async def act(request: Request, writer: asyncio.StreamWriter) -> None:
        await (answers(b"", 405) if request.body[:1] == b"[" else BROKEN)(request, writer)

    async with pool_of(act) as (pool, _):
        with pytest.raises(UpstreamError) as caught:
            await pool.run(ask_many, soon())
    assert caught.value.code == "bad_response"


async def test_no_calls_are_no_request() -> None:
    async def operation(session: Session) -> list[Any]:
        return await session.ask([])

    async with pool_of(good) as (pool, servers):
        assert await pool.run(operation, soon()) == []
        assert asked(servers) == [0]


async def test_an_item_that_failed_is_a_value_beside_its_neighbours() -> None:
    act = rpc(lambda method, _: Fault(code=-32000, message="no") if method == "m1" else method)
    async with pool_of(act) as (pool, _):
        replies, requests = await pool.run(lambda session: ask_many(session, 3), soon())
    assert replies == ["m0", RpcError(-32000, "no"), "m2"]
    assert requests == 1
