"""Names that people give to what is kept."""

import re

from balance_tracker.core.errors import InputError

_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
"""Control characters, line ends, those that turn the direction of text, and halves of characters."""


def checked_name(name: str) -> str:
    """A name as people may give one to what is kept.

    Raises:
        InputError: ``invalid_name``.
    """
    name = name.strip()
    if not 1 <= len(name) <= 100 or _UNSEEN.search(name):
        raise InputError(
            "The name is empty, too long or holds characters that can't be seen.",
            code="invalid_name",
            hint="Give it 1 to 100 characters.",
        )
    return name
