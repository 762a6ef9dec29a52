"""HTTP/1.1 by hand, as much as a server needs that must be able to break every rule of it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came in; ``size`` counts its head too."""

    method: str
    target: str
    body: bytes
    size: int


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request of a connection, or ``None`` when the client has gone."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        body = await reader.readexactly(_content_length(lines[1:]))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return Request(method, target, body, len(head) + len(body))


def _content_length(header_lines: list[str]) -> int:
    for line in header_lines:
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-length":
            return int(value)
    return 0


def render(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    """A whole response in bytes; ``headers`` replace the usual ones."""
    return render_head(status, {"Content-Length": str(len(body)), **(headers or {})}) + body


def render_head(status: int, headers: Mapping[str, str]) -> bytes:
    """Status line and headers, with the empty line that ends them."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in {"Content-Type": "application/json", **headers}.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
