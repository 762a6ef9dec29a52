"""What a network offers for prices on chain, as its data file states it."""

from dataclasses import dataclass
from typing import Literal

from balance_tracker.core.ids import Address, AssetId, Slug

FeedUnit = Literal["usd", "eth", "btc"]
"""What the answers of a feed are counted in."""

UNIT_ASSETS: dict[FeedUnit, AssetId] = {
    "eth": AssetId("eip155:1/slip44:60"),
    "btc": AssetId("bip122:000000000019d6689c085ae165831e93/slip44:0"),
}
"""The assets whose price in US dollars turns the other units into dollars."""


@dataclass(frozen=True, slots=True)
class Feed:
    """One price feed and the assets that it speaks for, all told by id.

    Attributes:
        pair: Its name for people (``ETH/USD``); nothing is decided by it.
        proxy: The contract that is asked.
        heartbeat_seconds: It is written anew at least so often; much later it is stale.
        assets: The ids of the assets (:attr:`Asset.price_key`) that have its price.
        decimals: Digits of its answers where they are known beforehand: the contract must agree.
    """

    pair: str
    proxy: Address
    unit: FeedUnit
    heartbeat_seconds: int
    assets: tuple[AssetId, ...]
    decimals: int | None = None


@dataclass(frozen=True, slots=True)
class PoolQuote:
    """A token that others are priced in by pools; ``priced_as`` is the asset whose price it has."""

    address: Address
    decimals: int
    priced_as: AssetId


@dataclass(frozen=True, slots=True)
class PoolFactory:
    """A deployment of Uniswap V3 and the tokens whose pools are looked for."""

    factory: Address
    quotes: tuple[PoolQuote, ...]


@dataclass(frozen=True, slots=True)
class OnChainPrices:
    """What one network offers.

    Attributes:
        sequencer: The feed that tells whether the network's sequencer is up, on a rollup that has one.
    """

    network: Slug
    feeds: tuple[Feed, ...] = ()
    sequencer: Address | None = None
    uniswap_v3: PoolFactory | None = None
