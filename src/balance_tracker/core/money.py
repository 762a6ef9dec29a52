"""Money that prices are told in, as assets with ids of their own: their price is the rate.

A source that knows rates answers for them as for any other asset: a fiat currency by its
``swift:0/iso4217`` id, bitcoin and ether by the ids of their coins. So a rate is decided from
quotes like every price is, and is as old and as sure as it says.
"""

from collections.abc import Mapping
from types import MappingProxyType

from balance_tracker.core.assets import Asset
from balance_tracker.core.ids import AssetId, Slug
from balance_tracker.core.prices import Currency

FIAT_PREFIX = "swift:0/iso4217:"

_FIAT_NAMES = {"EUR": "Euro", "GBP": "Pound Sterling", "JPY": "Yen", "CHF": "Swiss Franc"}
_FIAT_DECIMALS = {"JPY": 0}


def fiat_code(asset_id: AssetId) -> str | None:
    """The ISO 4217 code of a fiat currency's id, ``None`` for any other asset.

    >>> fiat_code(AssetId("swift:0/iso4217:EUR")), fiat_code(AssetId("eip155:1/slip44:60"))
    ('EUR', None)
    """
    return asset_id.removeprefix(FIAT_PREFIX) if asset_id.startswith(FIAT_PREFIX) else None


def _fiat(code: str) -> Asset:
    return Asset(
        asset_id=AssetId(FIAT_PREFIX + code),
        network=Slug("fiat"),
        contract_address=None,
        symbol=code,
        name=_FIAT_NAMES[code],
        decimals=_FIAT_DECIMALS.get(code, 2),
        trust="verified",
    )


_BITCOIN = Asset(
    asset_id=AssetId("bip122:000000000019d6689c085ae165831e93/slip44:0"),
    network=Slug("bitcoin"),
    contract_address=None,
    symbol="BTC",
    name="Bitcoin",
    decimals=8,
    trust="verified",
    price_ids={"coingecko": "bitcoin"},
)
_ETHER = Asset(
    asset_id=AssetId("eip155:1/slip44:60"),
    network=Slug("ethereum"),
    contract_address=None,
    symbol="ETH",
    name="Ether",
    decimals=18,
    trust="verified",
    price_ids={"coingecko": "ethereum"},
)

CURRENCY_ASSETS: Mapping[Currency, Asset] = MappingProxyType(
    {
        "eur": _fiat("EUR"),
        "gbp": _fiat("GBP"),
        "jpy": _fiat("JPY"),
        "chf": _fiat("CHF"),
        "btc": _BITCOIN,
        "eth": _ETHER,
    }
)
"""The assets whose price in US dollars is the rate of a currency; a dollar needs none."""
