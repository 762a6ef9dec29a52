"""A load generator that is lighter than what it loads: keep-alive sockets and one epoll loop."""

import re
import select
import socket
import time
from collections.abc import Sequence

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
_MOST_READ = 262_144
_SILENT_SECONDS = 5.0


class LoadError(AssertionError):
    """The server answered wrongly, or not at all."""


class _Connection:
    """One socket with one request under way at a time."""

    def __init__(self, port: int, request: bytes) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = request
        self._head = b""
        self._missing = 0

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def ask(self) -> None:
        self._head, self._missing = b"", -1
        self._socket.sendall(self._request)

    def read(self) -> bool:
        """Take what is there, and say whether the answer is whole."""
        data = self._socket.recv(_MOST_READ)
        if not data:
            raise LoadError("the server closed a connection")
        if self._missing < 0:
            data = self._head + data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._head = data
                return False
            length = _LENGTH.search(data, 0, end + 2)
            if not data.startswith(b"HTTP/1.1 200 ") or length is None:
                raise LoadError(f"the server answered {data[:200]!r}")
            self._missing = end + 4 + int(length[1])
        self._missing -= len(data)
        if self._missing < 0:
            raise LoadError("an answer is longer than it says")
        return self._missing == 0


def answers_per_second(port: int, path: str, *, connections: int = 8, seconds: float = 2.0) -> float:
    """How many answers the server gives in a second; each must be a 200 of the length that it says.

    Raises:
        LoadError: One was not.
    """
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: */*\r\n\r\n".encode("ascii")
    opened = [_Connection(port, request) for _ in range(connections)]
    try:
        return _load(opened, seconds)
    finally:
        for connection in opened:
            connection.close()


def _load(opened: Sequence[_Connection], seconds: float) -> float:
    by_descriptor = {connection.fileno(): connection for connection in opened}
    answered = 0
    with select.epoll() as poll:
        for connection in opened:
            poll.register(connection.fileno(), select.EPOLLIN)
            connection.ask()
        started = time.perf_counter()
        end = started + seconds
        while time.perf_counter() < end:
            ready = poll.poll(_SILENT_SECONDS)
            if not ready:
                raise LoadError(f"nothing came for {_SILENT_SECONDS:.0f} s")
            for descriptor, _ in ready:
                connection = by_descriptor[descriptor]
                if connection.read():
                    answered += 1
                    connection.ask()
        return answered / (time.perf_counter() - started)
