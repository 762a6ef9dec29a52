"""An endpoint that misbehaves in one named way, in front of a node that does not.

What a fault does not spoil is answered by the real node behind, so that a reader meets the fault
where it would in the world. Requests, bytes and connections are counted.
"""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import aiohttp
from tests.fakes.http_wire import Request, read_request, render

HOST = "127.0.0.1"
USER = "operator-7c41f0"
PASSWORD = "hunter2-password"
PATH_KEY = "3f9ac21e77d04b8ab8c1"
QUERY_KEY = "querysecret-5b1d"
SECRETS = (PASSWORD, PATH_KEY, QUERY_KEY, USER)
"""What no log, metric, answer or exception may show."""

type Act = Callable[["Exchange"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to fail.

    ``alone`` are the statuses that a network may have when this is its only endpoint, and
    ``most_requests`` what a read may then cost. ``listens`` is false where nobody is there at all.
    """

    name: str
    act: Act
    alone: frozenset[str]
    most_requests: int = 2
    listens: bool = True


@dataclass
class Exchange:
    """One request and the means to answer it, well or badly."""

    request: Request
    writer: asyncio.StreamWriter
    number: int
    endpoint: "BadEndpoint"

    @property
    def document(self) -> Any:
        """The request's JSON."""
        return json.loads(self.request.body)

    @property
    def calls(self) -> list[dict[str, Any]]:
        """Its calls, one or many."""
        document = self.document
        return document if isinstance(document, list) else [document]

    @property
    def is_batch(self) -> bool:
        """Whether it is a JSON-RPC batch."""
        return isinstance(self.document, list)

    async def good(self, document: Any = None, *, other: bool = False) -> bytes:
        """What the real node behind answers to this request, or to ``document`` in its place."""
        body = self.request.body if document is None else json.dumps(document).encode()
        return await self.endpoint.ask_behind(body, other=other)

    async def send(self, raw: bytes) -> None:
        """Write bytes, whatever they are."""
        self.writer.write(raw)
        await self.writer.drain()

    async def reply(self, body: bytes, status: int = 200, **headers: str) -> None:
        """Answer with a well-formed response; ``Retry_After="1"`` is the header ``Retry-After``."""
        await self.send(
            render(status, body, {name.replace("_", "-"): value for name, value in headers.items()})
        )

    async def reply_json(self, document: Any, status: int = 200) -> None:
        """Answer with a document."""
        await self.reply(json.dumps(document).encode(), status)

    async def reply_error(self, error: Any, status: int = 200) -> None:
        """Answer every call with the same JSON-RPC error."""
        items = [{"jsonrpc": "2.0", "id": call.get("id"), "error": error} for call in self.calls]
        await self.reply_json(items if self.is_batch else items[0], status)

    async def reply_edited(
        self, edit: Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]], document: Any = None
    ) -> None:
        """Answer as the node does, with each reply changed by ``edit(call, reply)``."""
        answer = json.loads(await self.good(document))
        by_id = {call["id"]: call for call in self.calls}
        if isinstance(answer, list):
            await self.reply_json([edit(by_id[reply["id"]], reply) for reply in answer])
        else:
            await self.reply_json(edit(self.calls[0], answer))

    def hang_up(self) -> None:
        """Close the connection after what was written."""
        self.writer.close()

    def reset(self) -> None:
        """Drop the connection with a TCP reset."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self.writer.transport.abort()


@dataclass
class Counts:
    """What came in."""

    connections: int = 0
    requests: int = 0
    bytes_received: int = 0
    calls: int = 0


@dataclass
class BadEndpoint:
    """A server with one fault, for an ``async with``.

    Attributes:
        fault: What it does wrong.
        node_url: The real node behind it.
        other_node_url: A node of another chain, for the fault that is a wrong chain.
        counts: What it has been asked.
        canary: The server that a redirect points to; it must never be asked.
    """

    fault: Fault
    node_url: str
    other_node_url: str | None = None
    counts: Counts = field(default_factory=Counts)
    canary: Counts = field(default_factory=Counts)
    port: int = 0

    def __post_init__(self) -> None:
        self._servers: list[asyncio.Server] = []
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._reserved: socket.socket | None = None
        self.canary_url = ""

    @property
    def url(self) -> str:
        """Its URL, with a user, a password and a key in every place where operators put them."""
        return f"http://{USER}:{PASSWORD}@{HOST}:{self.port}/v3/{PATH_KEY}?apikey={QUERY_KEY}"

    async def __aenter__(self) -> Self:
        self._client = aiohttp.ClientSession()
        canary = await asyncio.start_server(self._on_canary, HOST, 0)
        self._servers.append(canary)
        self.canary_url = f"http://{HOST}:{canary.sockets[0].getsockname()[1]}/stolen"
        if self.fault.listens:
            server = await asyncio.start_server(self._on_connection, HOST, 0, limit=2**24)
            self._servers.append(server)
            self.port = server.sockets[0].getsockname()[1]
        else:
            # Bound and not listening: refused, and nobody else can take the port meanwhile.
            self._reserved = socket.socket()
            self._reserved.bind((HOST, 0))
            self.port = self._reserved.getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in self._servers:
            server.close()
        for task, writer in list(self._connections.items()):
            task.cancel()
            writer.transport.abort()
        await asyncio.gather(*self._connections, return_exceptions=True)
        for server in self._servers:
            await server.wait_closed()
        if self._reserved is not None:
            self._reserved.close()
        await self._client.close()

    async def ask_behind(self, body: bytes, *, other: bool = False) -> bytes:
        """Pass a body on to the real node (or the one of another chain)."""
        url = self.other_node_url if other else self.node_url
        assert url is not None, "this fault needs a second node"
        headers = {"Content-Type": "application/json"}
        async with self._client.post(url, data=body, headers=headers) as answer:
            return await answer.read()

    async def _on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = writer
        self.counts.connections += 1
        try:
            # A client that gave up is what many faults provoke.
            with suppress(ConnectionError, asyncio.CancelledError):
                await self._serve(reader, writer)
        finally:
            self._connections.pop(task, None)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (request := await read_request(reader)) is not None:
            self.counts.requests += 1
            self.counts.bytes_received += request.size
            exchange = Exchange(request, writer, self.counts.requests, self)
            self.counts.calls += len(exchange.calls)
            await self.fault.act(exchange)
            if writer.is_closing():
                return

    async def _on_canary(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.canary.connections += 1
        request = await read_request(reader)
        if request is not None:
            self.canary.requests += 1
            writer.write(render(200, b'{"jsonrpc":"2.0","id":0,"result":"0x1"}'))
        writer.close()
