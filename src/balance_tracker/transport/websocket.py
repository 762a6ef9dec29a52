"""JSON-RPC over one WebSocket: bodies go out as texts, answers come back by their ids."""

import asyncio
import itertools
import ssl

import aiohttp
import orjson

from balance_tracker.core.errors import UpstreamError
from balance_tracker.transport.http import MAX_REPLY_BYTES, HttpClient, HttpReply


class WsChannel:
    """One connection, opened by the first exchange and again after it was lost.

    Exchanges are answered in any order: ids are moved to a range of their own on
    the way out and back again on the way in.
    """

    def __init__(self, url: str, http: HttpClient) -> None:
        self._url = url
        self._http = http
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._listener: asyncio.Task[None] | None = None
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._numbers = itertools.count(1)
        self._opening = asyncio.Lock()

    async def exchange(self, body: bytes, timeout_seconds: float) -> HttpReply:
        """Send one body and wait for its answer.

        Raises:
            UpstreamError: As :meth:`HttpClient.post`.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._exchange(body)
        except TimeoutError as error:
            raise UpstreamError(
                f"The endpoint did not answer within {timeout_seconds:.1f} s.", code="timed_out"
            ) from error
        except (aiohttp.ClientError, ssl.SSLError, OSError, ValueError) as error:
            raise UpstreamError(
                f"The connection failed ({type(error).__name__}).", code="connection_failed"
            ) from None

    async def close(self) -> None:
        """Close the connection; waiting exchanges fail."""
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()

    async def _exchange(self, body: bytes) -> HttpReply:
        socket = await self._open()
        document = orjson.loads(body)
        items = document if isinstance(document, list) else [document]
        base = next(self._numbers) * 100_000
        for item in items:
            item["id"] += base
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[base] = answer
        try:
            await socket.send_str(orjson.dumps(document).decode())
            return HttpReply(200, await answer, None)
        finally:
            self._waiting.pop(base, None)

    async def _open(self) -> aiohttp.ClientWebSocketResponse:
        async with self._opening:
            if self._socket is None or self._socket.closed:
                self._socket = await self._http.session.ws_connect(
                    self._url, max_msg_size=MAX_REPLY_BYTES, heartbeat=30, autoclose=True
                )
                self._listener = asyncio.create_task(self._listen(self._socket))
            return self._socket

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        try:
            async for message in socket:
                if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                    self._deliver(message.data)
        finally:
            closed = UpstreamError("The connection was closed.", code="connection_failed")
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(closed)

    def _deliver(self, data: str | bytes) -> None:
        try:
            document = orjson.loads(data)
        except orjson.JSONDecodeError:
            return self._answer_oldest(data)
        items = document if isinstance(document, list) else [document]
        bases = {
            item["id"] // 100_000 * 100_000
            for item in items
            if isinstance(item, dict) and isinstance(item.get("id"), int)
        }
        if len(bases) != 1:
            return self._answer_oldest(data) if not _is_notification(document) else None
        base = bases.pop()
        for item in items:
            if isinstance(item, dict) and isinstance(item.get("id"), int):
                item["id"] -= base
        waiting = self._waiting.get(base)
        if waiting is not None and not waiting.done():
            waiting.set_result(orjson.dumps(document))
        return None

    def _answer_oldest(self, data: str | bytes) -> None:
        """Nonsense without an id can only belong to the oldest question; its decoder says what is wrong."""
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_result(data if isinstance(data, bytes) else data.encode())
                return


def _is_notification(document: object) -> bool:
    return isinstance(document, dict) and document.get("method") == "eth_subscription"
