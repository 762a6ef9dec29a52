"""The seam of batches: where they and their results are kept."""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from balance_tracker.core.batches import Batch, BatchQuestion, ResultStatus
from balance_tracker.core.jobs import Job
from balance_tracker.core.kept import Owner


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of the address at one place of a batch; ``document`` is plain JSON."""

    position: int
    status: ResultStatus
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A key that a client chose, and a digest of what it asked with it."""

    text: str
    fingerprint: bytes


class BatchStore(Protocol):
    """Keeps batches and their results, together with the jobs that work on them."""

    async def add(
        self, batch: Batch, question: BatchQuestion, key: IdempotencyKey | None, most: int
    ) -> Batch:
        """Keep a new batch and its job in one transaction; the batch, with the job's id.

        One that was kept before under the key is what comes back.

        Raises:
            ConflictError: ``idempotency_conflict``: the key was used for another question;
                ``too_many_batches``: its owner has so many that have not ended.
        """

    async def get(self, batch_id: str, owners: Collection[Owner] | None) -> Batch | None:
        """One of these owners' batches."""

    async def batches(
        self, owners: Collection[Owner] | None, limit: int, before: str | None
    ) -> Sequence[Batch]:
        """These owners' batches, the newest first, older than the one of this id."""

    async def begin(self, batch_id: str, job: Job) -> tuple[BatchQuestion, frozenset[int]] | None:
        """It is worked on: the question, and the places that have results; ``None`` where it has ended."""

    async def keep(self, batch_id: str, job: Job, results: Sequence[BatchResult]) -> bool:
        """Keep results, those that are there already as they are; whether the job is still its worker's."""

    async def end(self, batch_id: str, job: Job, error: str | None = None) -> bool:
        """Nothing more comes of it; whether the job was still its worker's."""

    async def end_abandoned(self) -> int:
        """End those that nobody will work on any more, their job having failed for good; how many."""

    async def cancel(self, batch_id: str, owners: Collection[Owner] | None) -> Batch | None:
        """Work on it no more; what is kept stays. One that has ended stays as it is."""

    async def results(self, batch_id: str, after: int, limit: int) -> Sequence[BatchResult]:
        """Results in the order of their places, those behind a place."""

    def all_results(self, batch_id: str) -> AsyncIterator[BatchResult]:
        """All that are there, some at a time."""
