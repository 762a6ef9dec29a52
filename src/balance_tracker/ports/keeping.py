"""The seams to what is kept and shared: jobs, limits, messages between processes."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from balance_tracker.core.access import Limit
from balance_tracker.core.jobs import Job, NewJob


class JobStore(Protocol):
    """Keeps jobs; the truth about them, whoever runs them."""

    async def add(self, jobs: Sequence[NewJob]) -> Sequence[str]:
        """Keep jobs; their ids, of one that was kept before for its unique key that one's.

        What makes a job along with something else keeps both in one transaction of its own store.
        """

    async def claim(
        self, lease_seconds: float, kinds: Sequence[str], job_id: str | None = None
    ) -> Job | None:
        """Take the job that is due the longest, or this one, unless another worker has it.

        A job whose lease ran out (its worker died) is due again. One that has had its last
        attempt is failed instead, with the code ``worker_lost``.
        """

    async def extend(self, job: Job, lease_seconds: float) -> bool:
        """Keep a job for longer; whether it is still this worker's (and not cancelled)."""

    async def finish(self, job: Job) -> bool:
        """It is done; whether it was still this worker's."""

    async def fail(self, job: Job, error: str, retry_at: datetime | None) -> bool:
        """A try failed: again at a time, or for good; whether it was still this worker's."""

    async def cancel(self, job_id: str) -> bool:
        """Nobody shall do it any more; whether it was not at its end yet."""

    async def due(self, limit: int) -> Sequence[str]:
        """Ids of jobs that wait for a worker now."""

    async def counts(self) -> Mapping[tuple[str, str], int]:
        """How many jobs there are by kind and state, of those not at their end."""


type JobHandler = Callable[[Job], Awaitable[None]]
"""Does a job; it is called again after a failure or a crash and must end in the same effect.

It raises :class:`~balance_tracker.core.errors.InputError` where trying again is no use, and is
cancelled when its lease is lost.
"""


class JobQueue(Protocol):
    """Brings jobs that are kept to those who do them."""

    async def wake(self, job_ids: Sequence[str]) -> None:
        """These are due; a call that is lost only delays them."""


class Messages(Protocol):
    """Publish and subscribe between the processes of one service."""

    async def publish(self, channel: str, message: bytes) -> None:
        """Tell every subscriber, in this process and the others; not kept for those who are away."""

    def subscribe(self, channel: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Messages published while the context is open.

        Where messages may have been lost (a connection broke), an empty one is handed out: whoever
        depends on them reads its truth again.
        """


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether work is let through.

    Attributes:
        remaining: Units left right now.
        reset_seconds: Until all units are there again.
        retry_seconds: Until this much work would be let through; 0 where it was.
        epoch: Changes whenever keys changed in any process; ``None`` where that is not known here.
    """

    allowed: bool
    limit: Limit
    remaining: int
    reset_seconds: float
    retry_seconds: float
    epoch: str | None = None


class RateLimiter(Protocol):
    """Counts work, by whose it is."""

    async def take(self, subject: str, limit: Limit, cost: int = 1, counted: int = 0) -> Verdict:
        """Let work of a cost through, or say when; refused work costs nothing.

        What costs more than the whole limit is let through once everything is there, and then owed.

        Args:
            subject: Whose work it is.
            limit: Its limit.
            cost: Units of work.
            counted: What the same request has cost before: as if both were asked for at once.
        """
