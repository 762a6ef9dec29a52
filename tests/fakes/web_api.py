"""A web API on a free port: what it answers is said by the test, what it was asked is kept."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.fakes.http_wire import render

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: its path unquoted, its query, its headers by name in lower case."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    target: str


@dataclass(frozen=True, slots=True)
class Said:
    """One answer; a body that is no bytes is sent as JSON."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] | None = None
    after_seconds: float = 0.0

    def rendered(self) -> bytes:
        body = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        return render(self.status, body, self.headers)


type Answer = Callable[[Asked], Said]


class WebApi:
    """A server that hands every request to ``answer``."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(ConnectionError, asyncio.CancelledError, asyncio.IncompleteReadError):
                while True:
                    asked = _asked((await reader.readuntil(b"\r\n\r\n")).decode("latin-1"))
                    self.asked.append(asked)
                    said = self.answer(asked)
                    await asyncio.sleep(said.after_seconds)
                    writer.write(said.rendered())
                    await writer.drain()
        finally:
            self._tasks.discard(task)
            writer.close()

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def web_api(answer: Answer) -> AsyncIterator[WebApi]:
    """Such a server for the length of a block."""
    api = WebApi(answer)
    listener = await asyncio.start_server(api.connected, HOST, 0, limit=2**20)
    api.port = listener.sockets[0].getsockname()[1]
    try:
        yield api
    finally:
        listener.close()
        await api.close()
        await listener.wait_closed()


def _asked(head: str) -> Asked:
    first, *lines = head.rstrip("\r\n").split("\r\n")
    target = first.split(" ")[1]
    parts = urlsplit(target)
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    return Asked(unquote(parts.path), dict(parse_qsl(parts.query)), headers, target)
