"""``balance-tracker tokens``: the listed tokens."""

import sys
from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from balance_tracker.bootstrap import running
from balance_tracker.cli import plain
from balance_tracker.cli.exits import ALL_ANSWERED, ANSWERED_IN_PART, say
from balance_tracker.cli.session import prepare, terminal, waiting, write
from balance_tracker.core.assets import Asset
from balance_tracker.services.catalog import MOST_PER_PAGE
from balance_tracker.services.serialise import Json, token_json
from balance_tracker.services.token_refresh import TokenChange, TokenListDiff, TokenObjection
from balance_tracker.transport.loops import run_quickly

_COLUMNS = ("network", "symbol", "name", "decimals", "trust", "contract_address")


def show_list(networks: Sequence[str], query: str | None, *, as_json: bool) -> int:
    """Print every listed token that the question finds.

    Raises:
        InputError: A network is unknown.
        ConfigurationError: A setting or a list is wrong.
    """
    settings = prepare()

    async def ask() -> tuple[list[Asset], dict[str, int | None]]:
        found: list[Asset] = []
        async with running(settings) as tracker:
            chain_ids: dict[str, int | None] = {
                view.network.slug: view.network.chain_id for view in tracker.networks()
            }
            page = tracker.tokens(networks, query, MOST_PER_PAGE)
            found += page.tokens
            while page.next_cursor:
                page = tracker.tokens(networks, query, MOST_PER_PAGE, page.next_cursor)
                found += page.tokens
        return found, chain_ids

    with waiting("Reading the lists…"):
        tokens, chain_ids = run_quickly(ask())
    if as_json:
        shapes = [token_json(token, chain_ids[token.network]) for token in tokens]
        write(plain.as_json({"tokens": shapes, "next_cursor": None}))
    elif sys.stdout.isatty():
        _show(tokens)
    else:
        write(plain.table_text(_COLUMNS, (_row(token) for token in tokens)))
    return ALL_ANSWERED


def refresh(sources: Sequence[str], *, keep: bool, as_json: bool) -> int:
    """Print what the lists would change, and keep it only if told to.

    Raises:
        InputError: There is no list to read.
        ConfigurationError: A list can't be had or is wrong, or the data directory can't be written.
    """
    settings = prepare()

    async def ask() -> TokenListDiff:
        async with running(settings) as tracker:
            return await tracker.refresh_tokens(sources, keep=keep)

    with waiting("Checking tokens on chain…"):
        difference = run_quickly(ask())
    write(
        plain.as_json(_difference_json(difference)) if as_json else "\n".join(_difference_lines(difference))
    )
    _say_what_became(difference, keep=keep)
    return ANSWERED_IN_PART if difference.unchecked else ALL_ANSWERED


def _difference_lines(difference: TokenListDiff) -> list[str]:
    """One line for every token that would change, and one that counts."""
    lines = [f"+ {_named(token)}: {token.name}, {token.decimals} decimals" for token in difference.added]
    for change in difference.changed:
        facts = (
            f"{name} {getattr(change.before, name)!r} to {getattr(change.after, name)!r}"
            for name in change.fields
        )
        lines.append(f"~ {_named(change.after)}: {', '.join(facts)}")
    lines += [f"- {_named(token)}" for token in difference.removed]
    lines += [f"! {_named(found.asset)}: refused, {found.reason}" for found in difference.refused]
    lines += [f"? {_named(found.asset)}: not checked, {found.reason}" for found in difference.unchecked]
    counts = (
        f"{len(difference.added)} added, {len(difference.changed)} changed, "
        f"{len(difference.removed)} removed, {len(difference.refused)} refused, "
        f"{len(difference.unchecked)} not checked, {difference.unchanged} unchanged."
    )
    return [*lines, counts]


def _difference_json(difference: TokenListDiff) -> Json:
    def objection(found: TokenObjection) -> Json:
        return {**_identity(found.asset), "code": found.code, "reason": found.reason}

    def change(found: TokenChange) -> Json:
        before = {name: getattr(found.before, name) for name in found.fields}
        after = {name: getattr(found.after, name) for name in found.fields}
        return {**_identity(found.after), "before": before, "after": after}

    return {
        "added": [_identity(token) for token in difference.added],
        "changed": [change(found) for found in difference.changed],
        "removed": [_identity(token) for token in difference.removed],
        "refused": [objection(found) for found in difference.refused],
        "unchecked": [objection(found) for found in difference.unchecked],
        "unchanged": difference.unchanged,
    }


def _identity(token: Asset) -> Json:
    return {
        "network": token.network,
        "asset_id": token.asset_id,
        "contract_address": token.contract_address,
        "symbol": token.symbol,
        "name": token.name,
        "decimals": token.decimals,
    }


def _say_what_became(difference: TokenListDiff, *, keep: bool) -> None:
    if difference.empty:
        say("Nothing would change.")
    elif keep:
        say("Kept; a service that runs already reads it when it starts again.")
    else:
        say("Nothing was kept; --yes keeps it.")


def _named(token: Asset) -> str:
    return f"{token.network} {token.symbol} {token.contract_address}"


def _row(token: Asset) -> tuple[object, ...]:
    return (
        token.network,
        token.symbol,
        token.name,
        token.decimals,
        token.trust,
        token.contract_address,
    )


def _show(tokens: Sequence[Asset]) -> None:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in _COLUMNS:
        table.add_column(
            column.replace("_", " ").capitalize(), justify="right" if column == "decimals" else "left"
        )
    for token in tokens:
        table.add_row(*(Text("-" if value is None else str(value)) for value in _row(token)))
    terminal().print(table)
