"""HTTP/2, used wherever a server offers it: one connection for all, and each request for itself."""

import asyncio
import gzip

import h2.errors
import pytest
from tests.transport.servers import answers, until
from tests.transport.tls import Call, server_context, serving_h2, serving_tls, trusting

from balance_tracker.core.errors import UpstreamError
from balance_tracker.transport.goaway import GoAwayFilter
from balance_tracker.transport.http import HttpClient, HttpReply


def echo(call: Call) -> None:
    call.answer(bytes(call.body))


def never(call: Call) -> None:
    del call


async def ask(
    client: HttpClient, url: str, body: bytes = b"{}", *, seconds: float = 3.0, max_bytes: int = 10_000_000
) -> HttpReply:
    return await client.post(url, body, timeout_seconds=seconds, max_bytes=max_bytes)


async def test_twenty_requests_at_once_share_one_connection() -> None:
    async with serving_h2(echo) as server, HttpClient(trusting()) as client:
        bodies = [b"%d" % number for number in range(20)]
        replies = await asyncio.gather(*(ask(client, server.url, body) for body in bodies))
    assert [reply.body for reply in replies] == bodies
    assert len(server.connections) == 1
    assert {call.headers[":path"] for call in server.calls} == {"/secret-path-key?a=1"}
    assert {call.headers["content-type"] for call in server.calls} == {"application/json"}


async def test_http1_is_spoken_where_nothing_else_is_offered() -> None:
    context = server_context(protocols=("http/1.1",))
    async with serving_tls(answers(b"1"), context) as server, HttpClient(trusting()) as client:
        replies = await asyncio.gather(*(ask(client, server.url) for _ in range(5)))
    assert {reply.body for reply in replies} == {b"1"}


async def test_large_bodies_go_both_ways_through_small_windows() -> None:
    body = bytes(range(256)) * 4 * 1024 * 5
    async with serving_h2(echo) as server, HttpClient(trusting()) as client:
        first, second = await asyncio.gather(ask(client, server.url, body), ask(client, server.url, body))
    assert first.body == second.body == body


async def test_no_more_streams_are_open_than_the_server_allows() -> None:
    def later(call: Call) -> None:
        asyncio.get_running_loop().call_later(0.01, call.answer, b"1")

    async with serving_h2(later, most_streams=3) as server, HttpClient(trusting()) as client:
        await ask(client, server.url)  # the server's settings have come in
        await asyncio.gather(*(ask(client, server.url) for _ in range(12)))
    assert server.most_at_once <= 3
    assert len(server.connections) == 1


async def test_a_refused_stream_is_sent_once_more() -> None:
    def refuse_first(call: Call) -> None:
        if len(server.calls) == 1:
            call.reset(h2.errors.ErrorCodes.REFUSED_STREAM)
        else:
            call.answer(b"1")

    async with serving_h2(refuse_first) as server, HttpClient(trusting()) as client:
        assert (await ask(client, server.url)).body == b"1"
    assert len(server.calls) == 2


async def test_a_request_that_the_server_gives_up_fails_alone() -> None:
    def fail_one(call: Call) -> None:
        if call.body == b"bad":
            call.reset(h2.errors.ErrorCodes.INTERNAL_ERROR)
        else:
            call.answer(b"1")

    async with serving_h2(fail_one) as server, HttpClient(trusting()) as client:
        bad, good = await asyncio.gather(
            ask(client, server.url, b"bad"), ask(client, server.url), return_exceptions=True
        )
    assert isinstance(bad, UpstreamError)
    assert bad.code == "connection_failed"
    assert isinstance(good, HttpReply)


async def test_a_leaving_server_answers_what_it_took_and_the_rest_goes_elsewhere() -> None:
    def leave(call: Call) -> None:
        if len(server.calls) == 2 and len(server.connections) == 1:
            call.connection.say_goodbye(last_stream_id=1)
            asyncio.get_running_loop().call_later(0.02, server.calls[0].answer, b"old")
        elif len(server.connections) > 1:
            call.answer(b"new")

    async with serving_h2(leave) as server, HttpClient(trusting()) as client:
        first, second = await asyncio.gather(ask(client, server.url), ask(client, server.url))
        assert (first.body, second.body) == (b"old", b"new")
        await until(server.connections[0].transport.is_closing)
    assert len(server.connections) == 2


async def test_a_kept_connection_that_died_is_no_error() -> None:
    def hang_up_once(call: Call) -> None:
        if len(server.calls) == 2:
            call.connection.transport.abort()
        else:
            call.answer(b"1")

    async with serving_h2(hang_up_once) as server, HttpClient(trusting()) as client:
        assert (await ask(client, server.url)).body == b"1"
        assert (await ask(client, server.url)).body == b"1"
    assert len(server.connections) == 2


async def test_a_server_that_always_hangs_up_is_a_failed_connection() -> None:
    async with (
        serving_h2(lambda call: call.connection.transport.abort()) as server,
        HttpClient(trusting()) as client,
    ):
        with pytest.raises(UpstreamError) as caught:
            await ask(client, server.url)
    assert caught.value.code == "connection_failed"
    assert len(server.calls) == 1


async def test_a_cancelled_request_is_told_to_the_server_and_harms_no_other() -> None:
    def answer_second(call: Call) -> None:
        if call.body == b"second":
            call.answer(b"1")

    async with serving_h2(answer_second) as server, HttpClient(trusting()) as client:
        task = asyncio.create_task(ask(client, server.url))
        await until(lambda: bool(server.calls))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: bool(server.resets))
        await asyncio.sleep(0.02)
        assert (await ask(client, server.url, b"second")).body == b"1"
    assert len(server.connections) == 1


async def test_after_a_silent_time_out_the_next_request_does_not_wait_on_a_dead_connection() -> None:
    def dies_at_the_second(call: Call) -> None:
        if len(server.connections) == 1 and len(server.calls) == 2:
            call.connection.transport.pause_reading()
        else:
            call.answer(b"1")

    async with serving_h2(dies_at_the_second) as server, HttpClient(trusting()) as client:
        await ask(client, server.url)
        await asyncio.sleep(0.02)
        with pytest.raises(UpstreamError) as caught:
            await ask(client, server.url, seconds=0.1)
        assert caught.value.code == "timed_out"
        assert (await ask(client, server.url)).body == b"1"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(status: int) -> None:
    async with (
        serving_h2(lambda call: call.answer(b"", status, location="/x")) as server,
        HttpClient(trusting()) as client,
    ):
        with pytest.raises(UpstreamError) as caught:
            await ask(client, server.url)
    assert caught.value.code == "redirected"


async def test_a_reply_over_the_limit_is_given_up_packed_or_not() -> None:
    def too_much(call: Call) -> None:
        if call.body == b"packed":
            call.answer(gzip.compress(b"\0" * 20_000_000), content_encoding="gzip")
        else:
            call.answer(b"x" * 200_000)

    async with serving_h2(too_much) as server, HttpClient(trusting()) as client:
        for body in (b"packed", b"plain"):
            with pytest.raises(UpstreamError) as caught:
                await ask(client, server.url, body, max_bytes=100_000)
            assert caught.value.code == "response_too_large"
    assert len(server.connections) == 1


async def test_a_packed_reply_is_unpacked_and_retry_after_is_read() -> None:
    packed = gzip.compress(b"[1]")
    async with (
        serving_h2(lambda call: call.answer(packed, 429, content_encoding="gzip", retry_after="7")) as server,
        HttpClient(trusting()) as client,
    ):
        assert await ask(client, server.url) == HttpReply(429, b"[1]", 7.0)


async def test_nonsense_in_place_of_frames_is_a_failed_connection() -> None:
    async with (
        serving_h2(lambda call: call.connection.transport.write(b"\xff" * 100)) as server,
        HttpClient(trusting()) as client,
    ):
        with pytest.raises(UpstreamError) as caught:
            await ask(client, server.url)
    assert caught.value.code == "connection_failed"


async def test_a_request_without_an_answer_ends_in_time() -> None:
    async with serving_h2(never) as server, HttpClient(trusting()) as client:
        with pytest.raises(UpstreamError) as caught:
            await ask(client, server.url, seconds=0.1)
    assert (caught.value.code, caught.value.retryable) == ("timed_out", True)


async def test_a_get_request_has_no_body() -> None:
    async with (
        serving_h2(lambda call: call.answer(call.headers[":method"].encode())) as server,
        HttpClient(trusting()) as client,
    ):
        assert (await client.get(server.url, timeout_seconds=1, max_bytes=10)).body == b"GET"


@pytest.mark.parametrize("size", [1, 3, 9, 17, 1000])
def test_frames_come_out_as_they_went_in_but_for_goaway(size: int) -> None:
    def frame(kind: int, payload: bytes) -> bytes:
        return len(payload).to_bytes(3) + bytes([kind, 0]) + (5).to_bytes(4) + payload

    data, goaway = frame(0, b"a" * 20), frame(7, (41).to_bytes(4) + (0).to_bytes(4))
    wire = data + goaway + frame(1, b"") + data
    filtered = GoAwayFilter()
    parts = [filtered.split(wire[start : start + size]) for start in range(0, len(wire), size)]
    assert b"".join(frames for frames, _ in parts) == data + frame(1, b"") + data
    assert [last for _, last in parts if last is not None] == [41]
