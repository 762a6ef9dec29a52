"""When an endpoint that failed is asked again.

Closed: it is asked. A failure opens it: it rests, twice as long each time, up to a minute, a little
more or less by chance so that many clients do not come back at once. When the rest is over it is
half open: one read tries it while the others go elsewhere; what that read finds closes it or opens
it again. An endpoint that nobody can stand in for is asked even while it rests.
"""

import math
import random
from collections.abc import Callable
from typing import Literal

FIRST_REST_SECONDS = 1.0
LONGEST_REST_SECONDS = 60.0
LASTING_REST_SECONDS = 30.0
"""The first rest after what does not pass by itself: another chain, a refused key."""

_LASTING = frozenset({"wrong_chain", "unauthorized", "redirected"})
_SPREAD = 0.2

BreakerState = Literal["closed", "open", "half_open"]


class Breaker:
    """Whether one endpoint is asked; times are seconds of the clock.

    Args:
        clock: The time.
        chance: A number from 0 to 1, for the spread of rests.

    Attributes:
        failures_in_a_row: Since it was last closed.
        rests_until: When the rest ends.
        trial: Whether a read is trying it out.
    """

    def __init__(self, clock: Callable[[], float], chance: Callable[[], float] = random.random) -> None:
        self._clock = clock
        self._chance = chance
        self._opened_at = -math.inf
        self.failures_in_a_row = 0
        self.rests_until = 0.0
        self.trial = False

    @property
    def state(self) -> BreakerState:
        """Closed, open (resting) or half open (to be tried)."""
        if self.rests_until > self._clock():
            return "open"
        return "half_open" if self.failures_in_a_row else "closed"

    @property
    def rest_seconds(self) -> float:
        """What is left of the rest."""
        return max(0.0, self.rests_until - self._clock())

    def try_out(self) -> bool:
        """Begin the one trial of a half-open endpoint; ``False`` if there is one or none is due."""
        if self.trial or self.state != "half_open":
            return False
        self.trial = True
        return True

    def abandon(self) -> None:
        """The trial ended without a finding; the next read may try."""
        self.trial = False

    def succeed(self) -> None:
        """Close it."""
        self.failures_in_a_row = 0
        self.rests_until = 0.0
        self.trial = False

    def fail(self, code: str, started_at: float | None = None) -> None:
        """Open it.

        Args:
            code: The code of the error.
            started_at: When the failed attempt began: of many that were under way together when
                the endpoint broke, the first one counts.
        """
        self.trial = False
        if started_at is not None and started_at < self._opened_at:
            return
        now = self._clock()
        self._opened_at = now
        self.failures_in_a_row += 1
        first = LASTING_REST_SECONDS if code in _LASTING else FIRST_REST_SECONDS
        rest = first * 2 ** min(self.failures_in_a_row - 1, 10)
        rest *= 1 - _SPREAD / 2 + _SPREAD * self._chance()
        self.rests_until = max(self.rests_until, now + min(rest, LONGEST_REST_SECONDS))
