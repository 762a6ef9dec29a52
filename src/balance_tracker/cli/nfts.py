"""``balance-tracker nfts``: what addresses hold of collections."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

from balance_tracker.bootstrap import Tracker, running
from balance_tracker.cli.exits import ALL_ANSWERED, ANSWERED_IN_PART, NOTHING_ANSWERED, complain, say
from balance_tracker.cli.nft_shapes import csv_text, missing_lines, show_nfts, text_table
from balance_tracker.cli.plain import as_json
from balance_tracker.cli.printing import Output
from balance_tracker.cli.session import prepare, put, terminal, waiting
from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.nfts import NftHolding
from balance_tracker.services.nft_pages import MOST_PER_PAGE, NftPage
from balance_tracker.services.serialise_nfts import nfts_json
from balance_tracker.settings import Settings
from balance_tracker.transport.loops import run_quickly

MOST_PAGES = 100
"""A hundred thousand ids; what comes after is told by ``next_cursor``."""


@dataclass(frozen=True, slots=True)
class Request:
    """What was typed."""

    addresses: tuple[str, ...]
    networks: tuple[str, ...]
    collections: tuple[str, ...]
    at: str | None
    metadata: bool
    output: Output


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


async def _answers(settings: Settings, request: Request, errors: list[UpstreamError]) -> list[NftPage]:
    async with running(settings) as tracker:
        found: list[NftPage] = []
        for address in request.addresses:
            try:
                found.append(await _all_pages(tracker, request, address))
            except UpstreamError as error:
                if len(request.addresses) == 1:
                    raise
                errors.append(error)
        return found


async def _all_pages(tracker: Tracker, request: Request, address: str) -> NftPage:
    """All pages as one."""
    pages: list[NftPage] = []
    cursor: str | None = None
    while not pages or (cursor is not None and len(pages) < MOST_PAGES):
        page = await tracker.nfts(
            address,
            request.networks or None,
            collections=request.collections,
            at=request.at,
            limit=MOST_PER_PAGE,
            cursor=cursor,
            metadata=request.metadata,
        )
        pages.append(page)
        cursor = page.next_cursor
    holdings = _joined([holding for page in pages for holding in page.holdings])
    return replace(pages[0], holdings=holdings, next_cursor=cursor)


def _joined(holdings: Sequence[NftHolding]) -> tuple[NftHolding, ...]:
    """Holdings of one collection, which pages cut apart, as one."""
    found: dict[tuple[str, str], NftHolding] = {}
    for holding in holdings:
        key = (holding.collection.network, holding.collection.contract_address)
        known = found.get(key)
        ids = holding.token_ids if known is None else (*known.token_ids, *holding.token_ids)
        found[key] = replace(holding, token_ids=ids)
    return tuple(found.values())


def _print(request: Request, answers: Sequence[NftPage]) -> None:
    """A table on a terminal; elsewhere data, and what is missing on stderr."""
    if request.output == "table" and sys.stdout.isatty():
        for answer in answers:
            show_nfts(answer, terminal())
        return
    if request.output == "json":
        shapes = [nfts_json(answer) for answer in answers]
        put(as_json(shapes if len(request.addresses) > 1 else shapes[0]) + "\n")
    else:
        put(csv_text(answers) if request.output == "csv" else text_table(answers))
    for answer in answers:
        for line in missing_lines(answer):
            say(line.plain)
