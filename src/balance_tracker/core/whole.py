"""The whole of what addresses have: balances, positions and non-fungible tokens, nothing counted twice."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal, get_args

from balance_tracker.core.amounts import exact_sum
from balance_tracker.core.ids import Address, AssetId, Slug
from balance_tracker.core.nfts import NftHolding
from balance_tracker.core.portfolio import Excluded, Holding, NetworkCoverage
from balance_tracker.core.positions import Leg, Position

StakeTokens = Literal["position", "holding"]
"""How a token that stands for a stake (stETH, mSOL) is told: as what is staked, or as itself."""

STAKE_TOKENS: tuple[StakeTokens, ...] = get_args(StakeTokens)

WALLET = "wallet"
"""The kind of what lies in the wallet itself, beside the kinds of positions."""


@dataclass(frozen=True, slots=True)
class ValuedLeg:
    """One side of a position in one asset, with what it is worth as a holding of that asset."""

    leg: Leg
    holding: Holding


@dataclass(frozen=True, slots=True)
class ValuedPosition:
    """A position and what it is worth.

    Attributes:
        net_value: What is supplied and claimable less what is owed, in the answer's currency;
            ``None`` where any part of it has no known value.
    """

    position: Position
    supplied: tuple[ValuedLeg, ...]
    borrowed: tuple[ValuedLeg, ...]
    claimable: tuple[ValuedLeg, ...]
    net_value: Decimal | None


@dataclass(frozen=True, slots=True)
class OwnedCollection:
    """What one of the addresses holds of a collection."""

    owner: Address
    holding: NftHolding


@dataclass(frozen=True, slots=True)
class Positions:
    """What protocols hold for one address."""

    address: Address
    name: str | None
    currency: str
    positions: tuple[ValuedPosition, ...]
    coverage: tuple[NetworkCoverage, ...]
    taken_at: datetime
    priced_for_seconds: float | None = field(default=None, compare=False)

    @property
    def complete(self) -> bool:
        """Whether every network asked is ``ok``."""
        return all(network.status == "ok" for network in self.coverage)

    @property
    def nothing_obtained(self) -> bool:
        """Whether not one network answered."""
        return all(network.status == "failed" for network in self.coverage)


@dataclass(frozen=True, slots=True)
class Totals:
    """The known net values by what they belong to; debts are subtracted.

    Attributes:
        by_asset: By the id under which an asset is priced: ether is ether on every network.
        by_kind: ``wallet``, and the kinds of positions.
    """

    by_network: Mapping[Slug, Decimal | None]
    by_asset: Mapping[AssetId, Decimal]
    by_kind: Mapping[str, Decimal | None]


@dataclass(frozen=True, slots=True)
class WholePortfolio:
    """What addresses have on the networks asked, and what is missing.

    Attributes:
        names: By address, of those that have one.
        excluded: What totals leave out: spam, and receipts that stand for a position (``in_position``).
        totals: Parts of :attr:`total_value`.
    """

    addresses: tuple[Address, ...]
    names: Mapping[Address, str]
    currency: str
    holdings: tuple[Holding, ...]
    positions: tuple[ValuedPosition, ...]
    collections: tuple[OwnedCollection, ...]
    excluded: tuple[Excluded, ...]
    totals: Totals
    coverage: tuple[NetworkCoverage, ...]
    taken_at: datetime
    priced_for_seconds: float | None = field(default=None, compare=False)

    @property
    def complete(self) -> bool:
        """Whether every network asked is ``ok``."""
        return all(network.status == "ok" for network in self.coverage)

    @property
    def nothing_obtained(self) -> bool:
        """Whether not one network answered."""
        return all(network.status == "failed" for network in self.coverage)

    @property
    def unpriced(self) -> int:
        """How many holdings and positions have no known value."""
        return sum(value is None for value in self._values)

    @property
    def total_value(self) -> Decimal | None:
        """The sum of the known values; ``None`` where none is known, zero only of an empty wallet."""
        if not self._values and not self.nothing_obtained:
            return Decimal(0)
        return known_sum(self._values)

    @property
    def _values(self) -> list[Decimal | None]:
        return [one.value for one in self.holdings] + [one.net_value for one in self.positions]


def known_sum(values: Iterable[Decimal | None]) -> Decimal | None:
    """The sum of those that are known; ``None`` where none is.

    >>> known_sum([Decimal(2), None]), known_sum([None])
    (Decimal('2'), None)
    """
    known = [value for value in values if value is not None]
    return exact_sum(known) if known else None
