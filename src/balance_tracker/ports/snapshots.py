"""The seams of history: where snapshots and wallets are kept."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from balance_tracker.core.blocks import At
from balance_tracker.core.ids import Address, AssetId, Slug
from balance_tracker.core.kept import Owner
from balance_tracker.core.snapshots import LinePrice, Snapshot, SnapshotHead, SnapshotState, Wallet
from balance_tracker.core.whole import WholePortfolio


@dataclass(frozen=True, slots=True)
class SnapshotFilter:
    """Which snapshots; what is ``None`` does not matter.

    Attributes:
        owners: Whose; ``None``: everybody's.
        start: Taken then or later.
        end: Taken then or earlier.
        states: In one of these.
    """

    owners: Collection[Owner] | None
    subject: str | None = None
    currency: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    states: Collection[SnapshotState] | None = None


type HeadPlace = tuple[datetime, str]
"""Where a snapshot stands in a list: when it was taken, and its id."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How many snapshots there are, and when the first and the last were taken."""

    count: int
    first: datetime
    last: datetime


class SnapshotStore(Protocol):
    """Keeps snapshots; what is kept is never changed."""

    async def keep(self, snapshot: Snapshot, unique_key: str | None = None) -> Snapshot:
        """Keep it; the one that was kept before under its unique key, if there is one."""

    async def get(self, snapshot_id: str, owners: Collection[Owner] | None) -> Snapshot | None:
        """One of these owners' snapshots."""

    async def by_key(self, unique_key: str) -> Snapshot | None:
        """The snapshot that was kept under a unique key."""

    async def last(self, which: SnapshotFilter) -> Snapshot | None:
        """The newest that fits."""

    async def heads(
        self, which: SnapshotFilter, limit: int, before: HeadPlace | None
    ) -> Sequence[SnapshotHead]:
        """Those that fit, the newest first, older than that place."""

    async def extent(self, which: SnapshotFilter) -> Extent | None:
        """How many fit, and from when to when; ``None`` where none does."""

    async def series(self, which: SnapshotFilter, every: timedelta | None) -> Sequence[SnapshotHead]:
        """Those that fit, the oldest first; of each span of time the last that is not incomplete."""

    async def snapshots(self, ids: Sequence[str]) -> Sequence[Snapshot]:
        """These, in the order of time."""

    async def delete(self, snapshot_id: str, owners: Collection[Owner] | None) -> bool:
        """Forget one; whether there was one."""


@dataclass(frozen=True, slots=True)
class WalletChange:
    """What is to be another way; ``None``: as it is."""

    name: str | None = None
    addresses: tuple[Address, ...] | None = None
    networks: tuple[Slug, ...] | None = None
    all_networks: bool = False
    currency: str | None = None
    snapshot_every: timedelta | None = None
    never_snapshot: bool = False


class WalletStore(Protocol):
    """Keeps wallets."""

    async def add(self, wallet: Wallet, most: int) -> bool:
        """Keep a new one, unless its owner has so many; whether it was kept."""

    async def get(self, wallet_id: str, owners: Collection[Owner] | None) -> Wallet | None:
        """One of these owners' wallets."""

    async def wallets(
        self, owners: Collection[Owner] | None, limit: int, before: str | None
    ) -> Sequence[Wallet]:
        """These owners' wallets, the newest first, older than the one of this id."""

    async def change(
        self, wallet_id: str, owners: Collection[Owner] | None, change: WalletChange, now: datetime
    ) -> Wallet | None:
        """Change one; its next snapshot is due at once if it is to be followed from now on."""

    async def delete(self, wallet_id: str, owners: Collection[Owner] | None) -> bool:
        """Forget one; whether there was one. Its snapshots stay."""

    async def schedule(self, now: datetime, limit: int) -> Sequence[str]:
        """Keep a job for each wallet whose snapshot is due, and set its next time; the jobs' ids.

        All in one transaction: a crash neither loses a snapshot nor doubles it. Times that passed
        while nobody looked are not made up: what was then can't be read as it was.
        """


class ReadsPortfolio(Protocol):
    """What snapshots are made of: the use case that reads portfolios."""

    async def __call__(
        self,
        addresses: Sequence[str],
        networks: Sequence[str] | None = None,
        *,
        currency: str = "usd",
        at: At | str = None,
    ) -> WholePortfolio:
        """Everything that addresses have."""


type ReadsPrices = Callable[[Sequence[AssetId], str], Awaitable[Mapping[AssetId, LinePrice]]]
"""The current prices of assets in a currency, of those that have one; it never fails."""
