"""The connections to one host: kept, limited in number, shared where HTTP/2 is spoken."""

import asyncio
import ssl
from typing import cast

from balance_tracker.transport.dialing import Dialer
from balance_tracker.transport.http1 import Http1Connection
from balance_tracker.transport.http2 import Http2Connection
from balance_tracker.transport.reply import HttpReply, HungUpError
from balance_tracker.transport.target import Origin, Request

KEPT_SECONDS = 75
CONNECTIONS_PER_HOST = 16

type Connection = Http1Connection | Http2Connection


class Host:
    """Sends requests to one host.

    Over HTTP/1.1 every request under way has a connection and a place of its own.
    Connections are opened only when none is kept, so there are never more of them
    than places. Over HTTP/2 all share one connection, and the server says how many
    requests it takes at once.

    Args:
        origin: The host.
        dialer: Opens connections.
        places: Limits the requests under way over HTTP/1.1, for all hosts together.
    """

    def __init__(self, origin: Origin, dialer: Dialer, places: asyncio.Semaphore) -> None:
        self._origin = origin
        self._dialer = dialer
        self._loop = asyncio.get_running_loop()
        self._all_places = places
        self._places = asyncio.Semaphore(CONNECTIONS_PER_HOST)
        self._introduction = asyncio.Lock()
        self._speaks_http1 = not origin.tls
        self._kept: list[Http1Connection] = []
        self._shared: Http2Connection | None = None
        self._open: set[Connection] = set()
        self._closed = False

    async def exchange(self, request: Request, max_bytes: int) -> HttpReply:
        """Send one request and wait for its reply.

        A kept connection may have been closed by the server meanwhile. A request that
        got no byte of a reply on such a connection is sent once more, over a new one:
        it only reads, so it can't do harm twice.

        Raises:
            UpstreamError: ``response_too_large`` or ``redirected``.
            OSError: No connection, or it broke.
            ValueError: The reply is none.
        """
        try:
            return await self._exchange(request, max_bytes, fresh=False)
        except HungUpError as error:
            if not error.repeatable:
                raise
        return await self._exchange(request, max_bytes, fresh=True)

    async def warm(self) -> None:
        """Have one connection open.

        Raises:
            OSError: None can be opened.
        """
        if self._shared is not None and self._shared.usable:
            return
        async with self._places, self._all_places:
            if not self._kept:
                self._give_back(await self._connect())

    def close(self) -> None:
        """End all connections at once, and those that are being opened as soon as they are."""
        self._closed = True
        for connection in tuple(self._open):
            connection.close()

    async def closed(self) -> None:
        """Wait until the last of them is gone."""
        while self._open:
            await asyncio.wait([connection.lost for connection in self._open])

    def sweep(self) -> None:
        """End connections that nobody used for a while."""
        oldest = self._loop.time() - KEPT_SECONDS
        idle: list[Connection] = [*self._kept]
        if self._shared is not None and not self._shared.busy:
            idle.append(self._shared)
        for connection in idle:
            if connection.idle_since < oldest:
                connection.close()

    async def _exchange(self, request: Request, max_bytes: int, *, fresh: bool) -> HttpReply:
        shared = await self._shared_connection()
        if shared is not None:
            return await self._send(shared, request, max_bytes)
        async with self._places, self._all_places:
            connection = await self._take(fresh=fresh)
            try:
                return await self._send(connection, request, max_bytes)
            finally:
                self._give_back(connection)

    async def _send(self, connection: Connection, request: Request, max_bytes: int) -> HttpReply:
        first = connection.served == 0
        try:
            reply = await connection.exchange(request, max_bytes)
        except HungUpError as error:
            error.repeatable |= connection.kept
            raise
        if first and connection.tls is not None:
            self._dialer.remember(self._origin, connection.tls)
        return reply

    async def _shared_connection(self) -> Http2Connection | None:
        """The one that all share, opened if need be; ``None`` where the host speaks HTTP/1.1.

        What a host speaks is known only when connected, so the first to come connects
        and the others wait for what it finds.
        """
        if self._speaks_http1:
            return None
        if self._shared is None or not self._shared.usable:
            async with self._introduction:
                if not self._speaks_http1 and (self._shared is None or not self._shared.usable):
                    self._give_back(await self._connect())
        return None if self._speaks_http1 else self._shared

    async def _take(self, *, fresh: bool) -> Connection:
        oldest = self._loop.time() - KEPT_SECONDS
        while self._kept:
            connection = self._kept.pop()
            if connection.usable and not fresh and connection.idle_since >= oldest:
                return connection
            connection.close()
        return await self._connect()

    async def _connect(self) -> Connection:
        greeting = _Greeting(self)
        await self._dialer.dial(self._origin, lambda: greeting)
        connection = greeting.connection
        if connection is None:
            raise HungUpError(repeatable=True)
        self._speaks_http1 = isinstance(connection, Http1Connection)
        return connection

    def _give_back(self, connection: Connection) -> None:
        if isinstance(connection, Http2Connection):
            previous, self._shared = self._shared, connection
            if previous is not None and previous is not connection:
                previous.retire()
        elif connection.usable:
            connection.kept = True
            self._kept.append(connection)
        else:
            connection.close()

    def opened(self, connection: Connection) -> None:
        """A connection is there."""
        self._open.add(connection)
        connection.lost.add_done_callback(lambda _: self._gone(connection))
        if self._closed:
            connection.close()

    def _gone(self, connection: Connection) -> None:
        self._open.discard(connection)
        if connection is self._shared:
            self._shared = None
        elif connection in self._kept:
            self._kept.remove(connection)


class _Greeting(asyncio.Protocol):
    """Hands a new connection to the protocol that TLS has agreed on."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.connection: Connection | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        tls = cast("ssl.SSLObject | None", transport.get_extra_info("ssl_object"))
        http2 = tls is not None and tls.selected_alpn_protocol() == "h2"
        self.connection = Http2Connection() if http2 else Http1Connection()
        transport.set_protocol(self.connection)
        self.connection.connection_made(transport)
        self._host.opened(self.connection)
