"""Wallets, snapshots and performance over an open tracker."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from secrets import randbits

from balance_tracker.bootstrap.tracker import Tracker
from balance_tracker.core.errors import InputError
from balance_tracker.core.ids import AssetId
from balance_tracker.core.snapshots import LinePrice
from balance_tracker.services.asset_ids import MOST_ASSETS
from balance_tracker.services.performance import PerformanceService
from balance_tracker.services.snapshots import SnapshotService
from balance_tracker.services.wallets import WalletService
from balance_tracker.storage.database import Database
from balance_tracker.storage.snapshots import SqlSnapshotStore
from balance_tracker.storage.wallets import SqlWalletStore


@dataclass(frozen=True, slots=True)
class Following:
    """The use cases of history."""

    wallets: WalletService
    snapshots: SnapshotService
    performance: PerformanceService


def following(tracker: Tracker, database: Database) -> Following:
    """Build them over an open tracker and a database whose schema is current."""
    networks = {view.network.slug: view.network for view in tracker.networks()}
    wallets = SqlWalletStore(database)
    snapshots = SnapshotService(
        SqlSnapshotStore(database),
        wallets,
        tracker.whole,
        tracker.book,
        random_bits=randbits,
        prices=partial(_prices, tracker),
    )
    return Following(
        WalletService(wallets, networks, tracker.book, randbits),
        snapshots,
        PerformanceService(snapshots),
    )


async def _prices(tracker: Tracker, assets: Sequence[AssetId], currency: str) -> Mapping[AssetId, LinePrice]:
    """The current prices of those that have one; of none of them where they can't be asked for."""
    with suppress(InputError):
        found = (await tracker.prices(assets[:MOST_ASSETS], currency)).prices
        return {
            key: LinePrice(price.amount, price.as_of, price.sources)
            for key, price in found.items()
            if price is not None
        }
    return {}
