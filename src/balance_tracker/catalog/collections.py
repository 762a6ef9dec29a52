"""Collections of non-fungible tokens: shipped lists, and the operator's merged over them.

A list is a JSON document of its own shape, as no common one exists: ``name`` and ``collections``,
each with ``chainId`` (101 for Solana, as in token lists), ``address`` (on Solana the mint of the
collection), ``name``, ``standard``, and where known ``symbol``, ``sinceBlock`` (where its events
begin) and ``verified`` (``false``: no source states the standard, so the contract is asked).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Literal

from balance_tracker.catalog.addresses import address_of
from balance_tracker.catalog.documents import parse_json
from balance_tracker.catalog.local_files import check_size
from balance_tracker.catalog.sections import Section
from balance_tracker.catalog.token_list import list_chain_id
from balance_tracker.catalog.tokens import ListSource, read_local_list
from balance_tracker.core.ids import Address, Slug
from balance_tracker.core.networks import Family, Network
from balance_tracker.core.nfts import Collection, NftStandard

MAX_COLLECTION_BYTES = 4 * 2**20
MAX_COLLECTIONS = 10_000

_LIST_KEYS = frozenset({"$schema", "name", "timestamp", "version", "collections"})
_KEYS = frozenset({"chainId", "address", "name", "standard", "symbol", "sinceBlock", "verified"})
_STANDARDS: dict[Family, tuple[NftStandard, ...]] = {
    "evm": ("erc721", "erc1155", "cryptopunks"),
    "solana": ("metaplex", "token2022"),
}
_LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class ParsedCollections:
    """The collections of one list; ``untracked`` counts those of networks that are not tracked."""

    name: str
    collections: tuple[Collection, ...]
    untracked: int = 0


def load_collections(
    networks: Mapping[Slug, Network], *, shipped: bool = True, extra_lists: Sequence[ListSource] = ()
) -> dict[Slug, tuple[Collection, ...]]:
    """The collections of each network, shipped ones first, each once.

    Args:
        networks: The tracked networks.
        shipped: Whether the shipped lists count.
        extra_lists: The operator's; later ones win, and one that names a shipped collection
            corrects it and leaves it ``verified``.

    Returns:
        A tuple for every network, empty where nothing is listed.

    Raises:
        ConfigurationError: A list is wrong; names its origin, the line or key, and the reason.
    """
    found: dict[Slug, dict[Address, Collection]] = {slug: {} for slug in networks}
    if shipped:
        for network in networks.values():
            for collection in shipped_collections(network):
                found[network.slug][collection.contract_address] = collection
    for source in extra_lists:
        origin, document = source if isinstance(source, tuple) else read_local_list(source)
        for collection in read_collections(document, origin, networks).collections:
            _merge(found[collection.network], collection)
    return {slug: tuple(of_network.values()) for slug, of_network in found.items()}


def shipped_collections(network: Network) -> tuple[Collection, ...]:
    """The shipped list of a network; empty where none is shipped."""
    name = f"{network.slug}.json"
    entry = files("balance_tracker") / "data" / "collections" / name
    if not entry.is_file():
        return ()
    origin = f"collections/{name}"
    return read_collections(entry.read_bytes(), origin, {network.slug: network}, trust="verified").collections


def read_collections(
    document: bytes,
    origin: str,
    networks: Mapping[Slug, Network],
    *,
    trust: Literal["verified", "listed"] = "listed",
) -> ParsedCollections:
    """The collections of a list, every one checked.

    Args:
        document: The list as it was read or fetched, at most :data:`MAX_COLLECTION_BYTES`.
        origin: Its file or URL, for messages.
        networks: The tracked networks; collections of others are skipped and counted.
        trust: What the list is worth: ``verified`` for shipped lists only.

    Raises:
        ConfigurationError: Names the origin, the key (``collections[3].address``), and the reason.
    """
    check_size(document, origin, MAX_COLLECTION_BYTES)
    section = Section(origin, parse_json(document, origin))
    section.only(_LIST_KEYS)
    by_chain = {list_chain_id(network): network for network in networks.values()}
    found: dict[tuple[Slug, Address], Collection] = {}
    untracked = 0
    for entry in section.sections("collections", MAX_COLLECTIONS):
        network = by_chain.get(entry.integer("chainId", 1, _LARGEST))
        if network is None:
            untracked += 1
            continue
        collection = _collection(entry, network, trust)
        key = (collection.network, collection.contract_address)
        if key in found:
            raise entry.refused("address", "stands twice in this list")
        found[key] = collection
    name = section.text("name", 100) if "name" in section else origin
    return ParsedCollections(name, tuple(found.values()), untracked)


def _collection(entry: Section, network: Network, trust: Literal["verified", "listed"]) -> Collection:
    entry.only(_KEYS)
    # What is not verified is a guess that the contract itself confirms or mends when it is read.
    entry.flag_or("verified", default=True)
    return Collection(
        network=network.slug,
        contract_address=address_of(entry, "address", entry.text("address", 100), network.family),
        standard=_standard(entry, network.family),
        name=entry.text("name", 200),
        symbol=entry.text_or_none("symbol", 80),
        since_block=entry.integer_or("sinceBlock", 0, 0, _LARGEST),
        trust=trust,
    )


def _standard(entry: Section, family: Family) -> NftStandard:
    value = entry.text("standard", 20)
    for standard in _STANDARDS[family]:
        if value == standard:
            return standard
    allowed = ", ".join(_STANDARDS[family])
    raise entry.refused("standard", f"must be one of {allowed}, not '{value}'")


def _merge(of_network: dict[Address, Collection], over: Collection) -> None:
    known = of_network.get(over.contract_address)
    if known is not None:
        over = replace(
            over,
            symbol=over.symbol or known.symbol,
            since_block=over.since_block or known.since_block,
            trust=known.trust,
        )
    of_network[over.contract_address] = over
