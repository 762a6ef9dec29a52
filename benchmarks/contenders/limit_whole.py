"""The limit of a whole wallet: the very requests that our reader sent, one after the other.

They are ready as bytes for a blocking socket, and what comes back is not decoded: it has to be, byte by
byte, what came back first.
"""

import time
from collections.abc import Sequence
from typing import Any

from benchmarks.contenders.limit import Wire, as_request
from benchmarks.contenders.whole import Answer


class WholeLimit:
    """One connection, and the replies that are expected."""

    def __init__(self, url: str, bodies: Sequence[str]) -> None:
        self._wire = Wire(url)
        self._requests = [as_request(body) for body in bodies]
        self._expected = self._replies()

    def read_whole(self, _owner: str) -> tuple[float, Answer]:
        """Each request waits for the reply to the one before, as what it asks about follows from that."""
        started = time.perf_counter()
        replies = self._replies()
        seconds = time.perf_counter() - started
        if replies != self._expected or any(b'"error"' in reply for reply in replies):
            raise AssertionError("the node says something else than before")
        return seconds, {}

    def close(self) -> None:
        """Close the connection."""
        self._wire.close()

    def _replies(self) -> list[bytes]:
        replies = []
        for request in self._requests:
            self._wire.send(request)
            replies.append(self._wire.receive_body())
        return replies


def open_contender(urls: Sequence[str], options: dict[str, Any]) -> WholeLimit:
    """Open it; ``bodies`` are what our reader sent."""
    return WholeLimit(urls[0], options["bodies"])
