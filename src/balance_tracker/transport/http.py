"""HTTP by aiohttp: bounded in time and size, no redirects, faults as typed errors."""

import asyncio
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Self

import aiohttp

from balance_tracker.core.errors import UpstreamError

MAX_REPLY_BYTES = 32 * 1024 * 1024
"""geth's own limit of a reply is 25 MB; what is longer is not a balance."""
USER_AGENT = "balance-tracker"


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A whole reply; ``retry_after_seconds`` is what the server asked us to wait."""

    status: int
    body: bytes
    retry_after_seconds: float | None


class HttpClient:
    """Keeps connections to many hosts; one for a process is enough."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            limit=256, limit_per_host=16, ttl_dns_cache=300, keepalive_timeout=75
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers={"User-Agent": USER_AGENT},
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """The open session, for WebSockets too."""
        if self._session is None:
            raise RuntimeError("HttpClient is used outside its 'async with'")
        return self._session

    async def post(
        self, url: str, body: bytes, *, timeout_seconds: float, max_bytes: int = MAX_REPLY_BYTES
    ) -> HttpReply:
        """Send a JSON body and take the whole reply, whatever its status.

        Raises:
            UpstreamError: ``connection_failed``, ``timed_out``, ``response_too_large`` or ``redirected``.
        """
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        return await self._exchange(
            "POST", url, body=body, headers=headers, timeout_seconds=timeout_seconds, max_bytes=max_bytes
        )

    async def get(self, url: str, *, timeout_seconds: float, max_bytes: int) -> HttpReply:
        """Fetch a document; errors as in :meth:`post`."""
        return await self._exchange(
            "GET", url, body=None, headers={}, timeout_seconds=timeout_seconds, max_bytes=max_bytes
        )

    async def _exchange(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None,
        headers: dict[str, str],
        timeout_seconds: float,
        max_bytes: int,
    ) -> HttpReply:
        try:
            async with (
                asyncio.timeout(timeout_seconds),
                self.session.request(method, url, data=body, headers=headers, allow_redirects=False) as reply,
            ):
                if 300 <= reply.status < 400:
                    raise UpstreamError("The endpoint redirects, which is not followed.", code="redirected")
                return HttpReply(reply.status, await _bounded(reply, max_bytes), _retry_after(reply))
        except TimeoutError as error:
            raise UpstreamError(
                f"The endpoint did not answer within {timeout_seconds:.1f} s.", code="timed_out"
            ) from error
        except (aiohttp.ClientError, ssl.SSLError, OSError, ValueError) as error:
            # The library's message may hold the URL and so a key: only its kind is told.
            raise UpstreamError(
                f"The connection failed ({type(error).__name__}).", code="connection_failed"
            ) from None


async def _bounded(reply: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    if reply.content_length is not None and reply.content_length > max_bytes:
        raise _too_large(max_bytes)
    chunks: list[bytes] = []
    size = 0
    async for chunk in reply.content.iter_any():
        size += len(chunk)
        if size > max_bytes:
            reply.close()
            raise _too_large(max_bytes)
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large(max_bytes: int) -> UpstreamError:
    return UpstreamError(
        f"The endpoint's answer is larger than {max_bytes} bytes.", code="response_too_large"
    )


def _retry_after(reply: aiohttp.ClientResponse) -> float | None:
    """RFC 9110 section 10.2.3: seconds or an HTTP date."""
    text = reply.headers.get("Retry-After", "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return float(min(int(text[:9]), 86_400))
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return min(max(0.0, (when - datetime.now(UTC)).total_seconds()), 86_400.0)


async def fetch_document(url: str, max_bytes: int, timeout_seconds: float) -> bytes:
    """Fetch one document, for example a token list.

    Raises:
        UpstreamError: It can't be had whole, in time and with status 200.
    """
    async with HttpClient() as client:
        reply = await client.get(url, timeout_seconds=timeout_seconds, max_bytes=max_bytes)
    if reply.status != 200:
        raise UpstreamError(f"The server answered with HTTP status {reply.status}.", code="bad_response")
    return reply.body
