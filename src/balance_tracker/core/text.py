"""Texts that strangers wrote (token names and symbols), made safe to show."""

import unicodedata

_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs"})
"""Unicode categories that print nothing or turn the text around (bidi marks are ``Cf``)."""

_SPACES = frozenset({"Zs", "Zl", "Zp"})


def clean_text(text: str, limit: int) -> str:
    r"""The text without characters that hide or turn it, on one line, at most ``limit`` characters.

    Args:
        text: As a contract or an account gave it; may hold anything.
        limit: Most characters to keep; a longer text ends in an ellipsis.

    Returns:
        The cleaned text, empty if nothing of it can be shown.

    >>> clean_text("  USD\x00\u202e  Coin\n", 64), clean_text("abcdef", 4)
    ('USD Coin', 'abc…')
    """
    seen = "".join(_shown(character) for character in text[: 16 * limit])
    line = " ".join(seen.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def _shown(character: str) -> str:
    if character in "\t\n\r\v\f":
        return " "
    category = unicodedata.category(character)
    if category in _UNSEEN:
        return ""
    return " " if category in _SPACES else character
