"""Assets that have the price of another one, each by a rule that is written down.

Nothing follows because its symbol looks like another's, nor because it was worth the same so far.
A token that is only meant to keep a price (a stablecoin, a bridged copy) follows nothing: it has
quotes of its own, or the operator sets its price. A price feed of the original speaks for a copy only
by ``ROLLUP_BRIDGE``: whoever keeps what backs a copy on a network of its own may lose it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from balance_tracker.core.ids import AssetId, token_asset_id
from balance_tracker.core.networks import Network
from balance_tracker.core.prices import Price


class FollowingRule(StrEnum):
    """Why an asset can't be worth anything else."""

    WRAPS_NATIVE = "wraps_native"
    """Its contract takes and gives back the native coin one for one, to anybody, without a fee."""
    REDEEMS_ONE_FOR_ONE = "redeems_one_for_one"
    """A receipt that its protocol exchanges for as many units of the underlying, on demand."""
    ROLLUP_BRIDGE = "rollup_bridge"
    """A rollup's own bridge gives the original back for it, secured by what secures the rollup itself:
    feeds of the original may speak for it (``tools/feeds.py``). It does not follow it otherwise."""
    SET_BY_OPERATOR = "set_by_operator"
    """The operator says so."""


@dataclass(frozen=True, slots=True)
class Following:
    """One asset that is worth as much as ``underlying``, unit for unit, and by which rule."""

    asset_id: AssetId
    underlying: AssetId
    rule: FollowingRule


class Followings:
    """A table of them, in which every chain has an end.

    Raises:
        ValueError: An asset follows two others, or itself over any number of steps.
    """

    def __init__(self, entries: Iterable[Following] = ()) -> None:
        self._by_asset: dict[AssetId, Following] = {}
        for entry in entries:
            if self._by_asset.setdefault(entry.asset_id, entry) != entry:
                raise ValueError(f"{entry.asset_id} follows two assets")
        self._ends = {asset_id: _end(asset_id, self._by_asset) for asset_id in self._by_asset}

    def underlying_of(self, asset_id: AssetId) -> AssetId:
        """The id whose price it has: the end of the chain, its own where it follows nothing."""
        return self._ends.get(asset_id, asset_id)

    def follow(self, asset_id: AssetId, price: Price) -> Price:
        """The underlying's price as this asset's, with its sources, its age and its doubts.

        Raises:
            ValueError: The price is of another asset than the one followed.
        """
        if price.asset_id != self.underlying_of(asset_id):
            raise ValueError(f"{asset_id} does not follow {price.asset_id}")
        return replace(price, asset_id=asset_id)

    def why(self, asset_id: AssetId) -> Following | None:
        """The entry by which it follows, for people; ``None`` where it follows nothing."""
        return self._by_asset.get(asset_id)


def _end(asset_id: AssetId, by_asset: Mapping[AssetId, Following]) -> AssetId:
    seen = [asset_id]
    while entry := by_asset.get(seen[-1]):
        if entry.underlying in seen:
            raise ValueError(f"{asset_id} follows itself: {' -> '.join([*seen, entry.underlying])}")
        seen.append(entry.underlying)
    return seen[-1]


def wrapped_native(network: Network) -> Following | None:
    """How a network's wrapped native token follows its coin; ``None`` where none is known."""
    if network.wrapped_native is None:
        return None
    return Following(
        asset_id=token_asset_id(network.id, network.family, network.wrapped_native),
        underlying=network.native.priced_as,
        rule=FollowingRule.WRAPS_NATIVE,
    )
