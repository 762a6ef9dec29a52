"""URLs of strangers: followed only to the public internet, whatever they look like and resolve to."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable

import pytest

from balance_tracker.core.errors import UpstreamError
from balance_tracker.transport.dialing import Dialer
from balance_tracker.transport.metadata_documents import MetadataDocuments
from balance_tracker.transport.public_addresses import is_public
from balance_tracker.transport.public_fetch import PublicFetcher, RefusedAddressError

HERE = "127.0.0.1"


class Server:
    """Answers with one document, and counts who connects."""

    def __init__(self) -> None:
        self.connections = 0
        self.requests: list[str] = []
        self.reply = b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n" + b'{"name": "x"}'
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        head = await reader.readuntil(b"\r\n\r\n")
        self.requests.append(head.decode())
        writer.write(self.reply)
        await writer.drain()
        writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    listening = await asyncio.start_server(server.serve, HERE, 0)
    server.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield server


def only(*addresses: str) -> Callable[[str], bool]:
    return lambda address: address in addresses


async def fetched(fetcher: PublicFetcher, url: str, max_bytes: int = 1_000) -> bytes:
    return (await fetcher.get(url, timeout_seconds=2.0, max_bytes=max_bytes)).body


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.254",
        "168.63.129.16",
        "169.254.169.254",
        "172.31.255.255",
        "192.0.0.192",
        "192.168.0.1",
        "198.19.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:93.184.215.14",
        "64:ff9b::7f00:1",
        "64:ff9b:1::a00:1",
        "2001::7f00:1",
        "2001:db8::1",
        "2002:7f00:1::",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "2606:2800:21f::1%eth0",
        "fec0::1",
        "ff02::1",
        "not an address",
        "2130706433",
    ],
)
def test_what_is_not_public_is_known(address: str):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.215.14", "172.32.0.1", "1.1.1.1", "2606:2800:21f:cb07::1"])
def test_public_addresses_are_public(address: str):
    assert is_public(address)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f000001",
        "127.1",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:7f00:1]",
        "[fe80::1%25eth0]",
    ],
)
async def test_this_machine_is_not_reached_however_it_is_written(server: Server, host: str):
    with pytest.raises(UpstreamError) as raised:
        await fetched(PublicFetcher(), f"http://{host}:{server.port}/")
    # A resolver that does not know an odd spelling refuses it as well.
    assert raised.value.code in {"address_refused", "connection_failed"}
    assert server.connections == 0


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/",
        "file:///etc/passwd",
        "gopher://example.org/",
        "//example.org",
        "http://",
        "http://user:word@example.org/",
        "http://example.org\r\nHost: other/",
        "http://example.org/" + "a" * 10_000,
    ],
)
async def test_other_urls_are_not_followed(url: str):
    with pytest.raises(RefusedAddressError):
        await fetched(PublicFetcher(), url)


async def test_a_name_with_one_private_address_among_public_ones_is_refused(
    server: Server, monkeypatch: pytest.MonkeyPatch
):
    async def both(_dialer: Dialer, _host: str, port: int) -> list[tuple[object, ...]]:
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kind, ("93.184.215.14", port)), (*kind, (HERE, port))]

    monkeypatch.setattr(Dialer, "_addresses", both)
    with pytest.raises(RefusedAddressError):
        await fetched(PublicFetcher(), f"http://rebinding.example:{server.port}/")
    assert server.connections == 0


async def test_the_connection_goes_to_the_address_that_was_checked(
    server: Server, monkeypatch: pytest.MonkeyPatch
):
    lookups = []

    async def once(_dialer: Dialer, host: str, port: int) -> list[tuple[object, ...]]:
        lookups.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (HERE, port))]

    monkeypatch.setattr(Dialer, "_addresses", once)
    fetcher = PublicFetcher(allows=only(HERE))
    assert await fetched(fetcher, f"http://art.example:{server.port}/1") == b'{"name": "x"}'
    assert lookups == ["art.example"]
    assert f"Host: art.example:{server.port}" in server.requests[0]


async def test_a_redirect_is_not_followed(server: Server):
    other = f"http://{HERE}:{server.port}/other"
    server.reply = f"HTTP/1.1 302 Found\r\nlocation: {other}\r\ncontent-length: 0\r\n\r\n".encode()
    with pytest.raises(UpstreamError) as raised:
        await fetched(PublicFetcher(allows=only(HERE)), f"http://{HERE}:{server.port}/")
    assert raised.value.code == "redirected"
    assert server.connections == 1


async def test_a_document_that_is_too_long_or_too_slow_is_given_up(server: Server):
    fetcher = PublicFetcher(allows=only(HERE))
    with pytest.raises(UpstreamError) as raised:
        await fetched(fetcher, f"http://{HERE}:{server.port}/", max_bytes=5)
    assert raised.value.code == "response_too_large"
    server.reply = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{"
    with pytest.raises(UpstreamError):
        await fetcher.get(f"http://{HERE}:{server.port}/", timeout_seconds=0.3, max_bytes=5_000)


async def test_a_url_can_be_checked_without_being_followed(server: Server):
    with pytest.raises(RefusedAddressError):
        await PublicFetcher().check(f"http://{HERE}:{server.port}/", timeout_seconds=1)
    await PublicFetcher(allows=only(HERE)).check(f"http://{HERE}:{server.port}/", timeout_seconds=1)
    assert server.connections == 0


async def test_metadata_of_strangers_is_not_fetched_from_here_and_the_operators_gateway_is(server: Server):
    documents = MetadataDocuments(f"http://{HERE}:{server.port}")
    deadline = asyncio.get_running_loop().time() + 5
    assert await documents.fetch(f"http://{HERE}:{server.port}/1.json", deadline) is None
    assert await documents.fetch("http://169.254.169.254/latest/meta-data", deadline) is None
    assert server.connections == 0
    assert await documents.fetch("ipfs://bafy/a b.json", deadline) == {"name": "x"}
    assert server.requests[0].startswith("GET /ipfs/bafy/a%20b.json HTTP/1.1")
    assert await documents.fetch("ipfs://bafy/../../admin", deadline) is None


@pytest.mark.parametrize(
    "body",
    [b"[1]", b"nonsense", b'{"a": NaN}', b"[" * 5_000, b'{"a": "\\ud800"}', b'{"a":' * 40 + b"1" + b"}" * 40],
)
async def test_what_is_no_object_is_no_metadata(server: Server, body: bytes):
    server.reply = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
    documents = MetadataDocuments("https://unused.example", strangers=PublicFetcher(allows=only(HERE)))
    deadline = asyncio.get_running_loop().time() + 5
    assert await documents.fetch(f"http://{HERE}:{server.port}/", deadline) is None
