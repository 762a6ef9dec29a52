"""Work that outlives the request that asked for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class JobState(StrEnum):
    """Where a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be kept, in the transaction of what it is about.

    Attributes:
        kind: Which handler does it, for example ``batch``.
        payload: What the handler is told: small, plain JSON values.
        unique_key: At most one job of a key is ever kept; a second one is the first.
        run_at: Not before; ``None``: at once.
        most_attempts: After so many tries that failed it is ``failed``. A try that was cut off
            (its worker died) counts too, so that a job that kills its worker ends.
    """

    kind: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    unique_key: str | None = None
    run_at: datetime | None = None
    most_attempts: int = 8


@dataclass(frozen=True, slots=True)
class Job:
    """A job that a worker has taken.

    Attributes:
        attempt: Which try this is, from 1.
        lease: Proves that the worker still has it: what a job does in effect is written only
            while its lease holds, so that two workers can't both do it.
    """

    job_id: str
    kind: str
    payload: Mapping[str, Any]
    attempt: int
    most_attempts: int
    lease: str
