"""A small WebSocket server: a test says what becomes of each text."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

type Answer = Callable[["SocketServer", web.WebSocketResponse, Any], Awaitable[None]]


class SocketServer:
    """Counts connections and keeps what came in."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.connections = 0
        self.documents: list[Any] = []
        self.sockets: list[web.WebSocketResponse] = []
        self.url = ""

    async def connected(self, request: web.Request) -> web.StreamResponse:
        self.connections += 1
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        async for message in socket:
            self.documents.append(json.loads(message.data))
            await self._answer(self, socket, self.documents[-1])
        return socket


@asynccontextmanager
async def socket_serving(answer: Answer) -> AsyncIterator[SocketServer]:
    server = SocketServer(answer)
    app = web.Application()
    app.router.add_get("/", server.connected)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"ws://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        yield server
    finally:
        await runner.cleanup()


def reply_to(document: Any) -> Any:
    """Every call answered by its method's name."""
    items = document if isinstance(document, list) else [document]
    replies = [{"jsonrpc": "2.0", "id": item["id"], "result": item["method"]} for item in items]
    return replies if isinstance(document, list) else replies[0]


async def good(server: SocketServer, socket: web.WebSocketResponse, document: Any) -> None:
    await socket.send_str(json.dumps(reply_to(document)))


async def mute(server: SocketServer, socket: web.WebSocketResponse, document: Any) -> None:
    """Takes a question and says nothing."""
