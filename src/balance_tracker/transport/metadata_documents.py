"""Metadata of tokens, fetched from where their URIs point: ``http(s)``, and ``ipfs`` by a gateway.

The URIs are strangers'; what is fetched from them is bounded and only from the public internet. The
gateway is the operator's choice and may be anywhere; strangers choose the path behind it only.
"""

import asyncio
from typing import Any

from balance_tracker.core.errors import UpstreamError
from balance_tracker.telemetry.logging import get_logger
from balance_tracker.transport.metadata_uris import (
    MOST_METADATA_BYTES,
    metadata_in,
    metadata_of,
    web_address,
)
from balance_tracker.transport.public_fetch import PublicFetcher

DOCUMENT_SECONDS = 5.0

_log = get_logger(__name__)


class MetadataDocuments:
    """Fetches metadata; see :class:`balance_tracker.ports.MetadataSource`.

    Args:
        ipfs_gateway: The root behind which paths are ``/ipfs/…``.
        strangers: Fetches what strangers chose; by default only from the public internet.
    """

    def __init__(self, ipfs_gateway: str, *, strangers: PublicFetcher | None = None) -> None:
        self._gateway = ipfs_gateway
        self._strangers = PublicFetcher() if strangers is None else strangers
        self._trusted = PublicFetcher(allows=lambda _address: True)

    def within(self, uri: str) -> dict[str, Any] | None:
        """See :meth:`balance_tracker.ports.MetadataSource.within`."""
        return metadata_in(uri)

    async def fetch(self, uri: str, deadline: float) -> dict[str, Any] | None:
        """See :meth:`balance_tracker.ports.MetadataSource.fetch`."""
        address = web_address(uri, self._gateway)
        left = deadline - asyncio.get_running_loop().time()
        if address is None or left <= 0:
            return None
        fetcher = self._trusted if uri[:5].lower() == "ipfs:" else self._strangers
        try:
            async with asyncio.timeout_at(deadline):
                reply = await fetcher.get(
                    address, timeout_seconds=min(left, DOCUMENT_SECONDS), max_bytes=MOST_METADATA_BYTES
                )
        except (UpstreamError, TimeoutError) as error:
            _log.debug("metadata_not_fetched", code=getattr(error, "code", "timed_out"))
            return None
        return metadata_of(reply.body) if reply.status == 200 else None
