"""``balance-tracker serve``: the API, by uvicorn."""

import asyncio
from typing import Any

import uvicorn

from balance_tracker.bootstrap import listed_tokens, load_settings, tracked_networks
from balance_tracker.bootstrap.databases import check_database
from balance_tracker.cli.exits import ALL_ANSWERED, WRONG_USE, say
from balance_tracker.settings import Settings
from balance_tracker.telemetry.logging import configure, get_logger

APP = "balance_tracker.api.app:create_app"
SERVER_OPTIONS: dict[str, Any] = {
    "factory": True,
    "log_config": None,
    "access_log": False,
    "server_header": False,
    "proxy_headers": False,
    "timeout_graceful_shutdown": 20,
}
"""How uvicorn serves it: our own log lines, and nothing said or believed that need not be."""


def run(host: str, port: int, workers: int) -> int:
    """Serve until told to stop.

    Raises:
        ConfigurationError: A setting, a data file or the database's schema is wrong; nothing was started.
        StorageError: The database does not answer; nothing was started.
    """
    settings = load_settings()
    configure(settings.log_format, settings.log_level)
    asyncio.run(_check(settings))
    if workers > 1 and settings.redis_url is None:
        get_logger(__name__).warning("limits_counted_by_each_worker", workers=workers, missing="REDIS_URL")
    try:
        uvicorn.run(APP, host=host, port=port, workers=workers, **SERVER_OPTIONS)
    except SystemExit as stopped:
        if stopped.code not in {None, 0}:
            say(f"Error: the server could not be started on {host} port {port}.")
            say("Hint: see the line above, and try another --port.")
            return WRONG_USE
    return ALL_ANSWERED


async def _check(settings: Settings) -> None:
    """Read what the server will read, so that a mistake is told in one sentence before it starts."""
    await listed_tokens(settings, tracked_networks(settings))
    await check_database(settings)
