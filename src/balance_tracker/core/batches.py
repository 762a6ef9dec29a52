"""A batch: one question about many addresses, answered in the background."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from balance_tracker.core.kept import Owner


class BatchState(StrEnum):
    """Where a batch is.

    ``done``: every address was answered in full. ``partial``: some were not, each says why.
    ``failed``: not one address was answered, or it could not be worked on.
    """

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self not in {BatchState.QUEUED, BatchState.RUNNING}


class ResultStatus(StrEnum):
    """What became of one address: answered in full, in part, or not at all."""

    OK = "ok"
    PARTIAL = "partial"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class BatchQuestion:
    """What is asked of each address, as it was written.

    Attributes:
        include: ``balances``, and more of what a portfolio holds: ``defi``, ``nfts``.
    """

    addresses: tuple[str, ...]
    networks: tuple[str, ...] | None = None
    include: tuple[str, ...] = ("balances",)
    currency: str = "usd"


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch and how far it is.

    Attributes:
        done: Addresses that have a result, of whatever status.
        failed: Those of them that were not answered at all.
        incomplete: Those that were answered in part.
        error: Why it failed as a whole.
    """

    batch_id: str
    owner: Owner
    job_id: str
    state: BatchState
    total: int
    done: int
    failed: int
    incomplete: int
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    error: str | None = None

    def left(self, now: datetime) -> timedelta | None:
        """An estimate of the time it still takes; ``None`` before anything is done, and after its end."""
        if self.state is not BatchState.RUNNING or self.started_at is None or not self.done:
            return None
        return max(timedelta(0), (now - self.started_at) * (self.total - self.done) // self.done)


def state_at_end(total: int, failed: int, incomplete: int) -> BatchState:
    """The state of a batch whose every address has a result.

    >>> state_at_end(3, 0, 0), state_at_end(3, 1, 0), state_at_end(3, 3, 0)
    (<BatchState.DONE: 'done'>, <BatchState.PARTIAL: 'partial'>, <BatchState.FAILED: 'failed'>)
    """
    if failed == total:
        return BatchState.FAILED
    return BatchState.PARTIAL if failed or incomplete else BatchState.DONE
