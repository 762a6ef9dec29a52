"""HTTP/1.1: one connection, one request at a time, one write and one future for each."""

import asyncio
import ssl
from typing import cast

import httptools

from balance_tracker.core.errors import UpstreamError
from balance_tracker.transport.reply import HttpReply, HungUpError, IncomingReply
from balance_tracker.transport.target import Request

_MOST_BYTES_WITHOUT_BODY = 64 * 1024
"""Headers, trailers and chunk extensions have an end; a server that sends more is broken."""


class Http1Connection(asyncio.Protocol):
    """One connection to one host.

    Attributes:
        lost: Done when the connection is gone for good.
        served: Replies that came over it.
        kept: Whether it was open before the present request, so the server may have closed it meanwhile.
        idle_since: When its last reply ended, in the loop's time.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._incoming: IncomingReply | None = None
        self._answer: asyncio.Future[HttpReply] | None = None
        self._started = self._head_ended = self._framed = False
        self._bytes_without_body = 0
        self._reusable = True
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self.served = 0
        self.kept = False
        self.idle_since = self._loop.time()

    @property
    def tls(self) -> ssl.SSLObject | None:
        """Its TLS, while it is open."""
        return None if self._transport is None else self._transport.get_extra_info("ssl_object")

    @property
    def usable(self) -> bool:
        """Whether a request may be sent over it."""
        return self._reusable and self._transport is not None and not self._transport.is_closing()

    async def exchange(self, request: Request, max_bytes: int) -> HttpReply:
        """Send one request and wait for its reply; whatever breaks it closes the connection.

        Raises:
            UpstreamError: ``response_too_large`` or ``redirected``.
            HungUpError: Nothing of a reply came.
            OSError: The connection broke.
            ValueError: The reply is not HTTP, or does not unpack.
        """
        if self._transport is None:
            raise HungUpError(repeatable=True)
        self._incoming = IncomingReply(max_bytes)
        answer: asyncio.Future[HttpReply] = self._loop.create_future()
        self._answer = answer
        self._started = self._head_ended = self._framed = False
        self._bytes_without_body = 0
        self._transport.write(request.head + request.body)
        try:
            return await answer
        finally:
            if self._incoming is not None:
                self.close()

    def close(self) -> None:
        """End it at once; a waiting request fails."""
        self._reusable = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See :class:`asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """See :class:`asyncio.Protocol`."""
        if self._incoming is None:  # nobody asked: what it belongs to can't be known
            return self.close()
        self._started = True
        self._bytes_without_body += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(ValueError("the reply is not HTTP"))
        if self._bytes_without_body > _MOST_BYTES_WITHOUT_BODY:
            self._fail(ValueError("the reply's head has no end"))
        return None

    def connection_lost(self, error: Exception | None) -> None:
        """See :class:`asyncio.Protocol`; the end of the connection may be the end of the body."""
        self._transport = None
        self._reusable = False
        if not self.lost.done():
            self.lost.set_result(None)
        if self._incoming is not None and self._head_ended and not self._framed and error is None:
            self._succeed()
        elif self._started:
            self._fail(ConnectionResetError("the reply is cut"))
        else:
            self._fail(HungUpError())

    def on_message_begin(self) -> None:
        """See httptools; a second reply to one request spoils the connection."""
        if self._incoming is None:
            self._reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """See httptools."""
        name = name.lower()
        if name in {b"content-length", b"transfer-encoding"}:
            self._framed = True
        if self._incoming is not None and not self._head_ended:
            self._incoming.header(name, value)

    def on_headers_complete(self) -> None:
        """See httptools."""
        status = self._parser.get_status_code()
        if self._incoming is None or status < 200:
            return
        self._head_ended = True
        try:
            self._incoming.head_ended(status)
        except UpstreamError as error:
            self._fail(error)

    def on_body(self, body: bytes) -> None:
        """See httptools."""
        self._bytes_without_body = 0
        if self._incoming is None:
            return
        try:
            self._incoming.feed(body)
        except (UpstreamError, ValueError) as error:
            self._fail(error)

    def on_message_complete(self) -> None:
        """See httptools; statuses below 200 only announce the reply."""
        if self._head_ended:
            self._succeed()
            self._reusable = self._reusable and self._parser.should_keep_alive()
        self._framed = False

    def _succeed(self) -> None:
        if self._incoming is None or self._answer is None:
            return None
        try:
            reply = self._incoming.whole()
        except ValueError as error:
            return self._fail(error)
        self._incoming = None
        self.served += 1
        self.idle_since = self._loop.time()
        if self._transport is not None and self._transport.get_write_buffer_size():
            self._reusable = False  # answered before all was sent: the rest would look like a request
        if not self._answer.done():
            self._answer.set_result(reply)
        return None

    def _fail(self, error: Exception) -> None:
        self._incoming = None
        self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
