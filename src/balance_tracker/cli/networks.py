"""``balance-tracker networks``: what is tracked, and how its endpoints are."""

import asyncio
import sys

from balance_tracker.bootstrap import running
from balance_tracker.cli import plain
from balance_tracker.cli.exits import ALL_ANSWERED, ANSWERED_IN_PART, NOTHING_ANSWERED
from balance_tracker.cli.render import show_networks
from balance_tracker.cli.session import prepare, terminal, waiting, write
from balance_tracker.services.catalog import NetworkView
from balance_tracker.services.serialise import network_json

_COLUMNS = ("network", "chain_id", "tokens", "endpoint", "state", "latency_ms", "head", "last_error")


def run(*, probe: bool, as_json: bool) -> int:
    """Print the networks; with ``probe`` every endpoint is asked first.

    Raises:
        ConfigurationError: A setting is wrong.
    """
    settings = prepare()

    async def ask() -> tuple[NetworkView, ...]:
        async with running(settings) as tracker:
            return await tracker.probe() if probe else tracker.networks()

    with waiting("Probing endpoints…" if probe else "Opening…"):
        views = asyncio.run(ask())
    if as_json:
        shapes = [network_json(view.network, view.tokens, list(view.endpoints)) for view in views]
        write(plain.as_json({"networks": shapes}))
    elif sys.stdout.isatty():
        show_networks(views, terminal())
    else:
        write(_text(views))
    return _exit_code(views) if probe else ALL_ANSWERED


def _exit_code(views: tuple[NetworkView, ...]) -> int:
    """By how many networks have an endpoint that answered."""
    answered = [any(endpoint.state == "healthy" for endpoint in view.endpoints) for view in views]
    if all(answered):
        return ALL_ANSWERED
    return ANSWERED_IN_PART if any(answered) else NOTHING_ANSWERED


def _text(views: tuple[NetworkView, ...]) -> str:
    rows = [
        (
            view.network.slug,
            view.network.chain_id,
            view.tokens,
            endpoint.name,
            endpoint.state,
            endpoint.latency_ms,
            endpoint.head,
            endpoint.last_error,
        )
        for view in views
        for endpoint in view.endpoints
    ]
    return plain.table_text(_COLUMNS, rows)
