"""HTTP to many hosts: bounded in time and size, no redirects, faults as typed errors.

::

    HttpClient ── Host (one per scheme, host and port) ── Http1Connection, Http2Connection
                    └── Dialer (names, addresses, TLS)
"""

import asyncio
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self

import aiohttp

from balance_tracker.core.errors import UpstreamError
from balance_tracker.transport.dialing import Dialer, TlsContext
from balance_tracker.transport.hosts import KEPT_SECONDS, Host
from balance_tracker.transport.reply import HttpReply
from balance_tracker.transport.target import USER_AGENT, Origin, Request, Target

__all__ = ["MAX_REPLY_BYTES", "HttpClient", "HttpReply", "fetch_document"]

MAX_REPLY_BYTES = 32 * 1024 * 1024
"""geth's own limit of a reply is 25 MB; what is longer is not a balance."""
REQUESTS_AT_ONCE = 256
_MOST_TARGETS = 1_024


class HttpClient:
    """Keeps connections to many hosts; one for a process is enough.

    Args:
        tls: Whom to trust; by default whom the machine trusts.
    """

    def __init__(self, tls: TlsContext | None = None) -> None:
        self._tls = tls
        self._targets: dict[str, Target] = {}
        self._hosts: dict[Origin, Host] = {}
        self._dialer: Dialer | None = None
        self._places = asyncio.Semaphore(REQUESTS_AT_ONCE)
        self._sweeper: asyncio.TimerHandle | None = None
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._dialer = Dialer(self._tls)
        self._sweep()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
        dialer, self._dialer = self._dialer, None
        hosts, self._hosts = list(self._hosts.values()), {}
        for host in hosts:
            host.close()
        for host in hosts:
            await host.closed()
        if dialer is not None:
            await dialer.close()
        if self._session is not None:
            await self._session.close()
            self._session = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """For WebSockets; opened when first asked for."""
        self._opened()
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit_per_host=16, ttl_dns_cache=300),
                headers={"User-Agent": USER_AGENT},
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
            )
        return self._session

    async def post(
        self, url: str, body: bytes, *, timeout_seconds: float, max_bytes: int = MAX_REPLY_BYTES
    ) -> HttpReply:
        """Send a JSON body and take the whole reply, whatever its status.

        Raises:
            UpstreamError: ``connection_failed``, ``timed_out``, ``response_too_large`` or ``redirected``.
        """
        target = self._target(url)
        return await self._exchange(target.origin, target.post(body), timeout_seconds, max_bytes)

    async def get(
        self, url: str, *, timeout_seconds: float, max_bytes: int, headers: Mapping[str, str] | None = None
    ) -> HttpReply:
        """Fetch a document; errors as in :meth:`post`.

        Args:
            url: Where it is.
            timeout_seconds: How long it may take.
            max_bytes: How long the document may be.
            headers: More headers, such as a key; they are never shown.
        """
        try:
            # Not kept: a document's URL is long and seldom asked twice.
            target = Target.of(url)
            request = target.get(headers)
        except ValueError as error:
            raise _connection_failed(error) from None
        return await self._exchange(target.origin, request, timeout_seconds, max_bytes)

    async def warm(self, urls: Iterable[str], *, timeout_seconds: float = 5.0) -> None:
        """Open one connection to the host of every URL, all at once.

        A host that can't be reached is told by the first request to it, not here.
        """
        wanted = [url for url in urls if url.startswith(("http://", "https://"))]
        await asyncio.gather(*(self._warm(url, timeout_seconds) for url in wanted))

    async def _warm(self, url: str, timeout_seconds: float) -> None:
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._host(self._target(url).origin).warm()
        except (UpstreamError, OSError, ValueError, RuntimeError):
            return

    async def _exchange(
        self, origin: Origin, request: Request, timeout_seconds: float, max_bytes: int
    ) -> HttpReply:
        host = self._host(origin)
        try:
            async with asyncio.timeout(timeout_seconds):
                return await host.exchange(request, max_bytes)
        except TimeoutError:
            raise UpstreamError(
                f"The endpoint did not answer within {timeout_seconds:.1f} s.", code="timed_out"
            ) from None
        except (OSError, ValueError) as error:
            raise _connection_failed(error) from None

    def _target(self, url: str) -> Target:
        target = self._targets.get(url)
        if target is None:
            try:
                target = Target.of(url)
            except ValueError as error:
                raise _connection_failed(error) from None
            if len(self._targets) >= _MOST_TARGETS:
                self._targets.clear()
            self._targets[url] = target
        return target

    def _host(self, origin: Origin) -> Host:
        host = self._hosts.get(origin)
        if host is None:
            host = self._hosts[origin] = Host(origin, self._opened(), self._places)
        return host

    def _opened(self) -> Dialer:
        if self._dialer is None:
            raise RuntimeError("HttpClient is used outside its 'async with'")
        return self._dialer

    def _sweep(self) -> None:
        for host in self._hosts.values():
            host.sweep()
        self._sweeper = asyncio.get_running_loop().call_later(KEPT_SECONDS, self._sweep)


def _connection_failed(error: Exception) -> UpstreamError:
    """The library's message may hold the URL and so a key: only its kind is told."""
    return UpstreamError(f"The connection failed ({type(error).__name__}).", code="connection_failed")


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
