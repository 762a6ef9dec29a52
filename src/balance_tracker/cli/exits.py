"""Exit codes, and errors as one sentence with a hint: scripts read the one, people the other."""

import os
import sys
from collections.abc import Callable

from balance_tracker.core.errors import (
    ConfigurationError,
    ConflictError,
    InputError,
    NotFoundError,
    StorageError,
    TrackerError,
    UpstreamError,
)
from balance_tracker.telemetry.redact import redact_text

ALL_ANSWERED = 0
BROKE = 1
WRONG_USE = 2
ANSWERED_IN_PART = 3
NOTHING_ANSWERED = 4
INTERRUPTED = 130


def guarded(command: Callable[[], int]) -> int:
    """Run a command and turn what it raises into a sentence on stderr and an exit code."""
    try:
        return command()
    except (InputError, NotFoundError, ConflictError, ConfigurationError, StorageError) as error:
        complain(error)
        return WRONG_USE
    except UpstreamError as error:
        complain(error)
        return NOTHING_ANSWERED
    except BrokenPipeError:
        _silence_stdout()
        return ALL_ANSWERED
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the edge of one command
        return _broke(error)


def complain(error: TrackerError) -> None:
    """One sentence on stderr, and what to do on the next line."""
    say(f"Error: {redact_text(error.message)}")
    if error.hint:
        say(f"Hint: {error.hint}")


def say(text: str) -> None:
    """A line for people, on stderr."""
    print(text, file=sys.stderr)  # noqa: T201 - what is not data goes here


def _broke(error: Exception) -> int:
    """What nobody foresaw: recorded in full in the log, told in one sentence."""
    from balance_tracker.telemetry.logging import get_logger  # noqa: PLC0415 - only when it is needed

    get_logger(__name__).exception("command_broke", exc_info=error)
    say(f"Error: something broke here ({type(error).__name__}).")
    say("Hint: set TRACKER_LOG_LEVEL=debug to see where.")
    return BROKE


def _silence_stdout() -> None:
    """The reader of our output has gone: leave nothing to be written when Python ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
