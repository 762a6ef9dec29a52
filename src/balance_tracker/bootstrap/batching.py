"""Batches over an open tracker."""

from collections.abc import Awaitable, Callable, Sequence
from secrets import randbits

from balance_tracker.bootstrap.tracker import Tracker
from balance_tracker.services.batch_reading import WholeBatches
from balance_tracker.services.batches import BatchService
from balance_tracker.storage.batches import SqlBatchStore
from balance_tracker.storage.database import Database


def batching(
    tracker: Tracker, database: Database, wake: Callable[[Sequence[str]], Awaitable[None]]
) -> BatchService:
    """Build the use case over an open tracker and a database whose schema is current.

    Args:
        tracker: Reads the networks.
        database: Where batches are kept.
        wake: Tells whoever does jobs that some are due.
    """
    networks = {view.network.slug: view.network for view in tracker.networks()}
    whole = WholeBatches(tracker.whole, networks)
    return BatchService(SqlBatchStore(database), tracker.portfolios, whole, wake, random_bits=randbits)
