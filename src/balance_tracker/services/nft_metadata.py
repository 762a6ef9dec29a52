"""Metadata of the tokens of one page: their URIs, and what stands in them or behind them."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from balance_tracker.core.blocks import BlockRef
from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.ids import Slug
from balance_tracker.core.nfts import Collection, NftHolding, NftId
from balance_tracker.ports import MetadataSource, NftReader
from balance_tracker.telemetry.logging import get_logger

MOST_PAGE_BYTES = 8 * 2**20
"""Of all URIs of a page; what comes after is told without."""

MOST_UNLISTED = 100
"""URIs that are asked of contracts which nobody listed: they may be made to cost much."""

_log = get_logger(__name__)

type _Token = tuple[Collection, str]


class NftMetadata:
    """Learns URIs of tokens and what they hold.

    Args:
        readers: Who asks contracts for URIs, by network; where there is none the holdings have them.
        source: Reads what URIs hold and point to.
    """

    def __init__(self, readers: Mapping[Slug, NftReader], source: MetadataSource) -> None:
        self._readers = readers
        self._source = source

    async def added_to(
        self,
        holdings: Sequence[NftHolding],
        blocks: Mapping[Slug, BlockRef],
        deadline: float,
        *,
        fetch: bool,
    ) -> tuple[NftHolding, ...]:
        """The holdings with URIs and metadata; what can't be learnt stays ``None``.

        Args:
            holdings: Those of one page.
            blocks: At which the URIs are asked, by network.
            deadline: The loop's time by which it ends with what it has.
            fetch: Whether what a URI points to is fetched; what stands in it is always told.
        """
        uris = await self._uris(holdings, blocks, deadline)
        bounded = _within(MOST_PAGE_BYTES, uris)
        found = {token: self._source.within(uri) for token, uri in bounded.items()}
        if fetch:
            found |= await self._fetched(
                [token for token in bounded if found[token] is None], bounded, deadline
            )
        return tuple(
            replace(one, token_ids=tuple(_with(one, own, bounded, found) for own in one.token_ids))
            for one in holdings
        )

    async def _uris(
        self, holdings: Sequence[NftHolding], blocks: Mapping[Slug, BlockRef], deadline: float
    ) -> dict[_Token, str]:
        known = {
            (one.collection, own.token_id): own.metadata_uri for one in holdings for own in one.token_ids
        }
        by_network: dict[Slug, list[_Token]] = {}
        unlisted = 0
        for token, uri in known.items():
            unlisted += token[0].trust == "unknown"
            if uri is None and (token[0].trust != "unknown" or unlisted <= MOST_UNLISTED):
                by_network.setdefault(token[0].network, []).append(token)
        asked = [slug for slug in by_network if slug in self._readers and slug in blocks]
        answers = await asyncio.gather(
            *(self._asked(slug, by_network[slug], blocks[slug], deadline) for slug in asked)
        )
        for answer in answers:
            known |= answer
        return {token: uri for token, uri in known.items() if uri is not None}

    async def _asked(
        self, slug: Slug, tokens: Sequence[_Token], block: BlockRef, deadline: float
    ) -> dict[_Token, str | None]:
        """URIs by the contracts of one network; none where no endpoint answers."""
        try:
            async with asyncio.timeout_at(deadline):
                uris = await self._readers[slug].uris(tokens, block, deadline)
        except (UpstreamError, TimeoutError) as error:
            _log.warning("metadata_uris_unknown", network=slug, code=getattr(error, "code", "timed_out"))
            return {}
        return dict(zip(tokens, uris, strict=True))

    async def _fetched(
        self, tokens: Sequence[_Token], uris: Mapping[_Token, str], deadline: float
    ) -> dict[_Token, dict[str, Any] | None]:
        wanted = list(dict.fromkeys(uris[token] for token in tokens))
        documents = await asyncio.gather(*(self._source.fetch(uri, deadline) for uri in wanted))
        by_uri = dict(zip(wanted, documents, strict=True))
        return {token: by_uri[uris[token]] for token in tokens}


def _within(most_bytes: int, uris: Mapping[_Token, str]) -> dict[_Token, str]:
    """The URIs up to a size in all."""
    kept: dict[_Token, str] = {}
    left = most_bytes
    for token, uri in uris.items():
        left -= len(uri)
        if left < 0:
            break
        kept[token] = uri
    return kept


def _with(
    holding: NftHolding,
    own: NftId,
    uris: Mapping[_Token, str],
    found: Mapping[_Token, dict[str, Any] | None],
) -> NftId:
    token = (holding.collection, own.token_id)
    return replace(own, metadata_uri=uris.get(token), metadata=found.get(token))
