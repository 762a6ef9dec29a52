"""How often an endpoint may be asked: no limit until it shows one, then below what it refused.

Additive increase, multiplicative decrease: a refusal sets the rate to 0.7 of what was sent in the
second before it, each further one halves it; every five seconds without one add a twentieth of the
rate that was refused. When it has grown to four times that, or an hour after the last refusal, the
limit is forgotten. ``Retry-After`` is obeyed to the letter, whatever the rate.

Where a limit is known as requests a minute, ``per_minute`` holds in every 60 seconds.
"""

import math
from collections import deque
from collections.abc import Callable

from balance_tracker.transport.memory import Memory

RATE = "requests_per_second"
RATE_SECONDS = 3_600.0
"""How long a learnt rate is kept."""
SLOWEST_RATE = 0.1
GROW_EVERY_SECONDS = 5.0

_FIRST_DROP = 0.7
_NEXT_DROP = 0.5
_STEP = 0.05
_FORGOTTEN_AT = 4.0
_MOST_SENT = 256
_MINUTE_SECONDS = 60.0


class Bucket:
    """The turns of one endpoint.

    Attributes:
        rate: Requests a second that it is asked at most; ``None``: no limit is known.
        per_minute: Requests in any 60 seconds, at most 256; ``None``: no limit is known.
    """

    def __init__(self, memory: Memory, clock: Callable[[], float]) -> None:
        self._memory = memory
        self._clock = clock
        self._sent: deque[float] = deque(maxlen=_MOST_SENT)
        self._paused_until = 0.0
        self._free_at = 0.0
        self._refused_at = -math.inf
        self._grown_at = 0.0
        self.per_minute: int | None = None
        self.rate = _kept_rate(memory)
        self._ceiling: float = self.rate or 0.0

    @property
    def paused_seconds(self) -> float:
        """What is left of the pause that the endpoint asked for."""
        return max(0.0, self._paused_until - self._clock())

    @property
    def wait_seconds(self) -> float:
        """How long a request would wait for its turn now."""
        now = self._clock()
        return max(0.0, self._paused_until - now, self._turn(now) - now, self._place(now) - now)

    def take(self, longest_seconds: float) -> float | None:
        """Take a turn, if it comes soon enough.

        Returns:
            Seconds to wait before sending; ``None`` when that is longer than ``longest_seconds``:
            then no turn was taken.
        """
        now = self._clock()
        wait = self.wait_seconds
        if wait > longest_seconds:
            return None
        self._sent.append(now + wait)
        if self.rate is not None:
            self._free_at = max(self._free_at, now) + 1 / self.rate
        return wait

    def pause(self, seconds: float) -> None:
        """The endpoint asked not to be asked for so long."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)

    def refused(self, sent_at: float) -> None:
        """A request sent at that time was one too many.

        Requests that were under way together are refused together: that is one refusal.
        """
        if sent_at < self._refused_at:
            return
        now = self._clock()
        lately = max(1, sum(1 for at in self._sent if now - 1.0 < at <= now))
        self._ceiling = lately if self.rate is None else self.rate
        drop = _FIRST_DROP if self.rate is None else _NEXT_DROP
        rate = max(self._ceiling * drop, SLOWEST_RATE)
        self._set(rate)
        self._refused_at = self._grown_at = now
        self._free_at = now + _at_once(rate) / rate

    def went_well(self) -> None:
        """A request was answered: when that has been so for a while, the rate grows a little."""
        if self.rate is None:
            return
        now = self._clock()
        if self._memory.get(RATE) is None:
            self.rate = None
        elif now - self._grown_at >= GROW_EVERY_SECONDS:
            self._grown_at = now
            self._set(self.rate + max(_STEP * self._ceiling, SLOWEST_RATE))

    def _turn(self, now: float) -> float:
        """When the next turn is; half a second's worth may go at once after a quiet time."""
        if self.rate is None:
            return now
        # ``_free_at`` is when all turns taken so far are used up at this pace.
        return self._free_at - (_at_once(self.rate) - 1) / self.rate

    def _place(self, now: float) -> float:
        """When the minute has a place for one more."""
        most = self.per_minute
        if most is None or len(self._sent) < most:
            return now
        return self._sent[-min(most, _MOST_SENT)] + _MINUTE_SECONDS

    def _set(self, rate: float) -> None:
        if rate >= _FORGOTTEN_AT * self._ceiling:
            self.rate = None
            self._memory.forget(RATE)
            return
        self.rate = rate
        self._memory.put(RATE, f"{rate:.2f}", RATE_SECONDS)


def _at_once(rate: float) -> float:
    return max(rate / 2, 1.0)


def _kept_rate(memory: Memory) -> float | None:
    """A rate learnt before; what is no rate is none."""
    try:
        rate = float(memory.get(RATE) or 0.0)
    except ValueError:
        return None
    return max(rate, SLOWEST_RATE) if 0 < rate < 1e6 else None
