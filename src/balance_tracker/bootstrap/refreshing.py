"""Token lists read again: from the lists' documents to the difference, and to the file that keeps it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from balance_tracker.bootstrap.configuration import operator_list
from balance_tracker.catalog.list_document import render_token_list
from balance_tracker.catalog.token_list import read_token_list
from balance_tracker.catalog.tokens import load_tokens, read_local_list
from balance_tracker.core.assets import Asset
from balance_tracker.core.errors import InputError, UpstreamError
from balance_tracker.core.ids import Address, Slug
from balance_tracker.core.networks import Network
from balance_tracker.ports import ChainReader, MetadataFailure, MetadataReader, TokenMetadata
from balance_tracker.services.token_refresh import REFRESHED_LIST, TokenListDiff, TokenRefresh
from balance_tracker.telemetry.redact import protect

CHECK_SECONDS = 120.0
_LIST_NAME = "Refreshed lists"
_TOKENS_PER_READ = 150

_ANYONE = {
    "evm": Address("0x000000000000000000000000000000000000dEaD"),
    "solana": Address("11111111111111111111111111111111"),
}
"""An owner to ask for: what a token says of itself does not depend on it."""


async def refreshed(
    sources: Sequence[str],
    readers: Mapping[Slug, ChainReader],
    data_dir: Path,
    *,
    shipped: bool,
    others: Sequence[str],
    keep: bool,
) -> TokenListDiff:
    """What the lists would change of the tracked tokens; kept for the next start only if told to.

    The tracked tokens are those of the shipped lists, of the last refresh and of the operator's
    ``others``: compared with themselves, the lists that are read again would never differ.

    Raises:
        InputError: There is no list to read.
        ConfigurationError: A list can't be had or is wrong, or the data directory can't be written.
    """
    if not sources:
        raise InputError(
            "There is no token list to read.",
            code="no_token_list",
            hint="Give a URL or a file, or set TRACKER_TOKEN_LISTS.",
        )
    protect(source for source in sources if "://" in source)
    networks = {slug: reader.network for slug, reader in readers.items()}
    fetched = [token for source in sources for token in _tokens(await operator_list(source), networks)]
    target = data_dir / REFRESHED_LIST
    last = [read_local_list(target)] if target.exists() else []
    kept = [token for document in last for token in _tokens(document, networks)]
    rest = [await operator_list(other) for other in others]
    current = load_tokens(networks, shipped=shipped, extra_lists=[*last, *rest])
    refresh = TokenRefresh(
        {slug: _metadata_reader(reader) for slug, reader in readers.items()},
        lambda tokens: render_token_list(_LIST_NAME, tokens, networks, datetime.now(UTC)),
        data_dir,
    )
    deadline = asyncio.get_running_loop().time() + CHECK_SECONDS
    difference = await refresh.compare(fetched, current, kept, deadline)
    if keep and not difference.empty:
        refresh.keep(difference)
    return difference


class MetadataByReading:
    """Has a chain reader ask tokens about themselves; implements ``MetadataReader``.

    Tokens whose decimals are not known are asked for their metadata by every read of
    balances, so the balances of an owner who does not matter are read.
    """

    def __init__(self, reader: ChainReader) -> None:
        self._reader = reader
        self._owner = _ANYONE[reader.network.family]

    async def metadata(
        self, assets: Sequence[Asset], deadline: float
    ) -> Mapping[Address, TokenMetadata | MetadataFailure]:
        """What each token says of itself; see :class:`balance_tracker.ports.MetadataReader`."""
        said: dict[Address, TokenMetadata | MetadataFailure] = {}
        for start in range(0, len(assets), _TOKENS_PER_READ):
            unknown = [_unknown(asset) for asset in assets[start : start + _TOKENS_PER_READ]]
            try:
                reading = await self._reader.read(self._owner, unknown, None, deadline)
            except UpstreamError:
                if not said:
                    raise
                break
            for balance in reading.balances:
                asset = balance.asset
                if asset.contract_address is not None:
                    said[asset.contract_address] = TokenMetadata(asset.symbol, asset.name, asset.decimals)
            for failure in reading.failures:
                if failure.asset.contract_address is not None:
                    said[failure.asset.contract_address] = MetadataFailure(failure.code, failure.reason)
        return said


def _metadata_reader(reader: ChainReader) -> MetadataReader:
    """The reader itself where it can be asked for metadata alone, otherwise by way of balances."""
    asks_itself = callable(getattr(reader, "metadata", None))
    return cast("MetadataReader", reader) if asks_itself else MetadataByReading(reader)


def _tokens(document: tuple[str, bytes], networks: Mapping[Slug, Network]) -> tuple[Asset, ...]:
    origin, content = document
    return read_token_list(content, origin, networks).tokens


def _unknown(asset: Asset) -> Asset:
    return replace(asset.with_metadata(None, None, None), trust="unknown")
