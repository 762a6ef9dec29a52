"""How long an endpoint takes: medians and 95th percentiles over what it did lately.

A request of a megabyte takes longer than one of a kilobyte, so times are kept by the size
of the body sent, in classes of a factor of four.
"""

from collections import deque
from collections.abc import Callable

WINDOW = 32
"""Times kept for each class of sizes."""
REMEMBERED_SECONDS = 600.0
"""An endpoint that was slow ten minutes ago may be fast again: older times are dropped."""
_ENOUGH = 8


class Latency:
    """The recent times of one endpoint, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._times: dict[int, deque[tuple[float, float]]] = {}

    def took(self, seconds: float, sent_bytes: int) -> None:
        """Note the time of one answer to a body of this size."""
        size = _size_class(sent_bytes)
        times = self._times.get(size)
        if times is None:
            times = self._times[size] = deque(maxlen=WINDOW)
        times.append((self._clock(), seconds))

    @property
    def median(self) -> float | None:
        """The median time of its smallest requests; ``None`` when nothing recent is known."""
        times = self._smallest()
        return times[len(times) // 2] if times else None

    @property
    def p95(self) -> float | None:
        """The 95th percentile of its smallest requests; ``None`` when nothing recent is known."""
        times = self._smallest()
        return times[_place_of_95(len(times))] if times else None

    def expected_at_most(self, sent_bytes: int) -> float | None:
        """The time that an answer to a body of this size rarely exceeds.

        It is the 95th percentile of that class of sizes; of a few times, twice the longest. Where the
        class is new it is four times that of the next smaller one, and ``None`` if none is known.
        """
        wanted = _size_class(sent_bytes)
        for size in range(wanted, -1, -1):
            times = self._recent(size)
            if times:
                likely = times[_place_of_95(len(times))] if len(times) >= _ENOUGH else 2 * times[-1]
                return likely if size == wanted else 4 * likely
        return None

    def _smallest(self) -> list[float]:
        for size in sorted(self._times):
            times = self._recent(size)
            if times:
                return times
        return []

    def _recent(self, size: int) -> list[float]:
        times = self._times.get(size)
        if not times:
            return []
        oldest = self._clock() - REMEMBERED_SECONDS
        while times and times[0][0] < oldest:
            times.popleft()
        return sorted(seconds for _, seconds in times)


def _size_class(sent_bytes: int) -> int:
    """0 for a body under 1 KiB, 1 under 4 KiB, 2 under 16 KiB, and so on.

    >>> [_size_class(size) for size in (200, 1_024, 5_000, 100_000)]
    [0, 1, 2, 4]
    """
    return (sent_bytes >> 10).bit_length() + 1 >> 1


def _place_of_95(count: int) -> int:
    return min(count - 1, count * 95 // 100)
