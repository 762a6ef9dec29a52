"""``balance-tracker worker`` and ``beat``: this process becomes the one that Celery runs."""

import os
import sys

from balance_tracker.bootstrap import load_settings
from balance_tracker.core.errors import ConfigurationError

_MODULE = "balance_tracker.worker"


def run_worker(concurrency: int) -> int:
    """Do jobs, so many at a time, until told to stop.

    Raises:
        ConfigurationError: A setting is wrong, or there is no broker.
    """
    return _become("worker", str(concurrency))


def run_beat() -> int:
    """Name due jobs to the workers, until told to stop.

    Raises:
        ConfigurationError: A setting is wrong, or there is no broker.
    """
    return _become("beat")


def _become(*words: str) -> int:
    if load_settings().celery_broker_url is None:
        raise ConfigurationError(
            "There is no broker: jobs run in the API process, and no worker is needed.",
            hint="Set CELERY_BROKER_URL, for example redis://localhost:6379/1, here and for the API.",
        )
    # The same process, so that whoever started it can stop it by its id.
    os.execv(sys.executable, [sys.executable, "-m", _MODULE, *words])  # noqa: S606 - no shell, our own module
