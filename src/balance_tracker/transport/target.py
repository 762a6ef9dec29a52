"""What a URL says about a request, worked out once: where to connect, and the head in bytes."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Self
from urllib.parse import SplitResult, quote, unquote, urlsplit

import idna

USER_AGENT = "balance-tracker"
_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[a-z0-9._-]+")
_HEADER_NAME = re.compile(r"[a-z0-9_-]+")
_HEADER_VALUE = re.compile(r"[!-~]+(?: [!-~]+)*")
_MAY_STAND_IN_A_TARGET = "/:?#[]@!$&'()*+,;=%-._~"

type Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """Who is connected to; connections are kept for each."""

    tls: bool
    host: str
    port: int

    @property
    def authority(self) -> str:
        """As the ``Host`` header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS["https" if self.tls else "http"] else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Request:
    """One request, ready for HTTP/1.1 (``head``) and for HTTP/2 (``headers``)."""

    head: bytes
    headers: Headers
    body: bytes


@dataclass(frozen=True, slots=True)
class Target:
    """One URL."""

    origin: Origin
    _get: Request
    _post_head: bytes
    _post_headers: Headers

    @classmethod
    def of(cls, url: str) -> Self:
        """Read a URL.

        Raises:
            ValueError: It is none, or neither ``http`` nor ``https``.
        """
        parts = urlsplit(url)
        if parts.scheme not in _PORTS:
            raise ValueError("not an HTTP URL")
        origin = Origin(parts.scheme == "https", _host(parts.hostname), parts.port or _PORTS[parts.scheme])
        common = (("user-agent", USER_AGENT), ("accept-encoding", "gzip"), *_authorization(parts))
        path = _path(parts)
        get = (*common, ("accept", "*/*"))
        post = (*common, ("accept", "application/json"), ("content-type", "application/json"))
        return cls(
            origin,
            Request(_head("GET", path, origin, get) + b"\r\n", _headers("GET", path, origin, get), b""),
            _head("POST", path, origin, post) + b"Content-Length: ",
            _headers("POST", path, origin, post),
        )

    def get(self, headers: Mapping[str, str] | None = None) -> Request:
        """A GET request, with more headers if need be.

        Raises:
            ValueError: A header is none.
        """
        if not headers:
            return self._get
        lines = [(name.lower(), value) for name, value in headers.items()]
        if not all(_HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value) for name, value in lines):
            raise ValueError("a header is none")
        head = "".join(f"{name.title()}: {value}\r\n" for name, value in lines)
        more = tuple((name.encode("ascii"), value.encode("ascii")) for name, value in lines)
        return Request(self._get.head[:-2] + head.encode("ascii") + b"\r\n", self._get.headers + more, b"")

    def post(self, body: bytes) -> Request:
        """A POST request with a JSON body."""
        return Request(b"%s%d\r\n\r\n" % (self._post_head, len(body)), self._post_headers, body)


def _host(host: str | None) -> str:
    if not host:
        raise ValueError("the URL has no host")
    if ":" in host:
        return str(IPv6Address(host))
    host = host.rstrip(".") if host.isascii() else idna.encode(host, uts46=True).decode("ascii")
    if not _HOST.fullmatch(host):
        raise ValueError("the host is none")
    return host


def _path(parts: SplitResult) -> str:
    path = quote(parts.path or "/", safe=_MAY_STAND_IN_A_TARGET)
    return f"{path}?{quote(parts.query, safe=_MAY_STAND_IN_A_TARGET)}" if parts.query else path


def _authorization(parts: SplitResult) -> tuple[tuple[str, str], ...]:
    """RFC 7617; nodes behind a password are given as ``https://name:password@host``."""
    if parts.username is None and parts.password is None:
        return ()
    both = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return (("authorization", "Basic " + base64.b64encode(both.encode()).decode("ascii")),)


def _head(method: str, path: str, origin: Origin, headers: tuple[tuple[str, str], ...]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {origin.authority}"]
    lines += [f"{name.title()}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n").encode("ascii")


def _headers(method: str, path: str, origin: Origin, headers: tuple[tuple[str, str], ...]) -> Headers:
    scheme = "https" if origin.tls else "http"
    pseudo = ((":method", method), (":scheme", scheme), (":authority", origin.authority), (":path", path))
    return tuple((name.encode("ascii"), value.encode("ascii")) for name, value in (*pseudo, *headers))
