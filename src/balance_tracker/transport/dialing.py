"""Opening connections: names looked up once, addresses tried side by side, TLS sessions resumed."""

import asyncio
import functools
import socket
import ssl
from collections.abc import Callable, Sequence
from ipaddress import ip_address

import aiohappyeyeballs

from balance_tracker.transport.target import Origin

_NAMES_KEPT_SECONDS = 300
_NEXT_ADDRESS_AFTER_SECONDS = 0.25
"""RFC 8305 section 8 recommends it."""

type Addresses = Sequence[aiohappyeyeballs.AddrInfoType]


class TlsContext(ssl.SSLContext):
    """A context for clients that resumes the last session of every host.

    asyncio gives no place to pass a session, but every loop asks the context for its
    TLS objects, so the context passes it.
    """

    def __init__(self, protocol: int = ssl.PROTOCOL_TLS_CLIENT) -> None:
        del protocol  # taken by __new__
        super().__init__()
        self._sessions: dict[str, ssl.SSLSession] = {}
        self.set_alpn_protocols(["h2", "http/1.1"])

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """See :meth:`ssl.SSLContext.wrap_bio`."""
        known = self._sessions.get(server_hostname) if isinstance(server_hostname, str) else None
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session or known)

    def remember(self, host: str, tls: ssl.SSLObject) -> None:
        """Keep the session of a connection that has served a reply: tickets come with the first bytes."""
        session = tls.session
        if session is not None and session.has_ticket:
            self._sessions[host] = session


def tls_context() -> TlsContext:
    """A context that trusts what the machine trusts (``SSL_CERT_FILE`` included)."""
    context = TlsContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs()
    return context


@functools.cache
def shared_tls_context() -> TlsContext:
    """The process's context: reading the certificates takes tens of milliseconds, so it is done once."""
    return tls_context()


class Dialer:
    """Connects to hosts.

    Args:
        tls: Whom to trust; by default whom the machine trusts.
    """

    def __init__(self, tls: TlsContext | None = None) -> None:
        self._tls = tls
        self._known: dict[tuple[str, int], tuple[float, Addresses]] = {}
        self._lookups: dict[tuple[str, int], asyncio.Task[Addresses]] = {}

    async def dial(self, origin: Origin, protocol: Callable[[], asyncio.Protocol]) -> None:
        """Open one connection and hand it to a new protocol.

        Raises:
            OSError: Nobody there, no such host, or not whom we trust.
        """
        loop = asyncio.get_running_loop()
        addresses = await self._addresses(origin.host, origin.port)
        try:
            connected = await aiohappyeyeballs.start_connection(
                addresses, happy_eyeballs_delay=_NEXT_ADDRESS_AFTER_SECONDS, loop=loop
            )
        except (OSError, RuntimeError) as error:  # uvloop raises both
            self._known.pop((origin.host, origin.port), None)
            raise error if isinstance(error, OSError) else ConnectionError("no address answers") from error
        await loop.create_connection(
            protocol,
            sock=connected,
            ssl=self._context() if origin.tls else None,
            server_hostname=origin.host if origin.tls else None,
        )

    def remember(self, origin: Origin, tls: ssl.SSLObject) -> None:
        """Keep a TLS session for the next connection to this host."""
        self._context().remember(origin.host, tls)

    async def close(self) -> None:
        """End the lookups under way."""
        lookups = list(self._lookups.values())
        for lookup in lookups:
            lookup.cancel()
        await asyncio.gather(*lookups, return_exceptions=True)

    def _context(self) -> TlsContext:
        return self._tls or shared_tls_context()

    async def _addresses(self, host: str, port: int) -> Addresses:
        """Where a host is; whoever asks meanwhile gets the same answer."""
        if _is_address(host):
            return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        key = (host, port)
        known = self._known.get(key)
        if known is not None and known[0] > asyncio.get_running_loop().time():
            return known[1]
        lookup = self._lookups.get(key)
        if lookup is None:
            lookup = self._lookups[key] = asyncio.create_task(self._look_up(host, port))
            lookup.add_done_callback(functools.partial(self._looked_up, key))
        return await asyncio.shield(lookup)

    async def _look_up(self, host: str, port: int) -> Addresses:
        loop = asyncio.get_running_loop()
        return await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)

    def _looked_up(self, key: tuple[str, int], lookup: asyncio.Task[Addresses]) -> None:
        del self._lookups[key]
        if not lookup.cancelled() and lookup.exception() is None:
            until = lookup.get_loop().time() + _NAMES_KEPT_SECONDS
            self._known[key] = (until, lookup.result())


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
