"""``balance-tracker balances``: what addresses hold."""

import sys
from collections import Counter
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from balance_tracker.bootstrap import running
from balance_tracker.cli.exits import (
    ALL_ANSWERED,
    ANSWERED_IN_PART,
    NOTHING_ANSWERED,
    WRONG_USE,
    complain,
    say,
)
from balance_tracker.cli.printing import Kept, Output, Stream, printer_for
from balance_tracker.cli.render import coverage_lines, missing_lines
from balance_tracker.cli.session import prepare, waiting
from balance_tracker.core.errors import InputError, UpstreamError
from balance_tracker.core.portfolio import Portfolio
from balance_tracker.services.many import Progress
from balance_tracker.settings import Settings
from balance_tracker.transport.loops import run_quickly

MOST_TOLD = 20
"""Different things missing that are told of many addresses; one network down is one of them."""


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
        UpstreamError: The only address is a name that could not be looked up.
        ConfigurationError: A setting is wrong.
    """
    settings = prepare()
    tally = Tally(several=request.several)
    printer = printer_for(request.output, several=request.several)
    with waiting("Asking all networks…") as line:
        if request.several:
            run_quickly(_many(settings, request, printer, tally, line))
        else:
            run_quickly(_one(settings, request, printer, tally))
    printer.end()
    for error in tally.errors:
        complain(error)
    if request.output != "table" or not sys.stdout.isatty():
        for text in tally.told():
            say(text)
    return tally.exit_code


@dataclass
class Tally:
    """What of it was answered and what is missing, however many addresses there are."""

    several: bool
    portfolios: int = 0
    obtained: int = 0
    complete: int = 0
    errors: list[InputError | UpstreamError] = field(default_factory=list)
    missing: Counter[str] = field(default_factory=Counter)

    def add(self, portfolio: Portfolio) -> None:
        """Count one portfolio, and what is missing of it."""
        self.portfolios += 1
        self.obtained += not portfolio.nothing_obtained
        self.complete += portfolio.complete
        if portfolio.complete:
            return
        for line in missing_lines(portfolio) if self.several else coverage_lines(portfolio):
            if line.plain in self.missing or len(self.missing) < MOST_TOLD:
                self.missing[line.plain] += 1

    def told(self) -> list[str]:
        """Sentences of what is missing, each once and for how many addresses."""
        if not self.several:
            return list(self.missing)
        if not self.missing:
            return []
        head = f"{self.complete:,} of {self.portfolios:,} addresses answered in full."
        return [head, *(f"{text} ({count:,} of them)" for text, count in self.missing.items())]

    @property
    def exit_code(self) -> int:
        """2 if an address is wrong, 0 if all answered, 4 if nothing did, otherwise 3."""
        if any(isinstance(error, InputError) for error in self.errors):
            return WRONG_USE
        if self.obtained == 0:
            return NOTHING_ANSWERED
        return ALL_ANSWERED if self.complete == self.portfolios and not self.errors else ANSWERED_IN_PART


async def _one(settings: Settings, request: Request, printer: Stream | Kept, tally: Tally) -> None:
    """The only address: what is wrong with it is raised."""
    async with running(settings) as tracker:
        portfolio = await tracker.portfolio(
            request.addresses[0],
            request.networks or None,
            tokens=request.tokens,
            currency=request.currency,
            at=request.at,
            spam=request.spam,
            min_value=request.min_value,
        )
    tally.add(portfolio)
    printer.show(portfolio)


async def _many(
    settings: Settings,
    request: Request,
    printer: Stream | Kept,
    tally: Tally,
    line: Callable[[str], None],
) -> None:
    """One matrix per network; a wrong address or a name out of reach spares the others."""
    async with running(settings) as tracker:
        answers = tracker.portfolios(
            request.addresses,
            request.networks or None,
            tokens=request.tokens,
            currency=request.currency,
            at=request.at,
            spam=request.spam,
            min_value=request.min_value,
            progress=lambda progress: line(progress_text(progress)),
        )
        async with aclosing(answers):
            async for answer in answers:
                if isinstance(answer.result, Portfolio):
                    tally.add(answer.result)
                    printer.show(answer.result)
                else:
                    tally.errors.append(answer.result)


def progress_text(progress: Progress) -> str:
    """How far it is, for people.

    >>> progress_text(Progress(done=2500, total=10000, elapsed_seconds=3.0, left_seconds=9.0))
    'Read 2,500 of 10,000 addresses in 3 s, about 9 s left…'
    """
    if progress.left_seconds is None:
        return f"Asking all networks of {progress.total:,} addresses…"
    text = f"Read {progress.done:,} of {progress.total:,} addresses in {progress.elapsed_seconds:.0f} s"
    return f"{text}, about {progress.left_seconds:.0f} s left…"
