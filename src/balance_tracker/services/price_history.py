"""Series of past prices: fetched once from the sources, kept, joined, and open about their gaps.

Time is cut into intervals of the series, and each holds one point: of the source that has most of
them, and where it has none, of another. Every point says whose it is. What sources were asked for
and answered is not asked for again, but for gaps after a week, since a source may know more by then;
the interval under way is never kept.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from weakref import WeakValueDictionary

from balance_tracker.core.amounts import quotient
from balance_tracker.core.assets import Asset
from balance_tracker.core.errors import InputError, UpstreamError
from balance_tracker.core.ids import AssetId
from balance_tracker.core.money import CURRENCY_ASSETS
from balance_tracker.core.prices import (
    INTERVAL_SECONDS,
    Currency,
    Interval,
    PricePoint,
    PriceSeries,
    Span,
)
from balance_tracker.ports import PriceHistoryStore, PriceSource
from balance_tracker.services.price_round import settled
from balance_tracker.telemetry.logging import get_logger

MOST_POINTS = 10_000
POINTS_AT_ONCE = 2_500
"""What a source is asked for at once; a longer time goes in parts, side by side."""
GAPS_ASKED_AGAIN_SECONDS = 7 * 86_400

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class History:
    """What an asset was worth over a time.

    Attributes:
        asset_id: The asset.
        currency: What amounts are in.
        interval: How far apart points are.
        start: The start of the first interval.
        end: The end of the last.
        points: In the order of time, at most one in each interval.
        gaps: Intervals without a point, joined.
        failed: Why sources did not answer, by name; empty where nothing had to be fetched.
    """

    asset_id: AssetId
    currency: Currency
    interval: Interval
    start: datetime
    end: datetime
    points: tuple[PricePoint, ...]
    gaps: tuple[Span, ...]
    failed: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Window:
    """The intervals asked for; ``settled`` is where the one under way begins."""

    interval: Interval
    start: int
    end: int
    settled: int

    @property
    def step(self) -> int:
        return INTERVAL_SECONDS[self.interval]

    def place(self, point: PricePoint) -> int:
        """The start of the interval that a point is in."""
        return _floor(int(point.at.timestamp()), self.step)


class PriceHistory:
    """Answers what assets were worth over a time.

    Args:
        sources: All asked at once; those that keep no history say nothing.
        store: Where points are kept.
        now: The time, in UTC.
    """

    def __init__(
        self,
        sources: Sequence[PriceSource],
        store: PriceHistoryStore,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._sources = tuple(sources)
        self._store = store
        self._now = now
        self._locks: WeakValueDictionary[tuple[AssetId, Interval], asyncio.Lock] = WeakValueDictionary()

    async def history(
        self,
        asset: Asset,
        start: datetime,
        end: datetime,
        interval: Interval,
        *,
        currency: Currency,
        deadline: float,
    ) -> History:
        """Points of the intervals that a time touches.

        Args:
            asset: What was worth it.
            start: When it begins, UTC.
            end: When it ends, UTC; later than now is now.
            interval: How far apart points are.
            currency: What amounts are in, by the rates of those times.
            deadline: The loop's time (``asyncio`` clock, seconds) by which it answers with what it has.

        Raises:
            InputError: ``invalid_range``: it ends before it begins, or is too long.
            UpstreamError: Nothing is known, and no source answered.
        """
        window = self._window(start, end, interval)
        rate_of = CURRENCY_ASSETS.get(currency)
        if rate_of is None:
            points, failed = await self._points(asset, window, deadline)
        else:
            (points, failed), (rates, failed_rates) = await asyncio.gather(
                self._points(asset, window, deadline), self._points(rate_of, window, deadline)
            )
            points = {at: _in(point, rates[at]) for at, point in points.items() if at in rates}
            failed = {**failed, **failed_rates}
        if not points and failed and len(failed) == len(self._sources):
            raise UpstreamError("No price source answered.", hint="Ask again later.")
        return History(
            asset_id=asset.asset_id,
            currency=currency,
            interval=interval,
            start=_time(window.start),
            end=_time(window.end),
            points=tuple(points.values()),
            gaps=tuple(_gaps(window, points)),
            failed=failed,
        )

    def _window(self, start: datetime, end: datetime, interval: Interval) -> _Window:
        step = INTERVAL_SECONDS[interval]
        now = self._now()
        first = _floor(int(start.timestamp()), step)
        last = -_floor(-int(min(end, now).timestamp()), step)
        if last <= first:
            raise InputError(
                "The time ends before it begins, or has not begun.",
                code="invalid_range",
                hint="Give from= and to= as times, such as 2026-01-31T12:00:00Z.",
            )
        count = (last - first) // step
        if count > MOST_POINTS:
            raise InputError(
                f"{count:,} points were asked for, and {MOST_POINTS:,} are allowed.",
                code="invalid_range",
                hint="Ask for a shorter time or a longer interval.",
            )
        return _Window(interval, first, last, _floor(int(now.timestamp()), step))

    async def _points(
        self, asset: Asset, window: _Window, deadline: float
    ) -> tuple[dict[int, PricePoint], dict[str, str]]:
        """Points by the start of their interval, in order, and why sources failed."""
        key = (asset.price_key, window.interval)
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            kept = await self._store.load(*key)
            failed: dict[str, str] = {}
            known = {window.place(point): point for point in kept.points}
            missing = list(_without(Span(window.start, window.end), self._had(kept, known, window)))
            if missing:
                span = Span(missing[0].start, missing[-1].end)
                found, failed = await self._fetch(asset, window, span, deadline)
                known = {**_joined(found, window), **known}
                await self._keep(key, window, known, span if not failed else None, kept)
        ordered = sorted(at for at in known if window.start <= at < window.end)
        return {at: known[at] for at in ordered}, failed

    def _had(self, kept: PriceSeries, known: Mapping[int, PricePoint], window: _Window) -> list[Span]:
        """What need not be asked for: what was fetched, and of an old fetch only what has points."""
        if self._now().timestamp() - kept.fetched_at < GAPS_ASKED_AGAIN_SECONDS:
            return list(kept.fetched)
        return _united(Span(at, at + window.step) for at in known)

    async def _fetch(
        self, asset: Asset, window: _Window, span: Span, deadline: float
    ) -> tuple[list[Sequence[PricePoint]], dict[str, str]]:
        async with asyncio.TaskGroup() as group:
            tasks = {
                source.name: group.create_task(
                    settled(source.name, _whole(source, asset, window, span, deadline), deadline)
                )
                for source in self._sources
            }
        answers = {name: task.result() for name, task in tasks.items()}
        failed = {name: answer for name, answer in answers.items() if isinstance(answer, str)}
        log = _log.warning if failed else _log.info
        log(
            "price_history_fetched",
            asset=asset.price_key,
            interval=window.interval,
            points=sum(len(answer) for name, answer in answers.items() if name not in failed),
            failed=failed or None,
        )
        return [answer for answer in answers.values() if not isinstance(answer, str)], failed

    async def _keep(
        self,
        key: tuple[AssetId, Interval],
        window: _Window,
        known: Mapping[int, PricePoint],
        fetched: Span | None,
        kept: PriceSeries,
    ) -> None:
        """Keep what can't change any more; a span that a source failed on is asked for again."""
        points = tuple(known[at] for at in sorted(known) if at < window.settled)
        spans = list(kept.fetched)
        if fetched is not None and fetched.start < window.settled and self._sources:
            spans.append(Span(fetched.start, min(fetched.end, window.settled)))
        series = PriceSeries(points, tuple(_united(spans)), kept.fetched_at)
        if fetched is not None:
            series = replace(series, fetched_at=int(self._now().timestamp()))
        if series != kept:
            await self._store.keep(*key, series)


async def _whole(
    source: PriceSource, asset: Asset, window: _Window, span: Span, deadline: float
) -> list[PricePoint]:
    """One source's points of a span, however long it is."""
    length = POINTS_AT_ONCE * window.step
    parts = [Span(at, min(at + length, span.end)) for at in range(span.start, span.end, length)]
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(
                _caught(source.series(asset, _time(part.start), _time(part.end), window.interval, deadline))
            )
            for part in parts
        ]
    points: list[PricePoint] = []
    for task in tasks:
        answer = task.result()
        if isinstance(answer, UpstreamError):
            raise answer
        points += answer
    return points


async def _caught(asking: Awaitable[Sequence[PricePoint]]) -> Sequence[PricePoint] | UpstreamError:
    """The answer or the error, so that one part does not end the others by an error of a group."""
    try:
        return await asking
    except UpstreamError as error:
        return error


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _joined(found: Iterable[Sequence[PricePoint]], window: _Window) -> dict[int, PricePoint]:
    """One point for each interval: of the source with most of them, then of the others."""
    placed = [
        {window.place(point): point for point in sorted(points, key=lambda point: point.at, reverse=True)}
        for points in found
    ]
    joined: dict[int, PricePoint] = {}
    for points in sorted(placed, key=len, reverse=True):
        joined = {**points, **joined}
    return {at: point for at, point in joined.items() if window.start <= at < window.end}


def _gaps(window: _Window, points: Mapping[int, PricePoint]) -> Iterable[Span]:
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


def _without(span: Span, fetched: Iterable[Span]) -> Iterable[Span]:
    """The parts of a span that are not in spans that are in order and apart."""
    start = span.start
    for known in fetched:
        if start < known.start < span.end:
            yield Span(start, known.start)
        if known.start < span.end:
            start = max(start, known.end)
    if start < span.end:
        yield Span(start, span.end)


def _united(spans: Iterable[Span]) -> list[Span]:
    """The same times as spans in order and apart from each other."""
    united: list[Span] = []
    for span in sorted(spans, key=lambda span: span.start):
        if united and span.start <= united[-1].end:
            united[-1] = Span(united[-1].start, max(united[-1].end, span.end))
        else:
            united.append(span)
    return united


def _in(point: PricePoint, rate: PricePoint) -> PricePoint:
    return replace(point, amount=quotient(point.amount, rate.amount))


def _floor(seconds: int, step: int) -> int:
    return seconds // step * step
