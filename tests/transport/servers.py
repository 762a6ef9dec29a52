"""Small servers on a free port: what they answer is written out by the test, byte for byte if need be."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from tests.fakes.http_wire import Request, read_request, render

HOST = "127.0.0.1"

type Act = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """Hands every request to ``act``, which writes the answer; all requests are kept."""

    def __init__(self, act: Act) -> None:
        self._act = act
        self.requests: list[Request] = []
        self.port = 0
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/secret-path-key"

    @property
    def name(self) -> str:
        return f"{HOST}:{self.port}"

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with suppress(ConnectionError, asyncio.CancelledError):
                while (request := await read_request(reader)) is not None:
                    self.requests.append(request)
                    await self._act(request, writer)
                    await writer.drain()
        finally:
            self._connections.discard(task)
            writer.close()

    async def close(self) -> None:
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)


@asynccontextmanager
async def serving(act: Act) -> AsyncIterator[Server]:
    """A server for the length of a block."""
    server = Server(act)
    listener = await asyncio.start_server(server.connected, HOST, 0)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        await server.close()
        await listener.wait_closed()


def sends(raw: bytes) -> Act:
    """Writes the same bytes whatever it is asked."""

    async def act(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)

    return act


def answers(body: bytes, status: int = 200, **headers: str) -> Act:
    """A well-formed response; ``Retry_After="1"`` is the header ``Retry-After``."""
    return sends(render(status, body, {name.replace("_", "-"): value for name, value in headers.items()}))


async def silent(request: Request, writer: asyncio.StreamWriter) -> None:
    """Never answers."""
    await asyncio.Event().wait()


def rpc(result: Callable[[str, list[Any]], Any], *, delay_seconds: float = 0.0) -> Act:
    """A good JSON-RPC server; a result that is a :class:`Fault` is sent as an error."""

    async def act(request: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(delay_seconds)
        asked = json.loads(request.body)
        replies = [_reply(call, result) for call in (asked if isinstance(asked, list) else [asked])]
        writer.write(render(200, json.dumps(replies if isinstance(asked, list) else replies[0]).encode()))

    return act


class Fault(dict[str, Any]):
    """An error object in place of a result."""


def _reply(call: dict[str, Any], result: Callable[[str, list[Any]], Any]) -> dict[str, Any]:
    value = result(call["method"], call["params"])
    key = "error" if isinstance(value, Fault) else "result"
    return {"jsonrpc": "2.0", "id": call["id"], key: value}


def echo(method: str, params: list[Any]) -> Any:
    """The method's name as its result."""
    return method


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something has happened; it fails after two seconds."""
    for _ in range(200):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen")
