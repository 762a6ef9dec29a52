"""What a followed address or wallet earned, from the snapshots that were kept of it."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from balance_tracker.core.access import Caller
from balance_tracker.core.amounts import exact_sum
from balance_tracker.core.ids import AssetId
from balance_tracker.core.performance import (
    Drawdown,
    Flow,
    FlowKind,
    Period,
    drawdown,
    money_weighted,
    periods_of,
    time_weighted,
)
from balance_tracker.core.snapshots import Snapshot, SnapshotHead, SnapshotState
from balance_tracker.services.snapshots import Series, SeriesRequest, SnapshotService

MOST_SNAPSHOTS = 400
"""So many are read whole for one answer; of more, the last known one of each span of time."""


@dataclass(frozen=True, slots=True)
class AssetProfit:
    """What one asset brought over the whole time, in the currency of the snapshots."""

    asset: AssetId
    symbol: str | None
    price: Decimal
    income: Decimal
    flows: Decimal
    traded: Decimal

    @property
    def profit(self) -> Decimal:
        """What it rose by, and what it paid."""
        return exact_sum((self.price, self.income))


@dataclass(frozen=True, slots=True)
class Gap:
    """A time that nothing can be said of.

    ``incomplete`` or ``unpriced`` snapshots are at its ends, or nothing that could earn (``no_base``).
    """

    period: Period

    @property
    def reason(self) -> str:
        """Why, in a word."""
        return self.period.gap or "no_base"


@dataclass(frozen=True, slots=True)
class Performance:
    """Values over time and what was earned.

    Attributes:
        change: Of the value from the first snapshot to the last; ``None`` where one of them is not known.
        time_weighted: A ratio; ``None`` where there is a gap, or fewer than two snapshots.
        money_weighted: A ratio a year; ``None`` likewise, or where no one rate solves it.
        gaps: Why returns are not told, if they are not.
    """

    series: Series
    periods: tuple[Period, ...]
    change: Decimal | None
    time_weighted: Decimal | None
    money_weighted: Decimal | None
    drawdown: Drawdown | None
    by_asset: tuple[AssetProfit, ...]
    gaps: tuple[Gap, ...]

    @property
    def flows(self) -> tuple[Flow, ...]:
        """Every change of an amount."""
        return tuple(flow for period in self.periods for flow in period.flows)

    @property
    def estimated(self) -> bool:
        """Whether some snapshot was filled up with what an earlier one knew."""
        return any(head.state is SnapshotState.ESTIMATED for head in self.series.heads)

    def total(self, part: str) -> Decimal:
        """The sum of a part of all periods that are known: ``flow``, ``income``, ``trade`` or ``price``."""
        return exact_sum(getattr(period, part) for period in self.periods)


class PerformanceService:
    """Tells what was earned; reads no network."""

    def __init__(self, snapshots: SnapshotService, most: int = MOST_SNAPSHOTS) -> None:
        self._snapshots = snapshots
        self._most = most

    async def performance(self, caller: Caller, request: SeriesRequest) -> Performance:
        """The performance of an address or a wallet.

        A return over a time with a gap is not told: its ends could be joined by any value.

        Raises:
            InputError: The question is wrong.
            UpstreamError: A name could not be looked up.
            NotFoundError: There is no such wallet.
        """
        series = await self._snapshots.series(caller, request, self._most)
        found = await self._snapshots.snapshots([head.snapshot_id for head in series.heads])
        # Some tenths of a second of plain arithmetic: beside the loop, which has others to serve.
        return await asyncio.to_thread(_told, series, found)


def _told(series: Series, found: Sequence[Snapshot]) -> Performance:
    periods = periods_of(found)
    gaps = tuple(Gap(period) for period in periods if period.rate is None)
    known = bool(periods) and not gaps
    return Performance(
        series=series,
        periods=periods,
        change=_change(series.heads),
        time_weighted=time_weighted(periods) if known else None,
        money_weighted=money_weighted(periods) if known else None,
        drawdown=drawdown(periods),
        by_asset=_by_asset(periods),
        gaps=gaps,
    )


def _change(heads: tuple[SnapshotHead, ...]) -> Decimal | None:
    if len(heads) < 2:
        return None
    first, last = heads[0].total_value, heads[-1].total_value
    return None if first is None or last is None else exact_sum((last, first.copy_negate()))


def _by_asset(periods: Iterable[Period]) -> tuple[AssetProfit, ...]:
    """Each asset's share, the one that brought most first."""
    symbols: dict[AssetId, str | None] = {}
    sums: dict[AssetId, dict[str, Decimal]] = {}

    def add(asset: AssetId, symbol: str | None, part: str, value: Decimal) -> None:
        symbols[asset] = symbol or symbols.get(asset)
        own = sums.setdefault(asset, {})
        own[part] = exact_sum((own.get(part, Decimal(0)), value))

    for period in (one for one in periods if one.gap is None):
        for change in period.changes:
            if change.effects.price is not None:
                add(change.asset, change.symbol, "price", change.effects.price)
        for flow in period.flows:
            add(flow.asset, flow.symbol, _PARTS[flow.kind], flow.value)
    profits = [
        AssetProfit(
            asset=asset,
            symbol=symbols[asset],
            price=own.get("price", Decimal(0)),
            income=own.get("income", Decimal(0)),
            flows=own.get("flows", Decimal(0)),
            traded=own.get("traded", Decimal(0)),
        )
        for asset, own in sums.items()
    ]
    return tuple(sorted(profits, key=lambda one: (one.profit.copy_negate(), one.asset)))


_PARTS = {
    FlowKind.DEPOSIT: "flows",
    FlowKind.WITHDRAWAL: "flows",
    FlowKind.INCOME: "income",
    FlowKind.TRADE: "traded",
    FlowKind.SCOPE: "flows",
}
