"""Rate limits by the generic cell rate algorithm, exact in integers.

A subject owes work: each unit adds one period, each microsecond takes away as much as it pays for.
What would make it owe more than the whole limit is refused and costs nothing. So a burst lets through
exactly the limit, and after it work goes through at the sustained rate, evenly.

Source: https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm
"""

import time
from collections import OrderedDict
from collections.abc import Callable

from balance_tracker.core.access import Limit
from balance_tracker.ports.keeping import Verdict
from balance_tracker.telemetry.metrics import METRICS

MOST_SUBJECTS = 100_000
"""Of those that asked last; a subject that asks for nothing for a period owes nothing anyway."""


MICROSECONDS = 1_000_000


class MemoryLimiter:
    """Counts work in this process; implements :class:`balance_tracker.ports.keeping.RateLimiter`.

    Args:
        most_subjects: How many are remembered, those that asked last.
        clock: Microseconds that never go backwards.
    """

    def __init__(
        self,
        *,
        most_subjects: int = MOST_SUBJECTS,
        clock: Callable[[], int] = lambda: time.monotonic_ns() // 1000,
    ) -> None:
        self._most_subjects = most_subjects
        self._clock = clock
        self._owed: OrderedDict[tuple[str, Limit], tuple[int, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._owed)

    async def take(self, subject: str, limit: Limit, cost: int = 1, counted: int = 0) -> Verdict:
        """Let work through or say when; see :meth:`balance_tracker.ports.keeping.RateLimiter.take`."""
        now = self._clock()
        debt, at = self._owed.get((subject, limit), (0, now))
        owed = max(0, debt - max(0, now - at) * limit.units)
        period = limit.period_seconds * MICROSECONDS
        allowed = owed + cost * period <= limit.units * period or (
            cost + counted > limit.units and owed <= counted * period
        )
        if allowed:
            owed += cost * period
            self._keep(subject, limit, owed, now)
        METRICS.sharing.observe_decision("process", allowed=allowed)
        return verdict_of(limit, cost + counted, owed, allowed=allowed)

    def adopt(self, subject: str, limit: Limit, owed: int) -> None:
        """Go on from what a subject owes elsewhere."""
        self._keep(subject, limit, owed, self._clock())

    def _keep(self, subject: str, limit: Limit, owed: int, now: int) -> None:
        self._owed[subject, limit] = (owed, now)
        self._owed.move_to_end((subject, limit))
        while len(self._owed) > self._most_subjects:
            self._owed.popitem(last=False)


def verdict_of(limit: Limit, cost: int, owed: int, *, allowed: bool, epoch: str | None = None) -> Verdict:
    """What is told of a decision.

    Args:
        limit: The limit.
        cost: Of the work, all that its request costs.
        owed: After the decision, in units x microseconds.
        allowed: The decision.
        epoch: See :class:`~balance_tracker.ports.keeping.Verdict`.
    """
    period = limit.period_seconds * MICROSECONDS
    most = limit.units * period
    too_much = owed if cost > limit.units else owed + cost * period - most
    return Verdict(
        allowed=allowed,
        limit=limit,
        remaining=max(0, (most - owed) // period),
        reset_seconds=_seconds(owed, limit.units),
        retry_seconds=0.0 if allowed else _seconds(too_much, limit.units),
        epoch=epoch,
    )


def _seconds(work: int, units: int) -> float:
    """How long it takes to pay for work, in whole microseconds, rounded up."""
    return -(-work // units) / MICROSECONDS
