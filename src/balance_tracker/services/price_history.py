"""Series of past prices: fetched once from the sources, kept, joined, and open about their gaps.

Time is cut into intervals of the series, and each holds one point, joined from all sources that have one
(``price_series.py``), which it names. What sources were asked for and answered is not asked for again,
but for gaps after a week, since a source may know more by then. The interval under way is kept in memory
for as long as a price is fresh, and never longer.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from weakref import WeakValueDictionary

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
from balance_tracker.services.price_series import (
    Window,
    converted,
    floor,
    gaps,
    joined,
    surer,
    united,
    without,
)
from balance_tracker.telemetry.logging import get_logger

FIRST_SECOND = 1_230_940_800
"""The year 2009: nothing that is priced is older, so an earlier begin is this one."""
MOST_POINTS = 10_000
POINTS_AT_ONCE = 2_500
"""What a source is asked for at once; a longer time goes in parts, side by side."""
GAPS_ASKED_AGAIN_SECONDS = 7 * 86_400
UNDER_WAY_SECONDS = 300.0
"""For how long the point of the interval under way stands, if nothing else is said."""
RETRY_SECONDS = 30.0
"""The same where a source failed."""
MOST_UNDER_WAY = 1_000

_AS_RATE = "#rate"
"""Behind the id under which the points of a rate are kept: of two sources they have the higher one."""

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
class _Moment:
    """What need not be asked for again until a time.

    Attributes:
        place: The start of the interval that was under way.
        point: Its point, if it was asked for and has one.
        span: The times that were asked for.
        failed: Why sources did not answer; without any, only the interval under way is meant.
        until: In seconds of the Unix epoch.
    """

    place: int
    point: PricePoint | None
    span: Span
    failed: Mapping[str, str]
    until: float


class PriceHistory:
    """Answers what assets were worth over a time.

    Args:
        sources: All asked at once; those that keep no history say nothing.
        store: Where points are kept.
        under_way_seconds: For how long the point of the interval under way stands.
        now: The time, in UTC.
    """

    def __init__(
        self,
        sources: Sequence[PriceSource],
        store: PriceHistoryStore,
        *,
        under_way_seconds: float = UNDER_WAY_SECONDS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._sources = tuple(sources)
        self._store = store
        self._under_way_seconds = under_way_seconds
        self._now = now
        self._under_way: OrderedDict[tuple[AssetId, Interval], _Moment] = OrderedDict()
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
        elif rate_of.asset_id == asset.price_key:
            points, failed = await self._points(asset, window, deadline)
            points = {at: converted(point, point) for at, point in points.items()}
        else:
            (points, failed), (rates, failed_rates) = await asyncio.gather(
                self._points(asset, window, deadline), self._points(rate_of, window, deadline, as_rate=True)
            )
            points = {at: converted(point, rates[at]) for at, point in points.items() if at in rates}
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
            gaps=tuple(gaps(window, points)),
            failed=failed,
        )

    def _window(self, start: datetime, end: datetime, interval: Interval) -> Window:
        step = INTERVAL_SECONDS[interval]
        now = self._now()
        first = max(floor(int(start.timestamp()), step), floor(FIRST_SECOND, step))
        last = -floor(-int(min(end, now).timestamp()), step)
        if last <= first:
            raise InputError(
                "The time ends before it begins or before anything had a price, or has not begun.",
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
        return Window(interval, first, last, floor(int(now.timestamp()), step))

    async def _points(
        self, asset: Asset, window: Window, deadline: float, *, as_rate: bool = False
    ) -> tuple[dict[int, PricePoint], dict[str, str]]:
        """Points by the start of their interval, in order, and why sources failed."""
        name = AssetId(f"{asset.price_key}{_AS_RATE}") if as_rate else asset.price_key
        key = (name, window.interval)
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            kept = await self._store.load(*key)
            known = {window.place(point): point for point in kept.points}
            recalled, failed = self._recall(key, window, known)
            had = united([*self._had(kept, known, window), *recalled])
            missing = list(without(Span(window.start, window.end), had))
            if missing:
                span = Span(missing[0].start, missing[-1].end)
                found, failed = await self._fetch(asset, window, span, deadline)
                known = surer(known, joined(found, window, as_rate=as_rate))
                self._remember(key, window, span, known.get(window.settled), failed)
                await self._keep(key, window, known, span if not failed else None, kept)
        ordered = sorted(at for at in known if window.start <= at < window.end)
        return {at: known[at] for at in ordered}, failed

    def _had(self, kept: PriceSeries, known: Mapping[int, PricePoint], window: Window) -> list[Span]:
        """What need not be asked for: what was fetched, and of an old fetch only what has points.

        Points of a time that a source failed on are asked for again: one source had its word alone.
        """
        if not kept.fetched_at or self._now().timestamp() - kept.fetched_at < GAPS_ASKED_AGAIN_SECONDS:
            return list(kept.fetched)
        return united(Span(at, at + window.step) for at in known)

    def _recall(
        self, key: tuple[AssetId, Interval], window: Window, known: dict[int, PricePoint]
    ) -> tuple[list[Span], dict[str, str]]:
        """What was asked for a moment ago, and why sources failed then; a point is put among the known."""
        held = self._under_way.get(key)
        if held is None or self._now().timestamp() >= held.until:
            return [], {}
        spans = [held.span] if held.failed else []
        if held.place == window.settled and held.span.end > held.place:
            spans.append(Span(held.place, held.place + window.step))
            if held.point is not None:
                known[held.place] = held.point
        return spans, dict(held.failed)

    def _remember(
        self,
        key: tuple[AssetId, Interval],
        window: Window,
        asked: Span,
        point: PricePoint | None,
        failed: Mapping[str, str],
    ) -> None:
        """Keep for a moment what is not kept for good, if anybody answered."""
        is_under_way = asked.end > window.settled
        if len(failed) == len(self._sources) or not (failed or is_under_way):
            return
        seconds = min(RETRY_SECONDS, self._under_way_seconds) if failed else self._under_way_seconds
        until = self._now().timestamp() + seconds
        span = Span(asked.start, min(asked.end, window.settled + window.step))
        self._under_way[key] = _Moment(window.settled, point, span, failed, until)
        self._under_way.move_to_end(key)
        while len(self._under_way) > MOST_UNDER_WAY:
            self._under_way.popitem(last=False)

    async def _fetch(
        self, asset: Asset, window: Window, span: Span, deadline: float
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
        window: Window,
        known: Mapping[int, PricePoint],
        fetched: Span | None,
        kept: PriceSeries,
    ) -> None:
        """Keep what can't change any more; a span that a source failed on is asked for again."""
        points = tuple(known[at] for at in sorted(known) if at < window.settled)
        spans = list(kept.fetched)
        if fetched is not None and fetched.start < window.settled and self._sources:
            spans.append(Span(fetched.start, min(fetched.end, window.settled)))
        series = PriceSeries(points, tuple(united(spans)), kept.fetched_at)
        if fetched is not None:
            series = replace(series, fetched_at=int(self._now().timestamp()))
        if series != kept:
            await self._store.keep(*key, series)


async def _whole(
    source: PriceSource, asset: Asset, window: Window, span: Span, deadline: float
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
