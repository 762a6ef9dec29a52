"""The answer: what an address holds, and what was asked, answered and failed."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from balance_tracker.core.amounts import exact_sum, to_amount
from balance_tracker.core.assets import Asset
from balance_tracker.core.blocks import BlockRef
from balance_tracker.core.ids import Address, Slug
from balance_tracker.core.nfts import Collection, NftHolding
from balance_tracker.core.positions import Position, ProtocolFailure
from balance_tracker.core.prices import Price

Status = Literal["ok", "partial", "stale", "failed"]


class FailureCode(StrEnum):
    """Why one asset's balance is not known."""

    REVERTED = "reverted"
    OUT_OF_GAS = "out_of_gas"
    NO_DATA = "no_data"
    MALFORMED = "malformed"
    NO_CONTRACT = "no_contract"
    ENDPOINT_FAILED = "endpoint_failed"
    TIMED_OUT = "timed_out"
    HISTORY_UNAVAILABLE = "history_unavailable"


@dataclass(frozen=True, slots=True)
class AssetFailure:
    """One asset whose balance is not known, and why; never a zero."""

    asset: Asset
    code: FailureCode
    reason: str


@dataclass(frozen=True, slots=True)
class TokenAccount:
    """One Solana token account: ``state`` is ``initialized`` or ``frozen``."""

    address: Address
    raw_amount: int
    state: str
    delegate: Address | None = None
    delegated_raw_amount: int = 0
    withheld_raw_amount: int = 0


@dataclass(frozen=True, slots=True)
class Balance:
    """How much of one asset an owner has at a block.

    ``ui_amount`` is what a Solana mint displays where that differs from the plain
    amount (interest-bearing, scaled); ``accounts`` are the token accounts summed.
    """

    asset: Asset
    raw_amount: int
    accounts: tuple[TokenAccount, ...] = ()
    ui_amount: str | None = None

    @property
    def amount(self) -> Decimal | None:
        """Whole units, exact; ``None`` where the asset's decimals are not known."""
        if self.asset.decimals is None:
            return None
        return to_amount(self.raw_amount, self.asset.decimals)


@dataclass(frozen=True, slots=True)
class Reading:
    """What one network said of one owner, all at one block.

    ``balances`` holds every asset that answered, zeros too; ``failures`` every other
    one; ``len(balances) + len(failures)`` assets were asked unless ``asked`` says so.

    Attributes:
        nfts: How many non-fungible tokens were seen among the token accounts (Solana).
        positions: What the protocols asked hold for the owner.
        protocols_asked: Slugs of the protocols that the network has and was asked for.
        protocol_failures: Those of them, or single markets, that are not known.
        collections: What the owner has of the collections asked, none of those without any.
        collection_failures: Collections that are not known; ``market`` is the contract.
        unsearched: Collections whose tokens stand in events only (ERC-1155): nobody looked for them.
    """

    block: BlockRef
    balances: tuple[Balance, ...]
    failures: tuple[AssetFailure, ...]
    endpoint: str
    requests: int
    asked: int
    nfts: int = 0
    positions: tuple[Position, ...] = ()
    protocols_asked: tuple[str, ...] = ()
    protocol_failures: tuple[ProtocolFailure, ...] = ()
    collections: tuple[NftHolding, ...] = ()
    collection_failures: tuple[ProtocolFailure, ...] = ()
    unsearched: tuple[Collection, ...] = ()


@dataclass(frozen=True, slots=True)
class NetworkError:
    """Why a whole network is missing; never holds a URL or a key."""

    code: str
    detail: str
    retryable: bool
    requests: int = 0


@dataclass(frozen=True, slots=True)
class NetworkCoverage:
    """What one network was asked and what of it is known.

    Attributes:
        protocols: Slugs of the protocols asked; ``None`` where none were to be.
        protocol_failures: Those of them, or single markets, that are not known.
        collections: How many collections were asked; ``None`` where none were to be.
        unsearched: Collections beside them that were not asked, as in :class:`Reading`.
    """

    network: Slug
    chain_id: int | None
    status: Status
    block: BlockRef | None
    cached: bool
    stale: bool
    endpoint: str | None
    requests: int
    elapsed_ms: int
    asked: int
    answered: int
    failures: tuple[AssetFailure, ...] = ()
    error: NetworkError | None = None
    nfts: int = 0
    age_seconds: float = 0
    protocols: tuple[str, ...] | None = None
    protocol_failures: tuple[ProtocolFailure, ...] = ()
    collections: int | None = None
    collection_failures: tuple[ProtocolFailure, ...] = ()
    unsearched: tuple[Collection, ...] = ()


@dataclass(frozen=True, slots=True)
class Holding:
    """One balance in an answer, and what it is worth.

    Attributes:
        value: In the answer's currency, exact; ``None`` where the price or the amount is not known.
        price: ``None`` where none is known.
        value_change_24h: By how much this amount rose in value within a day; ``None`` if not known.
    """

    balance: Balance
    value: Decimal | None = None
    price: Price | None = None
    value_change_24h: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Excluded:
    """A holding that the totals leave out, and why; ``value`` where it is known."""

    asset: Asset
    raw_amount: int
    reason: str
    value: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Portfolio:
    """What an address holds on the networks asked, and what is missing.

    ``priced_for_seconds`` is how long its prices stand; ``None`` where it was never asked for any.
    """

    address: Address
    name: str | None
    currency: str
    holdings: tuple[Holding, ...]
    coverage: tuple[NetworkCoverage, ...]
    taken_at: datetime
    excluded: tuple[Excluded, ...] = field(default=())
    priced_for_seconds: float | None = field(default=None, compare=False)

    @property
    def complete(self) -> bool:
        """Whether every network asked is ``ok``."""
        return all(network.status == "ok" for network in self.coverage)

    @property
    def unpriced(self) -> int:
        """How many holdings have no known value."""
        return sum(holding.value is None for holding in self.holdings)

    @property
    def total_value(self) -> Decimal | None:
        """The sum of the known values; ``None`` where none is known, zero only of an empty wallet."""
        known = [holding.value for holding in self.holdings if holding.value is not None]
        if known:
            return exact_sum(known)
        obtained = any(network.status != "failed" for network in self.coverage)
        return Decimal(0) if obtained and not self.holdings else None

    @property
    def nothing_obtained(self) -> bool:
        """Whether not one network answered."""
        return all(network.status == "failed" for network in self.coverage)
