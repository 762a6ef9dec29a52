"""How an endpoint fares: what it answered, what it failed with, and the head it showed."""

from collections import Counter
from dataclasses import dataclass, field

from balance_tracker.core.errors import UpstreamError
from balance_tracker.telemetry.redact import redact_text

_TROUBLE_WEIGHT = 0.2


@dataclass(frozen=True, slots=True)
class Head:
    """A head that an endpoint showed: its block, its time if known (Unix seconds), and when it was seen."""

    number: int
    timestamp: int | None
    seen_at: float


@dataclass
class Standing:
    """The record of one endpoint; times are seconds of its clock.

    Attributes:
        errors: How often it failed, by the code of the error.
        trouble: The share of its latest reads that failed, from 0 to 1, the last ones counting most.
        head: The last block number that it showed.
        head_seen: That head with its times; ``None`` where it is not believed.
        behind: Blocks behind the best head, when it was last looked at.
    """

    successes: int = 0
    failures: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    trouble: float = 0.0
    last_error: str | None = None
    last_error_code: str | None = None
    head: int | None = None
    head_seen: Head | None = None
    behind: int = 0

    def succeeded(self) -> None:
        """A read got what it wanted."""
        self.successes += 1
        self.trouble *= 1 - _TROUBLE_WEIGHT

    def failed(self, error: UpstreamError) -> None:
        """A read did not."""
        self.failures += 1
        self.trouble += (1 - self.trouble) * _TROUBLE_WEIGHT
        self.errors[error.code] += 1
        self.last_error = redact_text(error.message)
        self.last_error_code = error.code


@dataclass(slots=True)
class Progress:
    """How one read on one endpoint gets on.

    Attributes:
        moved_at: The loop's time of its last request or answer; ahead, where a request waits its turn.
        body_bytes: The size of the body sent last.
        answers: How many requests were answered.
    """

    moved_at: float = 0.0
    body_bytes: int = 0
    answers: int = 0
