"""JSON-RPC over one WebSocket: bodies go out as texts, answers come back by their ids."""

import asyncio
import ssl

import aiohttp

from balance_tracker.core.errors import UpstreamError
from balance_tracker.transport import jsonrpc
from balance_tracker.transport.http import MAX_REPLY_BYTES, HttpClient, HttpReply

MOST_GIVEN_UP = 64
"""Questions without an answer that are remembered on one connection."""


class _Questions:
    """What was asked on one connection and is not answered yet, the oldest first."""

    def __init__(self) -> None:
        self._answers: dict[int, asyncio.Future[bytes]] = {}

    def ask(self, first_id: int) -> asyncio.Future[bytes]:
        """Where the answer will be; cancelled, the question is given up."""
        given_up = [known for known, answer in self._answers.items() if answer.done()]
        for known in given_up[: max(0, len(given_up) - MOST_GIVEN_UP)]:
            del self._answers[known]
        answer = self._answers[first_id] = asyncio.get_running_loop().create_future()
        return answer

    def end(self) -> None:
        """Fail all: nothing more will come."""
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(UpstreamError("The connection was closed.", code="connection_failed"))
        self._answers.clear()

    def came(self, data: str | bytes) -> None:
        """Give a message to the question that it answers."""
        body = data if isinstance(data, bytes) else data.encode()
        try:
            document = jsonrpc.parse(body)
        except UpstreamError:
            return self._answer_oldest(body)
        items = document if isinstance(document, list) else [document]
        numbers = [jsonrpc.id_of(item) for item in items if isinstance(item, dict)]
        asked = {number // jsonrpc.IDS_A_REQUEST for number in numbers if number is not None}
        if len(asked) != 1:
            return self._answer_oldest(body) if not _is_notification(document) else None
        answer = self._answers.pop(asked.pop() * jsonrpc.IDS_A_REQUEST, None)
        if answer is not None and not answer.done():
            answer.set_result(body)
        return None

    def _answer_oldest(self, body: bytes) -> None:
        """Nonsense without an id can only belong to the oldest question; its decoder says what is wrong.

        Where that one was given up, the nonsense may as well be meant for the next: this one fails,
        since an error meant for another must not be read as its answer.
        """
        if not self._answers:
            return None
        oldest = self._answers.pop(next(iter(self._answers)))
        if not oldest.done():
            return oldest.set_result(body)
        for answer in self._answers.values():
            if not answer.done():
                return answer.set_exception(
                    UpstreamError("The endpoint may have answered an earlier question.", code="bad_response")
                )
        return None


class WsChannel:
    """One connection, opened by the first exchange and again after it was lost.

    Exchanges are answered in any order, told apart by the ids that each has for itself. A question
    that was given up stays known until its answer comes: a late one is nobody else's.
    """

    def __init__(self, url: str, http: HttpClient) -> None:
        self._url = url
        self._http = http
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._listener: asyncio.Task[None] | None = None
        self._questions = _Questions()
        self._opening = asyncio.Lock()

    async def exchange(self, body: bytes, first_id: int, timeout_seconds: float) -> HttpReply:
        """Send one body and wait for its answer.

        Args:
            body: What is asked.
            first_id: The first of its ids, of :func:`~balance_tracker.transport.jsonrpc.new_ids`.
            timeout_seconds: How long the answer may take.

        Raises:
            UpstreamError: As :meth:`HttpClient.post`.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._exchange(body, first_id)
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

    async def _exchange(self, body: bytes, first_id: int) -> HttpReply:
        socket, questions = await self._open()
        answer = questions.ask(first_id)
        try:
            await socket.send_str(body.decode())
            return HttpReply(200, await answer, None)
        finally:
            answer.cancel()  # only where it has not come: the question is given up

    async def _open(self) -> tuple[aiohttp.ClientWebSocketResponse, _Questions]:
        async with self._opening:
            if self._socket is None or self._socket.closed:
                self._socket = await self._http.session.ws_connect(
                    self._url, max_msg_size=MAX_REPLY_BYTES, heartbeat=30, autoclose=True
                )
                # Its own, so that the end of an old connection fails none that was asked on a new one.
                self._questions = _Questions()
                self._listener = asyncio.create_task(_listen(self._socket, self._questions))
            return self._socket, self._questions


async def _listen(socket: aiohttp.ClientWebSocketResponse, questions: _Questions) -> None:
    try:
        async for message in socket:
            if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                questions.came(message.data)
    finally:
        questions.end()


def _is_notification(document: object) -> bool:
    return isinstance(document, dict) and document.get("method") == "eth_subscription"
