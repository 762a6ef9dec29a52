"""What the commands share: an open tracker, quiet logs, and a line while people wait."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper

from rich.console import Console

from balance_tracker.bootstrap import load_settings
from balance_tracker.settings import Settings
from balance_tracker.telemetry.logging import configure


def prepare() -> Settings:
    """The settings, with logging set up for a command: only errors, unless a level was asked for.

    Raises:
        ConfigurationError: A setting is wrong.
    """
    settings = load_settings()
    asked = "log_level" in settings.model_fields_set
    configure(settings.log_format, settings.log_level if asked else "error")
    return settings


def terminal() -> Console:
    """The terminal that tables go to; text of tokens is never taken for markup."""
    return Console(markup=False, emoji=False, highlight=False)


def write(text: str) -> None:
    """Data to stdout; a character that the terminal can't show becomes ``?``."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@contextmanager
def waiting(text: str) -> Iterator[None]:
    """A moving line on stderr while something takes time, if a terminal is there to see it."""
    if not sys.stderr.isatty():
        yield
        return
    with Console(stderr=True, markup=False, emoji=False, highlight=False).status(text):
        yield
