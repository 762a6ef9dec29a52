"""The table of what an address holds: by network, the most valuable first, with what is odd in words."""

from collections.abc import Iterable
from decimal import Decimal

from rich import box
from rich.table import Table
from rich.text import Text

from balance_tracker.cli.money import readable_change, readable_price, readable_value
from balance_tracker.cli.words import age_text, one_line
from balance_tracker.core.amounts import plain
from balance_tracker.core.ids import Slug
from balance_tracker.core.portfolio import Holding, Portfolio
from balance_tracker.core.prices import Price, PriceStatus

_MOST_DECIMALS = 8
_NAME_WIDTH, _NAME_WIDTH_BESIDE_PRICES = 28, 20


def readable_amount(amount: Decimal) -> str:
    """An amount for people: thousands grouped, at most 8 decimals, and ``…`` where some are cut.

    What is too small for that is shown as less than the smallest, and not as a zero.

    >>> readable_amount(Decimal("1234567.5")), readable_amount(Decimal("0.123456789"))
    ('1,234,567.5', '0.12345678…')
    >>> readable_amount(Decimal("0.000000000000000001"))
    '<0.00000001'
    """
    whole, _, fraction = plain(amount).partition(".")
    sign = "-" if whole.startswith("-") else ""
    grouped = f"{sign}{int(whole.lstrip('-')):,}"
    if not fraction:
        return grouped
    cut = fraction[:_MOST_DECIMALS]
    if whole == "0" and not cut.strip("0"):
        return f"<0.{'1'.rjust(_MOST_DECIMALS, '0')}"
    return f"{grouped}.{cut}" + ("…" if len(fraction) > _MOST_DECIMALS else "")


def holdings_table(portfolio: Portfolio) -> Table:
    """The holdings, with prices and values where any were asked for."""
    priced = portfolio.priced_for_seconds is not None
    changing = any(holding.value_change_24h is not None for holding in portfolio.holdings)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("Network", no_wrap=True)
    table.add_column("Asset", no_wrap=True, max_width=14, overflow="ellipsis")
    width = _NAME_WIDTH_BESIDE_PRICES if priced else _NAME_WIDTH
    table.add_column("Name", no_wrap=True, max_width=width, overflow="ellipsis", style="dim")
    table.add_column("Amount", justify="right", no_wrap=True, overflow="fold")
    if priced:
        unit = portfolio.currency.upper()
        for title in (f"Price {unit}", f"Value {unit}", *(("24 h",) if changing else ())):
            table.add_column(title, justify="right", no_wrap=True, overflow="fold")
    noted = any(_note(holding) for holding in portfolio.holdings)
    if noted:
        table.add_column("Note", style="yellow", overflow="fold")
    for slug, holdings in _by_network(portfolio.holdings).items():
        for position, holding in enumerate(holdings):
            table.add_row(
                Text(slug if position == 0 else "", style="bold cyan"),
                *_cells(holding),
                *(_money_cells(holding, portfolio.currency)[: 2 + changing] if priced else ()),
                *((Text(_note(holding)),) if noted else ()),
                end_section=position == len(holdings) - 1,
            )
    return table


def _by_network(holdings: Iterable[Holding]) -> dict[Slug, list[Holding]]:
    """Networks in the order of their most valuable holding."""
    grouped: dict[Slug, list[Holding]] = {}
    for holding in holdings:
        grouped.setdefault(holding.balance.asset.network, []).append(holding)
    return grouped


def _cells(holding: Holding) -> tuple[Text, Text, Text]:
    balance = holding.balance
    asset = balance.asset
    amount = balance.amount
    shown = (
        Text(f"{balance.raw_amount} raw", style="dim") if amount is None else Text(readable_amount(amount))
    )
    symbol = Text(one_line(asset.symbol) or "?", style="bold" if asset.native else "")
    return symbol, Text(one_line(asset.name) or ""), shown


def _money_cells(holding: Holding, currency: str) -> tuple[Text, Text, Text]:
    """Price, value and the day's change; a dash is "not known"."""
    unknown = Text("-", style="dim")
    price, value, change = holding.price, holding.value, holding.value_change_24h
    style = "" if change is None else "red" if change < 0 else "green"
    return (
        unknown if price is None else Text(readable_price(price.amount)),
        unknown if value is None else Text(readable_value(value, currency)),
        unknown if change is None else Text(readable_change(change, currency), style=style),
    )


def _note(holding: Holding) -> str:
    balance = holding.balance
    notes = []
    if balance.asset.trust in {"unknown", "spam"}:
        notes.append("not listed" if balance.asset.trust == "unknown" else "spam")
    if balance.asset.decimals is None:
        notes.append("decimals unknown")
    if any(account.state == "frozen" for account in balance.accounts):
        notes.append("frozen")
    if any(account.delegate for account in balance.accounts):
        notes.append("delegated")
    if balance.ui_amount is not None:
        notes.append(f"shown as {balance.ui_amount}")
        if holding.price is not None and holding.value is None:
            notes.append("no value: the price may be for either amount")
    if holding.price is not None:
        notes += _price_notes(holding.price)
    return ", ".join(notes)


def _price_notes(price: Price) -> list[str]:
    """What is to be known of a price before it is believed."""
    notes = []
    if price.status is PriceStatus.DISPUTED:
        notes.append("price disputed")
    if price.status is PriceStatus.SUSPECT:
        notes.append("price held: it jumped")
    if price.stale:
        notes.append(f"price {age_text(int(price.age_seconds))} old")
    return notes
