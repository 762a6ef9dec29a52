"""Wallets, snapshots and performance over an open tracker."""

from dataclasses import dataclass
from secrets import randbits

from balance_tracker.bootstrap.tracker import Tracker
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
        SqlSnapshotStore(database), wallets, tracker.whole, tracker.book, random_bits=randbits
    )
    return Following(
        WalletService(wallets, networks, tracker.book, randbits),
        snapshots,
        PerformanceService(snapshots),
    )
