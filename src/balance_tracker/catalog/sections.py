"""Typed reading of a parsed table, where every refusal names the file, the key and the reason."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from balance_tracker.catalog.documents import refusal
from balance_tracker.core.errors import ConfigurationError

_KINDS = {bool: "true or false", int: "a whole number", float: "a number with a point", str: "text"}


class Section:
    """One table of a file, or one element of an array of tables.

    Args:
        origin: The file it is from.
        values: What the parser made of it.
        path: Its dotted place in the file, empty for the whole.
    """

    __slots__ = ("_origin", "_path", "_values")

    def __init__(self, origin: str, values: Mapping[str, Any], path: str = "") -> None:
        self._origin = origin
        self._values = values
        self._path = path

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def says_nothing(self, key: str) -> bool:
        """Whether the file gives the key as an empty text or ``null``."""
        return self._values.get(key) in (None, "")

    def refused(self, key: str, reason: str, hint: str | None = None) -> ConfigurationError:
        """The error to raise for a key; ``reason`` goes on after the key's name."""
        return refusal(self._origin, f"{self._place(key)} {reason}", hint)

    def only(self, allowed: frozenset[str]) -> None:
        """Refuse keys that mean nothing here.

        Raises:
            ConfigurationError: Names the first of them, and the nearest known one as a hint.
        """
        for key in self._values:
            if key not in allowed:
                near = get_close_matches(key, allowed, n=1)
                hint = f"Did you mean '{near[0]}'?" if near else f"Known here: {', '.join(sorted(allowed))}."
                raise self.refused(key[:80], "is not a known key", hint)

    def text(self, key: str, longest: int = 200) -> str:
        """A text with something in it, without control characters, of at most ``longest`` characters."""
        value = self._required(key)
        if not isinstance(value, str):
            raise self._wrong_kind(key, value, "text")
        return self._checked_text(key, value, longest)

    def text_or_none(self, key: str, longest: int = 200) -> str | None:
        """The same, or ``None`` where the file does not say."""
        return self.text(key, longest) if key in self._values else None

    def texts(self, key: str, longest: int = 2_000) -> tuple[str, ...]:
        """A list of texts; empty where the file does not say."""
        value = self._values.get(key, [])
        if not isinstance(value, list):
            raise self._wrong_kind(key, value, "a list of texts")
        for position, item in enumerate(value):
            if not isinstance(item, str):
                raise self._wrong_kind(f"{key}[{position}]", item, "text")
            self._checked_text(f"{key}[{position}]", item, longest)
        return tuple(value)

    def integer(self, key: str, lowest: int, highest: int) -> int:
        """A whole number in a range; ``true`` is none."""
        value = self._required(key)
        if type(value) is not int:
            raise self._wrong_kind(key, value, "a whole number")
        if not lowest <= value <= highest:
            raise self.refused(key, f"must be {lowest} to {highest}, not {_shown(value)}")
        return value

    def integer_or(self, key: str, default: int, lowest: int, highest: int) -> int:
        """The same, or the default where the file does not say."""
        return self.integer(key, lowest, highest) if key in self._values else default

    def flag_or(self, key: str, default: bool) -> bool:
        """A truth value, or the default where there is none."""
        value = self._values.get(key, default)
        if not isinstance(value, bool):
            raise self._wrong_kind(key, value, "true or false")
        return value

    def section(self, key: str) -> "Section":
        """A table inside; an empty one where the file does not say."""
        value = self._values.get(key, {})
        if not isinstance(value, dict):
            raise self._wrong_kind(key, value, "a table")
        return Section(self._origin, value, self._place(key))

    def sections(self, key: str, most: int) -> list["Section"]:
        """An array of tables, of at most ``most``."""
        value = self._required(key)
        if not isinstance(value, list):
            raise self._wrong_kind(key, value, "a list")
        if len(value) > most:
            raise self.refused(key, f"has {len(value):,} entries, more than {most:,}")
        for position, item in enumerate(value):
            if not isinstance(item, dict):
                raise self._wrong_kind(f"{key}[{position}]", item, "a table")
        place = self._place(key)
        return [Section(self._origin, item, f"{place}[{position}]") for position, item in enumerate(value)]

    def _required(self, key: str) -> Any:
        try:
            return self._values[key]
        except KeyError:
            raise self.refused(key, "is missing") from None

    def _checked_text(self, key: str, value: str, longest: int) -> str:
        if not value.strip():
            raise self.refused(key, "is empty")
        if len(value) > longest:
            raise self.refused(key, f"has {len(value):,} characters, more than {longest:,}")
        if not value.isprintable():
            raise self.refused(key, "holds control characters")
        return value

    def _wrong_kind(self, key: str, value: object, wanted: str) -> ConfigurationError:
        kind = _KINDS.get(type(value), "a list or a table" if isinstance(value, list | dict) else "empty")
        return self.refused(key, f"must be {wanted}, not {kind}")

    def _place(self, key: str) -> str:
        return f"{self._path}.{key}" if self._path else key


def _shown(value: int) -> str:
    """A wrong number for a message; the longest ones can't be written out."""
    return str(value) if abs(value) < 10**30 else "a far larger one" if value > 0 else "a far smaller one"
