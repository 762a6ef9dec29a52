"""What the commands share: an open tracker, quiet logs, and a line while people wait."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner

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
    """Data to stdout, as a line; a character that the terminal can't show becomes ``?``."""
    put(f"{text}\n")


def put(text: str) -> None:
    """Data to stdout as it is, but for characters that can't be shown."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    sys.stdout.write(text)
    sys.stdout.flush()


@contextmanager
def waiting(text: str) -> Iterator[Callable[[str], None]]:
    """A moving line on stderr while something takes time, if a terminal is there to see it.

    What it gives takes another text for the line.
    """
    if not sys.stderr.isatty():
        yield _unseen
        return
    console = Console(stderr=True, markup=False, emoji=False, highlight=False)
    spinner = Spinner("dots", text, style="status.spinner")
    # Data goes to stdout meanwhile, which is none of the line's business.
    with Live(spinner, console=console, transient=True, redirect_stdout=False, redirect_stderr=False):
        yield lambda other: spinner.update(text=other)


def _unseen(_text: str) -> None:
    """Nobody is there to see it."""
