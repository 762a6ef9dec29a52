"""What all sources of the web do alike: read numbers and times, cut questions, gather the answers."""

import asyncio
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

from balance_tracker.core.amounts import decimal_or_none, is_change
from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.prices import INTERVAL_SECONDS, Interval, PricePoint

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_SECOND = 1_230_940_800
"""The year 2009: nothing that we price is older. What is less than this is no time, or in other units."""
_LAST_SECOND = 7_258_118_400
_EXACT = Context(prec=400)


def number(value: object) -> Decimal | None:
    """A JSON number as it was sent; ``None`` for text, booleans and all that is no number."""
    return None if isinstance(value, str) else decimal_or_none(value)


def price(value: object) -> Decimal | None:
    """A price as it was sent; ``None`` unless it is a number above zero."""
    amount = number(value)
    return amount if amount is not None and amount > 0 else None


def part_of_percent(value: object) -> Decimal | None:
    """A change in percent as a part (``0.01``: one percent); ``None`` if nothing changes by so much."""
    percent = number(value)
    part = None if percent is None else percent.scaleb(-2, _EXACT)
    return part if part is not None and is_change(part) else None


def depth(value: object) -> Decimal | None:
    """US dollars traded or locked; ``None`` if it is no such number."""
    amount = number(value)
    return amount if amount is not None and amount >= 0 else None


def moment(value: object, *, units_per_second: int = 1) -> datetime | None:
    """A Unix time as UTC; ``None`` if it is none."""
    ticks = number(value)
    if ticks is None or not _FIRST_SECOND <= ticks / units_per_second <= _LAST_SECOND:
        return None
    return _EPOCH + timedelta(microseconds=int(ticks * 1_000_000 / units_per_second))


def written_moment(value: object) -> datetime | None:
    """A time in ISO 8601 with its zone, as UTC; ``None`` if it is none."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        when = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment(int(when.timestamp())) if when.tzinfo is not None else None


def seconds_of(when: datetime) -> int:
    """A time as whole Unix seconds."""
    return int((when - _EPOCH).total_seconds())


def read_bounded(path: Path, most_bytes: int) -> bytes:
    """A file, if it is no longer than it may be.

    Raises:
        OSError: It can't be read.
        ValueError: It is longer.
    """
    if path.stat().st_size > most_bytes:
        raise ValueError(f"it is longer than {most_bytes} bytes")
    return path.read_bytes()


def chunks[T](items: Iterable[T], most: int, most_characters: int | None = None) -> Iterator[list[T]]:
    """Items in groups of at most ``most``, whose texts with a comma each have at most so many characters."""
    group: list[T] = []
    length = 0
    for item in items:
        added = len(str(item)) + 1
        if group and (
            len(group) >= most or (most_characters is not None and length + added > most_characters)
        ):
            yield group
            group, length = [], 0
        group.append(item)
        length += added
    if group:
        yield group


async def gathered[T](requests: Iterable[Coroutine[Any, Any, Sequence[T]]]) -> list[T]:
    """What requests of one source answered, all under way at once.

    Raises:
        UpstreamError: There were some and none answered; the first one's.
    """
    answers = await asyncio.gather(*(_caught(request) for request in requests))
    failed = [answer for answer in answers if isinstance(answer, UpstreamError)]
    if failed and len(failed) == len(answers):
        raise failed[0]
    return [item for answer in answers if not isinstance(answer, UpstreamError) for item in answer]


async def _caught[T](request: Coroutine[Any, Any, Sequence[T]]) -> Sequence[T] | UpstreamError:
    try:
        return await request
    except UpstreamError as error:
        return error


def at_interval(
    points: Iterable[PricePoint], start: datetime, end: datetime, interval: Interval
) -> list[PricePoint]:
    """The first point of each interval from ``start`` to ``end``, in the order of time."""
    step = INTERVAL_SECONDS[interval]
    first: dict[int, PricePoint] = {}
    for point in sorted(points, key=lambda point: point.at):
        if start <= point.at <= end:
            first.setdefault(seconds_of(point.at) // step, point)
    return list(first.values())
