"""The operator's own prices, from a file: for what no source knows, or knows wrong.

::

    wrapped_as_native = true          # a wrapped native coin has the price of the coin, if that is here

    [usd]                             # dollars for a whole unit; a stable token may be set to "1"
    "eip155:1/slip44:60" = "2500.5"
    "eip155:1/erc20:0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48" = "1"

    [same_as]                         # an asset that has the price of another one of this file
    "eip155:1/erc20:0x…" = "eip155:1/slip44:60"

The same in JSON if the name ends in ``.json``. The operator's word has no age: it holds until the
file says otherwise and the service is started again.
"""

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from balance_tracker.core.amounts import decimal_or_none
from balance_tracker.core.assets import Asset, native_asset
from balance_tracker.core.errors import ConfigurationError
from balance_tracker.core.ids import AssetId, token_asset_id
from balance_tracker.core.networks import Network
from balance_tracker.core.prices import Interval, PricePoint, Quote, SourceFamily
from balance_tracker.core.screening import RULES
from balance_tracker.prices.answers import read_bounded

NAME = "fixed"
MOST_BYTES = 2**20
MOST_PRICES = 10_000

_KEYS = frozenset({"usd", "same_as", "wrapped_as_native"})
_ASSET_ID = re.compile(r"[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}/[-a-z0-9]{3,8}:[-.%a-zA-Z0-9]{1,128}")


class FixedPrices:
    """Says what the operator said.

    Args:
        prices: US dollars per whole unit.
        now: The time, in UTC.
    """

    name = NAME
    family: SourceFamily = "fixed"

    def __init__(
        self, prices: Mapping[AssetId, Decimal], now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._prices = {_folded(asset_id): amount for asset_id, amount in prices.items()}
        self._now = now

    async def quotes(self, assets: Sequence[Asset], deadline: float) -> Sequence[Quote]:
        """See :meth:`balance_tracker.ports.PriceSource.quotes`."""
        del deadline
        now = self._now()
        return [
            Quote(asset.price_key, NAME, self.family, amount, now)
            for asset in assets
            if (amount := self._amount(asset)) is not None
        ]

    async def quotes_at(self, assets: Sequence[Asset], at: datetime, deadline: float) -> Sequence[Quote]:
        """None: the operator says what holds now."""
        del assets, at, deadline
        return ()

    async def series(
        self, asset: Asset, start: datetime, end: datetime, interval: Interval, deadline: float
    ) -> Sequence[PricePoint]:
        """None: the operator says what holds now."""
        del asset, start, end, interval, deadline
        return ()

    def _amount(self, asset: Asset) -> Decimal | None:
        """By its own id first, then by the one under which it is priced."""
        own = self._prices.get(_folded(asset.asset_id))
        return own if own is not None else self._prices.get(_folded(asset.price_key))


def read_fixed_prices(path: Path, networks: Iterable[Network] = ()) -> FixedPrices:
    """The operator's prices from a file.

    Args:
        path: The file, TOML or JSON.
        networks: Those tracked: whose wrapped coins ``wrapped_as_native`` is about, and whose native
            coins may have the price of another network's.

    Raises:
        ConfigurationError: It can't be read, or is wrong: names the file, the key and the reason.
    """
    document = _document(path)
    unknown = sorted(set(document) - _KEYS)
    if unknown:
        raise _wrong(path, f"'{unknown[0]}' is no key of it", f"It has {', '.join(sorted(_KEYS))}.")
    prices = {
        asset_id: _price(path, asset_id, text) for asset_id, text in _table(path, document, "usd").items()
    }
    networks = list(networks)
    known = {_folded(asset_id): amount for asset_id, amount in prices.items()}
    for asset_id, other in _table(path, document, "same_as").items():
        if not isinstance(other, str) or _folded(other) not in known:
            raise _wrong(path, f"'{asset_id}' has the price of an asset that has none in [usd]")
        prices[asset_id] = known[_folded(other)]
    _check_natives(path, prices, networks)
    if _flag(path, document, "wrapped_as_native"):
        for wrapped, native in _wrapped(networks):
            if _folded(native) in known and _folded(wrapped) not in known:
                prices.setdefault(wrapped, known[_folded(native)])
    return FixedPrices(prices)


def _check_natives(path: Path, prices: Iterable[AssetId], networks: Iterable[Network]) -> None:
    """Ether is priced once for all networks, so a price for that of one network would be nobody's."""
    coins = {coin.asset_id: coin for coin in map(native_asset, networks)}
    for asset_id in prices:
        coin = coins.get(asset_id)
        if coin is not None and coin.price_key != asset_id:
            raise _wrong(
                path,
                f"'{asset_id}' has the price of {coin.price_key} on every network",
                f"Set the price of {coin.price_key}.",
            )


def _wrapped(networks: Iterable[Network]) -> Iterable[tuple[AssetId, AssetId]]:
    for network in networks:
        if network.wrapped_native is not None:
            wrapped = token_asset_id(network.id, network.family, network.wrapped_native)
            yield wrapped, network.native.priced_as


def _document(path: Path) -> Mapping[str, Any]:
    try:
        text = read_bounded(path, MOST_BYTES).decode("utf-8")
        if path.suffix.lower() == ".json":
            document = json.loads(text, parse_float=Decimal, parse_int=int)
        else:
            document = tomllib.loads(text, parse_float=Decimal)
    except (OSError, ValueError, RecursionError, ArithmeticError) as error:
        raise _wrong(path, f"it can't be read ({str(error)[:200]})") from None
    if not isinstance(document, dict):
        raise _wrong(path, "it is no table")
    return document


def _table(path: Path, document: Mapping[str, Any], key: str) -> dict[AssetId, Any]:
    table = document.get(key, {})
    if not isinstance(table, dict):
        raise _wrong(path, f"'{key}' is no table")
    if len(table) > MOST_PRICES:
        raise _wrong(path, f"'{key}' has more than {MOST_PRICES} entries")
    for asset_id in table:
        if not _ASSET_ID.fullmatch(asset_id):
            raise _wrong(
                path, f"'{asset_id[:100]}' in [{key}] is no CAIP-19 id", "For example eip155:1/slip44:60."
            )
    return {AssetId(asset_id): value for asset_id, value in table.items()}


def _price(path: Path, asset_id: AssetId, value: Any) -> Decimal:
    amount = decimal_or_none(value)
    if amount is None or amount <= 0:
        raise _wrong(path, f"the price of '{asset_id}' is no number above zero", 'Write it as "2500.5".')
    if not RULES.lowest <= amount <= RULES.highest:
        raise _wrong(path, f"the price of '{asset_id}' is not from {RULES.lowest} to {RULES.highest:f}")
    return amount


def _flag(path: Path, document: Mapping[str, Any], key: str) -> bool:
    value = document.get(key, False)
    if not isinstance(value, bool):
        raise _wrong(path, f"'{key}' is neither true nor false")
    return value


def _wrong(path: Path, reason: str, hint: str | None = None) -> ConfigurationError:
    return ConfigurationError(f"The file of fixed prices {path.name} is wrong: {reason}.", hint=hint)


def _folded(asset_id: str) -> str:
    """EVM addresses are the same in any case; others are not."""
    return asset_id.lower() if asset_id.startswith("eip155:") else asset_id
