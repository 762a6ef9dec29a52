"""Snapshots and performance as tables, and tables as CSV: exact text, and nothing that a spreadsheet runs."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from balance_tracker.core.amounts import plain
from balance_tracker.core.performance import Flow, Period
from balance_tracker.core.snapshots import Line, Snapshot, SnapshotHead
from balance_tracker.services.performance import AssetProfit, Performance
from balance_tracker.services.serialise import time_text
from balance_tracker.services.snapshots import Series

type Kind = Literal["text", "decimal", "integer", "time"]
type Cell = str | Decimal | int | datetime | None

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\0")
"""What spreadsheets take for a formula, or skip before one.

Source: OWASP, CSV Injection.
"""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, and what its cells are. Decimals are written as text, and so exactly."""

    name: str
    kind: Kind = "text"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells; ``name`` is what a file of it is called."""

    name: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


def csv_of(table: Table) -> bytes:
    r"""A table as CSV (RFC 4180) in UTF-8; what is not known is an empty cell.

    Text that a spreadsheet would take for a formula begins with an apostrophe: symbols are strangers'.

    >>> csv_of(Table("t", (Column("symbol"), Column("amount", "decimal")), (("=1+1", Decimal("-1.50")),)))
    b"symbol,amount\r\n'=1+1,-1.5\r\n"
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([column.name for column in table.columns])
    writer.writerows([_csv_cell(cell) for cell in row] for row in table.rows)
    return text.getvalue().encode()


def text_of(cell: Cell) -> str | None:
    """A cell as exact text; ``None`` where it is not known."""
    if cell is None or isinstance(cell, str):
        return cell
    if isinstance(cell, Decimal):
        return plain(cell)
    return time_text(cell) if isinstance(cell, datetime) else str(cell)


def lines_table(snapshot: Snapshot) -> Table:
    """What a snapshot holds, a row for each amount in its place."""
    rows = tuple(_line(snapshot, line) for line in snapshot.lines)
    return Table(snapshot.snapshot_id, _LINE_COLUMNS, rows)


def heads_table(heads: Iterable[SnapshotHead], name: str = "snapshots") -> Table:
    """A row for each snapshot."""
    return Table(name, _HEAD_COLUMNS, tuple(_head(head) for head in heads))


def series_table(series: Series) -> Table:
    """A row for each point."""
    return heads_table(series.heads, "series")


def periods_table(found: Performance) -> Table:
    """A row for each time between two snapshots: what its value did and why."""
    return Table("performance", _PERIOD_COLUMNS, tuple(_period(period) for period in found.periods))


def flows_table(found: Performance) -> Table:
    """A row for each change of an amount."""
    return Table("flows", _FLOW_COLUMNS, tuple(_flow(flow) for flow in found.flows))


def profits_table(found: Performance) -> Table:
    """A row for each asset."""
    return Table("assets", _PROFIT_COLUMNS, tuple(_profit(one) for one in found.by_asset))


def _columns(*texts: str) -> tuple[Column, ...]:
    """Columns of their names, with ``:`` and the kind where it is not text."""
    kinds: dict[str, Kind] = {"": "text", "d": "decimal", "i": "integer", "t": "time"}
    pairs = [text.partition(":") for text in texts]
    return tuple(Column(name, kinds[kind]) for name, _, kind in pairs)


_LINE_COLUMNS = _columns(
    "snapshot_id",
    "taken_at:t",
    "state",
    "network",
    "asset_id",
    "symbol",
    "side",
    "kind",
    "protocol",
    "market",
    "position_id",
    "owner",
    "raw_amount",
    "amount:d",
    "currency",
    "price:d",
    "price_as_of:t",
    "price_sources",
    "value:d",
    "carried_from:t",
)
_HEAD_COLUMNS = _columns(
    "id",
    "subject",
    "name",
    "currency",
    "taken_at:t",
    "state",
    "total_value:d",
    "known_value:d",
    "unpriced:i",
)
_PERIOD_COLUMNS = _columns(
    "from:t",
    "to:t",
    "value_before:d",
    "value_after:d",
    "net_flow:d",
    "income:d",
    "trade_result:d",
    "price_effect:d",
    "return:d",
    "gap",
)
_FLOW_COLUMNS = _columns("from:t", "to:t", "kind", "asset_id", "symbol", "amount:d", "value:d")
_PROFIT_COLUMNS = _columns(
    "asset_id", "symbol", "profit:d", "price_effect:d", "income:d", "flows:d", "traded:d"
)


def _line(snapshot: Snapshot, line: Line) -> tuple[Cell, ...]:
    place, price = line.place, line.price
    return (
        snapshot.snapshot_id,
        snapshot.taken_at,
        snapshot.state.value,
        place.network,
        place.asset_id,
        line.symbol,
        place.side.value,
        place.kind,
        place.protocol,
        place.market,
        place.position_id,
        place.owner,
        str(line.raw_amount),
        line.amount,
        snapshot.currency,
        None if price is None else price.amount,
        None if price is None else price.as_of,
        None if price is None else " ".join(price.sources),
        line.value,
        line.read_at,
    )


def _head(head: SnapshotHead) -> tuple[Cell, ...]:
    return (
        head.snapshot_id,
        head.subject,
        head.name,
        head.currency,
        head.taken_at,
        head.state.value,
        head.total_value,
        head.known_value,
        head.unpriced,
    )


def _period(period: Period) -> tuple[Cell, ...]:
    parts: Sequence[Decimal | None] = (period.flow, period.income, period.trade, period.price)
    if period.gap is not None:
        parts = (None, None, None, None)
    gap = period.gap or (None if period.rate is not None else "no_base")
    values = (period.value_before, period.value_after)
    return (period.start, period.end, *values, *parts, period.told_rate, gap)


def _flow(flow: Flow) -> tuple[Cell, ...]:
    return (flow.start, flow.end, flow.kind.value, flow.asset, flow.symbol, flow.amount, flow.value)


def _profit(one: AssetProfit) -> tuple[Cell, ...]:
    return (one.asset, one.symbol, one.profit, one.price, one.income, one.flows, one.traded)


def _csv_cell(cell: Cell) -> str:
    text = text_of(cell) or ""
    return f"'{text}" if isinstance(cell, str) and text.startswith(_FORMULA) else text
