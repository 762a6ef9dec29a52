"""A portfolio kept: what was held where, at which block, at which price, and what was not known."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from balance_tracker.core.amounts import exact_product, exact_sum
from balance_tracker.core.ids import Address, AssetId, Slug
from balance_tracker.core.kept import Owner

CARRY_FOR = timedelta(hours=25)
"""What was not to be had is carried forward for so long after it was read, and no longer.

A day, and an hour more so that one daily snapshot can stand in for the next.
"""

LAPSE_FOR = timedelta(days=8)
"""For so long after its last price, an asset that has none makes its snapshots incomplete.

After that it is an asset without a price like any other. Longer than a week, so that weekly snapshots see it.
"""


class SnapshotState(StrEnum):
    """How far a snapshot is known.

    ``complete``: everything asked was answered. ``estimated``: the rest was carried forward from an
    earlier one. ``incomplete``: something is not known at all; such a snapshot has no total.
    """

    COMPLETE = "complete"
    ESTIMATED = "estimated"
    INCOMPLETE = "incomplete"


class Side(StrEnum):
    """Where an amount counts; ``borrowed`` counts against."""

    HELD = "held"
    SUPPLIED = "supplied"
    BORROWED = "borrowed"
    CLAIMABLE = "claimable"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an amount is: two snapshots are compared place by place.

    Attributes:
        kind: ``wallet``, or the kind of the position.
        protocol: ``None`` in the wallet itself; then all that follows is too.
        owner: Whose position it is; what lies in the wallet itself is summed over its addresses.
        label: More where sides of one asset differ, as of the position's leg.
    """

    network: Slug
    asset_id: AssetId
    side: Side = Side.HELD
    kind: str = "wallet"
    protocol: str | None = None
    market: str | None = None
    position_id: str | None = None
    owner: Address | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True)
class LinePrice:
    """The price that a line was valued at, in the snapshot's currency."""

    amount: Decimal
    as_of: datetime
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One amount in one place.

    Attributes:
        price_key: The id under which the asset is priced: ether is ether on every network.
        amount: Whole units; ``None`` where the decimals are not known.
        price: ``None`` where none is known.
        read_at: When it was read, if that was before this snapshot: it was carried forward.
        receipt: The contract that stands for it in the wallet, so that it is not counted beside it.
        last_price: The last price it had, where that is too old to value it.
    """

    place: Place
    price_key: AssetId
    symbol: str | None
    raw_amount: int
    amount: Decimal | None
    price: LinePrice | None
    read_at: datetime | None = None
    receipt: Address | None = None
    last_price: LinePrice | None = None

    @property
    def value(self) -> Decimal | None:
        """What it is worth, below zero where it is owed; ``None`` where that is not known."""
        if self.amount is None or self.price is None:
            return None
        return exact_product(self.signed_amount or Decimal(0), self.price.amount)

    @property
    def signed_amount(self) -> Decimal | None:
        """The amount, below zero where it is owed."""
        if self.amount is None:
            return None
        # A minus sign would round to the digits of the context.
        return self.amount.copy_negate() if self.place.side is Side.BORROWED else self.amount

    def carried(self, read_at: datetime) -> "Line":
        """The same in a later snapshot."""
        return self if self.read_at is not None else replace(self, read_at=read_at)


@dataclass(frozen=True, slots=True)
class ReadNetwork:
    """What one network answered.

    Attributes:
        status: As in the coverage of an answer.
        missing: How many assets, protocols and collections of it were not answered.
        carried_from: When what was not answered was read, if that was carried forward.
        known: Whether all amounts on it are known, read now or carried forward; non-fungible tokens
            are in no total and don't matter here.
    """

    network: Slug
    status: str
    block_number: int | None
    block_hash: str | None
    as_of: datetime | None
    missing: int = 0
    carried_from: datetime | None = None
    error: str | None = None
    known: bool = True


@dataclass(frozen=True, slots=True)
class KeptCollection:
    """How many tokens of a collection an address held; ``ids`` as far as they were known."""

    network: Slug
    owner: Address
    contract_address: Address
    name: str | None
    balance: int | None
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A portfolio as it was.

    Attributes:
        subject: What it is of: the address, or ``wallet:`` and the wallet's id.
        state: How far it is known.
        unpriced: How many lines have no known value; they are in no total.
    """

    snapshot_id: str
    owner: Owner
    subject: str
    addresses: tuple[Address, ...]
    wallet_id: str | None
    name: str | None
    currency: str
    taken_at: datetime
    state: SnapshotState
    lines: tuple[Line, ...]
    networks: tuple[ReadNetwork, ...]
    collections: tuple[KeptCollection, ...] = ()

    @property
    def known_value(self) -> Decimal | None:
        """The sum of what is known; ``None`` where nothing is, zero only of an empty wallet."""
        known = [value for line in self.lines if (value := line.value) is not None]
        if known:
            return exact_sum(known)
        obtained = any(network.known or network.status != "failed" for network in self.networks)
        return Decimal(0) if obtained and not self.lines else None

    @property
    def total_value(self) -> Decimal | None:
        """The value of all of it; ``None`` of an incomplete one, whose sum would be too small."""
        return None if self.state is SnapshotState.INCOMPLETE else self.known_value

    @property
    def known_networks(self) -> frozenset[Slug]:
        """The networks that were asked and whose amounts are all known."""
        return frozenset(one.network for one in self.networks if one.known)

    @property
    def unpriced(self) -> int:
        """How many lines have no known value."""
        return sum(line.value is None for line in self.lines)


@dataclass(frozen=True, slots=True)
class SnapshotHead:
    """A snapshot in a list or a series: all but what it holds."""

    snapshot_id: str
    owner: Owner
    subject: str
    wallet_id: str | None
    name: str | None
    currency: str
    taken_at: datetime
    state: SnapshotState
    total_value: Decimal | None
    known_value: Decimal | None
    unpriced: int


@dataclass(frozen=True, slots=True)
class Wallet:
    """A named set of addresses that is followed.

    Attributes:
        networks: Slugs; ``None``: all of each address's family.
        snapshot_every: How often a snapshot is kept; ``None``: only when asked for.
    """

    wallet_id: str
    owner: Owner
    name: str
    addresses: tuple[Address, ...]
    networks: tuple[Slug, ...] | None
    currency: str
    snapshot_every: timedelta | None
    next_snapshot_at: datetime | None
    created_at: datetime
    updated_at: datetime


def subject_of(wallet_id: str) -> str:
    """The subject of a wallet's snapshots.

    >>> subject_of("wal_1")
    'wallet:wal_1'
    """
    return f"wallet:{wallet_id}"
