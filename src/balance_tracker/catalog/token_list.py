"""One list in the Token Lists schema: read strictly, its tokens as assets.

Source: https://uniswap.org/tokenlist.schema.json (version 1.0.0-beta.35). More is allowed than there:
symbols with blanks, longer names and ids, and lists without version or time.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from balance_tracker.catalog.addresses import address_of
from balance_tracker.catalog.documents import parse_json
from balance_tracker.catalog.local_files import check_size
from balance_tracker.catalog.sections import Section
from balance_tracker.core.assets import Asset, Trust
from balance_tracker.core.ids import Address, Slug, token_asset_id
from balance_tracker.core.networks import Network

MAX_LIST_BYTES = 16 * 2**20
MAX_LIST_TOKENS = 100_000
SOLANA_LIST_CHAIN_ID = 101
"""What lists write for Solana, which has no EIP-155 id."""

HINT = "coingecko_hint"
"""Key in ``Asset.price_ids`` of a CoinGecko id that nobody confirmed for this very address: no source is
asked by it. Only ``coingeckoIdFrom`` = ``platform`` confirms one: it was looked up by the address."""

_LIST_KEYS = frozenset(
    {"$schema", "name", "timestamp", "version", "tokens", "tokenMap", "keywords", "tags", "logoURI"}
)
_TOKEN_KEYS = frozenset({"chainId", "address", "symbol", "name", "decimals", "logoURI", "tags", "extensions"})
_LOGO_SCHEMES = ("https://", "http://", "ipfs://", "ipns://", "ar://", "data:image/")
_STAND_INS = frozenset({"0x" + "0" * 40, "0x" + "e" * 40})
"""Addresses without a contract that some lists write for the native coin."""

_LARGEST_CHAIN_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class ParsedList:
    """The tokens of one list.

    Attributes:
        name: What the list calls itself.
        tokens: Those of tracked networks, in the list's order.
        untracked: How many were skipped because their network is not tracked.
        mirrors: How many were skipped because they show a native coin a second time.
    """

    name: str
    tokens: tuple[Asset, ...]
    untracked: int = 0
    mirrors: int = 0


def read_token_list(
    document: bytes, origin: str, networks: Mapping[Slug, Network], *, trust: Trust = "listed"
) -> ParsedList:
    """The tokens of a list, every one checked.

    Args:
        document: The list as it was read or fetched, at most :data:`MAX_LIST_BYTES`.
        origin: Its file or URL, for messages; of a URL only the host is shown.
        networks: The tracked networks; tokens of others are skipped and counted.
        trust: What the list's tokens are worth: ``verified`` for shipped lists only.

    Raises:
        ConfigurationError: Names the origin, the line or key (``tokens[3].address``), and the reason.
    """
    check_size(document, origin, MAX_LIST_BYTES)
    section = Section(origin, parse_json(document, origin))
    section.only(_LIST_KEYS)
    _check_version(section)
    reader = _TokenReader(networks, trust)
    for position, token in enumerate(section.sections("tokens", MAX_LIST_TOKENS)):
        reader.add(position, token)
    name = section.text("name", 100) if "name" in section else origin
    return ParsedList(name, tuple(reader.tokens), reader.untracked, reader.mirrors)


def list_chain_id(network: Network) -> int:
    """What a list writes as ``chainId`` for a network."""
    return SOLANA_LIST_CHAIN_ID if network.chain_id is None else network.chain_id


class _TokenReader:
    """Collects the tokens of one list and notices repeated ones."""

    def __init__(self, networks: Mapping[Slug, Network], trust: Trust) -> None:
        self.tokens: list[Asset] = []
        self.untracked = 0
        self.mirrors = 0
        self._trust = trust
        self._networks = {list_chain_id(network): network for network in networks.values()}
        self._positions: dict[tuple[Slug, Address], int] = {}

    def add(self, position: int, token: Section) -> None:
        network = self._networks.get(token.integer("chainId", 1, _LARGEST_CHAIN_ID))
        if network is None:
            self.untracked += 1
            return
        token.only(_TOKEN_KEYS)
        address = address_of(token, "address", token.text("address", 100), network.family)
        first = self._positions.setdefault((network.slug, address), position)
        if first != position:
            raise token.refused("address", f"repeats tokens[{first}].address")
        if address in network.mirrors or address.lower() in _STAND_INS:
            self.mirrors += 1
            return
        self.tokens.append(_asset(token, network, address, self._trust))


def _asset(token: Section, network: Network, address: Address, trust: Trust) -> Asset:
    extensions = token.section("extensions")
    return Asset(
        asset_id=token_asset_id(network.id, network.family, address),
        network=network.slug,
        contract_address=address,
        symbol=token.text("symbol", 80),
        name=token.text("name", 200),
        decimals=token.integer("decimals", 0, 255),
        trust=trust,
        logo_uri=_logo_uri(token),
        price_ids=_price_ids(extensions),
        tags=token.texts("tags", 40),
        note=extensions.text_or_none("note", 500),
        confidence=extensions.text_or_none("confidence", 40),
    )


def _price_ids(extensions: Section) -> dict[str, str]:
    ids: dict[str, str] = {}
    if "coingeckoId" in extensions:
        confirmed = extensions.text_or_none("coingeckoIdFrom") == "platform"
        ids["coingecko" if confirmed else HINT] = extensions.text("coingeckoId")
    if "coinpaprikaId" in extensions:
        ids["coinpaprika"] = extensions.text("coinpaprikaId")
    return ids


def _logo_uri(token: Section) -> str | None:
    """The logo's URI; an empty one is none, and no script hides in it."""
    if "logoURI" not in token or token.says_nothing("logoURI"):
        return None
    uri = token.text("logoURI", 16_384)
    if not uri.lower().startswith(_LOGO_SCHEMES):
        raise token.refused("logoURI", f"must begin with one of {', '.join(_LOGO_SCHEMES)}")
    return uri


def _check_version(section: Section) -> None:
    version = section.section("version")
    version.only(frozenset({"major", "minor", "patch"}))
    for part in version:
        version.integer(part, 0, 2**31 - 1)
    section.text_or_none("timestamp", 60)
