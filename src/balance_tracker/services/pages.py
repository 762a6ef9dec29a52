"""Pages of what is kept: the newest first, going on from an opaque cursor."""

import base64
import binascii
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from balance_tracker.core.errors import InputError

DEFAULT_LIMIT = 100
MOST_PER_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Page[T]:
    """One page; ``next_cursor`` is ``None`` on the last."""

    items: tuple[T, ...]
    next_cursor: str | None


def page_of[T](found: Sequence[T], limit: int, kind: str, key_of: Callable[[T], str]) -> Page[T]:
    """A page of what was found, which was asked for with one more than the limit.

    Args:
        found: At most ``limit + 1``, in the order of the list.
        limit: How many the page holds.
        kind: Of what list and question it is: a cursor of another is refused.
        key_of: Where an item stands in the list.
    """
    items = tuple(found[:limit])
    more = len(found) > limit
    return Page(items, cursor_of(kind, key_of(items[-1])) if more and items else None)


def cursor_of(kind: str, key: str) -> str:
    """A cursor that goes on after an item.

    >>> key_in("keys", cursor_of("keys", "key_1"))
    'key_1'
    """
    return base64.urlsafe_b64encode(f"{kind}\0{key}".encode()).rstrip(b"=").decode("ascii")


def key_in(kind: str, cursor: str | None) -> str | None:
    """The item that a cursor goes on after; ``None`` without a cursor.

    Raises:
        InputError: ``invalid_cursor``.
    """
    if cursor is None:
        return None
    with suppress(binascii.Error, UnicodeError):
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        own, separator, key = base64.b64decode(padded, b"-_", validate=True).decode().partition("\0")
        if separator and own == kind and "\0" not in key:  # which no database takes
            return key
    raise InputError(
        "The cursor is not one of this list.",
        code="invalid_cursor",
        hint="Go on with next_cursor as it was given, and the same question.",
    )


def checked_limit(limit: int, most: int = MOST_PER_PAGE) -> int:
    """The limit, if it is in range.

    Raises:
        InputError: ``invalid_limit``.
    """
    if not 1 <= limit <= most:
        raise InputError(
            f"The limit must be 1 to {most}.", code="invalid_limit", hint="Go on with next_cursor."
        )
    return limit
