"""What is tracked: networks with the health of their endpoints, and the listed tokens."""

import asyncio
import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from balance_tracker.core.assets import Asset
from balance_tracker.core.errors import InputError, UpstreamError
from balance_tracker.core.ids import Slug
from balance_tracker.core.networks import Network
from balance_tracker.ports import ChainReader, EndpointHealth
from balance_tracker.services.questions import find_network, split_words
from balance_tracker.telemetry.logging import get_logger

DEFAULT_LIMIT = 100
MOST_PER_PAGE = 1000

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class NetworkView:
    """A tracked network, how many tokens it lists, and what is known of its endpoints."""

    network: Network
    tokens: int
    endpoints: tuple[EndpointHealth, ...]


@dataclass(frozen=True, slots=True)
class TokenPage:
    """One page of listed tokens; ``next_cursor`` is ``None`` on the last."""

    tokens: tuple[Asset, ...]
    next_cursor: str | None


class CatalogService:
    """Answers what is tracked.

    Args:
        networks: The tracked networks, in the order of answers.
        tokens: Their listed tokens.
        readers: Their readers, which know the health of endpoints.
    """

    def __init__(
        self,
        networks: Mapping[Slug, Network],
        tokens: Mapping[Slug, Sequence[Asset]],
        readers: Mapping[Slug, ChainReader],
    ) -> None:
        self._networks = networks
        self._tokens = tokens
        self._readers = readers

    def networks(self) -> tuple[NetworkView, ...]:
        """Every tracked network."""
        return tuple(self._view(network) for network in self._networks.values())

    def network(self, slug: str) -> NetworkView:
        """One tracked network.

        Raises:
            InputError: ``unknown_network``, with the nearest slug.
        """
        return self._view(find_network(slug, self._networks))

    async def probe(self, networks: Sequence[str] | None = None, *, deadline_seconds: float) -> None:
        """Ask every endpoint for its chain and head, all at once, so that its health is known."""
        chosen = [find_network(slug, self._networks).slug for slug in split_words(networks)]
        with suppress(TimeoutError):
            async with asyncio.timeout(deadline_seconds), asyncio.TaskGroup() as group:
                for slug in chosen or self._networks:
                    group.create_task(_probe(self._readers[slug]))

    def tokens(
        self,
        networks: Sequence[str] | None = None,
        query: str | None = None,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
    ) -> TokenPage:
        """Listed tokens whose symbol, name or address has the query in it, page by page.

        Raises:
            InputError: ``unknown_network``, ``invalid_limit`` or ``invalid_cursor``.
        """
        if not 1 <= limit <= MOST_PER_PAGE:
            raise InputError(
                f"limit must be 1 to {MOST_PER_PAGE}, not {limit}.",
                code="invalid_limit",
                hint="Go on with next_cursor where there is more.",
            )
        slugs = [find_network(slug, self._networks).slug for slug in split_words(networks)]
        wanted = (query or "").strip().casefold()
        found = [
            token
            for slug in dict.fromkeys(slugs or self._networks)
            for token in self._tokens.get(slug, ())
            if _matches(token, wanted)
        ]
        question = _digest(slugs, wanted)
        start = _start(found, cursor, question)
        page = found[start : start + limit]
        more = start + limit < len(found)
        return TokenPage(tuple(page), _cursor(page[-1], question) if more else None)

    def _view(self, network: Network) -> NetworkView:
        reader = self._readers.get(network.slug)
        health = tuple(reader.health()) if reader is not None else ()
        return NetworkView(network, len(self._tokens.get(network.slug, ())), health)


async def _probe(reader: ChainReader) -> None:
    """One network's probe; what its endpoints failed with is in their health."""
    try:
        await reader.probe()
    except UpstreamError:
        return
    except Exception as error:  # noqa: BLE001 - the edge of one network's task: the others go on
        _log.exception("probe_broke", network=reader.network.slug, exc_info=error)


def _matches(token: Asset, wanted: str) -> bool:
    if not wanted:
        return True
    texts = (token.symbol, token.name, token.contract_address, token.asset_id)
    return any(wanted in text.casefold() for text in texts if text)


def _digest(slugs: Sequence[str], wanted: str) -> str:
    """Ties a cursor to its question: another question's pages can't be continued with it."""
    return hashlib.sha256("\n".join((*slugs, "", wanted)).encode()).hexdigest()[:12]


def _cursor(last: Asset, question: str) -> str:
    return base64.urlsafe_b64encode(f"{question}{last.asset_id}".encode()).decode().rstrip("=")


def _start(found: Sequence[Asset], cursor: str | None, question: str) -> int:
    """Where the page after a cursor begins."""
    if cursor is None:
        return 0
    try:
        padded = cursor.encode() + b"=" * (-len(cursor) % 4)
        text = base64.urlsafe_b64decode(padded).decode()
    except (ValueError, binascii.Error):
        text = ""
    if text.startswith(question):
        for position, token in enumerate(found):
            if token.asset_id == text[len(question) :]:
                return position + 1
    raise InputError(
        "The cursor is not one of this list.",
        code="invalid_cursor",
        hint="Start again without it, or repeat the question that it came with.",
    )
