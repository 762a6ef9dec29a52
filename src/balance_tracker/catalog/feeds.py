"""Price feeds and pools of the networks: the shipped files, and the operator's over them."""

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import get_args

from balance_tracker.catalog.addresses import address_of
from balance_tracker.catalog.documents import parse_toml
from balance_tracker.catalog.local_files import read_bounded
from balance_tracker.catalog.sections import Section
from balance_tracker.core.feeds import UNIT_ASSETS, Feed, FeedUnit, OnChainPrices, PoolFactory, PoolQuote
from balance_tracker.core.ids import Address, AssetId, Slug
from balance_tracker.core.networks import Network

MAX_FEED_BYTES = 512 * 1024
MAX_FEEDS = 1_000
OPERATOR_FOLDER = "feeds"
"""Where an operator's files are, inside the directory of networks."""

_KEYS = frozenset({"slug", "sequencer", "feeds", "uniswap_v3"})
_FEED_KEYS = frozenset({"pair", "proxy", "unit", "decimals", "heartbeat_seconds", "assets"})
_FACTORY_KEYS = frozenset({"factory", "quotes"})
_QUOTE_KEYS = frozenset({"address", "decimals", "priced_as"})
_UNITS: tuple[FeedUnit, ...] = get_args(FeedUnit)
_CAIP19 = re.compile(r"[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}/[-a-z0-9]{3,8}:[-.%a-zA-Z0-9]{1,128}")
_LONGEST_HEARTBEAT = 30 * 86_400


def load_feeds(networks: Mapping[Slug, Network], extra_dir: Path | None = None) -> dict[Slug, OnChainPrices]:
    """What every tracked EVM network offers, by its slug; nothing for one without a file.

    Args:
        networks: The tracked networks.
        extra_dir: The operator's directory of networks; its ``feeds/SLUG.toml`` replaces a shipped file.

    Raises:
        ConfigurationError: A file is wrong; names the file, the key and the reason.
    """
    shipped = files("balance_tracker") / "data" / "feeds"
    found: dict[Slug, OnChainPrices] = {}
    for slug, network in networks.items():
        name = f"{slug}.toml"
        own = extra_dir / OPERATOR_FOLDER / name if extra_dir is not None else None
        if network.family != "evm":
            continue
        if own is not None and own.exists():
            found[slug] = read_feeds(read_bounded(own, MAX_FEED_BYTES), str(own), network)
        elif (entry := shipped / name).is_file():
            found[slug] = read_feeds(entry.read_bytes(), f"feeds/{name}", network)
    return found


def read_feeds(document: bytes, origin: str, network: Network) -> OnChainPrices:
    """One network's feeds from the bytes of its file.

    Raises:
        ConfigurationError: Names the file, the key and the reason.
    """
    section = Section(origin, parse_toml(document, origin))
    section.only(_KEYS)
    if section.text("slug", 32) != network.slug:
        raise section.refused("slug", f"must be '{network.slug}', the network of the file")
    return OnChainPrices(
        network=network.slug,
        feeds=_feeds(section),
        sequencer=_address(section, "sequencer") if "sequencer" in section else None,
        uniswap_v3=_factory(section.section("uniswap_v3")) if "uniswap_v3" in section else None,
    )


def _feeds(section: Section) -> tuple[Feed, ...]:
    if "feeds" not in section:
        return ()
    feeds: list[Feed] = []
    speaks: dict[AssetId, str] = {}
    for entry in section.sections("feeds", MAX_FEEDS):
        feed = _feed(entry)
        for asset_id in feed.assets:
            if speaks.setdefault(asset_id, feed.pair) != feed.pair or feed.assets.count(asset_id) > 1:
                raise entry.refused("assets", f"names {asset_id}, which has the feed {speaks[asset_id]}")
        if any(feed.proxy == other.proxy for other in feeds):
            raise entry.refused("proxy", "stands twice in this file")
        feeds.append(feed)
    _check_units(section, feeds)
    return tuple(feeds)


def _feed(entry: Section) -> Feed:
    entry.only(_FEED_KEYS)
    return Feed(
        pair=entry.text("pair", 40),
        proxy=_address(entry, "proxy"),
        unit=_unit(entry),
        heartbeat_seconds=entry.integer("heartbeat_seconds", 1, _LONGEST_HEARTBEAT),
        assets=_asset_ids(entry, "assets"),
        decimals=entry.integer("decimals", 0, 77) if "decimals" in entry else None,
    )


def _check_units(section: Section, feeds: list[Feed]) -> None:
    """A feed in ether is of no use where nothing tells the price of ether."""
    for unit, asset_id in UNIT_ASSETS.items():
        told = any(feed.unit == "usd" and asset_id in feed.assets for feed in feeds)
        needing = [feed.pair for feed in feeds if feed.unit == unit]
        if needing and not told:
            raise section.refused("feeds", f"has {needing[0]}, but no feed of {asset_id} in usd")


def _unit(entry: Section) -> FeedUnit:
    value = entry.text("unit", 10)
    for unit in _UNITS:
        if value == unit:
            return unit
    raise entry.refused("unit", f"must be one of {', '.join(_UNITS)}, not '{value}'")


def _factory(section: Section) -> PoolFactory:
    section.only(_FACTORY_KEYS)
    quotes: list[PoolQuote] = []
    for entry in section.sections("quotes", 10):
        entry.only(_QUOTE_KEYS)
        quotes.append(
            PoolQuote(
                _address(entry, "address"), entry.integer("decimals", 0, 77), _asset_id(entry, "priced_as")
            )
        )
    return PoolFactory(_address(section, "factory"), tuple(quotes))


def _asset_ids(entry: Section, key: str) -> tuple[AssetId, ...]:
    texts = entry.texts(key, 200)
    if not texts:
        raise entry.refused(key, "is empty: a feed speaks for one asset at least")
    return tuple(_checked(entry, f"{key}[{position}]", text) for position, text in enumerate(texts))


def _asset_id(entry: Section, key: str) -> AssetId:
    return _checked(entry, key, entry.text(key, 200))


def _checked(entry: Section, key: str, text: str) -> AssetId:
    if not _CAIP19.fullmatch(text):
        raise entry.refused(key, "is not a CAIP-19 id", "For example eip155:1/slip44:60, which is ether.")
    return AssetId(text)


def _address(section: Section, key: str) -> Address:
    return address_of(section, key, section.text(key, 100), "evm")
