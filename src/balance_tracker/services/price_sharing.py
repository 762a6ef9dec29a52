"""Prices decided by other processes of the service, taken over as if they were decided here.

Times are told as ages, so that no two machines need to have the same clock.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from balance_tracker.core.assets import Asset
from balance_tracker.core.ids import AssetId
from balance_tracker.ports import Board
from balance_tracker.services.price_shelf import PriceShelf, Told


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided of one asset: its price, and what others are divided by."""

    price: Told
    rate: Told | None = None


class PriceSharing:
    """Brings the shelves of one process and the board of all of them together.

    Args:
        board: Seen by all processes; ``None`` if there is only this one.
        shelf: Prices.
        rates: What prices are divided by.
    """

    def __init__(self, board: Board | None, shelf: PriceShelf, rates: PriceShelf) -> None:
        self._board = board if shelf.ttl_seconds > 0 else None
        self._shelf = shelf
        self._rates = rates

    async def take(self, assets: Mapping[AssetId, Asset]) -> dict[AssetId, Asset]:
        """Take over what others decided; what is left has to be asked for here, and told of then."""
        if self._board is None:
            return dict(assets)
        left = await self._board.look(list(assets), Decision, self._adopt)
        return {AssetId(key): assets[AssetId(key)] for key in left}

    async def tell(self, keys: Iterable[AssetId]) -> None:
        """Tell the others what was decided here."""
        if self._board is not None:
            await self._board.show({key: self._decision(key) for key in keys}, Decision)

    def _adopt(self, key: str, decision: Decision, age_seconds: float) -> bool:
        asset_id = AssetId(key)
        fresh = self._shelf.adopt(asset_id, decision.price, age_seconds)
        if decision.rate is not None:
            fresh &= self._rates.adopt(asset_id, decision.rate, age_seconds)
        return fresh

    def _decision(self, key: AssetId) -> Decision | None:
        price = self._shelf.told(key)
        return None if price is None else Decision(price, self._rates.told(key))
