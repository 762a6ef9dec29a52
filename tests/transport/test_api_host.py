"""A web API as a price source sees it: exact numbers, its rate, its rests, and no key in sight."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from tests.fakes.web_api import Asked, Said, WebApi, web_api
from tests.transport.clock import Clock

from balance_tracker.core.errors import UpstreamError
from balance_tracker.transport.api_host import PER_MINUTE, ApiHost, RequestRefusedError
from balance_tracker.transport.http import HttpClient

KEY = "k3y"


def anything(document: Any) -> Any:
    return document


def soon(seconds: float = 5.0) -> float:
    return asyncio.get_running_loop().time() + seconds


@asynccontextmanager
async def host_of(api: WebApi, clock: Clock, **more: Any) -> AsyncIterator[ApiHost]:
    async with HttpClient() as http:
        yield ApiHost("prices", f"{api.url}/api/", http, clock=clock, chance=lambda: 0.5, **more)


def well(asked: Asked) -> Said:
    return Said({"ok": True})


def broken(asked: Asked) -> Said:
    return Said(b"oops", 500)


async def outcome(host: ApiHost, deadline: float | None = None) -> str:
    try:
        await host.get("/x", read=anything, deadline=deadline or soon())
    except UpstreamError as error:
        return error.code
    return "ok"


async def test_numbers_come_digit_by_digit_and_paths_go_behind_the_root() -> None:
    body = b'{"a": 0.1000000000000000055511151231257827, "b": 12345678901234567890123, "c": NaN}'
    async with web_api(lambda asked: Said(body)) as api, host_of(api, Clock()) as host:
        document = await host.get("/v1/a,b:c", {"ids": "x,y", "q": "a b"}, read=anything, deadline=soon())
    assert document == {
        "a": Decimal("0.1000000000000000055511151231257827"),
        "b": 12345678901234567890123,
        "c": None,
    }
    assert api.asked[0].target == "/api/v1/a,b:c?ids=x,y&q=a+b"


async def test_after_a_failure_it_rests_and_one_request_tries_it_out_for_all() -> None:
    clock = Clock()
    async with web_api(broken) as api, host_of(api, clock) as host:
        assert [await outcome(host) for _ in range(3)] == ["bad_response", "source_resting", "source_resting"]
        assert len(api.asked) == 1
        clock.move(1.2)
        api.answer = well
        assert await asyncio.gather(*(outcome(host) for _ in range(4))) == ["ok"] * 4
        assert host.health().state == "healthy"


async def test_when_the_trial_fails_those_that_waited_for_it_are_told_at_once() -> None:
    clock = Clock()
    async with web_api(broken) as api, host_of(api, clock) as host:
        await outcome(host)
        clock.move(1.2)
        assert sorted(await asyncio.gather(*(outcome(host) for _ in range(3)))) == [
            "bad_response",
            "source_resting",
            "source_resting",
        ]
    assert len(api.asked) == 2


async def test_an_answer_that_can_not_be_read_counts_against_the_api() -> None:
    def unreadable(document: Any) -> Any:
        raise UpstreamError("It is no list of prices.", code="bad_response")

    async with web_api(well) as api, host_of(api, Clock()) as host:
        with pytest.raises(UpstreamError, match="no list"):
            await host.get("/x", read=unreadable, deadline=soon())
        assert await outcome(host) == "source_resting"


async def test_a_wrong_question_is_no_fault_of_the_api() -> None:
    said = Said({"error": "coin not found"}, 404)
    async with web_api(lambda asked: said) as api, host_of(api, Clock()) as host:
        for _ in range(2):
            with pytest.raises(RequestRefusedError, match="404: coin not found") as caught:
                await host.get("/x", read=anything, deadline=soon())
        assert caught.value.document == {"error": "coin not found"}
    assert len(api.asked) == 2


async def test_the_stated_limit_holds_in_every_minute() -> None:
    clock = Clock()
    async with web_api(well) as api, host_of(api, clock, per_minute=3) as host:
        assert [await outcome(host) for _ in range(5)] == ["ok"] * 3 + ["rate_limited"] * 2
        clock.move(61)
        assert [await outcome(host) for _ in range(4)] == ["ok"] * 3 + ["rate_limited"]
    assert len(api.asked) == 6


async def test_a_refusal_teaches_how_many_it_answers_in_a_minute_and_is_forgotten() -> None:
    clock = Clock()

    def answer(asked: Asked) -> Said:
        return well(asked) if len(api.asked) != 3 else Said(b"slow down", 429)

    async with web_api(answer) as api, host_of(api, clock) as host:
        assert [await outcome(host) for _ in range(4)] == ["ok", "ok", "rate_limited", "rate_limited"]
        assert host.memory.number(PER_MINUTE) == 2
        clock.move(61)
        assert [await outcome(host) for _ in range(3)] == ["ok", "ok", "rate_limited"]
        clock.move(3_700)
        assert [await outcome(host) for _ in range(6)] == ["ok"] * 6


async def test_a_turn_that_comes_in_time_is_waited_for() -> None:
    async with web_api(well) as api, HttpClient() as http:
        host = ApiHost("prices", api.url, http)
        host.bucket.pause(0.3)
        loop = asyncio.get_running_loop()
        started = loop.time()
        assert await outcome(host) == "ok"
        assert loop.time() - started >= 0.29


async def test_without_time_nothing_is_asked_and_nobody_is_blamed() -> None:
    async with web_api(well) as api, host_of(api, Clock()) as host:
        assert await outcome(host, soon(0.1)) == "timed_out"
        assert not api.asked
        assert await outcome(host) == "ok"


async def test_a_request_that_is_cancelled_leaves_the_trial_to_the_next() -> None:
    clock = Clock()
    async with web_api(broken) as api, host_of(api, clock) as host:
        await outcome(host)
        clock.move(1.2)
        api.answer = lambda asked: Said({}, after_seconds=10)
        trial = asyncio.create_task(outcome(host))
        await asyncio.sleep(0.05)
        trial.cancel()
        await asyncio.gather(trial, return_exceptions=True)
        api.answer = well
        assert await outcome(host) == "ok"


async def test_even_a_short_key_that_is_echoed_is_struck_out() -> None:
    said = Said({"error": f"no such key: {KEY}"}, 401)
    async with web_api(lambda asked: said) as api, host_of(api, Clock(), headers={"x-api-key": KEY}) as host:
        with pytest.raises(UpstreamError) as caught:
            await host.get("/x", read=anything, deadline=soon())
        assert KEY not in str(caught.value) + repr(host) + str(host.health())
    assert api.asked[0].headers["x-api-key"] == KEY


async def test_what_can_not_stand_in_a_header_is_not_sent() -> None:
    async with web_api(well) as api, host_of(api, Clock(), headers={"x-api-key": "a\r\nx: y"}) as host:
        assert await outcome(host) == "connection_failed"
    assert not api.asked
