"""The shapes of ``/defi`` and ``/portfolio``, for the specification; ``serialise_whole`` writes them."""

from typing import Literal

from pydantic import Field

from balance_tracker.api.nft_schemas import CollectionCounts, NftCollection
from balance_tracker.api.schemas import DECIMAL, Coverage, ExcludedHolding, Holding, Shape


class Leg(Holding):
    """One side of a position in one asset: the underlying, never the receipt."""

    collateral: bool | None = Field(description="Whether it secures debts, where that is a choice.")
    receipt: str | None = Field(description="The contract that stands for it in the wallet.")
    label: str | None = Field(description="`variable`, `stable`, `fees` and the like, where sides differ.")


class Position(Shape):
    """What a protocol holds for an owner."""

    network: str
    chain_id: int | None
    protocol: str = Field(description="A slug, as `protocols=` takes it.")
    market: str
    position_id: str = Field(description="Tells it apart within its protocol and network.")
    kind: Literal["lending", "liquidity", "vault", "staking", "withdrawal"]
    owner: str
    supplied: list[Leg]
    borrowed: list[Leg]
    claimable: list[Leg]
    health_factor: str | None = Field(
        pattern=DECIMAL, description="Under 1 it can be liquidated; null without debt."
    )
    liquidation_threshold: str | None = Field(pattern=DECIMAL, description="A ratio, such as 0.83.")
    net_value: str | None = Field(
        pattern=DECIMAL, description="Supplied and claimable less borrowed; null if any of it is unpriced."
    )
    details: dict[str, str] = Field(description="More facts for people.")


class FailedMarket(Shape):
    """One market that is not known."""

    market: str | None = Field(description="Null where it is all of the protocol.")
    code: str
    reason: str


class FailedProtocol(Shape):
    """A protocol that is not known, or not all of it; it is never an empty list."""

    protocol: str
    code: str
    reason: str
    markets: list[FailedMarket]


class ProtocolCounts(Shape):
    """`asked` is `answered` plus the number failed; a protocol counts as failed with any of its markets."""

    asked: int
    answered: int
    failed: list[FailedProtocol]


class ProtocolCoverage(Coverage):
    """What one network was asked, with its protocols."""

    protocols: ProtocolCounts


class WholeCoverage(ProtocolCoverage):
    """What one network was asked, with its protocols and collections."""

    collections: CollectionCounts


class Positions(Shape):
    """What protocols hold for an address."""

    address: str
    name: str | None
    currency: str
    positions: list[Position]
    coverage: list[ProtocolCoverage]
    complete: bool = Field(description="Whether every network asked is `ok`.")


class OwnedCollection(NftCollection):
    """What one of the addresses holds of a collection, as far as its contract lists it."""

    owner: str


class Totals(Shape):
    """The known net values by what they belong to; each of the three sums up to `total_value`."""

    by_network: dict[str, str | None] = Field(description="By slug; null where no value is known.")
    by_asset: dict[str, str | None] = Field(
        description="By the CAIP-19 id that prices it: ether is `eip155:1/slip44:60` on every network."
    )
    by_kind: dict[str, str | None] = Field(description="`wallet`, and the kinds of positions.")


class Whole(Shape):
    """Everything that addresses have; nothing is counted twice."""

    addresses: list[str] = Field(description="Each once.")
    names: dict[str, str] = Field(description="By address, of those that have one.")
    currency: str
    holdings: list[Holding]
    positions: list[Position]
    collections: list[OwnedCollection]
    totals: Totals
    total_value: str | None = Field(
        pattern=DECIMAL, description="The exact sum of the known values of holdings and positions."
    )
    unpriced: int = Field(description="How many holdings and positions have no known value.")
    excluded: list[ExcludedHolding]
    coverage: list[WholeCoverage]
    complete: bool = Field(description="Whether every network asked is `ok`.")
