"""Everything that addresses have as lines for other programs: one for each asset held, owed or claimable."""

import csv
import io
from collections.abc import Iterator, Sequence

from balance_tracker.cli.plain import harmless, table_text
from balance_tracker.core.portfolio import NetworkCoverage
from balance_tracker.core.whole import WALLET, Positions, WholePortfolio
from balance_tracker.services.serialise import Json
from balance_tracker.services.serialise_whole import positions_json, whole_json

_CSV_COLUMNS = (
    "address", "network", "chain_id", "kind", "protocol", "market", "position_id", "side", "asset_id",
    "contract_address", "symbol", "name", "decimals", "raw_amount", "amount", "price", "value", "currency",
    "collateral", "label", "health_factor", "block_number",
)  # fmt: skip
_TEXT_COLUMNS = (
    "address", "network", "kind", "protocol", "market", "side", "symbol", "amount", "contract_address",
    "price", "value", "currency",
)  # fmt: skip
_SIDES = ("supplied", "borrowed", "claimable")
_HELD = "held"


def rows_of(answer: Positions | WholePortfolio) -> list[Json]:
    """The lines of an answer, by the names of their columns; what is not known is ``None``."""
    if isinstance(answer, Positions):
        shape, addresses = positions_json(answer), [answer.address]
    else:
        shape, addresses = whole_json(answer), list(answer.addresses)
    # What several addresses hold of one asset is summed, and then nobody's alone.
    address = addresses[0] if len(addresses) == 1 else None
    held = [{**one, "address": address, "kind": WALLET, "side": _HELD} for one in shape.get("holdings", ())]
    legs = [row for position in shape["positions"] for row in _legs(position)]
    blocks = _blocks(answer.coverage)
    return [_row(one, shape["currency"], blocks) for one in (*held, *legs)]


def csv_text(rows: Sequence[Json]) -> str:
    """Lines under a line of names; unknown is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_CSV_COLUMNS)
    for row in rows:
        clean = {**row, **{name: harmless(row.get(name)) for name in ("symbol", "name", "market", "label")}}
        writer.writerow(["" if clean.get(column) is None else clean[column] for column in _CSV_COLUMNS])
    return text.getvalue()


def text_table(rows: Sequence[Json]) -> str:
    """Tab-separated lines under a line of names; unknown is ``-``."""
    return table_text(_TEXT_COLUMNS, [[row.get(column) for column in _TEXT_COLUMNS] for row in rows]) + "\n"


def _legs(position: Json) -> Iterator[Json]:
    shared = {name: position[name] for name in ("kind", "protocol", "market", "position_id", "health_factor")}
    for side in _SIDES:
        for leg in position[side]:
            yield {**leg, **shared, "address": position["owner"], "side": side}


def _row(one: Json, currency: str, blocks: dict[str, int]) -> Json:
    price = one["price"] or {}
    collateral = one.get("collateral")
    return {
        **one,
        "price": price.get("amount"),
        "currency": currency,
        "collateral": None if collateral is None else str(collateral).lower(),
        "block_number": blocks.get(one["network"]),
    }


def _blocks(coverage: Sequence[NetworkCoverage]) -> dict[str, int]:
    return {entry.network: entry.block.number for entry in coverage if entry.block}
