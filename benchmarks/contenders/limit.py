"""The limit: requests that are ready as bytes, a blocking socket, and slices of the reply.

Nothing is learnt, checked or retried, so no reader can be faster with the same form of the read. One
form is our scanner's (the very bodies that our reader sent, in order of their wallets), the other
Multicall3's. How many connections are used, and for Multicall3 how many requests, is tried out before
the first read: the fastest way counts.
"""

import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.contenders.reading import Rows

MULTICALL3 = "cA11bde05977b3631167028862bE2a173976CA11"
CALLS_AT_ONCE = 6_100
MOST_CONNECTIONS = 4
TRIES = 2
_WORD = 64
_ROOM = 16 * 1024 * 1024
_HEAD_ROOM = 64 * 1024
_ANSWER_HEAD = 87
_QUESTION_HEAD_DIGITS = 42
_RUNS = {tag: [0] * (tag - 0x7F) for tag in range(0x80, 0xC0)}

type Decode = Callable[[bytes, list[int]], None]


class Wire:
    """One connection with one request under way."""

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self._socket = socket.create_connection((host, int(port)))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._room = bytearray(_ROOM)
        self._view = memoryview(self._room)

    def send(self, request: bytes) -> None:
        """Send a whole request."""
        self._socket.sendall(request)

    def receive(self) -> bytes:
        """The hexadecimal digits of the result."""
        body_at, _ = self._fill()
        # An answer of the scanner begins with 01, Multicall3's with the place of its list.
        start = self._room.index(b'"result":"0x0', body_at) + 12
        return bytes(self._view[start : self._room.index(b'"', start)])

    def receive_body(self) -> bytes:
        """All of the answer's body."""
        body_at, end = self._fill()
        return bytes(self._view[body_at:end])

    def _fill(self) -> tuple[int, int]:
        """Where the body of one whole answer begins and ends."""
        have, end, body_at = 0, 0, 0
        while not have or have < end:
            have += self._socket.recv_into(self._view[have:])
            if not end:
                body_at = self._room.index(b"\r\n\r\n") + 4
                head = bytes(self._view[:body_at]).lower()
                at = head.index(b"content-length:") + 15
                end = body_at + int(head[at : head.index(b"\r\n", at)])
        return body_at, end

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


class Limit:
    """Prepared requests for each URL."""

    def __init__(self, urls: Sequence[str], bodies: Sequence[str] | None) -> None:
        self._urls = urls
        self._bodies = bodies
        self._wires: list[Wire] = []
        self._prepared: tuple[int, int] = (0, 0)
        self._requests: list[bytes] = []
        self._decode: Decode = decode_multicall if bodies is None else decode_scan

    def read(self, wallets: Sequence[str], tokens: Sequence[str]) -> tuple[float, list[Rows]]:
        """Send, receive, decode; only that is timed."""
        if self._prepared != (len(wallets), len(tokens)):
            self._prepare(wallets, tokens)
        width = 1 + len(tokens)
        started = time.perf_counter()
        if len(self._urls) == 1:
            rows = [self._rows(self._requests, self._wires, width)]
        else:
            rows = self._of_networks(width)
        return time.perf_counter() - started, rows

    def close(self) -> None:
        """Close the connections."""
        for wire in self._wires:
            wire.close()

    def _prepare(self, wallets: Sequence[str], tokens: Sequence[str]) -> None:
        self._prepared = (len(wallets), len(tokens))
        self.close()
        several = len(self._urls) == 1 and len(wallets) > 1
        self._wires = [Wire(url) for url in self._urls for _ in range(MOST_CONNECTIONS if several else 1)]
        if self._bodies:
            choices = [in_order(self._bodies, wallets)]
        else:
            sizes = (CALLS_AT_ONCE, CALLS_AT_ONCE // 2, CALLS_AT_ONCE // 4) if several else (CALLS_AT_ONCE,)
            choices = [multicall_bodies(wallets, tokens, size) for size in sizes]
        self._choose([[as_request(body) for body in bodies] for bodies in choices], 1 + len(tokens))

    def _choose(self, choices: list[list[bytes]], width: int) -> None:
        """The fastest number of requests, and of connections."""
        self._requests = choices[0]
        if len(self._urls) > 1:
            return

        def seconds(requests: list[bytes], count: int) -> float:
            started = time.perf_counter()
            self._rows(requests, self._wires[:count], width)
            return time.perf_counter() - started

        for wire in self._wires:
            self._rows(choices[0][:1], [wire], width)
        ways = [
            (requests, count)
            for requests in choices
            for count in range(1, 1 + min(len(requests), len(self._wires)))
        ]
        self._requests, best = min(ways, key=lambda way: min(seconds(*way) for _ in range(TRIES)))
        for wire in self._wires[best:]:
            wire.close()
        del self._wires[best:]

    def _rows(self, requests: Sequence[bytes], wires: Sequence[Wire], width: int) -> Rows:
        """While one reply is decoded, the node works on what the other connections have sent."""
        flat: list[int] = []
        waiting, busy = deque(requests), deque[Wire]()
        for wire in wires:
            if waiting:
                wire.send(waiting.popleft())
                busy.append(wire)
        while busy:
            wire = busy.popleft()
            result = wire.receive()
            if waiting:
                wire.send(waiting.popleft())
                busy.append(wire)
            self._decode(bytes.fromhex(result.decode("ascii")), flat)
        return [flat[at : at + width] for at in range(0, len(flat), width)]

    def _of_networks(self, width: int) -> list[Rows]:
        for wire in self._wires:
            wire.send(self._requests[0])
        found: list[Rows] = []
        for wire in self._wires:
            flat: list[int] = []
            self._decode(bytes.fromhex(wire.receive().decode("ascii")), flat)
            found.append([flat[at : at + width] for at in range(0, len(flat), width)])
        return found


def decode_scan(data: bytes, flat: list[int]) -> None:
    """Values of a scanner's answer, by nothing but slices; a failure ends it (there are none here)."""
    at, end = _ANSWER_HEAD, len(data)
    for _ in range(int.from_bytes(data[81:83])):
        at += 4 + int.from_bytes(data[at + 1 : at + 4])
    append, from_bytes, runs = flat.append, int.from_bytes, _RUNS
    while at < end:
        tag = data[at]
        at += 1
        if tag <= 32:
            append(from_bytes(data[at : at + tag]))
            at += tag
        else:
            flat += runs[tag]


def decode_multicall(data: bytes, flat: list[int]) -> None:
    """Values of ``aggregate3``: after the places, four words each, the value last."""
    count = int.from_bytes(data[32:64])
    first = 64 + 32 * count + 96
    from_bytes = int.from_bytes
    flat += [from_bytes(data[at : at + 32]) for at in range(first, first + 128 * count, 128)]


def in_order(bodies: Sequence[str], wallets: Sequence[str]) -> list[str]:
    """Recorded bodies by the first wallet that each asks about, then by the columns it leaves out."""
    numbers = {wallet[2:]: number for number, wallet in enumerate(wallets)}
    return sorted(bodies, key=lambda body: _place(body, numbers))


def _place(body: str, numbers: dict[str, int]) -> tuple[int, int]:
    at = min(found for wallet in numbers if (found := body.find(wallet)) >= 0)
    number = numbers[body[at : at + 40]]
    start = body.rfind('"data":"0x', 0, at) + 10
    tokens_at = at
    # The head lies before the tokens; 42 digits, of which 30 to 34 count the tokens.
    while tokens_at - _QUESTION_HEAD_DIGITS >= start:
        head = body[tokens_at - _QUESTION_HEAD_DIGITS : tokens_at]
        if head.startswith("01") and tokens_at + 40 * int(head[26:30], 16) == at:
            return number, int(head[34:38], 16)
        tokens_at -= 40
    raise ValueError("a recorded request is no question of the scanner")


def multicall_bodies(wallets: Sequence[str], tokens: Sequence[str], most: int) -> list[str]:
    """``aggregate3`` by hand, ``most`` calls each: every call is seven words, laid one after another."""
    calls = []
    for wallet in wallets:
        owner = wallet[2:].rjust(_WORD, "0")
        calls.append(_item(MULTICALL3, "4d2301cc" + owner))
        calls += [_item(token[2:], "70a08231" + owner) for token in tokens]
    step = max(1, most // (1 + len(tokens))) * (1 + len(tokens))
    return [_body(calls[at : at + step]) for at in range(0, len(calls), step)]


def _item(target: str, data: str) -> str:
    return f"{target:0>64}{1:064x}{0x60:064x}{len(data) // 2:064x}{data:0<128}"


def _body(calls: Sequence[str]) -> str:
    size = len(calls[0]) // 2
    places = "".join(f"{32 * len(calls) + size * number:064x}" for number in range(len(calls)))
    data = f"0x82ad56cb{0x20:064x}{len(calls):064x}{places}{''.join(calls)}"
    return (
        '{"jsonrpc":"2.0","id":1,"method":"eth_call","params":'
        f'[{{"to":"0x{MULTICALL3}","data":"{data}"}},"latest"]}}'
    )


def as_request(body: str) -> bytes:
    """An HTTP request with that body."""
    head = (
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return (head + body).encode("ascii")


def open_contender(urls: Sequence[str], options: dict[str, Any]) -> Limit:
    """Open it; ``bodies`` are what our reader sent, and without them Multicall3 is used."""
    return Limit(urls, options.get("bodies"))
