"""How many requests a read takes on one endpoint: some have limits that make it many.

Requests to other people's endpoints are what a read costs, so of two that are well the one that
answers in fewer requests is asked. Reads are compared with their like only, so what they took is
kept by the size of what was asked, in classes of a factor of four. A limit may pass and what was
learnt of it lasts longer, so after ten minutes the endpoint is taken for a good one again.
"""

from collections.abc import Callable

REMEMBERED_SECONDS = 600.0
REQUEST_IS_WORTH_SECONDS = 0.5
"""The time that one request less is worth."""


class Costs:
    """The requests that the latest reads took on one endpoint."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._requests: dict[int, tuple[float, int]] = {}

    def took(self, requests: int, size: int) -> None:
        """Note what a read of so many things took."""
        self._requests[_size_class(size)] = (self._clock(), max(requests, 1))

    def extra_seconds(self, size: int) -> float:
        """What its requests beyond the first are worth; 0.0 where nothing recent is known."""
        noted_at, requests = self._requests.get(_size_class(size), (0.0, 1))
        if self._clock() - noted_at > REMEMBERED_SECONDS:
            return 0.0
        return REQUEST_IS_WORTH_SECONDS * (requests - 1)


def _size_class(size: int) -> int:
    """0 for up to 3 things, 1 for up to 15, 2 for up to 63, and so on.

    >>> [_size_class(size) for size in (1, 3, 4, 60, 120_000)]
    [0, 0, 1, 2, 8]
    """
    return (max(size, 1).bit_length() - 1) // 2
