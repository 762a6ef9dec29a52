"""The bank's HTTP: what it refuses and that it ends cleanly."""

import asyncio

import pytest

pytestmark = pytest.mark.integration


async def _talk(bank, request: bytes) -> bytes:
    host, _, port = bank.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"405"),
        (b"POST / HTTP/1.1\r\n\r\n", b"411"),
        (b"POST / HTTP/1.1\r\ncontent-length: 9999999\r\n\r\n", b"413"),
        (b"POST / HTTP/1.1\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}", b"200"),
    ],
)
async def test_a_request_gets_its_status(bank, request_: bytes, status: bytes) -> None:
    assert (await _talk(bank, request_)).startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize("request_", [b"", b"hello\r\n", b"POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\n{}"])
async def test_a_broken_request_ends_the_connection(bank, request_: bytes) -> None:
    assert await _talk(bank, request_) == b""


async def test_a_server_that_was_not_started_closes(bank) -> None:
    await bank.__aexit__(None, None, None)
    await bank.__aexit__(None, None, None)
