"""Series of points: cut into intervals, joined from several sources, and open about their gaps.

Where three sources or more have a point in an interval, theirs is the middle one, whose amount no single
source decides; of two it is the lower (of a rate, by which others are divided, the higher). A source with
more points than the others has no more to say in each. A point names every source that had a say: one
with fewer than three names is less sure.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from balance_tracker.core.amounts import quotient
from balance_tracker.core.prices import INTERVAL_SECONDS, Interval, PricePoint, Span

AND = "+"
"""Between the names of the sources of a point."""


@dataclass(frozen=True, slots=True)
class Window:
    """The intervals asked for; ``settled`` is where the one under way begins."""

    interval: Interval
    start: int
    end: int
    settled: int

    @property
    def step(self) -> int:
        """Seconds of an interval."""
        return INTERVAL_SECONDS[self.interval]

    def place(self, point: PricePoint) -> int:
        """The start of the interval that a point is in."""
        return floor(int(point.at.timestamp()), self.step)


def floor(seconds: int, step: int) -> int:
    """The start of the interval of so many seconds that a time is in."""
    return seconds // step * step


def joined(
    found: Iterable[Sequence[PricePoint]], window: Window, *, as_rate: bool = False
) -> dict[int, PricePoint]:
    """One point for each interval that any source has one in, by its start.

    Args:
        found: What each source has.
        window: The intervals.
        as_rate: Whether others are divided by it.
    """
    placed: dict[int, list[PricePoint]] = {}
    for points in found:
        first: dict[int, PricePoint] = {}
        for point in sorted(points, key=lambda point: point.at):
            first.setdefault(window.place(point), point)
        for at, point in first.items():
            if window.start <= at < window.end:
                placed.setdefault(at, []).append(point)
    return {at: _middle(points, as_rate=as_rate) for at, points in placed.items()}


def _middle(points: Sequence[PricePoint], *, as_rate: bool) -> PricePoint:
    """The middle one, of an even number the lower of both; of a rate the higher."""
    ordered = sorted(points, key=lambda point: (point.amount, point.source))
    place = len(ordered) // 2 if as_rate else (len(ordered) - 1) // 2
    return replace(ordered[place], source=AND.join(sorted(point.source for point in points)))


def surer(known: Mapping[int, PricePoint], found: Mapping[int, PricePoint]) -> dict[int, PricePoint]:
    """Both; where both have a point, the one of more sources, and of as many the known one."""
    better = {
        at: point for at, point in found.items() if at not in known or _voices(point) > _voices(known[at])
    }
    return {**known, **better}


def _voices(point: PricePoint) -> int:
    return point.source.count(AND) + 1


def converted(point: PricePoint, rate: PricePoint) -> PricePoint:
    """A point in another currency, by the point of its rate."""
    return replace(point, amount=quotient(point.amount, rate.amount))


def gaps(window: Window, points: Mapping[int, PricePoint]) -> Iterable[Span]:
    """Intervals without a point, joined."""
    start: int | None = None
    for at in range(window.start, window.end, window.step):
        if at in points:
            if start is not None:
                yield Span(start, at)
            start = None
        elif start is None:
            start = at
    if start is not None:
        yield Span(start, window.end)


def without(span: Span, fetched: Iterable[Span]) -> Iterable[Span]:
    """The parts of a span that are not in spans that are in order and apart."""
    start = span.start
    for known in fetched:
        if start < known.start < span.end:
            yield Span(start, known.start)
        if known.start < span.end:
            start = max(start, known.end)
    if start < span.end:
        yield Span(start, span.end)


def united(spans: Iterable[Span]) -> list[Span]:
    """The same times as spans in order and apart from each other."""
    found: list[Span] = []
    for span in sorted(spans, key=lambda span: span.start):
        if found and span.start <= found[-1].end:
            found[-1] = Span(found[-1].start, max(found[-1].end, span.end))
        else:
            found.append(span)
    return found
