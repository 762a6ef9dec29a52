"""Puts the rooms together: opens everything in order, closes it in reverse.

``async with Tracker() as tracker`` is the library; API and command line use the same. What only a
service needs (the database, keys, jobs) is imported from its own file: the library and the
commands that read do not wait for its libraries.
"""

from balance_tracker.bootstrap.configuration import listed_tokens, load_settings, tracked_networks
from balance_tracker.bootstrap.readiness import Readiness
from balance_tracker.bootstrap.tracker import Tracker, running

__all__ = ["Readiness", "Tracker", "listed_tokens", "load_settings", "running", "tracked_networks"]
