"""Portfolios for other programs: JSON, CSV, and tab-separated text for a pipe."""

import csv
import io
from collections.abc import Iterable, Sequence

import orjson

from balance_tracker.core.amounts import plain
from balance_tracker.core.portfolio import Holding, Portfolio
from balance_tracker.services.serialise import Json, portfolio_json

_CSV_COLUMNS = (
    "address", "network", "chain_id", "asset_id", "contract_address", "native", "symbol", "name", "decimals",
    "raw_amount", "amount", "currency", "value", "trust", "block_number",
)  # fmt: skip
_TEXT_COLUMNS = ("address", "network", "symbol", "amount", "raw_amount", "contract_address")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def as_json(body: Json | list[Json]) -> str:
    """Indented JSON, as the API answers it."""
    return orjson.dumps(body, option=orjson.OPT_INDENT_2).decode()


def portfolios_json(portfolios: Sequence[Portfolio], *, several: bool) -> str:
    """The API's object; a list of them where several addresses were asked for."""
    shapes = [portfolio_json(portfolio) for portfolio in portfolios]
    return as_json(shapes if several else shapes[0])


def portfolios_csv(portfolios: Iterable[Portfolio]) -> str:
    """One line per holding under a line of names; unknown is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_CSV_COLUMNS)
    for portfolio in portfolios:
        blocks = {entry.network: entry.block.number for entry in portfolio.coverage if entry.block}
        for shape in portfolio_json(portfolio)["holdings"]:
            row = {
                **shape,
                "address": portfolio.address,
                "currency": portfolio.currency,
                "native": "true" if shape["native"] else "false",
                "symbol": _harmless(shape["symbol"]),
                "name": _harmless(shape["name"]),
                "block_number": blocks.get(shape["network"]),
            }
            writer.writerow(["" if row[column] is None else row[column] for column in _CSV_COLUMNS])
    return text.getvalue().rstrip("\n")


def portfolios_text(portfolios: Iterable[Portfolio]) -> str:
    """Tab-separated lines under a line of names; unknown is ``-``."""
    lines = ["\t".join(_TEXT_COLUMNS)]
    for portfolio in portfolios:
        lines += ["\t".join(_text_row(portfolio, holding)) for holding in portfolio.holdings]
    return "\n".join(lines)


def table_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Any rows as tab-separated lines under a line of names; ``None`` is ``-``."""
    lines = ["\t".join(columns)]
    lines += ["\t".join(_cell(None if value is None else str(value)) for value in row) for row in rows]
    return "\n".join(lines)


def _text_row(portfolio: Portfolio, holding: Holding) -> list[str]:
    balance = holding.balance
    asset = balance.asset
    amount = None if balance.amount is None else plain(balance.amount)
    values = (portfolio.address, asset.network, asset.symbol, amount, str(balance.raw_amount))
    return [_cell(value) for value in (*values, asset.contract_address)]


def _cell(value: str | None) -> str:
    return " ".join(value.split()) if value and value.strip() else "-"


def _harmless(text: str | None) -> str | None:
    """A token's own words, so that a spreadsheet does not run them as a formula."""
    return f"'{text}" if text and text.startswith(_FORMULA_STARTS) else text
