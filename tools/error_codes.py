"""What each error code means, in one sentence; ``reference.py`` refuses a code that is missing here."""

CODES: dict[str, str] = {}
