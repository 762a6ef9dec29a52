"""Messages within one process; one that a reader was too slow for is told to it by an empty one."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from balance_tracker.telemetry.logging import get_logger

MOST_WAITING = 1000
"""So many messages wait for one subscriber; then the oldest go and it is told."""

LOST = b""
"""What is handed out where messages may have been lost."""

_log = get_logger(__name__)


class _Subscriber(AsyncIterator[bytes]):
    """One reader's messages, in order, and bounded."""

    def __init__(self) -> None:
        self._waiting: deque[bytes] = deque()
        self._some = asyncio.Event()

    def put(self, message: bytes) -> None:
        if message == LOST and self._waiting and self._waiting[-1] == LOST:
            return
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.clear()
            self._waiting.append(LOST)
        self._waiting.append(message)
        self._some.set()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while not self._waiting:
            self._some.clear()
            await self._some.wait()
        return self._waiting.popleft()


class MemoryMessages:
    """Messages within this process; implements :class:`balance_tracker.ports.keeping.Messages`."""

    def __init__(self) -> None:
        self._subscribers: dict[str, set[_Subscriber]] = {}

    async def publish(self, channel: str, message: bytes) -> None:
        """Tell every subscriber; see :meth:`balance_tracker.ports.keeping.Messages.publish`."""
        self._hand_out(channel, message)

    @asynccontextmanager
    async def subscribe(self, channel: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """Messages; see :meth:`balance_tracker.ports.keeping.Messages.subscribe`."""
        subscriber = _Subscriber()
        subscribers = self._subscribers.setdefault(channel, set())
        subscribers.add(subscriber)
        try:
            if len(subscribers) == 1:
                await self._began(channel)
            yield subscriber
        finally:
            subscribers.discard(subscriber)
            if not subscribers and self._subscribers.get(channel) is subscribers:
                del self._subscribers[channel]
                await self._ended(channel)

    def _hand_out(self, channel: str, message: bytes) -> None:
        for subscriber in self._subscribers.get(channel, ()):
            subscriber.put(message)

    async def _began(self, channel: str) -> None:
        """The first subscriber of a channel came."""

    async def _ended(self, channel: str) -> None:
        """The last subscriber of a channel left."""
