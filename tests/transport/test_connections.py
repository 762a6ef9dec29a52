"""Connections over HTTP/1.1: kept, limited, opened again, and never mixed up."""

import asyncio
import base64
import gzip
import socket
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from tests.fakes.http_wire import Request, render, render_head
from tests.transport.servers import HOST, answers, sends, serving, silent, until
from tests.transport.tls import server_context, serving_tls, trusting

from balance_tracker.core.errors import UpstreamError
from balance_tracker.transport.hosts import CONNECTIONS_PER_HOST
from balance_tracker.transport.http import HttpClient, HttpReply
from balance_tracker.transport.target import Target


async def ask(client: HttpClient, url: str, *, seconds: float = 2.0, max_bytes: int = 100_000) -> HttpReply:
    return await client.post(url, b"{}", timeout_seconds=seconds, max_bytes=max_bytes)


async def failure(client: HttpClient, url: str, **more: float) -> str:
    with pytest.raises(UpstreamError) as caught:
        await ask(client, url, **more)  # type: ignore[arg-type]
    assert "secret-path-key" not in str(caught.value)
    return caught.value.code


class Numbered:
    """Answers with the number of the connection that it was asked on."""

    def __init__(self, then: Callable[[asyncio.StreamWriter], None] = lambda writer: None) -> None:
        self.writers: list[asyncio.StreamWriter] = []
        self._then = then

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        if writer not in self.writers:
            self.writers.append(writer)
        writer.write(render(200, b"%d" % self.writers.index(writer)))
        await writer.drain()
        self._then(writer)


async def test_one_connection_serves_requests_that_follow_each_other() -> None:
    act = Numbered()
    async with serving(act) as server, HttpClient() as client:
        assert [(await ask(client, server.url)).body for _ in range(5)] == [b"0"] * 5


async def test_the_connection_is_not_delayed_by_nagle() -> None:
    async with serving(Numbered()) as server, HttpClient() as client:
        await ask(client, server.url)
        (host,) = client._hosts.values()
        (connection,) = host._kept
        assert connection._transport is not None
        connected = connection._transport.get_extra_info("socket")
        assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_a_kept_connection_that_the_server_closed_meanwhile_is_no_error() -> None:
    act = Numbered(then=lambda writer: writer.close())
    async with serving(act) as server, HttpClient() as client:
        assert [(await ask(client, server.url)).body for _ in range(3)] == [b"0", b"1", b"2"]


async def test_a_request_on_a_kept_connection_that_dies_under_it_is_sent_once_more() -> None:
    async def act(request: Request, writer: asyncio.StreamWriter) -> None:
        if len(server.requests) == 2:
            writer.close()
        else:
            writer.write(render(200, b"%d" % len(server.requests)))

    async with serving(act) as server, HttpClient() as client:
        assert [(await ask(client, server.url)).body for _ in range(2)] == [b"1", b"3"]


async def test_a_new_connection_that_dies_under_a_request_is_a_failure_at_once() -> None:
    async with serving(sends(b"")) as server, HttpClient() as client:
        server._act = hangs_up
        assert await failure(client, server.url) == "connection_failed"
        assert len(server.requests) == 1


async def hangs_up(request: Request, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def test_a_server_that_hangs_up_in_mid_reply_is_not_asked_again() -> None:
    async def act(request: Request, writer: asyncio.StreamWriter) -> None:
        if len(server.requests) == 1:
            writer.write(render(200, b"1"))
        else:
            writer.write(render(200, b"12345")[:-3])
            writer.close()

    async with serving(act) as server, HttpClient() as client:
        await ask(client, server.url)
        assert await failure(client, server.url) == "connection_failed"
        assert len(server.requests) == 2


async def test_no_more_connections_are_opened_than_allowed_and_all_are_answered() -> None:
    at_once = most = 0

    async def act(request: Request, writer: asyncio.StreamWriter) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.01)
        at_once -= 1
        writer.write(render(200, b"1"))

    async with serving(act) as server, HttpClient() as client:
        await asyncio.gather(*(ask(client, server.url) for _ in range(50)))
        assert most == len(server._connections) == CONNECTIONS_PER_HOST


async def test_waiting_for_a_connection_counts_as_time() -> None:
    async with serving(silent) as server, HttpClient() as client:
        held = [asyncio.create_task(ask(client, server.url)) for _ in range(CONNECTIONS_PER_HOST)]
        await until(lambda: len(server.requests) == CONNECTIONS_PER_HOST)
        assert await failure(client, server.url, seconds=0.1) == "timed_out"
        for task in held:
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)
        server._act = answers(b"1")
        assert (await ask(client, server.url)).body == b"1"


async def test_a_host_that_does_not_answer_takes_no_place_of_another() -> None:
    async with serving(silent) as stuck, serving(answers(b"1")) as other, HttpClient() as client:
        client._places = asyncio.Semaphore(CONNECTIONS_PER_HOST + 1)
        held = [asyncio.create_task(ask(client, stuck.url)) for _ in range(3 * CONNECTIONS_PER_HOST)]
        await until(lambda: len(stuck.requests) == CONNECTIONS_PER_HOST)
        assert (await ask(client, other.url)).body == b"1"
        for task in held:
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)


async def test_a_cancelled_request_does_not_poison_the_next() -> None:
    async def act(request: Request, writer: asyncio.StreamWriter) -> None:
        mine = len(server.requests)
        await asyncio.sleep(0.05 if mine == 1 else 0)
        writer.write(render(200, b"%d" % mine))

    async with serving(act) as server, HttpClient() as client:
        task = asyncio.create_task(ask(client, server.url))
        await until(lambda: len(server.requests) == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await ask(client, server.url)).body == b"2"


@pytest.mark.parametrize("steps", range(8))
async def test_a_request_may_be_cancelled_at_any_step(steps: int) -> None:
    context = server_context()
    async with serving_tls(answers(b"1"), context) as server, HttpClient(trusting()) as client:
        task = asyncio.create_task(ask(client, server.url))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (await ask(client, server.url)).body == b"1"


async def test_more_than_was_asked_for_spoils_the_connection_only() -> None:
    async def act(request: Request, writer: asyncio.StreamWriter) -> None:
        mine = b"%d" % len(server.requests)
        writer.write(render(200, mine) + render(200, b"of somebody else"))

    async with serving(act) as server, HttpClient() as client:
        assert [(await ask(client, server.url)).body for _ in range(3)] == [b"1", b"2", b"3"]


async def test_what_comes_unasked_on_a_kept_connection_is_never_an_answer() -> None:
    act = Numbered()
    async with serving(act) as server, HttpClient() as client:
        await ask(client, server.url)
        act.writers[0].write(render(200, b"of nobody"))
        await until(lambda: not client._hosts[Target.of(server.url).origin]._kept)
        assert (await ask(client, server.url)).body == b"1"


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (b"HTTP/1.1 100 Continue\r\n\r\n" + render(200, b"1"), b"1"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + render(200, b"1"), b"1"),
        (
            render_head(200, {"Transfer-Encoding": "chunked"})
            + b"2\r\nab\r\n1;x=y\r\nc\r\n0\r\nT: 1\r\n\r\n",
            b"abc",
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (render_head(200, {"Content-Length": "0"}), b""),
    ],
    ids=["continue", "hints", "chunked", "no content", "empty"],
)
async def test_every_way_to_end_a_body_is_known(raw: bytes, body: bytes) -> None:
    async with serving(sends(raw)) as server, HttpClient() as client:
        for _ in range(2):
            assert (await ask(client, server.url)).body == body
        assert len(server._connections) == 1


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\n"]
)
async def test_a_body_may_end_with_its_connection(head: bytes) -> None:
    async def act(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(head + b"all of ")
        await writer.drain()
        writer.write(b"it")
        writer.close()

    async with serving(act) as server, HttpClient() as client:
        for _ in range(2):
            assert (await ask(client, server.url)).body == b"all of it"


async def test_a_connection_that_the_server_announces_to_close_is_not_used_again() -> None:
    async with serving(answers(b"1", Connection="close")) as server, HttpClient() as client:
        await ask(client, server.url)
        assert not client._hosts[Target.of(server.url).origin]._kept
        assert (await ask(client, server.url)).body == b"1"


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(b"[1,2]")),
        ("x-gzip", gzip.compress(b"[1,") + gzip.compress(b"2]")),
        ("deflate", zlib.compress(b"[1,2]")),
        ("deflate", raw_deflate(b"[1,2]")),
        ("identity", b"[1,2]"),
    ],
)
async def test_packed_bodies_are_unpacked(encoding: str, packed: bytes) -> None:
    async with serving(answers(packed, Content_Encoding=encoding)) as server, HttpClient() as client:
        assert (await ask(client, server.url)).body == b"[1,2]"


async def test_a_packed_body_that_is_cut_is_a_failed_connection() -> None:
    packed = gzip.compress(bytes(range(256)))[:-9]
    async with serving(answers(packed, Content_Encoding="gzip")) as server, HttpClient() as client:
        assert await failure(client, server.url) == "connection_failed"


@pytest.mark.parametrize(
    "flood",
    [
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000,
        render_head(200, {"Transfer-Encoding": "chunked"}) + b"0\r\n" + b"T: y\r\n" * 20_000,
    ],
    ids=["headers", "trailers"],
)
async def test_headers_and_trailers_have_an_end(flood: bytes) -> None:
    async with serving(sends(flood)) as server, HttpClient() as client:
        assert await failure(client, server.url) == "connection_failed"


async def test_a_switch_of_protocols_is_not_followed() -> None:
    raw = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
    async with serving(sends(raw)) as server, HttpClient() as client:
        assert await failure(client, server.url) == "connection_failed"


async def test_a_host_is_looked_up_once_however_many_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    lookups: list[str] = []
    async with serving(Numbered()) as server, HttpClient() as client:
        assert client._dialer is not None

        async def look_up(host: str, port: int) -> Any:
            lookups.append(host)
            await asyncio.sleep(0.01)
            return socket.getaddrinfo(HOST, port, type=socket.SOCK_STREAM)

        monkeypatch.setattr(client._dialer, "_look_up", look_up)
        url = f"http://node.example:{server.port}/"
        await asyncio.gather(*(ask(client, url) for _ in range(5)))
        await ask(client, url)
    assert lookups == ["node.example"]


async def test_a_lookup_goes_on_for_others_when_one_asker_leaves() -> None:
    async with serving(Numbered()) as server, HttpClient() as client:
        url = f"http://localhost:{server.port}/"
        first, second = (asyncio.create_task(ask(client, url)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).status == 200
        assert first.cancelled() or await asyncio.gather(first, return_exceptions=True)


async def test_a_host_that_does_not_exist_is_a_failed_connection() -> None:
    async with HttpClient() as client:
        assert await failure(client, "http://secret-path-key.invalid/", seconds=5) == "connection_failed"


async def test_the_next_address_is_tried_when_one_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(Numbered()) as server, HttpClient() as client:
        assert client._dialer is not None

        async def look_up(host: str, port: int) -> Any:
            info = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
            return [(*info, (HOST, 1)), (*info, (HOST, port))]

        monkeypatch.setattr(client._dialer, "_look_up", look_up)
        assert (await ask(client, f"http://node.example:{server.port}/")).body == b"0"


async def test_connections_can_be_opened_before_they_are_needed() -> None:
    act = Numbered()
    async with serving(act) as first, serving(act) as second, HttpClient() as client:
        urls = [first.url, second.url, "http://", "ws://h/", f"http://{HOST}:1/", "https://no.invalid/"]
        await client.warm(urls, timeout_seconds=5)
        await until(lambda: len(first._connections) == len(second._connections) == 1)
        await client.warm([first.url])
        await ask(client, first.url)
        assert len(first._connections) == 1


async def test_a_certificate_of_nobody_we_trust_is_a_failed_connection() -> None:
    async with serving_tls(answers(b"1"), server_context()) as server, HttpClient() as client:
        assert await failure(client, server.url) == "connection_failed"


async def test_a_certificate_for_another_host_is_a_failed_connection() -> None:
    context = server_context("another.example")
    async with serving_tls(answers(b"1"), context) as server, HttpClient(trusting()) as client:
        assert await failure(client, server.url) == "connection_failed"


async def test_a_second_connection_resumes_the_tls_session_of_the_first() -> None:
    act = answers(b"1", Connection="close")
    async with serving_tls(act, server_context()) as server, HttpClient(trusting()) as client:
        for _ in range(2):
            await ask(client, server.url)
    assert server.resumed == [False, True]


async def test_a_password_in_the_url_goes_into_a_header_and_not_into_the_path() -> None:
    request = Target.of("https://us%20er:p%40ss@node.example/key").post(b"{}")
    expected = b"Basic " + base64.b64encode(b"us er:p@ss")
    assert b"Authorization: " + expected + b"\r\n" in request.head
    assert (b"authorization", expected) in request.headers
    assert request.head.startswith(b"POST /key HTTP/1.1\r\nHost: node.example\r\n")


@pytest.mark.parametrize(
    ("url", "first_lines"),
    [
        ("http://[::1]:8545", "POST / HTTP/1.1\r\nHost: [::1]:8545\r\n"),
        ("https://[::1]", "POST / HTTP/1.1\r\nHost: [::1]\r\n"),
        (
            "https://bücher.example/ä?q=ü#part",
            "POST /%C3%A4?q=%C3%BC HTTP/1.1\r\nHost: xn--bcher-kva.example\r\n",
        ),
        ("https://straße.example", "POST / HTTP/1.1\r\nHost: xn--strae-oqa.example\r\n"),
        (
            "HTTPS://Node.Example:443/v2/K%2Fey?a=b%20c",
            "POST /v2/K%2Fey?a=b%20c HTTP/1.1\r\nHost: node.example\r\n",
        ),
        ("http://node.example:443", "POST / HTTP/1.1\r\nHost: node.example:443\r\n"),
    ],
)
def test_the_head_of_a_request_says_what_the_url_says(url: str, first_lines: str) -> None:
    assert Target.of(url).post(b"").head.startswith(first_lines.encode())


@pytest.mark.parametrize(
    "url",
    [
        "ftp://h/",
        "//h/",
        "http:///x",
        "http://a b/",
        "http://h:x/",
        "http://[1]/",
        "http://a\\b/",
        "http://%0d%0a/",
    ],
)
def test_what_is_no_url_of_ours_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        Target.of(url)


async def test_idle_connections_are_closed_after_a_while() -> None:
    async with serving(Numbered()) as server, HttpClient() as client:
        await ask(client, server.url)
        (host,) = client._hosts.values()
        host._kept[0].idle_since -= 100
        client._sweep()
        await until(lambda: not server._connections)
        assert not host._open


async def test_closing_the_client_ends_what_is_under_way() -> None:
    async with serving(silent) as server:
        async with HttpClient() as client:
            task = asyncio.create_task(ask(client, server.url, seconds=5))
            await until(lambda: bool(server.requests))
        started = time.monotonic()
        with pytest.raises(UpstreamError) as caught:
            await task
        assert caught.value.code == "connection_failed"
        assert time.monotonic() - started < 1


async def test_a_large_body_is_sent_whole() -> None:
    async with serving(answers(b"too large", 413)) as server, HttpClient() as client:
        reply = await client.post(server.url, b"x" * 3_000_000, timeout_seconds=5)
        assert reply == HttpReply(413, b"too large", None)
        assert len(server.requests[0].body) == 3_000_000
