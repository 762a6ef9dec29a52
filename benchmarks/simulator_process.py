"""The simulator's process: one listening socket per endpoint, commands as lines on stdin."""

import asyncio
import contextlib
import json
import sys
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

import uvloop

from benchmarks.simulator import Conditions, Traffic
from benchmarks.simulator_rules import Answer, Bucket, Rules

HOST = "127.0.0.1"
_READ_LIMIT = 1 << 20
_END = b"\r\n\r\n"
_REASONS = {200: b"OK", 413: b"Payload Too Large", 429: b"Too Many Requests", 502: b"Bad Gateway"}


class Endpoint:
    """What the connections of one endpoint share."""

    def __init__(self, node_url: str, conditions: Conditions) -> None:
        parts = urlsplit(node_url)
        self.loop = asyncio.get_running_loop()
        self.node = (parts.hostname or HOST, parts.port or 80)
        self.conditions = conditions
        self.rules = Rules(conditions)
        self.connections: set[ClientSide] = set()
        self.idle: deque[NodeSide] = deque()
        self.server: asyncio.Server
        self.reset()

    def reset(self) -> None:
        """Count anew, with a full bucket and an idle link."""
        self.counts = dict.fromkeys(asdict(Traffic()), 0)
        self.bodies: list[str] = []
        self.bucket = Bucket(self.conditions.requests_per_second)
        self.up_free = self.down_free = 0.0

    async def listen(self) -> str:
        """Open the socket; its URL."""
        self.server = await self.loop.create_server(lambda: ClientSide(self), HOST, 0)
        return f"http://{HOST}:{self.server.sockets[0].getsockname()[1]}"

    def close(self) -> None:
        """Stop listening and close what is open."""
        self.server.close()
        for side in [*self.connections, *self.idle]:
            side.end()

    def arrives_at(self, sent: float, size: int) -> float:
        """When the last byte of a request is there: the link is one for all connections."""
        if self.conditions.bits_per_second:
            sent = self.up_free = max(sent, self.up_free) + 8 * size / self.conditions.bits_per_second
        return sent

    def returns_at(self, size: int) -> float:
        """When the last byte of an answer is with the client.

        The whole round trip is waited here, in one piece: a timer is exact to a millisecond.
        """
        sent = self.loop.time()
        if self.conditions.bits_per_second:
            sent = self.down_free = max(sent, self.down_free) + 8 * size / self.conditions.bits_per_second
        return sent + self.conditions.round_trip_seconds


class HttpSide(asyncio.Protocol, ABC):
    """One end of a connection: collects whole messages that have a Content-Length."""

    transport: asyncio.Transport

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.loop = endpoint.loop
        self._received = bytearray()
        self._body_at = 0
        self._whole = 0

    def connection_made(self, transport: Any) -> None:
        """Keep the transport."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Take every whole message out of what is there."""
        self._received += data
        while self._take():
            pass

    def _take(self) -> bool:
        if not self._whole:
            at = self._received.find(_END)
            if at < 0:
                return False
            self._body_at = at + len(_END)
            self._whole = self._body_at + _content_length(bytes(self._received[:at]))
        if len(self._received) < self._whole:
            return False
        head, body = (
            bytes(self._received[: self._body_at]),
            bytes(self._received[self._body_at : self._whole]),
        )
        del self._received[: self._whole]
        self._whole = 0
        self.message(head, body)
        return True

    @abstractmethod
    def message(self, head: bytes, body: bytes) -> None:
        """A whole message is there."""

    def end(self) -> None:
        """Close the connection."""
        self.transport.close()


class ClientSide(HttpSide):
    """A client's connection: one request at a time, delayed, checked, passed on."""

    def connection_made(self, transport: Any) -> None:
        """Count it; its first request waits for the handshakes."""
        super().connection_made(transport)
        endpoint = self.endpoint
        endpoint.connections.add(self)
        endpoint.counts["connections"] += 1
        trips = endpoint.conditions.handshake_round_trips
        self.ready = self.loop.time() + trips * endpoint.conditions.round_trip_seconds

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """The client went away, which is its right."""
        self.endpoint.connections.discard(self)

    def message(self, head: bytes, body: bytes) -> None:
        """Count a request and let it arrive."""
        counts, size = self.endpoint.counts, len(head) + len(body)
        counts["requests"] += 1
        counts["calls"] += body.count(b'"method"')
        counts["bytes_up"] += size
        counts["body_up"] += len(body)
        if self.endpoint.conditions.record:
            self.endpoint.bodies.append(body.decode())
        sent = max(self.loop.time(), self.ready)
        self._at(self.endpoint.arrives_at(sent, size), self._arrived, body)

    def _at(self, when: float, what: Any, *arguments: Any) -> None:
        if when <= self.loop.time():
            what(*arguments)
        else:
            self.loop.call_at(when, what, *arguments)

    def _arrived(self, body: bytes) -> None:
        wait = self.endpoint.bucket.take(self.loop.time())
        if wait:
            self.endpoint.counts["too_many"] += 1
            self.answer(self.endpoint.rules.too_many(wait))
            return
        passed = self.endpoint.rules.passed(body)
        self.endpoint.counts["refused"] += passed.refused
        if isinstance(passed, Answer):
            self.answer(passed)
        elif self.endpoint.idle:
            self.endpoint.idle.pop().ask(passed.body, self, passed.merge)
        else:
            task = self.loop.create_task(self._connect_and_ask(passed.body, passed.merge))
            _TASKS.add(task)
            task.add_done_callback(_TASKS.discard)

    async def _connect_and_ask(self, body: bytes, merge: Any) -> None:
        try:
            _, side = await self.loop.create_connection(lambda: NodeSide(self.endpoint), *self.endpoint.node)
        except OSError:
            self.answer(Answer(b"the node is gone", 502))
        else:
            side.ask(body, self, merge)

    def answer(self, answer: Answer) -> None:
        """Send an answer, when the link and the round trip let it."""
        counts, body = self.endpoint.counts, answer.body
        head = b"HTTP/1.1 %d %s\r\ncontent-type: %s\r\ncontent-length: %d\r\n%s\r\n" % (
            answer.status,
            _REASONS[answer.status],
            answer.kind,
            len(body),
            answer.headers,
        )
        counts["bytes_down"] += len(head) + len(body)
        counts["body_down"] += len(body)
        self._at(self.endpoint.returns_at(len(head) + len(body)), self._write, head + body)

    def _write(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)


class NodeSide(HttpSide):
    """A connection to the node, kept for the next request."""

    client: ClientSide | None = None
    merge: Any = None

    def ask(self, body: bytes, client: ClientSide, merge: Any) -> None:
        """Pass a request on; the answer goes to the client."""
        self.client, self.merge = client, merge
        host, port = self.endpoint.node
        head = (
            f"POST / HTTP/1.1\r\nHost: {host}:{port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self.transport.write(head.encode() + body)

    def message(self, head: bytes, body: bytes) -> None:
        """Give the node's answer to the client."""
        client, merge, self.client = self.client, self.merge, None
        self.endpoint.idle.append(self)
        if client is not None:
            client.answer(Answer(merge(body) if merge else body, _status(head)))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """The node closed it; whoever waits is told."""
        with contextlib.suppress(ValueError):
            self.endpoint.idle.remove(self)
        if self.client is not None:
            self.client.answer(Answer(b"the node closed the connection", 502))


_TASKS: set["asyncio.Task[None]"] = set()


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def _status(head: bytes) -> int:
    status = int(head.split(None, 2)[1])
    return status if status in _REASONS else 502


async def serve() -> None:
    """Answer commands until stdin ends."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=_READ_LIMIT)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    endpoints: dict[str, Endpoint] = {}
    while line := await lines.readline():
        sys.stdout.write(json.dumps(await _obey(json.loads(line), endpoints)) + "\n")
        sys.stdout.flush()
    for endpoint in endpoints.values():
        endpoint.close()


async def _obey(command: dict[str, Any], endpoints: dict[str, Endpoint]) -> Any:
    if command["do"] == "open":
        endpoint = Endpoint(command["node"], Conditions(**command["conditions"]))
        url = await endpoint.listen()
        endpoints[url] = endpoint
        return url
    endpoint = endpoints[command["url"]]
    match command["do"]:
        case "traffic":
            return endpoint.counts
        case "bodies":
            return endpoint.bodies
        case "reset":
            endpoint.reset()
        case "close":
            endpoints.pop(command["url"]).close()
    return None


if __name__ == "__main__":
    uvloop.run(serve())
