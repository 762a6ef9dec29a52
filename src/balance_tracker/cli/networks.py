"""``balance-tracker networks``: what is tracked, and how its endpoints are."""

import sys

from balance_tracker.bootstrap import running
from balance_tracker.cli import plain
from balance_tracker.cli.exits import ALL_ANSWERED, ANSWERED_IN_PART, NOTHING_ANSWERED
from balance_tracker.cli.render import plain_learned, show_networks
from balance_tracker.cli.session import prepare, terminal, waiting, write
from balance_tracker.services.catalog import NetworkView
from balance_tracker.services.serialise import network_json
from balance_tracker.transport.loops import run_quickly

_COLUMNS = (
    "network",
    "chain_id",
    "tokens",
    "endpoint",
    "state",
    "latency_ms",
    "p95_latency_ms",
    "head",
    "blocks_behind",
    "last_error",
    "learned",
)


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
        views = run_quickly(ask())
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
            endpoint.p95_latency_ms,
            endpoint.head,
            endpoint.blocks_behind,
            endpoint.last_error,
            plain_learned(endpoint),
        )
        for view in views
        for endpoint in view.endpoints
    ]
    return plain.table_text(_COLUMNS, rows)
