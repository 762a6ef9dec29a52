"""Where portfolios are printed as they come: at once into a pipe or a file, at the end on a terminal."""

import sys
from typing import Literal, Protocol

from balance_tracker.cli import plain
from balance_tracker.cli.render import show_portfolio
from balance_tracker.cli.session import put, terminal
from balance_tracker.core.portfolio import Portfolio

Output = Literal["table", "json", "csv"]


class Pages(Protocol):
    """Portfolios for other programs, one after the other."""

    def page(self, portfolio: Portfolio) -> str:
        """One portfolio, with what stands before it."""

    def end(self) -> str:
        """What closes them."""


class Stream:
    """Writes each portfolio as it comes, so that a long list is never held."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def show(self, portfolio: Portfolio) -> None:
        """Print it."""
        put(self._pages.page(portfolio))

    def end(self) -> None:
        """Print what closes them."""
        put(self._pages.end())


class Kept:
    """Keeps what is for a terminal until the moving line has gone: both would write on it."""

    def __init__(self, pages: Pages | None) -> None:
        self._pages = pages
        self._portfolios: list[Portfolio] = []

    def show(self, portfolio: Portfolio) -> None:
        """Keep it for the end."""
        self._portfolios.append(portfolio)

    def end(self) -> None:
        """Print all of them."""
        if self._pages is not None:
            put("".join(map(self._pages.page, self._portfolios)) + self._pages.end())
            return
        console = terminal()
        for position, portfolio in enumerate(self._portfolios):
            if position:
                console.print()
            show_portfolio(portfolio, console)


def printer_for(output: Output, *, several: bool) -> Stream | Kept:
    """A table on a terminal; elsewhere data."""
    on_terminal = sys.stdout.isatty()
    if output == "table" and on_terminal:
        return Kept(None)
    pages: Pages = plain.TextPages()
    if output == "json":
        pages = plain.JsonPages(several=several)
    elif output == "csv":
        pages = plain.CsvPages()
    return Kept(pages) if on_terminal else Stream(pages)
