"""Assets to price: by hand, and as many as a large portfolio has from the shipped lists."""

from functools import cache

from balance_tracker.catalog.networks import load_networks
from balance_tracker.catalog.tokens import load_tokens
from balance_tracker.core.assets import Asset, native_asset
from balance_tracker.core.ids import Address, AssetId, Slug, token_asset_id

NETWORKS = load_networks()


def platforms(service: str) -> dict[Slug, str]:
    """What a price service calls each network."""
    return {
        slug: network.price_platforms[service]
        for slug, network in NETWORKS.items()
        if service in network.price_platforms
    }


def token(slug: str, address: str, **price_ids: str) -> Asset:
    """A token that nothing is known of but its address and what a price service calls it."""
    network = NETWORKS[Slug(slug)]
    return Asset(
        asset_id=token_asset_id(network.id, network.family, Address(address)),
        network=network.slug,
        contract_address=Address(address),
        symbol=None,
        name=None,
        decimals=None,
        price_ids=price_ids,
    )


def coin(identifier: str) -> Asset:
    """Something that only CoinGecko's id is known of."""
    return Asset(
        asset_id=AssetId(f"test:1/coin:{identifier}"),
        network=Slug("nowhere"),
        contract_address=None,
        symbol=None,
        name=None,
        decimals=None,
        price_ids={"coingecko": identifier},
    )


def native(slug: str) -> Asset:
    """The native coin of a network."""
    return native_asset(NETWORKS[Slug(slug)])


@cache
def large_portfolio(count: int = 300) -> tuple[Asset, ...]:
    """So many assets of different price keys, of all networks by turns."""
    tokens = load_tokens(NETWORKS, shipped=True)
    lists = [[native_asset(network), *tokens.get(slug, ())] for slug, network in NETWORKS.items()]
    by_key: dict[AssetId, Asset] = {}
    for place in range(max(len(held) for held in lists)):
        for held in lists:
            if place < len(held) and len(by_key) < count:
                by_key.setdefault(held[place].price_key, held[place])
    assert len(by_key) == count
    return tuple(by_key.values())
