"""Portfolios and networks for a terminal: tables, and in plain words what is missing."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import groupby

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from balance_tracker.core.amounts import plain
from balance_tracker.core.portfolio import Holding, NetworkCoverage, Portfolio
from balance_tracker.ports import EndpointHealth
from balance_tracker.services.catalog import NetworkView

_MOST_DECIMALS = 8
_MOST_NAMED = 4
_STATE_STYLES = {
    "healthy": "green",
    "unknown": "dim",
    "resting": "red",
    "stale": "yellow",
    "wrong_chain": "red",
}
_REASONS = {
    "reverted": "reverted",
    "out_of_gas": "ran out of gas",
    "no_data": "answered nothing",
    "malformed": "answered nonsense",
    "no_contract": "no contract there",
    "endpoint_failed": "endpoint failed",
    "timed_out": "timed out",
    "history_unavailable": "no history",
}


def show_portfolio(portfolio: Portfolio, console: Console) -> None:
    """Print what an address holds, by network, and below it what could not be learnt."""
    title = Text(portfolio.name or portfolio.address, style="bold")
    if portfolio.name:
        title.append(f"  {portfolio.address}", style="not bold dim")
    console.print(title)
    if portfolio.holdings:
        console.print(_holdings_table(portfolio))
    else:
        console.print(Text(_why_empty(portfolio), style="dim"))
    console.print()
    for line in coverage_lines(portfolio):
        console.print(line)


def show_networks(views: Sequence[NetworkView], console: Console) -> None:
    """Print the tracked networks and what is known of each endpoint."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name, right in (("Network", False), ("Chain", True), ("Tokens", True), ("Endpoint", False)):
        table.add_column(name, justify="right" if right else "left", no_wrap=not right)
    for name, right in (("State", False), ("Latency", True), ("Head", True), ("Learned", False)):
        table.add_column(name, justify="right" if right else "left")
    for view in views:
        _add_network(table, view)
    console.print(table)


def coverage_lines(portfolio: Portfolio) -> list[Text]:
    """One line for what answered and one for everything that is missing, in plain words."""
    whole = [entry for entry in portfolio.coverage if entry.status == "ok"]
    count = len(portfolio.coverage)
    lines = [_summary(len(whole), count, portfolio.coverage)]
    lines += missing_lines(portfolio)
    nfts = sum(entry.nfts for entry in portfolio.coverage)
    if nfts:
        lines.append(Text(f"{nfts} {_plural('NFT', nfts)} counted, not listed here.", style="dim"))
    lines += _left_out(portfolio)
    return lines


def missing_lines(portfolio: Portfolio) -> list[Text]:
    """One line for each network that did not answer in full, in plain words."""
    return [_missing(entry) for entry in portfolio.coverage if entry.status != "ok"]


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


def _holdings_table(portfolio: Portfolio) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("Network", no_wrap=True)
    table.add_column("Asset", no_wrap=True, max_width=14, overflow="ellipsis")
    table.add_column("Name", no_wrap=True, max_width=28, overflow="ellipsis", style="dim")
    table.add_column("Amount", justify="right", no_wrap=True, overflow="fold")
    table.add_column("Note", style="yellow", overflow="fold")
    for slug, group in groupby(portfolio.holdings, key=lambda holding: holding.balance.asset.network):
        holdings = list(group)
        for position, holding in enumerate(holdings):
            table.add_row(
                Text(slug if position == 0 else "", style="bold cyan"),
                *_cells(holding),
                end_section=position == len(holdings) - 1,
            )
    if not any(_note(holding) for holding in portfolio.holdings):
        table.columns.pop()
    return table


def _cells(holding: Holding) -> tuple[Text, Text, Text, Text]:
    balance = holding.balance
    asset = balance.asset
    amount = balance.amount
    shown = (
        Text(f"{balance.raw_amount} raw", style="dim") if amount is None else Text(readable_amount(amount))
    )
    symbol = Text(_one_line(asset.symbol) or "?", style="bold" if asset.native else "")
    return symbol, Text(_one_line(asset.name) or ""), shown, Text(_note(holding))


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
    return ", ".join(notes)


def _why_empty(portfolio: Portfolio) -> str:
    if portfolio.nothing_obtained:
        return "What it holds is not known: no network answered."
    return "Nothing was found on the networks that answered."


def _summary(whole: int, count: int, coverage: Iterable[NetworkCoverage]) -> Text:
    requests = sum(entry.requests for entry in coverage)
    seconds = max((entry.elapsed_ms for entry in coverage), default=0) / 1000
    spent = f"{requests} {_plural('request', requests)}, {seconds:.2f} s"
    if whole == count:
        networks = "The network" if count == 1 else f"All {count} networks"
        return Text(f"{networks} answered in full ({spent}).", style="green")
    return Text(f"{whole} of {count} {_plural('network', count)} answered in full ({spent}).", style="yellow")


def _missing(entry: NetworkCoverage) -> Text:
    line = Text("  ")
    line.append(entry.network, style="bold")
    reason = entry.error.detail.rstrip(".") if entry.error else ""
    if entry.status == "failed":
        return line.append(f" failed, so its balances are not known: {reason}.", style="red")
    if entry.status == "stale":
        age = _age(int(entry.age_seconds))
        return line.append(f" is shown as it was {age} ago, because now: {reason}.", style="yellow")
    failures = entry.failures
    named = [
        f"{_one_line(failure.asset.symbol) or failure.asset.contract_address} ({_REASONS[failure.code]})"
        for failure in failures[:_MOST_NAMED]
    ]
    more = f" and {len(failures) - _MOST_NAMED} more" if len(failures) > _MOST_NAMED else ""
    text = f" is missing {len(failures)} of {entry.asked} assets: {', '.join(named)}{more}."
    return line.append(text, style="yellow")


def _left_out(portfolio: Portfolio) -> list[Text]:
    lines = []
    spam = sum(entry.reason == "spam" for entry in portfolio.excluded)
    if spam:
        lines.append(
            Text(
                f"{spam} {_plural('token', spam)} that looks like spam left out (--spam shows it).",
                style="dim",
            )
            if spam == 1
            else Text(f"{spam} tokens that look like spam left out (--spam shows them).", style="dim")
        )
    other = len(portfolio.excluded) - spam
    if other:
        lines.append(Text(f"{other} more left out.", style="dim"))
    return lines


def _add_network(table: Table, view: NetworkView) -> None:
    network = view.network
    chain = "-" if network.chain_id is None else str(network.chain_id)
    for position, endpoint in enumerate(view.endpoints or (None,)):
        first = position == 0
        slug = Text(network.slug if first else "", style="bold cyan")
        if first and network.lifecycle == "sunset":
            slug.append(" (sunset)", style="not bold yellow")
        table.add_row(
            slug,
            chain if first else "",
            str(view.tokens) if first else "",
            *_endpoint_cells(endpoint),
            end_section=position == len(view.endpoints) - 1,
        )


def _endpoint_cells(endpoint: EndpointHealth | None) -> tuple[Text, ...]:
    if endpoint is None:
        return (Text("-"),) * 5
    state = Text(endpoint.state.replace("_", " "), style=_STATE_STYLES.get(endpoint.state, ""))
    if endpoint.last_error and endpoint.state != "healthy":
        state.append(f" ({endpoint.last_error})", style="dim")
    if endpoint.retry_in_seconds and endpoint.state != "healthy":
        state.append(f" again in {endpoint.retry_in_seconds} s", style="dim")
    return (
        Text(endpoint.name),
        state,
        _latency(endpoint),
        _head(endpoint),
        Text(_one_line(plain_learned(endpoint)) or "-", style="dim"),
    )


def _latency(endpoint: EndpointHealth) -> Text:
    """The median, and beside it what 95 of 100 answers stay under."""
    if endpoint.latency_ms is None:
        return Text("-")
    text = Text(f"{endpoint.latency_ms} ms")
    if endpoint.p95_latency_ms is not None and endpoint.p95_latency_ms > endpoint.latency_ms:
        text.append(f" (95 %: {endpoint.p95_latency_ms} ms)", style="dim")
    return text


def _head(endpoint: EndpointHealth) -> Text:
    if endpoint.head is None:
        return Text("-")
    text = Text(str(endpoint.head))
    if endpoint.blocks_behind:
        text.append(f" (-{endpoint.blocks_behind})", style="yellow")
    return text


def plain_learned(endpoint: EndpointHealth) -> str:
    """What an endpoint has shown and how it failed, in one line.

    >>> plain_learned(EndpointHealth("a", "healthy", 1, 1, 1, 0, None, None, {"batch_limit": "3"}))
    'batch_limit 3'
    """
    shown = [f"{name} {value}" for name, value in endpoint.learned.items()]
    failed = [f"{code} x{count}" for code, count in endpoint.errors.items()]
    return ", ".join([*shown, *failed])


def _age(seconds: int) -> str:
    for unit, size in (("hour", 3600), ("minute", 60)):
        if seconds >= size:
            count = seconds // size
            return f"{count} {_plural(unit, count)}"
    return f"{seconds} {_plural('second', seconds)}"


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"


def _one_line(text: str | None) -> str:
    """A token's own words, without what would disturb a terminal."""
    return "".join(character for character in " ".join((text or "").split()) if character.isprintable())
