"""One network from its file, every key checked."""

import re
from typing import get_args
from urllib.parse import urlsplit

from balance_tracker.catalog.addresses import address_of
from balance_tracker.catalog.documents import parse_toml
from balance_tracker.catalog.sections import Section
from balance_tracker.core.ids import Address, AssetId, NetworkId, Slug
from balance_tracker.core.networks import ContractRef, Family, Lifecycle, NativeCoin, Network

_KEYS = frozenset(
    {
        *("slug", "name", "family", "id", "chain_id", "lifecycle", "lifecycle_note", "block_time_ms"),
        *("explorer_url", "wrapped_native", "mirrors", "notes", "runs_evm_code"),
        *("native", "price_ids", "price_platforms", "contracts", "endpoints"),
    }
)
_NATIVE_KEYS = frozenset({"symbol", "name", "decimals", "priced_as"})
_PRICE_SERVICES = frozenset({"coingecko", "coinmarketcap", "coinpaprika"})
_PRICE_PLATFORMS = frozenset({"coingecko", "coinmarketcap", "defillama"})
_CONTRACTS = frozenset({"multicall3", "ens_registry", "arbsys"})
_CONTRACT_KEYS = frozenset({"address", "since_block"})
_FAMILIES: tuple[Family, ...] = get_args(Family)
_LIFECYCLES: tuple[Lifecycle, ...] = get_args(Lifecycle)
_SLUG = re.compile(r"[a-z][a-z0-9-]{0,31}")
_CAIP2 = {
    "evm": re.compile(r"eip155:([1-9][0-9]{0,31})"),
    "solana": re.compile(r"solana:[1-9A-HJ-NP-Za-km-z]{32}"),
}
_CAIP2_EXAMPLE = {"evm": "eip155:8453", "solana": "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"}
_COIN = re.compile(r"[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}/slip44:[0-9]{1,10}")
_ENDPOINT_SCHEMES = frozenset({"http", "https", "ws", "wss"})
_PAGE_SCHEMES = frozenset({"http", "https"})
_LARGEST_BLOCK = 2**63 - 1


def read_network(document: bytes, origin: str, file_stem: str) -> Network:
    """One network from the bytes of its file.

    Args:
        document: The TOML file as it was read.
        origin: The file's name for messages.
        file_stem: The file's name without ``.toml``; the slug inside must be the same.

    Raises:
        ConfigurationError: Names the file, the line or key, and the reason.
    """
    section = Section(origin, parse_toml(document, origin))
    section.only(_KEYS)
    family = _choice(section, "family", _FAMILIES)
    network_id, chain_id = _identity(section, family)
    lifecycle, lifecycle_note = _lifecycle(section)
    return Network(
        slug=_slug(section, file_stem),
        name=section.text("name", 60),
        family=family,
        id=network_id,
        chain_id=chain_id,
        native=_native(section),
        endpoints=_endpoints(section),
        contracts=_contracts(section, family),
        lifecycle=lifecycle,
        lifecycle_note=lifecycle_note,
        block_time_ms=section.integer_or("block_time_ms", 12_000, 1, 3_600_000),
        explorer_url=_explorer_url(section),
        wrapped_native=_address(section, "wrapped_native", family) if "wrapped_native" in section else None,
        mirrors=_mirrors(section, family),
        notes=section.texts("notes", 500),
        price_ids=_service_names(section, "price_ids", _PRICE_SERVICES),
        price_platforms=_service_names(section, "price_platforms", _PRICE_PLATFORMS),
        runs_evm_code=section.flag_or("runs_evm_code", default=True),
    )


def _slug(section: Section, file_stem: str) -> Slug:
    slug = section.text("slug", 40)
    if not _SLUG.fullmatch(slug):
        raise section.refused("slug", "must be small letters, digits and '-', and begin with a letter")
    if slug != file_stem:
        raise section.refused(
            "slug", f"is '{slug}' but the file is {file_stem}.toml", f"Name it {slug}.toml."
        )
    return Slug(slug)


def _identity(section: Section, family: Family) -> tuple[NetworkId, int | None]:
    text = section.text("id", 80)
    match = _CAIP2[family].fullmatch(text)
    if match is None:
        example = f"For example {_CAIP2_EXAMPLE[family]}."
        raise section.refused("id", f"is not a CAIP-2 id of the {family} family", example)
    if family != "evm":
        if "chain_id" in section:
            raise section.refused("chain_id", "is for EVM networks only")
        return NetworkId(text), None
    chain_id = int(match.group(1))
    if section.integer_or("chain_id", chain_id, 1, 10**32) != chain_id:
        raise section.refused("chain_id", f"does not agree with id {text}")
    return NetworkId(text), chain_id


def _lifecycle(section: Section) -> tuple[Lifecycle, str | None]:
    lifecycle: Lifecycle = "active"
    if "lifecycle" in section:
        lifecycle = _choice(section, "lifecycle", _LIFECYCLES)
    note = section.text_or_none("lifecycle_note", 500)
    if lifecycle == "sunset" and note is None:
        raise section.refused("lifecycle_note", "is missing: a sunset network says why")
    return lifecycle, note


def _native(section: Section) -> NativeCoin:
    if "native" not in section:
        raise section.refused("native", "is missing")
    native = section.section("native")
    native.only(_NATIVE_KEYS)
    symbol = native.text("symbol", 20)
    priced_as = native.text("priced_as", 100)
    if not _COIN.fullmatch(priced_as):
        raise native.refused(
            "priced_as", "is not a CAIP-19 id of a coin", "For example eip155:1/slip44:60, which is ether."
        )
    return NativeCoin(
        symbol=symbol,
        name=native.text("name", 60) if "name" in native else symbol,
        decimals=native.integer("decimals", 0, 255),
        priced_as=AssetId(priced_as),
    )


def _service_names(section: Section, key: str, services: frozenset[str]) -> dict[str, str]:
    names = section.section(key)
    names.only(services)
    return {service: names.text(service, 100) for service in names}


def _contracts(section: Section, family: Family) -> dict[str, ContractRef]:
    contracts = section.section("contracts")
    if family != "evm" and contracts:
        raise section.refused("contracts", "is for EVM networks only")
    contracts.only(_CONTRACTS)
    return {name: _contract(contracts.section(name), family) for name in contracts}


def _contract(section: Section, family: Family) -> ContractRef:
    section.only(_CONTRACT_KEYS)
    return ContractRef(
        address=_address(section, "address", family),
        since_block=section.integer_or("since_block", 0, 0, _LARGEST_BLOCK),
    )


def _endpoints(section: Section) -> tuple[str, ...]:
    endpoints = section.section("endpoints")
    endpoints.only(frozenset({"public"}))
    urls = endpoints.texts("public")
    for position, url in enumerate(urls):
        _check_url(endpoints, f"public[{position}]", url, _ENDPOINT_SCHEMES)
        if url in urls[:position]:
            raise endpoints.refused(f"public[{position}]", f"repeats public[{urls.index(url)}]")
    return urls


def _explorer_url(section: Section) -> str | None:
    url = section.text_or_none("explorer_url", 300)
    if url is not None:
        _check_url(section, "explorer_url", url, _PAGE_SCHEMES)
    return url


def _check_url(section: Section, key: str, url: str, schemes: frozenset[str]) -> None:
    """Refuse what is no URL of these schemes; the URL itself is not shown, for it may hold a key."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme.lower() in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or " " in url:
        wanted = ", ".join(f"{scheme}://" for scheme in sorted(schemes))
        raise section.refused(key, f"is not a URL that begins with one of {wanted}")


def _mirrors(section: Section, family: Family) -> tuple[Address, ...]:
    texts = section.texts("mirrors", 100)
    return tuple(
        address_of(section, f"mirrors[{position}]", text, family) for position, text in enumerate(texts)
    )


def _address(section: Section, key: str, family: Family) -> Address:
    return address_of(section, key, section.text(key, 100), family)


def _choice[T: str](section: Section, key: str, choices: tuple[T, ...]) -> T:
    value = section.text(key, 40)
    for choice in choices:
        if value == choice:
            return choice
    raise section.refused(key, f"must be one of {', '.join(choices)}, not '{value}'")
