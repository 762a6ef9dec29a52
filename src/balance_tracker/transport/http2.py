"""HTTP/2: many requests side by side on one connection, by the h2 library."""

import asyncio
import ssl
from dataclasses import dataclass
from typing import cast

import h2.connection
import h2.errors
import h2.events
import h2.exceptions
from h2.config import H2Configuration
from h2.settings import SettingCodes, Settings

from balance_tracker.core.errors import UpstreamError
from balance_tracker.transport.goaway import GoAwayFilter
from balance_tracker.transport.reply import HttpReply, HungUpError, IncomingReply
from balance_tracker.transport.target import Request

_STREAM_WINDOW_BYTES = 4 * 1024 * 1024
_CONNECTION_WINDOW_BYTES = 16 * 1024 * 1024
_MOST_STREAMS = 100
"""RFC 9113 section 6.5.2 wants servers to allow no fewer; assumed until the server says."""
_SILENCE_SECONDS = 1.0
_LAST_STREAM_ID = 2**31 - 1


@dataclass(slots=True, eq=False)
class _Stream:
    incoming: IncomingReply
    answer: asyncio.Future[HttpReply]
    unsent: memoryview
    began: float
    started: bool = False


class Http2Connection(asyncio.Protocol):
    """One connection to one host, shared by its requests.

    Attributes:
        lost: Done when the connection is gone for good.
        served: Replies that came over it.
        kept: Whether it was open before the present request, so the server may have closed it meanwhile.
        idle_since: When its last reply ended, in the loop's time.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._h2 = h2.connection.H2Connection(H2Configuration(client_side=True, header_encoding=None))
        self._filter = GoAwayFilter()
        self._streams: dict[int, _Stream] = {}
        self._changed = asyncio.Event()
        self._leaving = False
        self._doubted = False
        self._heard_at = self._loop.time()
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
        """Whether new requests may be sent over it."""
        return not (self._leaving or self._doubted or self._transport is None or self._transport.is_closing())

    @property
    def busy(self) -> bool:
        """Whether requests are under way."""
        return bool(self._streams)

    async def exchange(self, request: Request, max_bytes: int) -> HttpReply:
        """Send one request and wait for its reply; what breaks it leaves the others alone.

        Raises:
            UpstreamError: ``response_too_large`` or ``redirected``.
            HungUpError: Nothing of a reply came.
            OSError: The connection broke, or the server gave the request up.
            ValueError: The reply does not unpack.
        """
        await self._room()
        stream_id = self._h2.get_next_available_stream_id()
        stream = _Stream(
            IncomingReply(max_bytes), self._loop.create_future(), memoryview(request.body), self._loop.time()
        )
        self._streams[stream_id] = stream
        self._h2.send_headers(stream_id, request.headers, end_stream=not request.body)
        self._pump(stream_id, stream)
        self._flush()
        try:
            return await stream.answer
        finally:
            if self._streams.pop(stream_id, None) is not None:
                self._give_up(stream_id, stream)

    def close(self) -> None:
        """End it at once; waiting requests fail."""
        self._leaving = True
        self._changed.set()
        if self._transport is not None:
            self._transport.abort()

    def retire(self) -> None:
        """Take no new requests, and close when the last one under way is done."""
        self._leaving = True
        self._changed.set()
        if not self._streams:
            self.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See :class:`asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)
        ours = {
            SettingCodes.ENABLE_PUSH: 0,
            SettingCodes.INITIAL_WINDOW_SIZE: _STREAM_WINDOW_BYTES,
            SettingCodes.MAX_HEADER_LIST_SIZE: 64 * 1024,
        }
        self._h2.local_settings = Settings(client=True, initial_values=ours)
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(_CONNECTION_WINDOW_BYTES)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """See :class:`asyncio.Protocol`."""
        self._doubted = False
        self._heard_at = self._loop.time()
        try:
            frames, last_served = self._filter.split(data)
            for event in self._h2.receive_data(frames):
                self._handle(event)
            if last_served is not None:
                self._told_to_leave(last_served)
            self._flush()
        except (h2.exceptions.ProtocolError, ValueError):
            self._fail_all(ConnectionResetError("the server broke the protocol"))
            self.close()
        if self._leaving and not self._streams:
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        """See :class:`asyncio.Protocol`."""
        del error
        self._transport = None
        self._leaving = True
        if not self.lost.done():
            self.lost.set_result(None)
        self._fail_all(ConnectionResetError("the reply is cut"))

    async def _room(self) -> None:
        """Wait until one more stream is allowed; the server's word on it may change at any time."""
        while self.usable and len(self._streams) >= self._most_streams:
            self._changed.clear()
            await self._changed.wait()
        if not self.usable or self._h2.highest_outbound_stream_id >= _LAST_STREAM_ID - 2:
            self.retire()
            raise HungUpError(repeatable=True)

    @property
    def _most_streams(self) -> int:
        return min(self._h2.remote_settings.max_concurrent_streams, _MOST_STREAMS)

    def _handle(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ResponseReceived():
                self._headers(event)
            case h2.events.DataReceived():
                self._data(event)
            case h2.events.StreamEnded():
                self._ended(event.stream_id)
            case h2.events.StreamReset():
                self._reset(event)
            case h2.events.WindowUpdated() | h2.events.RemoteSettingsChanged():
                self._changed.set()
                for stream_id, stream in self._streams.items():
                    self._pump(stream_id, stream)

    def _headers(self, event: h2.events.ResponseReceived) -> None:
        stream_id = event.stream_id
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        stream.started = True
        status = 0
        for name, value in event.headers or ():
            if name == b":status":
                status = int(value)
            else:
                stream.incoming.header(bytes(name), bytes(value))
        try:
            stream.incoming.head_ended(status)
        except UpstreamError as error:
            self._fail(stream_id, stream, error)

    def _data(self, event: h2.events.DataReceived) -> None:
        stream_id = event.stream_id
        self._h2.acknowledge_received_data(event.flow_controlled_length or 0, stream_id)
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        try:
            stream.incoming.feed(event.data or b"")
        except (UpstreamError, ValueError) as error:
            self._fail(stream_id, stream, error)

    def _ended(self, stream_id: int) -> None:
        stream = self._streams.get(stream_id)
        if stream is None:
            return None
        try:
            reply = stream.incoming.whole()
        except ValueError as error:
            return self._fail(stream_id, stream, error)
        del self._streams[stream_id]
        if stream.unsent:
            self._give_up(stream_id, stream)
        self.served += 1
        self.kept = True
        self.idle_since = self._loop.time()
        self._changed.set()
        if not stream.answer.done():
            stream.answer.set_result(reply)
        return None

    def _reset(self, event: h2.events.StreamReset) -> None:
        stream = self._streams.pop(event.stream_id, None)
        self._changed.set()
        if stream is not None and not stream.answer.done():
            refused = event.error_code == h2.errors.ErrorCodes.REFUSED_STREAM
            stream.answer.set_exception(
                HungUpError(repeatable=True) if refused else ConnectionResetError("the server gave it up")
            )

    def _told_to_leave(self, last_served: int) -> None:
        """GOAWAY: later streams were not served and may be asked again, the others go on."""
        self._leaving = True
        self._changed.set()
        for stream_id in [stream_id for stream_id in self._streams if stream_id > last_served]:
            stream = self._streams.pop(stream_id)
            if not stream.answer.done():
                stream.answer.set_exception(HungUpError(repeatable=True))

    def _pump(self, stream_id: int, stream: _Stream) -> None:
        """Send as much of the body as the server's windows allow."""
        while stream.unsent:
            most = min(self._h2.local_flow_control_window(stream_id), self._h2.max_outbound_frame_size)
            if most <= 0:
                return
            piece, stream.unsent = stream.unsent[:most], stream.unsent[most:]
            self._h2.send_data(stream_id, bytes(piece), end_stream=not stream.unsent)

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data and self._transport is not None:
            self._transport.write(data)

    def _fail(self, stream_id: int, stream: _Stream, error: Exception) -> None:
        del self._streams[stream_id]
        if not stream.answer.done():
            stream.answer.set_exception(error)
        self._give_up(stream_id, stream)

    def _give_up(self, stream_id: int, stream: _Stream) -> None:
        """End one stream; if the whole connection is silent, ask with a ping whether anybody is there.

        Until something is heard, new requests go over another connection.
        """
        self._changed.set()
        if self._transport is None:
            return
        try:
            self._h2.reset_stream(stream_id, h2.errors.ErrorCodes.CANCEL)
            if self._heard_at < max(stream.began, self._loop.time() - _SILENCE_SECONDS):
                self._doubted = True
                self._h2.ping(b"\0" * 8)
        except h2.exceptions.ProtocolError:
            return  # the server has ended it too
        finally:
            self._flush()
        if self._leaving and not self._streams:
            self.close()

    def _fail_all(self, error: Exception) -> None:
        streams, self._streams = self._streams, {}
        self._changed.set()
        for stream in streams.values():
            if not stream.answer.done():
                stream.answer.set_exception(error if stream.started else HungUpError())
