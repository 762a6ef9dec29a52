"""Portfolios and networks for a terminal: tables, and in plain words what is missing."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from balance_tracker.cli.holdings import holdings_table
from balance_tracker.cli.money import readable_change, readable_value
from balance_tracker.cli.words import age_text, one_line, plural
from balance_tracker.core.amounts import exact_sum
from balance_tracker.core.portfolio import NetworkCoverage, Portfolio
from balance_tracker.ports import EndpointHealth
from balance_tracker.services.catalog import NetworkView

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
        console.print(holdings_table(portfolio))
        for line in value_lines(portfolio):
            console.print(line)
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


def value_lines(portfolio: Portfolio) -> list[Text]:
    """What all of it is worth, and what that leaves out; nothing where no prices were asked for."""
    if portfolio.priced_for_seconds is None:
        return []
    currency = portfolio.currency
    unit = currency.upper()
    total, unpriced = portfolio.total_value, portfolio.unpriced
    if total is None:
        return [Text("What it is worth is not known: there is no price.", style="yellow")]
    line = Text(f"Total {readable_value(total, currency)} {unit}", style="bold")
    changes = [
        holding.value_change_24h for holding in portfolio.holdings if holding.value_change_24h is not None
    ]
    if changes:
        line.append(f", {readable_change(exact_sum(changes), currency)} in 24 hours", style="not bold")
    if unpriced:
        without = f", without {unpriced} {plural('holding', unpriced)} of unknown value"
        line.append(without, style="not bold yellow")
    if not portfolio.complete:
        line.append(", and without what could not be read", style="not bold yellow")
    return [line.append(".", style="not bold")]


def coverage_lines(portfolio: Portfolio) -> list[Text]:
    """One line for what answered and one for everything that is missing, in plain words."""
    whole = [entry for entry in portfolio.coverage if entry.status == "ok"]
    count = len(portfolio.coverage)
    lines = [_summary(len(whole), count, portfolio.coverage)]
    lines += missing_lines(portfolio)
    nfts = sum(entry.nfts for entry in portfolio.coverage)
    if nfts:
        lines.append(Text(f"{nfts} {plural('NFT', nfts)} counted, not listed here.", style="dim"))
    lines += _left_out(portfolio)
    return lines


def missing_lines(portfolio: Portfolio) -> list[Text]:
    """One line for each network that did not answer in full, in plain words."""
    return [_missing(entry) for entry in portfolio.coverage if entry.status != "ok"]


def _why_empty(portfolio: Portfolio) -> str:
    if portfolio.nothing_obtained:
        return "What it holds is not known: no network answered."
    return "Nothing was found on the networks that answered."


def _summary(whole: int, count: int, coverage: Iterable[NetworkCoverage]) -> Text:
    requests = sum(entry.requests for entry in coverage)
    seconds = max((entry.elapsed_ms for entry in coverage), default=0) / 1000
    spent = f"{requests} {plural('request', requests)}, {seconds:.2f} s"
    if whole == count:
        networks = "The network" if count == 1 else f"All {count} networks"
        return Text(f"{networks} answered in full ({spent}).", style="green")
    return Text(f"{whole} of {count} {plural('network', count)} answered in full ({spent}).", style="yellow")


def _missing(entry: NetworkCoverage) -> Text:
    line = Text("  ")
    line.append(entry.network, style="bold")
    reason = entry.error.detail.rstrip(".") if entry.error else ""
    if entry.status == "failed":
        return line.append(f" failed, so its balances are not known: {reason}.", style="red")
    if entry.status == "stale":
        age = age_text(int(entry.age_seconds))
        return line.append(f" is shown as it was {age} ago, because now: {reason}.", style="yellow")
    gaps = [*_missing_assets(entry), *_missing_protocols(entry)]
    if entry.collection_failures:
        count = len(entry.collection_failures)
        gaps.append(f"{count} {plural('collection', count)}")
    return line.append(f" is missing {'; '.join(gaps) or reason}.", style="yellow")


def _missing_assets(entry: NetworkCoverage) -> list[str]:
    failures = entry.failures
    named = [
        f"{one_line(failure.asset.symbol) or failure.asset.contract_address} ({_REASONS[failure.code]})"
        for failure in failures[:_MOST_NAMED]
    ]
    return [f"{len(failures)} of {entry.asked} assets: {_some(named, len(failures))}"] if failures else []


def _missing_protocols(entry: NetworkCoverage) -> list[str]:
    failures = entry.protocol_failures
    named = [
        f"{one_line(failure.market) or failure.protocol} ({_REASONS.get(failure.code, failure.code)})"
        for failure in failures[:_MOST_NAMED]
    ]
    return [f"positions in {_some(named, len(failures))}"] if failures else []


def _some(named: Sequence[str], count: int) -> str:
    return ", ".join(named) + (f" and {count - _MOST_NAMED} more" if count > _MOST_NAMED else "")


def _left_out(portfolio: Portfolio) -> list[Text]:
    lines = []
    spam = sum(entry.reason == "spam" for entry in portfolio.excluded)
    if spam:
        lines.append(
            Text(
                f"{spam} {plural('token', spam)} that looks like spam left out (--spam shows it).",
                style="dim",
            )
            if spam == 1
            else Text(f"{spam} tokens that look like spam left out (--spam shows them).", style="dim")
        )
    dust = [entry.value for entry in portfolio.excluded if entry.reason == "dust" and entry.value is not None]
    if dust:
        worth = readable_value(exact_sum(dust), portfolio.currency)
        text = f"{len(dust)} {plural('holding', len(dust))} below --min-value left out, worth {worth} in all."
        lines.append(Text(text, style="dim"))
    other = len(portfolio.excluded) - spam - len(dust)
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
        Text(one_line(plain_learned(endpoint)) or "-", style="dim"),
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
