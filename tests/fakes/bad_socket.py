"""A WebSocket endpoint that misbehaves in one named way, in front of a node that does not."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web
from tests.fakes.bad_endpoint import HOST, PASSWORD, PATH_KEY, QUERY_KEY, USER

type Misbehave = Callable[["BadSocket", web.WebSocketResponse, str], Awaitable[None]]

BIG_MESSAGE_BYTES = 40 * 2**20


@dataclass
class BadSocket:
    """A server with one fault, for an ``async with``; ``None`` is none: every text is answered well."""

    node_url: str
    fault: str | None = None
    connections: int = 0
    questions: int = 0
    port: int = 0
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its URL, with a secret in every place where operators put one."""
        return f"ws://{USER}:{PASSWORD}@{HOST}:{self.port}/ws/{PATH_KEY}?apikey={QUERY_KEY}"

    async def __aenter__(self) -> Self:
        self._client = aiohttp.ClientSession()
        app = web.Application()
        app.router.add_get("/ws/{key}", self._on_connection)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()
        await self._client.close()

    async def good(self, text: str) -> str:
        """What the real node answers."""
        headers = {"Content-Type": "application/json"}
        async with self._client.post(self.node_url, data=text, headers=headers) as answer:
            return await answer.text()

    async def _on_connection(self, request: web.Request) -> web.StreamResponse:
        self.connections += 1
        if self.fault == "refuses_the_upgrade":
            return web.Response(status=403, text="no WebSocket on this plan")
        socket = web.WebSocketResponse(max_msg_size=2**24)
        await socket.prepare(request)
        async for message in socket:
            self.questions += 1
            await SOCKET_FAULTS[self.fault or "none"](self, socket, str(message.data))
        return socket


async def _answers(server: BadSocket, socket: web.WebSocketResponse, text: str) -> None:
    await socket.send_str(await server.good(text))


async def _is_silent(server: BadSocket, socket: web.WebSocketResponse, text: str) -> None:
    del server, socket, text


async def _hangs_up(server: BadSocket, socket: web.WebSocketResponse, text: str) -> None:
    del server, text
    await socket.close()


async def _drops(server: BadSocket, socket: web.WebSocketResponse, text: str) -> None:
    """No closing handshake: the connection is just gone."""
    del server, text
    transport = socket._req.transport if socket._req else None
    assert transport is not None
    transport.abort()


async def _talks_nonsense(server: BadSocket, socket: web.WebSocketResponse, text: str) -> None:
    del server, text
    await socket.send_str("<html>service unavailable</html>")


async def _sends_bytes(server: BadSocket, socket: web.WebSocketResponse, text: str) -> None:
    del server, text
    await socket.send_bytes(b"\xff\xfe\x00")


async def _sends_too_much(server: BadSocket, socket: web.WebSocketResponse, text: str) -> None:
    del server, text
    await socket.send_str(" " * BIG_MESSAGE_BYTES)


async def _limits(server: BadSocket, socket: web.WebSocketResponse, text: str) -> None:
    del server, text
    error = {"code": 429, "message": "too many requests"}
    await socket.send_str(json.dumps({"jsonrpc": "2.0", "id": None, "error": error}))


async def _answers_somebody_else(server: BadSocket, socket: web.WebSocketResponse, text: str) -> None:
    answer = json.loads(await server.good(text))
    await socket.send_str(json.dumps([{**item, "id": item["id"] + 7} for item in answer]))


async def _talks_of_other_things_first(server: BadSocket, socket: web.WebSocketResponse, text: str) -> None:
    """A notification comes in between, as it may on a socket."""
    news = {"jsonrpc": "2.0", "method": "eth_subscription", "params": {"subscription": "0x1", "result": {}}}
    await socket.send_str(json.dumps(news))
    await _answers(server, socket, text)


SOCKET_FAULTS: dict[str, Misbehave] = {
    "none": _answers,
    "other_things_first": _talks_of_other_things_first,
    "refuses_the_upgrade": _answers,
    "silent": _is_silent,
    "hangs_up": _hangs_up,
    "drops": _drops,
    "nonsense": _talks_nonsense,
    "bytes": _sends_bytes,
    "too_much": _sends_too_much,
    "rate_limited": _limits,
    "answers_somebody_else": _answers_somebody_else,
}
HARMLESS = ("none", "other_things_first")
