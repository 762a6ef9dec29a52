"""A database's errors as ours: what went wrong in one word, and never a URL, a statement or a value."""

import sqlite3
from typing import Literal

from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from balance_tracker.core.errors import InputError, StorageError

Reason = Literal["lost", "crowded", "busy", "full", "read_only", "conflict", "damaged", "unfit", "refused"]

_SENTENCES: dict[Reason, tuple[str, str]] = {
    "lost": ("did not answer", "Look whether it runs and can be reached; nothing of this was kept."),
    "crowded": (
        "had no free connection",
        "Try again; if it goes on, raise TRACKER_DATABASE_CONNECTIONS or start more processes.",
    ),
    "busy": ("was busy with other writers for too long", "Try again; nothing of this was kept."),
    "full": ("has no room left", "Make room on its disk; nothing of this was kept."),
    "read_only": ("can't be written", "Give this user the right to write the file and its folder."),
    "conflict": ("refused what contradicts what it holds", "Nothing of this was kept; read again and retry."),
    "damaged": ("can't be read as one", "Check its disk, then restore a backup."),
    "unfit": ("can't hold this", "Leave out characters that can't be seen, and times out of all range."),
    "refused": ("refused", "Look at its log; nothing of this was kept."),
}
_SQLITE: dict[str, Reason] = {
    "SQLITE_BUSY": "busy",
    "SQLITE_LOCKED": "busy",
    "SQLITE_FULL": "full",
    "SQLITE_READONLY": "read_only",
    "SQLITE_CANTOPEN": "lost",
    "SQLITE_IOERR": "lost",
    "SQLITE_CONSTRAINT": "conflict",
    "SQLITE_CORRUPT": "damaged",
    "SQLITE_NOTADB": "damaged",
}
_POSTGRES: dict[str, Reason] = {
    "08": "lost",
    "57": "lost",  # shutting down, starting, or the statement was cancelled
    "53100": "full",
    "53300": "crowded",
    "40": "busy",  # a deadlock, or a transaction that can't be put in a row with others
    "55": "busy",
    "25006": "read_only",
    "23": "conflict",
    "22000": "unfit",  # the driver can't write the value
    "22021": "unfit",  # text with U+0000
    "22P05": "unfit",
    "XX001": "damaged",
    "XX002": "damaged",
}


def translated(error: Exception) -> StorageError | InputError:
    """A database's error as ours, by what can be done about it; a value that fits none is its giver's."""
    reason, word = reason_of(error), _word(error)
    sentence, hint = _SENTENCES[reason]
    kind = InputError if reason == "unfit" else StorageError
    return kind(f"The database {sentence} ({word}).", hint=hint)


def reason_of(error: Exception) -> Reason:
    """What went wrong, in one word."""
    if isinstance(error, PoolTimeoutError):
        return "crowded"
    orig = getattr(error, "orig", None) or error
    if isinstance(orig, sqlite3.Error):
        return next((reason for name, reason in _SQLITE.items() if _word(error).startswith(name)), "refused")
    state = _state(orig)
    for length in (5, 2):
        if state is not None and state[:length] in _POSTGRES:
            return _POSTGRES[state[:length]]
    if isinstance(error, OSError) or (isinstance(error, DBAPIError) and error.connection_invalidated):
        return "lost"
    if isinstance(error, IntegrityError):
        return "conflict"
    return "refused" if isinstance(error, SQLAlchemyError) or state else "lost"


def _word(error: Exception) -> str:
    """The error's own name, which holds nothing of what was asked."""
    orig = getattr(error, "orig", None) or error
    name = getattr(orig, "sqlite_errorname", None) or _state(orig)
    return str(name or type(orig.__cause__ or orig).__name__)


def _state(error: BaseException) -> str | None:
    """PostgreSQL's five letters (SQLSTATE); a time out of all range does not get as far as the driver."""
    state = "22000" if isinstance(error, OverflowError) else getattr(error, "sqlstate", None)
    return state if isinstance(state, str) else None
