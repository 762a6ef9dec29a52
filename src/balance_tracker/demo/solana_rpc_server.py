"""HTTP/1.1 for a JSON-RPC handler: POST only, bodies with a length, connections kept."""

import asyncio
from dataclasses import dataclass
from typing import Protocol

MOST_BODY_BYTES = 1_000_000
MOST_HEADER_LINES = 100

_REASONS = {200: "OK", 400: "Bad Request", 405: "Method Not Allowed", 411: "Length Required"}
_REASONS |= {413: "Payload Too Large", 429: "Too Many Requests"}


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """Status, body and headers beyond the usual ones."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class Handler(Protocol):
    """Answers one request's body."""

    def answer(self, body: bytes) -> HttpAnswer:
        """The answer to a POST."""


class RpcServer:
    """Serves a handler on one port of this machine."""

    def __init__(self, handler: Handler, host: str, port: int) -> None:
        self._handler = handler
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.requests = 0

    @property
    def url(self) -> str:
        """Where it serves, once started."""
        return f"http://{self._host}:{self._port}"

    async def start(self) -> None:
        """Listen; port 0 takes a free one."""
        self._server = await asyncio.start_server(self._serve, self._host, self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and end every connection."""
        if self._server is None:
            return
        self._server.close()
        for writer in list(self._writers):
            writer.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while await self._one(reader, writer):
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether the connection stays open."""
        request = (await reader.readline()).decode("latin-1").split()
        if len(request) < 2:
            return False
        headers = await _headers(reader)
        self.requests += 1
        refused = _refusal(request[0], headers)
        if refused is not None:
            _write(writer, refused, keep=False)
            return False
        body = await reader.readexactly(int(headers["content-length"]))
        keep = headers.get("connection", "").lower() != "close"
        _write(writer, self._handler.answer(body), keep)
        return keep


async def _headers(reader: asyncio.StreamReader) -> dict[str, str]:
    headers: dict[str, str] = {}
    for _ in range(MOST_HEADER_LINES):
        line = (await reader.readline()).decode("latin-1").strip()
        if not line:
            break
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return headers


def _refusal(method: str, headers: dict[str, str]) -> HttpAnswer | None:
    if method != "POST":
        return HttpAnswer(405, b"Used HTTP Method is not allowed. POST or OPTIONS is required\n")
    length = headers.get("content-length", "")
    if not length.isdigit():
        return HttpAnswer(411, b"A length is needed\n")
    if int(length) > MOST_BODY_BYTES:
        return HttpAnswer(413, b"The body is too large\n")
    return None


def _write(writer: asyncio.StreamWriter, answer: HttpAnswer, keep: bool) -> None:
    kind = "application/json" if answer.status == 200 else "text/plain"
    lines = [
        f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, 'Error')}",
        f"content-type: {kind}",
        f"content-length: {len(answer.body)}",
        f"connection: {'keep-alive' if keep else 'close'}",
        *(f"{name}: {value}" for name, value in answer.headers),
    ]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + answer.body)
