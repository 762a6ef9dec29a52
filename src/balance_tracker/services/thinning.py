"""Which spans of time a long series is thinned out to."""

from datetime import timedelta

from balance_tracker.ports.snapshots import Extent

STEPS = tuple(
    timedelta(seconds=seconds)
    for seconds in (300, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 604_800, 2_592_000)
)
"""From five minutes to thirty days."""


def span_for(extent: Extent | None, every: timedelta | None, most: int) -> timedelta | None:
    """The smallest span at or above the one asked for of which no more than so many fit.

    Args:
        extent: How many snapshots there are, and from when to when; ``None``: none.
        every: What was asked for; ``None``: all, where they fit.
        most: Points that a series may have.

    >>> from datetime import UTC, datetime
    >>> year = Extent(8760, datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 12, 31, 23, tzinfo=UTC))
    >>> span_for(year, None, 1000), span_for(year, timedelta(days=7), 1000)
    (datetime.timedelta(seconds=43200), datetime.timedelta(days=7))
    """
    if extent is None or extent.count <= most:
        return every
    whole = extent.last - extent.first
    shortest = every or timedelta(0)
    for step in (shortest, *STEPS):
        # What begins in the middle of one span touches one span more.
        if step >= shortest and step and whole // step + 2 <= most:
            return step
    longest: timedelta = whole // max(1, most - 2) + timedelta(microseconds=1)
    return max(STEPS[-1], longest)
