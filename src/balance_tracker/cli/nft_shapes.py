"""Non-fungible tokens as tables and lines: one for each token id."""

import csv
import io
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from balance_tracker.cli.plain import harmless, table_text
from balance_tracker.cli.render import coverage_lines
from balance_tracker.cli.words import one_line
from balance_tracker.core.nfts import NftHolding
from balance_tracker.core.portfolio import Portfolio
from balance_tracker.services.nft_pages import NftPage

_COLUMNS = (
    "address", "network", "contract_address", "standard", "collection", "token_id", "amount", "name",
    "metadata_uri", "balance", "ids_complete", "block_number",
)  # fmt: skip
_TEXT_COLUMNS = (
    "address", "network", "collection", "token_id", "amount", "contract_address", "balance", "ids_complete",
)  # fmt: skip
_MOST_IDS = 6
_LONGEST_ID = 24

type Row = dict[str, str | None]


def show_nfts(page: NftPage, console: Console) -> None:
    """Print what an address holds of collections, and below it what could not be learnt."""
    title = Text(page.name or page.address, style="bold")
    console.print(title)
    if page.holdings:
        console.print(_table(page.holdings))
    elif page.nothing_obtained:
        console.print(Text("What it holds is not known: no network answered.", style="dim"))
    else:
        console.print(Text("Nothing was found on the networks that answered.", style="dim"))
    console.print()
    for line in missing_lines(page):
        console.print(line)


def missing_lines(page: NftPage) -> list[Text]:
    """What answered, what is missing, and which ids are not all known."""
    lines = [] if page.complete else coverage_lines(_as_portfolio(page))
    for entry in page.coverage:
        lines += [
            Text(f"{entry.network}: {failure.market} is not known: {failure.reason}", style="yellow")
            for failure in entry.collection_failures[:_MOST_IDS]
        ]
    for one in page.holdings:
        if not one.ids_complete:
            name = one_line(one.collection.name) or one.collection.contract_address
            lines.append(Text(f"{one.collection.network}: not all ids of {name} are known: {one.ids_note}."))
    return lines


def csv_text(pages: Sequence[NftPage]) -> str:
    """Lines under a line of names; unknown is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for row in _rows(pages):
        clean = row | {name: harmless(row[name]) for name in ("collection", "name", "metadata_uri")}
        writer.writerow([clean[column] or "" for column in _COLUMNS])
    return text.getvalue()


def text_table(pages: Sequence[NftPage]) -> str:
    """Tab-separated lines under a line of names; unknown is ``-``."""
    return (
        table_text(_TEXT_COLUMNS, [[row[column] for column in _TEXT_COLUMNS] for row in _rows(pages)]) + "\n"
    )


def _rows(pages: Sequence[NftPage]) -> Iterator[Row]:
    """A line for each id; a collection whose ids are not known has one without."""
    for page in pages:
        blocks = {entry.network: entry.block for entry in page.coverage}
        for holding in page.holdings:
            block = blocks.get(holding.collection.network)
            shared: Row = {
                "address": page.address,
                "network": holding.collection.network,
                "contract_address": holding.collection.contract_address,
                "standard": holding.collection.standard,
                "collection": one_line(holding.collection.name),
                "balance": None if holding.balance is None else str(holding.balance),
                "ids_complete": "true" if holding.ids_complete else "false",
                "block_number": None if block is None else str(block.number),
            }
            if not holding.token_ids:
                yield shared | dict.fromkeys(("token_id", "amount", "name", "metadata_uri"))
            for own in holding.token_ids:
                told = (own.metadata or {}).get("name")
                yield shared | {
                    "token_id": own.token_id,
                    "amount": str(own.amount),
                    "name": one_line(told) if isinstance(told, str) else None,
                    "metadata_uri": own.metadata_uri,
                }


def _table(holdings: Sequence[NftHolding]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("Network", no_wrap=True)
    table.add_column("Collection", no_wrap=True, max_width=28, overflow="ellipsis")
    table.add_column("Held", justify="right", no_wrap=True)
    table.add_column("Ids", overflow="fold")
    last = None
    for one in holdings:
        slug = one.collection.network
        held = len(one.token_ids) if one.balance is None else one.balance
        table.add_row(
            Text("" if slug == last else slug, style="bold cyan"),
            Text(one_line(one.collection.name) or one.collection.contract_address),
            f"{held:,}",
            Text(_ids(one)),
        )
        last = slug
    return table


def _ids(holding: NftHolding) -> str:
    shown = [_id_text(own.token_id, own.amount) for own in holding.token_ids[:_MOST_IDS]]
    left = len(holding.token_ids) - len(shown)
    more = [f"and {left:,} more"] if left else []
    unknown = [] if holding.ids_complete else ["others not known" if shown else "not known"]
    return ", ".join([*shown, *more, *unknown])


def _id_text(token_id: str, amount: int) -> str:
    short = token_id if len(token_id) <= _LONGEST_ID else f"{token_id[:8]}…{token_id[-8:]}"
    return short if amount == 1 else f"{short} ×{amount}"


def _as_portfolio(page: NftPage) -> Portfolio:
    return Portfolio(page.address, page.name, "usd", (), page.coverage, page.taken_at)
