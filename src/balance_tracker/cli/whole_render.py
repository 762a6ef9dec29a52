"""Everything that addresses have for a terminal: holdings, positions, collections and what is missing."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import ROUND_DOWN, Decimal

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from balance_tracker.cli.holdings import holdings_table, readable_amount
from balance_tracker.cli.money import readable_change, readable_value
from balance_tracker.cli.render import coverage_lines
from balance_tracker.cli.words import one_line, plural
from balance_tracker.core.ids import Address
from balance_tracker.core.portfolio import Portfolio
from balance_tracker.core.whole import OwnedCollection, Positions, ValuedLeg, ValuedPosition, WholePortfolio
from balance_tracker.services.whole_valuing import IN_POSITION

_LONGEST_MARKET = 20
_LONGEST_SYMBOL = 16
_MOST_IDS = 6
_VERY_HEALTHY = 1_000
_SIDE_STYLES = {"borrowed": "red", "claimable": "green"}


def show_whole(answer: Positions | WholePortfolio, console: Console) -> None:
    """Print what addresses have, and below it what could not be learnt."""
    portfolio = as_portfolio(answer)
    collections = answer.collections if isinstance(answer, WholePortfolio) else ()
    console.print(_title(answer))
    tables = [holdings_table(portfolio)] if portfolio.holdings else []
    if answer.positions:
        tables.append(_positions_table(answer.positions, answer.currency, priced=_is_priced(answer)))
    if collections:
        tables.append(_collections_table(collections))
    for position, table in enumerate(tables):
        if position:
            console.print()
        console.print(table)
    if not tables:
        console.print(Text(_why_empty(answer), style="dim"))
    if isinstance(answer, WholePortfolio) and _is_priced(answer):
        for line in _total_lines(answer):
            console.print(line)
    console.print()
    for line in coverage_lines(portfolio):
        console.print(line)
    if unsearched := sum(len(entry.unsearched) for entry in answer.coverage):
        console.print(_unsearched_line(unsearched))


def as_portfolio(answer: Positions | WholePortfolio) -> Portfolio:
    """The part of an answer that a portfolio of balances has, for what prints such ones."""
    portfolio = Portfolio(
        address=_addresses(answer)[0],
        name=None,
        currency=answer.currency,
        holdings=(),
        coverage=answer.coverage,
        taken_at=answer.taken_at,
        priced_for_seconds=answer.priced_for_seconds,
    )
    if isinstance(answer, Positions):
        return portfolio
    excluded = tuple(one for one in answer.excluded if one.reason != IN_POSITION)
    coverage = tuple(replace(entry, nfts=0) for entry in answer.coverage) if answer.collections else ()
    return replace(
        portfolio, holdings=answer.holdings, excluded=excluded, coverage=coverage or answer.coverage
    )


def _title(answer: Positions | WholePortfolio) -> Text:
    names = answer.names if isinstance(answer, WholePortfolio) else _names(answer)
    title = Text()
    for position, address in enumerate(_addresses(answer)):
        title.append("\n" if position else "")
        title.append(names.get(address, address), style="bold")
        if address in names:
            title.append(f"  {address}", style="dim")
    return title


def _addresses(answer: Positions | WholePortfolio) -> tuple[Address, ...]:
    return answer.addresses if isinstance(answer, WholePortfolio) else (answer.address,)


def _names(answer: Positions) -> dict[Address, str]:
    return {} if answer.name is None else {answer.address: answer.name}


def _positions_table(positions: Sequence[ValuedPosition], currency: str, *, priced: bool) -> Table:
    """Each position has a line of its own, over the lines of its sides: names are long, terminals narrow."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("Position", no_wrap=True)
    table.add_column("Amount", justify="right", no_wrap=True, overflow="fold")
    if priced:
        table.add_column(f"Value {currency.upper()}", justify="right", no_wrap=True, overflow="fold")
    table.add_column("Note", style="yellow", overflow="fold", min_width=14)
    for one in positions:
        table.add_row(_where(one), *([""] * (1 + priced)), Text(_state(one)))
        sides = list(_sides(one))
        for place, (side, leg) in enumerate(sides):
            table.add_row(
                _what(side, leg),
                Text(_amount(leg)),
                *((Text(_value(leg.holding.value, currency)),) if priced else ()),
                Text(_note(leg)),
                end_section=place == len(sides) - 1,
            )
    return table


def _where(one: ValuedPosition) -> Text:
    """Its market, or where that says nothing more its protocol, and its network."""
    position = one.position
    name = one_line(position.market) or position.protocol
    text = Text(
        name if len(name) <= _LONGEST_MARKET else f"{name[: _LONGEST_MARKET - 1]}…", style="bold cyan"
    )
    text.append(f" {position.network}", style="not bold dim")
    return text


def _what(side: str, leg: ValuedLeg) -> Text:
    """A side and its asset."""
    text = Text(f"  {side:<10}", style=_SIDE_STYLES.get(side, ""))
    symbol = one_line(leg.leg.asset.symbol) or "?"
    return text.append(symbol[:_LONGEST_SYMBOL], style="default")


def _sides(one: ValuedPosition) -> Iterator[tuple[str, ValuedLeg]]:
    for side, legs in (("supplied", one.supplied), ("borrowed", one.borrowed), ("claimable", one.claimable)):
        for leg in legs:
            yield side, leg


def _amount(leg: ValuedLeg) -> str:
    amount = leg.holding.balance.amount
    return f"{leg.leg.raw_amount} raw" if amount is None else readable_amount(amount)


def _value(value: Decimal | None, currency: str) -> str:
    return "-" if value is None else readable_value(value, currency)


def _state(one: ValuedPosition) -> str:
    """What is to be known of the position as a whole."""
    notes = []
    if one.position.health_factor is not None:
        notes.append(f"health {readable_health(one.position.health_factor)}")
    if (in_range := dict(one.position.details).get("in_range")) is not None:
        notes.append("in range" if in_range == "true" else "out of range")
    return ", ".join(notes)


def _note(leg: ValuedLeg) -> str:
    """What is to be known of one side."""
    notes = []
    if leg.leg.collateral is False:
        notes.append("no collateral")
    if leg.leg.label:
        notes.append(one_line(leg.leg.label))
    return ", ".join(notes)


def readable_health(factor: Decimal) -> str:
    """A health factor for people, cut and never rounded up: 0.9999 is not 1.

    >>> readable_health(Decimal("1.75999"))
    '1.759'
    """
    if factor >= _VERY_HEALTHY:
        return f">{_VERY_HEALTHY}"
    return f"{factor.quantize(Decimal('0.001'), rounding=ROUND_DOWN):f}"


def _collections_table(collections: Sequence[OwnedCollection]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("Network", no_wrap=True, style="bold cyan")
    table.add_column("Collection", no_wrap=True, max_width=28, overflow="ellipsis")
    table.add_column("Held", justify="right")
    table.add_column("Ids", overflow="fold", style="dim")
    for one in collections:
        held = one.holding
        ids = [own.token_id for own in held.token_ids[:_MOST_IDS]]
        more = len(held.token_ids) > _MOST_IDS or not held.ids_complete
        table.add_row(
            held.collection.network,
            Text(one_line(held.collection.name) or held.collection.contract_address),
            "?" if held.balance is None else str(held.balance),
            Text(", ".join(ids) + (" …" if more else "")),
        )
    return table


def _total_lines(answer: WholePortfolio) -> list[Text]:
    """What all of it is worth, by kind, and what that leaves out."""
    unit = answer.currency.upper()
    total, unpriced = answer.total_value, answer.unpriced
    if total is None:
        return [Text("What it is worth is not known: there is no price.", style="yellow")]
    line = Text(f"Total {_signed(total, answer.currency)} {unit}", style="bold")
    kinds = [
        f"{kind} {_signed(value, answer.currency)}"
        for kind, value in answer.totals.by_kind.items()
        if value is not None
    ]
    if len(kinds) > 1:
        line.append(f": {', '.join(kinds)}", style="not bold")
    if unpriced:
        line.append(f", without {unpriced} of unknown value", style="not bold yellow")
    if not answer.complete:
        line.append(", and without what could not be read", style="not bold yellow")
    lines = [line.append(".", style="not bold")]
    inside = sum(one.reason == IN_POSITION for one in answer.excluded)
    if inside:
        text = f"{inside} {plural('token', inside)} counted within positions."
        lines.append(Text(text, style="dim"))
    return lines


def _unsearched_line(count: int) -> Text:
    """What was left out by choice, and how to have it."""
    what = f"{count} {plural('collection', count)} of which only events tell (ERC-1155)"
    verb = "was" if count == 1 else "were"
    return Text(f"{what} {verb} not searched; --search-nfts does.", style="dim")


def _signed(value: Decimal, currency: str) -> str:
    return readable_change(value, currency) if value < 0 else readable_value(value, currency)


def _is_priced(answer: Positions | WholePortfolio) -> bool:
    return answer.priced_for_seconds is not None


def _why_empty(answer: Positions | WholePortfolio) -> str:
    if answer.nothing_obtained:
        return "What there is is not known: no network answered."
    return "Nothing was found on the networks that answered."
