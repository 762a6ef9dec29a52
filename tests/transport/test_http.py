"""HTTP against servers that break it: bounded in time and size, and never a raw library error."""

import asyncio
import gzip
import time
import zlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.http_wire import Request, render_head
from tests.transport.servers import HOST, answers, sends, serving, silent, until

from balance_tracker.core.errors import UpstreamError
from balance_tracker.transport.http import HttpClient, HttpReply, fetch_document
from balance_tracker.transport.reply import retry_after


async def post(url: str, *, timeout_seconds: float = 2.0, max_bytes: int = 10_000) -> HttpReply:
    async with HttpClient() as client:
        return await client.post(url, b"{}", timeout_seconds=timeout_seconds, max_bytes=max_bytes)


async def failure(url: str, **more: float) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        await post(url, **more)  # type: ignore[arg-type]
    assert "secret-path-key" not in caught.value.message
    return caught.value


async def test_a_whole_reply_comes_back_whatever_its_status() -> None:
    async with serving(answers(b'{"ok":1}', 503)) as server:
        assert await post(server.url) == HttpReply(503, b'{"ok":1}', None)
    assert server.requests[0].method == "POST"
    assert server.requests[0].body == b"{}"


async def test_a_body_of_just_the_limit_is_taken_and_one_byte_more_is_not() -> None:
    async with serving(answers(b"x" * 10_000)) as server:
        assert len((await post(server.url)).body) == 10_000
        assert (await failure(server.url, max_bytes=9_999)).code == "response_too_large"


async def test_an_endless_body_is_cut_off_at_the_limit() -> None:
    async def endless(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(render_head(200, {"Transfer-Encoding": "chunked"}))
        while True:
            writer.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
            await writer.drain()

    async with serving(endless) as server:
        assert (await failure(server.url)).code == "response_too_large"


async def test_a_gzip_bomb_is_cut_off_at_the_limit_of_what_it_unpacks_to() -> None:
    bomb = gzip.compress(b"\0" * 20_000_000)
    async with serving(answers(bomb, Content_Encoding="gzip")) as server:
        assert (await failure(server.url, max_bytes=100_000)).code == "response_too_large"


async def test_a_body_that_does_not_unpack_is_a_failed_connection() -> None:
    async with serving(answers(b"not packed at all", Content_Encoding="gzip")) as server:
        assert (await failure(server.url)).code == "connection_failed"


async def test_a_packed_body_is_unpacked() -> None:
    packed = zlib.compress(b'{"a":1}')
    async with serving(answers(packed, Content_Encoding="deflate")) as server:
        assert (await post(server.url)).body == b'{"a":1}'


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(status: int) -> None:
    async with serving(answers(b"")) as other, serving(answers(b"", status, Location=other.url)) as server:
        assert (await failure(server.url)).code == "redirected"
    assert not other.requests


async def test_a_slow_drip_ends_in_time() -> None:
    async def drip(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(render_head(200, {"Content-Length": "100"}))
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with serving(drip) as server:
        started = time.monotonic()
        assert (await failure(server.url, timeout_seconds=0.2)).code == "timed_out"
        assert time.monotonic() - started < 1.0


async def test_silence_ends_in_time() -> None:
    async with serving(silent) as server:
        error = await failure(server.url, timeout_seconds=0.1)
    assert (error.code, error.retryable) == ("timed_out", True)


async def test_nobody_there_is_a_failed_connection() -> None:
    async with serving(silent) as server:
        url = server.url
    assert (await failure(url)).code == "connection_failed"


@pytest.mark.parametrize(
    "raw", [b"", b"garbage\r\n\r\n", render_head(200, {"Content-Length": "9"}) + b"cut"], ids=repr
)
async def test_what_is_not_http_or_is_cut_is_a_failed_connection(raw: bytes) -> None:
    async def hang_up(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        writer.close()

    async with serving(hang_up) as server:
        assert (await failure(server.url)).code == "connection_failed"


@pytest.mark.parametrize("url", ["http://", "nonsense", "http://[::1", f"http://{HOST}:99999/"])
async def test_an_url_that_is_none_is_a_failed_connection(url: str) -> None:
    assert (await failure(url)).code == "connection_failed"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 12 ", 12.0),
        ("999999999999999999", 86_400.0),
        ("1.5", None),
        ("-3", None),
        ("soon", None),
        ("Wed, 99 Foo 2026", None),
        ("", None),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400.0),
    ],
)
async def test_retry_after_is_read_as_seconds_or_a_date_or_not_at_all(
    text: str, seconds: float | None
) -> None:
    async with serving(answers(b"", 429, Retry_After=text)) as server:
        assert (await post(server.url)).retry_after_seconds == seconds


async def test_retry_after_may_be_a_date_without_a_zone() -> None:
    when = format_datetime(datetime.now(UTC) + timedelta(seconds=60))
    async with serving(answers(b"", 503, Retry_After=when.replace("+0000", "-0000"))) as server:
        wait = (await post(server.url)).retry_after_seconds
    assert wait is not None
    assert 55 < wait <= 60


@given(st.text(max_size=40) | st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+ \d+:\d+:\d+ [-+A-Z0-9]*"))
def test_no_retry_after_breaks_the_reader(text: str) -> None:
    wait = retry_after(text)
    assert wait is None or 0 <= wait <= 86_400


async def test_a_client_outside_its_block_says_so() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await HttpClient().post(f"http://{HOST}:1/", b"", timeout_seconds=1)
    await HttpClient().__aexit__(None, None, None)


async def test_no_cookie_is_kept_between_requests() -> None:
    seen: list[bytes] = []

    async def act(request: Request, writer: asyncio.StreamWriter) -> None:
        await answers(b"", Set_Cookie="tracked=1")(request, writer)

    async with serving(act) as server, HttpClient() as client:
        for _ in range(2):
            await client.get(server.url, timeout_seconds=1, max_bytes=10)
            seen.append(server.requests[-1].body)
        sizes = {request.size for request in server.requests}
    assert len(sizes) == 1


async def test_a_document_is_fetched_whole_or_not_at_all() -> None:
    async with serving(answers(b'{"tokens":[]}')) as server:
        assert await fetch_document(server.url, 1000, 1.0) == b'{"tokens":[]}'
    async with serving(answers(b"gone", 404)) as server:
        with pytest.raises(UpstreamError, match="404") as caught:
            await fetch_document(server.url, 1000, 1.0)
    assert caught.value.code == "bad_response"


async def test_a_cancelled_request_leaves_nothing_behind() -> None:
    async with serving(silent) as server, HttpClient() as client:
        task = asyncio.create_task(client.post(server.url, b"{}", timeout_seconds=5))
        await until(lambda: bool(server.requests))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_headers_without_end_are_a_failed_connection() -> None:
    async with serving(sends(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000)) as server:
        assert (await failure(server.url)).code == "connection_failed"
