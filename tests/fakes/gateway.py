"""A counting gateway: a small HTTP reverse proxy in front of an endpoint.

``async with CountingGateway(node.url) as gateway`` serves ``gateway.url``; everything is passed
on unchanged, and requests, bytes and JSON-RPC calls are counted on the way.
"""

import asyncio
import json
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

_HOST = "127.0.0.1"


@dataclass(slots=True)
class Passed:
    """One request as it passed: its JSON-RPC methods, and the sizes of both bodies in bytes."""

    methods: tuple[str, ...]
    request_bytes: int
    response_bytes: int
    status: int
    batch: bool


@dataclass(slots=True)
class Counts:
    """What passed so far."""

    passed: list[Passed] = field(default_factory=list)

    @property
    def requests(self) -> int:
        """HTTP requests."""
        return len(self.passed)

    @property
    def calls(self) -> int:
        """JSON-RPC calls, those inside of batches too."""
        return sum(len(item.methods) for item in self.passed)

    @property
    def methods(self) -> list[str]:
        """Methods in the order in which they passed."""
        return [method for item in self.passed for method in item.methods]

    @property
    def request_bytes(self) -> int:
        """Bytes of all request bodies."""
        return sum(item.request_bytes for item in self.passed)

    @property
    def response_bytes(self) -> int:
        """Bytes of all response bodies."""
        return sum(item.response_bytes for item in self.passed)


class CountingGateway:
    """The proxy; ``delay_seconds`` is waited before each answer, ``down`` refuses connections."""

    def __init__(self, upstream: str, *, delay_seconds: float = 0.0) -> None:
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname or _HOST, parts.port or 80, parts.path or "/")
        self.delay_seconds = delay_seconds
        self.counts = Counts()
        self.down = False
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        """Where it listens, once it serves."""
        assert self._server is not None, "the gateway is not open"
        return f"http://{_HOST}:{self._server.sockets[0].getsockname()[1]}"

    def reset(self) -> None:
        """Begin to count anew."""
        self.counts = Counts()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, _HOST, 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while not self.down and await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the client went away, which is its right
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        _, headers = await _head(reader)
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        status, kind, answer = await self._ask(body, headers)
        self._count(body, answer, status)
        await asyncio.sleep(self.delay_seconds)
        head = f"HTTP/1.1 {status} Passed\r\nContent-Type: {kind}\r\nContent-Length: {len(answer)}\r\n\r\n"
        writer.write(head.encode() + answer)
        await writer.drain()
        return headers.get("connection", "").lower() != "close"

    async def _ask(self, body: bytes, headers: dict[str, str]) -> tuple[int, str, bytes]:
        host, port, path = self._upstream
        reader, writer = await asyncio.open_connection(host, port)
        try:
            head = (
                f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n"
                f"Content-Type: {headers.get('content-type', 'application/json')}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            )
            writer.write(head.encode() + body)
            await writer.drain()
            first, answered = await _head(reader)
            answer = await _body(reader, answered)
        finally:
            writer.close()
        return int(first.split()[1]), answered.get("content-type", "application/json"), answer

    def _count(self, body: bytes, answer: bytes, status: int) -> None:
        asked: Any = json.loads(body) if body else []
        calls = asked if isinstance(asked, list) else [asked]
        methods = tuple(str(call.get("method")) for call in calls)
        self.counts.passed.append(Passed(methods, len(body), len(answer), status, isinstance(asked, list)))


async def _head(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]]:
    """The first line and the headers, names in small letters."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines[1:] if line)
    return lines[0], {name.strip().lower(): value.strip() for name, _, value in pairs}


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if "content-length" in headers:
        return await reader.readexactly(int(headers["content-length"]))
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return await reader.read()
    parts: list[bytes] = []
    while size := int(await reader.readline(), 16):
        parts.append(await reader.readexactly(size))
        await reader.readline()
    return b"".join(parts)
