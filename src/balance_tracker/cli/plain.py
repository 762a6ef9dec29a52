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
    "raw_amount", "amount", "currency", "value", "trust", "block_number", "price", "price_status",
    "price_as_of", "value_change_24h",
)  # fmt: skip
_TEXT_COLUMNS = (
    "address", "network", "symbol", "amount", "raw_amount", "contract_address", "price", "value", "currency",
)  # fmt: skip
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def as_json(body: Json | list[Json]) -> str:
    """Indented JSON, as the API answers it."""
    return orjson.dumps(body, option=orjson.OPT_INDENT_2).decode()


class JsonPages:
    """The API's object; a list of them where several addresses were asked for."""

    def __init__(self, *, several: bool) -> None:
        self._several = several
        self._empty = True

    def page(self, portfolio: Portfolio) -> str:
        """One portfolio as text, with what stands before it."""
        text = as_json(portfolio_json(portfolio))
        if not self._several:
            return text + "\n"
        start = "[" if self._empty else ","
        self._empty = False
        return f"{start}\n  " + text.replace("\n", "\n  ")

    def end(self) -> str:
        """What closes the list, if there is one."""
        return "\n]\n" if self._several and not self._empty else ""


class CsvPages:
    """One line per holding under a line of names; unknown is empty."""

    def __init__(self) -> None:
        self._text = io.StringIO()
        self._writer = csv.writer(self._text, lineterminator="\n")
        self._writer.writerow(_CSV_COLUMNS)

    def page(self, portfolio: Portfolio) -> str:
        """The lines of one portfolio, the names before the first."""
        blocks = {entry.network: entry.block.number for entry in portfolio.coverage if entry.block}
        for shape in portfolio_json(portfolio)["holdings"]:
            price = shape["price"] or {}
            row = {
                **shape,
                "address": portfolio.address,
                "currency": portfolio.currency,
                "native": "true" if shape["native"] else "false",
                "symbol": harmless(shape["symbol"]),
                "name": harmless(shape["name"]),
                "block_number": blocks.get(shape["network"]),
                "price": price.get("amount"),
                "price_status": price.get("status"),
                "price_as_of": price.get("as_of"),
            }
            self._writer.writerow(["" if row[column] is None else row[column] for column in _CSV_COLUMNS])
        text = self._text.getvalue()
        self._text.seek(0)
        self._text.truncate()
        return text

    def end(self) -> str:
        """Nothing closes the lines."""
        return ""


class TextPages:
    """Tab-separated lines under a line of names; unknown is ``-``."""

    def __init__(self) -> None:
        self._head = "\t".join(_TEXT_COLUMNS) + "\n"

    def page(self, portfolio: Portfolio) -> str:
        """The lines of one portfolio, the names before the first."""
        lines = ["\t".join(_text_row(portfolio, holding)) + "\n" for holding in portfolio.holdings]
        head, self._head = self._head, ""
        return head + "".join(lines)

    def end(self) -> str:
        """Nothing closes the lines."""
        return ""


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
    price = None if holding.price is None else plain(holding.price.amount)
    value = None if holding.value is None else plain(holding.value)
    money = (price, value, portfolio.currency)
    return [_cell(text) for text in (*values, asset.contract_address, *money)]


def _cell(value: str | None) -> str:
    return " ".join(value.split()) if value and value.strip() else "-"


def harmless(text: str | None) -> str | None:
    """A token's own words, so that a spreadsheet does not run them as a formula."""
    return f"'{text}" if text and text.startswith(_FORMULA_STARTS) else text
