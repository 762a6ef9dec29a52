"""A reply while it comes in: bounded in size, unpacked, and complete or an error."""

import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from balance_tracker.core.errors import UpstreamError

_LONGEST_WAIT_SECONDS = 86_400
_PACKED = (b"gzip", b"x-gzip", b"deflate")


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A whole reply; ``retry_after_seconds`` is what the server asked us to wait."""

    status: int
    body: bytes
    retry_after_seconds: float | None


class HungUpError(ConnectionResetError):
    """The connection ended before a single byte of the reply.

    Attributes:
        repeatable: The request may be sent once more: the server said that it did nothing
            about it, or had most likely closed the connection before.
    """

    def __init__(self, *, repeatable: bool = False) -> None:
        super().__init__("the server hung up")
        self.repeatable = repeatable


class IncomingReply:
    """Takes the headers and the body piece by piece, and gives the whole reply.

    All but :meth:`header` raise ``UpstreamError`` (``response_too_large``,
    ``redirected``) or ``ValueError`` for a body that does not unpack.
    """

    __slots__ = (
        "_chunks",
        "_encoding",
        "_length",
        "_max_bytes",
        "_retry_after",
        "_size",
        "_unpacker",
        "status",
    )

    def __init__(self, max_bytes: int) -> None:
        self.status = 0
        self._max_bytes = max_bytes
        self._chunks: list[bytes] = []
        self._size = 0
        self._length = 0
        self._encoding = b""
        self._retry_after = ""
        self._unpacker: _Unpacker | None = None

    def header(self, name: bytes, value: bytes) -> None:
        """Keep what matters; ``name`` is in lower case."""
        if name == b"content-length":
            self._length = int(value) if value.isdigit() else 0
        elif name == b"content-encoding":
            self._encoding = value.strip().lower()
        elif name == b"retry-after":
            self._retry_after = value.decode("latin-1").strip()

    def head_ended(self, status: int) -> None:
        """All headers are in."""
        if 300 <= status < 400:
            raise UpstreamError("The endpoint redirects, which is not followed.", code="redirected")
        if self._length > self._max_bytes:
            raise _too_large(self._max_bytes)
        self.status = status
        if self._encoding in _PACKED:
            self._unpacker = _Unpacker(raw_deflate=self._encoding == b"deflate")

    def feed(self, data: bytes) -> None:
        """Take a piece of the body as it came over the wire."""
        if self._unpacker is not None:
            data = self._unpacker.unpack(data, self._max_bytes - self._size + 1)
        self._size += len(data)
        if self._size > self._max_bytes:
            self._chunks.clear()
            raise _too_large(self._max_bytes)
        self._chunks.append(data)

    def whole(self) -> HttpReply:
        """The reply, now that its last byte is in."""
        if self._unpacker is not None and not self._unpacker.complete:
            raise ValueError("the packed body is cut")
        chunks = self._chunks
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        return HttpReply(self.status, body, retry_after(self._retry_after) if self._retry_after else None)


class _Unpacker:
    """gzip, zlib or raw deflate, never more than asked for at a time."""

    __slots__ = ("_inflater", "_raw_deflate", "_started")

    def __init__(self, *, raw_deflate: bool) -> None:
        self._raw_deflate = raw_deflate
        self._started = False
        self._inflater = zlib.decompressobj(wbits=32 + zlib.MAX_WBITS)

    @property
    def complete(self) -> bool:
        return self._inflater.eof or not self._started

    def unpack(self, data: bytes, most: int) -> bytes:
        """What ``data`` unpacks to, cut off after ``most`` bytes, which no reader may reach."""
        if data and not self._started:
            self._started = True
            if self._raw_deflate and data[0] & 0x0F != zlib.DEFLATED:
                self._inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
        unpacked = b""
        try:
            while data and len(unpacked) < most:
                if self._inflater.eof:  # a gzip body may be several packs in a row
                    self._inflater = zlib.decompressobj(wbits=32 + zlib.MAX_WBITS)
                unpacked += self._inflater.decompress(data, most - len(unpacked))
                data = self._inflater.unused_data
        except zlib.error:
            raise ValueError("the body does not unpack") from None
        return unpacked


def _too_large(max_bytes: int) -> UpstreamError:
    return UpstreamError(
        f"The endpoint's answer is larger than {max_bytes} bytes.", code="response_too_large"
    )


def retry_after(text: str) -> float | None:
    """What a ``Retry-After`` header asks us to wait, in seconds, a day at most; ``None`` if unreadable.

    Source: RFC 9110 section 10.2.3 (seconds or an HTTP date).
    """
    text = text.strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return float(min(int(text[:9]), _LONGEST_WAIT_SECONDS))
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return min(max(0.0, (when - datetime.now(UTC)).total_seconds()), _LONGEST_WAIT_SECONDS)
