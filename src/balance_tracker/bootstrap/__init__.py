"""Puts the rooms together: opens everything in order, closes it in reverse.

``async with Tracker() as tracker`` is the library; API and command line use the same.
"""

from balance_tracker.bootstrap.configuration import listed_tokens, load_settings, tracked_networks
from balance_tracker.bootstrap.databases import (
    back_up_database,
    check_database,
    database_revisions,
    downgrade_database,
    upgrade_database,
)
from balance_tracker.bootstrap.guarding import opened_keys
from balance_tracker.bootstrap.readiness import Readiness
from balance_tracker.bootstrap.service import Service
from balance_tracker.bootstrap.tracker import Tracker, running

__all__ = [
    "Readiness",
    "Service",
    "Tracker",
    "back_up_database",
    "check_database",
    "database_revisions",
    "downgrade_database",
    "listed_tokens",
    "load_settings",
    "opened_keys",
    "running",
    "tracked_networks",
    "upgrade_database",
]
