"""What can be held: a network's native coin or one of its tokens."""

from dataclasses import dataclass, field, replace
from typing import Literal

from balance_tracker.core.ids import Address, AssetId, Slug, token_asset_id
from balance_tracker.core.networks import Network

Trust = Literal["verified", "listed", "unknown", "spam"]
"""``verified``: a shipped list; ``listed``: an operator's list; ``unknown``: asked for or found."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One asset; what is not known about it is ``None``.

    ``contract_address`` is ``None`` for the native coin, the mint on Solana.
    ``price_ids`` are ids of price services (``coingecko``, ``coinpaprika``); ``priced_as`` is
    the asset whose price it has, where that is another one (ether is ether on every network).
    """

    asset_id: AssetId
    network: Slug
    contract_address: Address | None
    symbol: str | None
    name: str | None
    decimals: int | None
    trust: Trust = "unknown"
    logo_uri: str | None = None
    price_ids: dict[str, str] = field(default_factory=dict, compare=False)
    tags: tuple[str, ...] = ()
    note: str | None = None
    confidence: str | None = None
    priced_as: AssetId | None = None

    @property
    def price_key(self) -> AssetId:
        """The id under which its price is decided and kept."""
        return self.priced_as or self.asset_id

    @property
    def native(self) -> bool:
        """Whether this is what pays the network's fees."""
        return self.contract_address is None

    def with_metadata(self, symbol: str | None, name: str | None, decimals: int | None) -> "Asset":
        """The same asset with what its contract says of itself."""
        return replace(self, symbol=symbol, name=name, decimals=decimals)


def native_asset(network: Network) -> Asset:
    """The native coin of a network, as an asset with its CAIP-19 ``slip44`` id."""
    coin = network.native
    reference = coin.priced_as.partition("/")[2]
    return Asset(
        asset_id=AssetId(f"{network.id}/{reference}"),
        network=network.slug,
        contract_address=None,
        symbol=coin.symbol,
        name=coin.name,
        decimals=coin.decimals,
        trust="verified",
        price_ids=network.price_ids,
        priced_as=coin.priced_as,
    )


def unlisted_token(network: Network, contract_address: Address) -> Asset:
    """A token that no list has: only its address is known until its contract is asked."""
    return Asset(
        asset_id=token_asset_id(network.id, network.family, contract_address),
        network=network.slug,
        contract_address=contract_address,
        symbol=None,
        name=None,
        decimals=None,
    )
