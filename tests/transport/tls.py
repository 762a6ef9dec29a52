"""Servers behind TLS with a certificate authority of their own: HTTP/1.1, and HTTP/2 by the h2 library."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import cast

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
import trustme
from tests.transport.servers import HOST, Act, Server

from balance_tracker.transport.dialing import TlsContext, tls_context


@cache
def authority() -> trustme.CA:
    return trustme.CA()


def trusting() -> TlsContext:
    """A client's context that trusts the authority of these servers."""
    context = tls_context()
    authority().configure_trust(context)
    return context


def server_context(name: str = HOST, protocols: tuple[str, ...] = ()) -> ssl.SSLContext:
    """A server's context with a certificate for ``name``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert(name).configure_cert(context)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


class TlsServer(Server):
    """As :class:`Server`, and knows the TLS of its connections."""

    def __init__(self, act: Act) -> None:
        super().__init__(act)
        self.resumed: list[bool] = []

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}/secret-path-key"

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.resumed.append(bool(writer.get_extra_info("ssl_object").session_reused))
        await super().connected(reader, writer)


@asynccontextmanager
async def serving_tls(act: Act, context: ssl.SSLContext) -> AsyncIterator[TlsServer]:
    """HTTP/1.1 behind TLS."""
    server = TlsServer(act)
    listener = await asyncio.start_server(server.connected, HOST, 0, ssl=context)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        await server.close()
        await listener.wait_closed()


@dataclass
class Call:
    """One request of one stream."""

    connection: "H2Connection"
    stream_id: int
    headers: dict[str, str]
    body: bytearray = field(default_factory=bytearray)

    def answer(self, body: bytes, status: int = 200, **headers: str) -> None:
        """Answer it whole, as far as the client's window goes at once, the rest as it opens."""
        more = [(name.replace("_", "-"), value) for name, value in headers.items()]
        self.connection.h2.send_headers(self.stream_id, [(":status", str(status)), *more])
        self.connection.unsent[self.stream_id] = memoryview(body)
        self.connection.pump()

    def reset(self, code: h2.errors.ErrorCodes) -> None:
        self.connection.h2.reset_stream(self.stream_id, code)
        self.connection.flush()


type Answer = Callable[[Call], None]


class H2Connection(asyncio.Protocol):
    """The server's side of one connection; every whole request goes to ``answer``."""

    def __init__(self, server: "H2Server") -> None:
        self.server = server
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self.calls: dict[int, Call] = {}
        self.unsent: dict[int, memoryview] = {}
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.server.connections.append(self)
        self.h2.local_settings = h2.settings.Settings(client=False, initial_values=self.server.settings)
        self.h2.initiate_connection()
        self.flush()

    def data_received(self, data: bytes) -> None:
        for event in self.h2.receive_data(data):
            match event:
                case h2.events.RequestReceived():
                    headers = {name.decode(): value.decode() for name, value in event.headers}
                    self.calls[event.stream_id] = Call(self, event.stream_id, headers)
                case h2.events.DataReceived():
                    self.calls[event.stream_id].body += event.data
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                case h2.events.StreamEnded():
                    call = self.calls[event.stream_id]
                    self.server.calls.append(call)
                    self.server.most_at_once = max(self.server.most_at_once, len(self.h2.streams))
                    self.server.answer(call)
                case h2.events.StreamReset():
                    self.server.resets.append(event.stream_id)
                    self.unsent.pop(event.stream_id, None)
                case h2.events.WindowUpdated():
                    self.pump()
        self.flush()

    def pump(self) -> None:
        for stream_id in list(self.unsent):
            rest = self.unsent.pop(stream_id)
            while rest:
                most = min(self.h2.local_flow_control_window(stream_id), self.h2.max_outbound_frame_size)
                if most <= 0:
                    self.unsent[stream_id] = rest
                    break
                self.h2.send_data(stream_id, bytes(rest[:most]))
                rest = rest[most:]
            else:
                self.h2.end_stream(stream_id)
        self.flush()

    def flush(self) -> None:
        self.transport.write(self.h2.data_to_send())

    def say_goodbye(self, last_stream_id: int) -> None:
        """A graceful GOAWAY, written by hand: the library would end the connection with it."""
        payload = last_stream_id.to_bytes(4) + (0).to_bytes(4)
        self.transport.write(len(payload).to_bytes(3) + b"\x07\x00" + (0).to_bytes(4) + payload)


class H2Server:
    """Hands every request to ``answer``; all requests and connections are kept."""

    def __init__(self, answer: Answer, settings: dict[h2.settings.SettingCodes, int]) -> None:
        self.answer = answer
        self.settings = settings
        self.port = 0
        self.connections: list[H2Connection] = []
        self.calls: list[Call] = []
        self.resets: list[int] = []
        self.most_at_once = 0

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}/secret-path-key?a=1"


@asynccontextmanager
async def serving_h2(answer: Answer, *, most_streams: int = 100) -> AsyncIterator[H2Server]:
    """HTTP/2 behind TLS."""
    server = H2Server(answer, {h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: most_streams})
    context = server_context(protocols=("h2", "http/1.1"))
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(lambda: H2Connection(server), HOST, 0, ssl=context)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for connection in server.connections:
            connection.transport.abort()
        await listener.wait_closed()
