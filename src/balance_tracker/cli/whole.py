"""``balance-tracker portfolio`` and ``balance-tracker defi``: everything, and positions only."""

import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from balance_tracker.bootstrap import Tracker, running
from balance_tracker.cli.exits import ALL_ANSWERED, ANSWERED_IN_PART, NOTHING_ANSWERED, complain, say
from balance_tracker.cli.plain import as_json
from balance_tracker.cli.printing import Output
from balance_tracker.cli.render import coverage_lines
from balance_tracker.cli.session import prepare, put, terminal, waiting
from balance_tracker.cli.whole_plain import csv_text, rows_of, text_table
from balance_tracker.cli.whole_render import as_portfolio, show_whole
from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.whole import Positions, StakeTokens, WholePortfolio
from balance_tracker.services.serialise import Json
from balance_tracker.services.serialise_whole import positions_json, whole_json
from balance_tracker.settings import Settings
from balance_tracker.transport.loops import run_quickly

type Answer = Positions | WholePortfolio


@dataclass(frozen=True, slots=True)
class Request:
    """What was typed.

    Attributes:
        subject: ``portfolio`` puts all addresses together, ``defi`` tells each by itself.
        search_nfts: Of ``portfolio``: whether NFTs that no contract lists are searched for.
        stake_tokens: Of ``portfolio``: whether stake tokens are positions or holdings.
    """

    subject: Literal["portfolio", "defi"]
    addresses: tuple[str, ...]
    networks: tuple[str, ...]
    protocols: tuple[str, ...]
    currency: str
    at: str | None
    output: Output
    search_nfts: bool = False
    stake_tokens: StakeTokens = "position"


def run(request: Request) -> int:
    """Read, print, and tell by the exit code how much was answered.

    Raises:
        InputError: Something typed can't be.
        UpstreamError: Of the only address: it is a name that could not be looked up.
        ConfigurationError: A setting is wrong.
    """
    settings = prepare()
    errors: list[UpstreamError] = []
    with waiting("Asking all networks…"):
        answers = run_quickly(_answers(settings, request, errors))
    for error in errors:
        complain(error)
    _print(request, answers)
    if not answers or all(answer.nothing_obtained for answer in answers):
        return NOTHING_ANSWERED
    complete = not errors and all(answer.complete for answer in answers)
    return ALL_ANSWERED if complete else ANSWERED_IN_PART


async def _answers(settings: Settings, request: Request, errors: list[UpstreamError]) -> list[Answer]:
    async with running(settings) as tracker:
        if request.subject == "portfolio":
            return [await _whole(tracker, request)]
        found: list[Answer] = []
        for address in request.addresses:
            try:
                found.append(await _positions(tracker, request, address))
            except UpstreamError as error:
                if len(request.addresses) == 1:
                    raise
                errors.append(error)
        return found


def _whole(tracker: Tracker, request: Request) -> Awaitable[WholePortfolio]:
    return tracker.whole(
        request.addresses,
        request.networks or None,
        currency=request.currency,
        at=request.at,
        search_nfts=request.search_nfts,
        stake_tokens=request.stake_tokens,
    )


def _positions(tracker: Tracker, request: Request, address: str) -> Awaitable[Positions]:
    return tracker.positions(
        address,
        request.networks or None,
        protocols=request.protocols,
        currency=request.currency,
        at=request.at,
    )


def _print(request: Request, answers: list[Answer]) -> None:
    """A table on a terminal; elsewhere data, and what is missing on stderr."""
    on_terminal = sys.stdout.isatty()
    if request.output == "table" and on_terminal:
        for answer in answers:
            show_whole(answer, terminal())
        return
    if request.output == "json":
        put(_json(request, answers) + "\n")
    else:
        rows = [row for answer in answers for row in rows_of(answer)]
        write: Callable[[list[Json]], str] = csv_text if request.output == "csv" else text_table
        put(write(rows))
    for answer in answers:
        if not answer.complete:
            for line in coverage_lines(as_portfolio(answer)):
                say(line.plain)


def _json(request: Request, answers: list[Answer]) -> str:
    """The API's object; of positions a list of them where several addresses were asked for."""
    shapes = [positions_json(one) if isinstance(one, Positions) else whole_json(one) for one in answers]
    several = request.subject == "defi" and len(request.addresses) > 1
    return as_json(shapes if several else shapes[0])
