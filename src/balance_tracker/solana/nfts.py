"""Non-fungible tokens of a wallet: mints of supply 1 without decimals, by collection.

A Metaplex token is of a collection if that collection's authority has signed so (``verified``); a
claim without it is told and groups nothing, as anybody can make one. A Token-2022 token is of a
group if it is a member of it. What is of neither stands alone, under its own mint.

Programmable tokens (pNFT) are ordinary mints with accounts that are always frozen.

Grade: silver. Known gap: compressed tokens are in no account and are not seen.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from balance_tracker.core.ids import Address
from balance_tracker.core.networks import Network
from balance_tracker.core.nfts import MOST_URI_BYTES, Collection, NftHolding, NftId, NftStandard
from balance_tracker.core.text import clean_text
from balance_tracker.solana.binary import LayoutError
from balance_tracker.solana.layouts import MintState
from balance_tracker.solana.metadata import MetaplexMetadata, MintMetadata, decode_whole_metaplex
from balance_tracker.solana.programs import METAPLEX_METADATA_PROGRAM
from balance_tracker.solana.replies import Account, Item

MOST_KEPT = 10_000
KEPT_SECONDS = 3_600.0
MOST_NAME_CHARACTERS = 128
MOST_SYMBOL_CHARACTERS = 64


@dataclass(frozen=True, slots=True)
class NftFacts:
    """What is known of one token.

    Attributes:
        group: The collection or group that it is surely of; ``None``: of none.
        claimed: The collection that it claims without a signature.
    """

    standard: NftStandard
    name: str | None
    symbol: str | None
    uri: str | None
    group: Address | None = None
    claimed: Address | None = None
    token_standard: str | None = None


class NftBook:
    """Facts of tokens by mint; the longest unused goes first when there are too many.

    Args:
        clock: Seconds that never go backwards.
    """

    def __init__(self, most: int = MOST_KEPT, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._facts: OrderedDict[str, tuple[NftFacts, float]] = OrderedDict()

    def knows(self, mint: str) -> bool:
        """Whether the mint's metadata needs no asking: an artist may still change it."""
        known = self._facts.get(mint)
        return known is not None and self._clock() - known[1] < KEPT_SECONDS

    def facts(self, mint: Address, state: MintState, metaplex: Item) -> NftFacts:
        """What the mint's own metadata says, else its Metaplex account, else what is remembered."""
        found = _own(mint, state) or _metaplex(mint, metaplex)
        if found is None:
            known = self._facts.get(mint)
            return NftFacts("metaplex", None, None, None) if known is None else known[0]
        self._facts[mint] = (found, self._clock())
        self._facts.move_to_end(mint)
        while len(self._facts) > self._most:
            self._facts.popitem(last=False)
        return found


@dataclass(frozen=True, slots=True)
class HeldNft:
    """One token that the wallet has."""

    mint: Address
    facts: NftFacts


def grouped(network: Network, held: Sequence[HeldNft]) -> tuple[NftHolding, ...]:
    """Tokens by collection, those of many first; alone where they are of none."""
    groups: dict[Address, list[HeldNft]] = {}
    for nft in held:
        groups.setdefault(nft.facts.group or nft.mint, []).append(nft)
    holdings = [_holding(network, key, nfts) for key, nfts in groups.items()]
    return tuple(sorted(holdings, key=lambda one: (-len(one.token_ids), one.collection.contract_address)))


def with_listed(
    holdings: Iterable[NftHolding], listed: Mapping[Address, Collection]
) -> tuple[NftHolding, ...]:
    """The holdings, with what lists say of their collections."""
    return tuple(
        replace(one, collection=listed.get(one.collection.contract_address, one.collection))
        for one in holdings
    )


def unnamed(holdings: Iterable[NftHolding]) -> list[Address]:
    """The collections whose own names are not known yet."""
    return [one.collection.contract_address for one in holdings if one.collection.name is None]


def with_names(holdings: Iterable[NftHolding], names: Mapping[Address, str | None]) -> tuple[NftHolding, ...]:
    """The holdings, with the names of collections that had none."""
    return tuple(
        replace(one, collection=replace(one.collection, name=names.get(one.collection.contract_address)))
        if one.collection.name is None
        else one
        for one in holdings
    )


def _holding(network: Network, key: Address, nfts: Sequence[HeldNft]) -> NftHolding:
    first = nfts[0].facts
    alone = first.group is None
    collection = Collection(
        network=network.slug,
        contract_address=key,
        standard=first.standard,
        name=first.name if alone else None,
        symbol=first.symbol,
        trust="unknown",
    )
    ids = tuple(NftId(str(nft.mint), 1, nft.facts.uri) for nft in sorted(nfts, key=lambda one: one.mint))
    return NftHolding(collection, len(ids), ids, ids_complete=True, extra=_extra(first, alone=alone))


def _extra(facts: NftFacts, *, alone: bool) -> tuple[tuple[str, str], ...]:
    extra: list[tuple[str, str]] = []
    if not alone:
        extra += [("collection", str(facts.group)), ("verified", "true")]
    elif facts.claimed is not None:
        extra += [("collection", str(facts.claimed)), ("verified", "false")]
    if facts.token_standard is not None:
        extra.append(("token_standard", facts.token_standard))
    return tuple(extra)


def _own(mint: Address, state: MintState) -> NftFacts | None:
    """Metadata inside a Token-2022 mint, believed where the mint itself points to it."""
    metadata = state.metadata
    if metadata is None or not state.metadata_address == mint == metadata.mint:
        return None
    member = state.group_membership
    group = member[1] if member is not None and member[0] == mint else None
    return _facts("token2022", metadata, group=group)


def _metaplex(mint: Address, item: Item) -> NftFacts | None:
    if not isinstance(item, Account) or item.program != METAPLEX_METADATA_PROGRAM:
        return None
    try:
        found = decode_whole_metaplex(item.data)
    except LayoutError:
        return None
    return _metaplex_facts(found) if found.names.mint == mint else None


def _metaplex_facts(found: MetaplexMetadata) -> NftFacts:
    return replace(
        _facts("metaplex", found.names, group=found.collection if found.verified else None),
        claimed=None if found.verified else found.collection,
        token_standard=found.token_standard,
    )


def _facts(standard: NftStandard, metadata: MintMetadata, group: Address | None) -> NftFacts:
    uri = metadata.uri.strip()
    good = 0 < len(uri) <= MOST_URI_BYTES and (uri.isprintable() or uri[:5].lower() == "data:")
    return NftFacts(
        standard=standard,
        name=clean_text(metadata.name, MOST_NAME_CHARACTERS) or None,
        symbol=clean_text(metadata.symbol, MOST_SYMBOL_CHARACTERS) or None,
        uri=uri if good else None,
        group=group,
    )
