"""What is kept: ids that sort by time, and whose it is."""

from collections.abc import Callable
from datetime import datetime
from typing import NewType

Owner = NewType("Owner", str)
"""The id of the API key that something belongs to; :data:`ANYONE` where it was made without one."""

ANYONE = Owner("")

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base32: no letters that look like digits, and text that sorts like the number."""

_RANDOM_BITS = 80
_LENGTH = 26


def new_id(prefix: str, now: datetime, random_bits: Callable[[int], int]) -> str:
    """An id that nobody can guess and that sorts by the time it was made (the layout of a ULID).

    Args:
        prefix: What it is of: ``snp``, ``wal``, ``bat``, ``job``, ``key``.
        now: The time, in UTC.
        random_bits: Gives a number of so many bits that nobody can foretell.

    Source: https://github.com/ulid/spec (48 bits of milliseconds, 80 random bits)

    >>> from datetime import UTC
    >>> new_id("snp", datetime(2026, 1, 1, tzinfo=UTC), lambda bits: 1)
    'snp_01kdvdna000000000000000001'
    """
    number = int(now.timestamp() * 1000) << _RANDOM_BITS | random_bits(_RANDOM_BITS)
    letters = [_ALPHABET[number >> 5 * place & 31] for place in range(_LENGTH - 1, -1, -1)]
    return f"{prefix}_{''.join(letters)}"
