"""Requests to URLs that strangers chose: bounded in time and size, and only to the public internet.

A name is looked up here, every address that it has is checked, and the connection goes to one of
those very addresses: a name that answers differently a moment later changes nothing. Redirects are
not followed, no proxy is used, no connection is kept, and nothing of ours is sent along.
"""

import asyncio
import ssl
from collections.abc import Callable
from urllib.parse import urlsplit

from balance_tracker.core.errors import UpstreamError
from balance_tracker.transport.dialing import Addresses, Dialer, TlsContext
from balance_tracker.transport.hosts import Host
from balance_tracker.transport.public_addresses import is_public
from balance_tracker.transport.reply import HttpReply
from balance_tracker.transport.target import Origin, Request, Target

LONGEST_URL = 8_192
AT_ONCE = 16

type Allows = Callable[[str], bool]


class RefusedAddressError(UpstreamError):
    """The URL leads, or may lead, to where strangers must not send us; nothing was connected to."""

    code = "address_refused"

    def __init__(self, message: str) -> None:
        super().__init__(message, retryable=False)


class CheckedDialer(Dialer):
    """Connects to hosts all of whose addresses are allowed.

    Args:
        allows: Tells of an address whether it may be connected to.
        tls: Whom to trust; by default whom the machine trusts.
    """

    def __init__(self, allows: Allows, tls: TlsContext | None = None) -> None:
        super().__init__(tls)
        self._allows = allows

    def remember(self, origin: Origin, tls: ssl.SSLObject) -> None:
        """No TLS session is kept: most of these hosts are seen once."""

    async def check(self, host: str, port: int) -> None:
        """See that a host may be connected to now; errors as when it is."""
        await self._addresses(host, port)

    async def _addresses(self, host: str, port: int) -> Addresses:
        """Where a host is.

        Raises:
            RefusedAddressError: One of its addresses is not allowed: an honest name has none such.
        """
        addresses = await super()._addresses(host, port)
        for _, _, _, _, place in addresses:
            scoped = len(place) == 4 and place[3] != 0
            if scoped or not self._allows(str(place[0])):
                raise RefusedAddressError("The host is not on the public internet.")
        return addresses


class PublicFetcher:
    """Sends requests to URLs that strangers chose.

    Args:
        allows: Tells of an address whether it may be connected to; by default if it is public.
        tls: Whom to trust; by default whom the machine trusts.
        at_once: Requests under way at most.
    """

    def __init__(
        self, *, allows: Allows = is_public, tls: TlsContext | None = None, at_once: int = AT_ONCE
    ) -> None:
        self._allows = allows
        self._tls = tls
        self._places = asyncio.Semaphore(at_once)

    async def get(self, url: str, *, timeout_seconds: float, max_bytes: int) -> HttpReply:
        """Fetch a document, whatever its status.

        Raises:
            RefusedAddressError: The URL may not be followed.
            UpstreamError: ``connection_failed``, ``timed_out``, ``response_too_large`` or ``redirected``.
        """
        return await self._send(url, Target.get, timeout_seconds, max_bytes)

    async def post(self, url: str, body: bytes, *, timeout_seconds: float, max_bytes: int) -> HttpReply:
        """Send a JSON body and take the reply, whatever its status; errors as in :meth:`get`."""
        return await self._send(url, lambda target: target.post(body), timeout_seconds, max_bytes)

    async def check(self, url: str, *, timeout_seconds: float) -> None:
        """See that a URL may be followed now; it is checked again whenever it is.

        Raises:
            RefusedAddressError: It may not.
            UpstreamError: ``connection_failed`` or ``timed_out``: its host is not found.
        """
        target = _target(url)
        dialer = CheckedDialer(self._allows, self._tls)
        try:
            async with asyncio.timeout(timeout_seconds):
                await dialer.check(target.origin.host, target.origin.port)
        except TimeoutError:
            raise _late(timeout_seconds) from None
        except OSError as error:
            raise _failed(error) from None
        finally:
            await dialer.close()

    async def _send(
        self, url: str, request_of: Callable[[Target], Request], timeout_seconds: float, max_bytes: int
    ) -> HttpReply:
        target = _target(url)
        async with self._places:
            # One for each request: nothing is remembered of hosts that are seen once.
            dialer = CheckedDialer(self._allows, self._tls)
            host = Host(target.origin, dialer, asyncio.Semaphore(1))
            try:
                async with asyncio.timeout(timeout_seconds):
                    return await host.exchange(request_of(target), max_bytes)
            except TimeoutError:
                raise _late(timeout_seconds) from None
            except (OSError, ValueError) as error:
                raise _failed(error) from None
            finally:
                host.close()
                await host.closed()
                await dialer.close()


def _target(url: str) -> Target:
    """What a URL says.

    Raises:
        RefusedAddressError: It is none that is followed: another scheme, a password in it, or too long.
    """
    try:
        parts = urlsplit(url)
        bare = parts.username is None and parts.password is None
        if bare and url.isprintable() and len(url) <= LONGEST_URL:
            return Target.of(url)
    except ValueError:
        pass
    raise RefusedAddressError("The URL is none that is followed.")


def _late(timeout_seconds: float) -> UpstreamError:
    return UpstreamError(f"The server did not answer within {timeout_seconds:.1f} s.", code="timed_out")


def _failed(error: Exception) -> UpstreamError:
    """The library's message may hold the URL: only its kind is told."""
    return UpstreamError(f"The connection failed ({type(error).__name__}).", code="connection_failed")
