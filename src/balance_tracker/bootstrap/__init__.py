"""Puts the rooms together: opens everything in order, closes it in reverse.

``async with Tracker() as tracker`` is the library; API and command line use the same.
"""

from balance_tracker.bootstrap.configuration import listed_tokens, load_settings, tracked_networks
from balance_tracker.bootstrap.readiness import Readiness
from balance_tracker.bootstrap.tracker import Tracker, running

__all__ = ["Readiness", "Tracker", "listed_tokens", "load_settings", "running", "tracked_networks"]
