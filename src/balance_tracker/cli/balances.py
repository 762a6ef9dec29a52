"""``balance-tracker balances``: what addresses hold."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from balance_tracker.bootstrap import Tracker, running
from balance_tracker.cli import plain
from balance_tracker.cli.exits import NOTHING_ANSWERED, complain, exit_code, say
from balance_tracker.cli.render import coverage_lines, show_portfolio
from balance_tracker.cli.session import prepare, terminal, waiting, write
from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.portfolio import Portfolio

Output = Literal["table", "json", "csv"]


@dataclass(frozen=True, slots=True)
class Request:
    """What was typed."""

    addresses: tuple[str, ...]
    networks: tuple[str, ...]
    tokens: tuple[str, ...]
    currency: str
    at: str | None
    spam: bool
    min_value: str | None
    several: bool
    output: Output


def run(request: Request) -> int:
    """Read, print, and tell by the exit code how much was answered.

    Raises:
        InputError: Something typed can't be.
        ConfigurationError: A setting is wrong.
    """
    settings = prepare()

    async def ask() -> list[Portfolio | UpstreamError]:
        async with running(settings) as tracker:
            return list(
                await asyncio.gather(*(_one(tracker, address, request) for address in request.addresses))
            )

    with waiting("Asking all networks…"):
        answers = asyncio.run(ask())
    portfolios = [answer for answer in answers if isinstance(answer, Portfolio)]
    unanswered = [answer for answer in answers if isinstance(answer, UpstreamError)]
    for error in unanswered:
        complain(error)
    if not portfolios:
        return NOTHING_ANSWERED
    _show(portfolios, request)
    return exit_code(portfolios, len(unanswered))


async def _one(tracker: Tracker, address: str, request: Request) -> Portfolio | UpstreamError:
    """One address; a name that can't be looked up spares the other addresses."""
    try:
        return await tracker.portfolio(
            address,
            request.networks or None,
            tokens=request.tokens,
            currency=request.currency,
            at=request.at,
            spam=request.spam,
            min_value=request.min_value,
        )
    except UpstreamError as error:
        return error


def _show(portfolios: Sequence[Portfolio], request: Request) -> None:
    """A table on a terminal; elsewhere data to stdout and what is missing to stderr."""
    if request.output == "json":
        write(plain.portfolios_json(portfolios, several=request.several))
    elif request.output == "csv":
        write(plain.portfolios_csv(portfolios))
    elif sys.stdout.isatty():
        console = terminal()
        for position, portfolio in enumerate(portfolios):
            if position:
                console.print()
            show_portfolio(portfolio, console)
        return
    else:
        write(plain.portfolios_text(portfolios))
    for portfolio in portfolios:
        if not portfolio.complete:
            say("\n".join(line.plain for line in coverage_lines(portfolio)))
