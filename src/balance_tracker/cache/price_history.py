"""Past prices kept over a restart: one file for each asset and interval, and the last used in memory.

A file is written whole beside the old one and then takes its place, so that a process killed at any
moment leaves the old or the new one. A file that can't be read counts as none, and is fetched again.
"""

import asyncio
import hashlib
import os
import tempfile
import time
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import orjson

from balance_tracker.core.ids import AssetId
from balance_tracker.core.prices import Interval, PricePoint, PriceSeries, Span
from balance_tracker.telemetry.logging import get_logger

MOST_SERIES_IN_MEMORY = 256
MOST_POINTS_IN_MEMORY = 500_000
"""Of all series together: a point takes about 300 bytes."""
MOST_FILES = 4096
MOST_POINTS = 50_000
"""Of one series; the oldest go first."""
MOST_FILE_BYTES = 8 * 2**20

_FORMAT = 1
_CUT_OFF_SECONDS = 3600

_log = get_logger(__name__)

type _Key = tuple[AssetId, Interval]


class PriceHistoryFiles:
    """Keeps series in files below a directory; implements ``PriceHistoryStore``.

    Args:
        directory: Made when the first series is kept.
        most_files: How many there may be before those written longest ago go.
        most_points_in_memory: How many points of all series are kept there; those used longest ago go.
    """

    def __init__(
        self,
        directory: Path,
        *,
        most_files: int = MOST_FILES,
        most_points_in_memory: int = MOST_POINTS_IN_MEMORY,
    ) -> None:
        self._directory = directory
        self._most_files = most_files
        self._most_points = most_points_in_memory
        self._points = 0
        self._known: OrderedDict[_Key, PriceSeries] = OrderedDict()

    async def load(self, asset_id: AssetId, interval: Interval) -> PriceSeries:
        """What is kept; see :meth:`balance_tracker.ports.PriceHistoryStore.load`."""
        key = (asset_id, interval)
        series = self._known.get(key)
        if series is None:
            series = await asyncio.to_thread(self._read, key)
            self._remember(key, series)
        else:
            self._known.move_to_end(key)
        return series

    async def keep(self, asset_id: AssetId, interval: Interval, series: PriceSeries) -> None:
        """Keep a series; see :meth:`balance_tracker.ports.PriceHistoryStore.keep`."""
        series = _bounded(series)
        self._remember((asset_id, interval), series)
        await asyncio.to_thread(self._write, (asset_id, interval), series)

    def _remember(self, key: _Key, series: PriceSeries) -> None:
        """Keep a series in memory, within the room for points; one that is too long for it is not."""
        before = self._known.pop(key, None)
        self._points += len(series.points) - (0 if before is None else len(before.points))
        self._known[key] = series
        while self._known and (len(self._known) > MOST_SERIES_IN_MEMORY or self._points > self._most_points):
            _, dropped = self._known.popitem(last=False)
            self._points -= len(dropped.points)

    def _path(self, key: _Key) -> Path:
        digest = hashlib.sha256("\n".join(key).encode()).hexdigest()[:40]
        return self._directory / f"{digest}.json"

    def _read(self, key: _Key) -> PriceSeries:
        path = self._path(key)
        try:
            with path.open("rb") as file:
                return _series(orjson.loads(file.read(MOST_FILE_BYTES)), key)
        except FileNotFoundError:
            return PriceSeries()
        except (OSError, ValueError, KeyError, TypeError, OverflowError, InvalidOperation) as error:
            _log.warning("price_history_unreadable", file=path.name, reason=str(error)[:200])
            return PriceSeries()

    def _write(self, key: _Key, series: PriceSeries) -> None:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            _replace(self._path(key), orjson.dumps(_document(key, series)))
            self._make_room()
        except OSError as error:
            _log.warning("price_history_not_kept", reason=error.strerror)

    def _make_room(self) -> None:
        """The files written last stay; of a write that was cut off nothing does."""
        for path in self._directory.glob(".*.tmp"):
            if time.time() - path.stat().st_mtime > _CUT_OFF_SECONDS:
                path.unlink(missing_ok=True)
        files = list(self._directory.glob("*.json"))
        if len(files) > self._most_files:
            files.sort(key=lambda path: path.stat().st_mtime_ns)
            for path in files[: len(files) - self._most_files]:
                path.unlink(missing_ok=True)


def _bounded(series: PriceSeries) -> PriceSeries:
    """The newest points; what is dropped is not told to be fetched either."""
    if len(series.points) <= MOST_POINTS:
        return series
    points = series.points[-MOST_POINTS:]
    first = int(points[0].at.timestamp())
    return PriceSeries(points, tuple(_from(first, series.fetched)), series.fetched_at)


def _from(first: int, spans: Iterable[Span]) -> Iterable[Span]:
    return (Span(max(span.start, first), span.end) for span in spans if span.end > first)


def _document(key: _Key, series: PriceSeries) -> dict[str, Any]:
    asset_id, interval = key
    return {
        "format": _FORMAT,
        "asset_id": asset_id,
        "interval": interval,
        "points": [[int(point.at.timestamp()), str(point.amount), point.source] for point in series.points],
        "fetched_at": series.fetched_at,
        "fetched": [[span.start, span.end] for span in series.fetched],
    }


def _series(document: Any, key: _Key) -> PriceSeries:
    """A series from its document.

    Raises:
        ValueError: It is another one's, or not a series.
    """
    if (document["format"], document["asset_id"], document["interval"]) != (_FORMAT, *key):
        raise ValueError("it is of another asset or form")
    points = tuple(
        PricePoint(datetime.fromtimestamp(int(at), UTC), Decimal(amount), str(source))
        for at, amount, source in document["points"]
    )
    if any(not point.amount.is_finite() or point.amount <= 0 for point in points):
        raise ValueError("it holds what is no price")
    fetched = tuple(Span(int(start), int(end)) for start, end in document["fetched"])
    ordered = tuple(sorted(points, key=lambda point: point.at))
    return PriceSeries(ordered, fetched, int(document["fetched_at"]))


def _replace(target: Path, document: bytes) -> None:
    """Write a file so that a reader, or the next start, finds the old one or the new one."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.stem}-", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(document)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(target)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
