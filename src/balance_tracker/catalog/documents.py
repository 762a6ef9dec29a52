"""Bytes of a data file as parsed values, or a refusal that names the file, the line and the reason."""

import json
import tomllib
from collections.abc import Iterable
from typing import Any

from balance_tracker.core.errors import ConfigurationError
from balance_tracker.telemetry.redact import redact_text


def parse_toml(document: bytes, origin: str) -> dict[str, Any]:
    """The table that a TOML file holds.

    Args:
        document: The file as it was read.
        origin: Where it is from, for the message; a URL in it is shown without its path.

    Raises:
        ConfigurationError: Not UTF-8 or not TOML; the message has the line and the column.
    """
    try:
        return tomllib.loads(document.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise refusal(origin, _not_utf8(document, error)) from None
    except tomllib.TOMLDecodeError as error:
        raise refusal(origin, f"is not valid TOML: {_lowered(str(error))}") from None
    except RecursionError:
        raise refusal(origin, "nests too deeply") from None


def parse_json(document: bytes, origin: str) -> dict[str, Any]:
    """The object that a JSON file holds; repeated keys and non-numbers are refused.

    Args:
        document: The file as it was read.
        origin: Where it is from, for the message; a URL in it is shown without its path.

    Raises:
        ConfigurationError: Not UTF-8, not JSON (the message has the line and the column), or not an object.
    """
    try:
        parsed = json.loads(
            document.decode("utf-8-sig"), object_pairs_hook=_unique, parse_constant=_refuse_constant
        )
    except UnicodeDecodeError as error:
        raise refusal(origin, _not_utf8(document, error)) from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise refusal(origin, f"is not valid JSON at {where}: {_lowered(error.msg)}") from None
    except RecursionError:
        raise refusal(origin, "nests too deeply") from None
    except ValueError as error:
        raise refusal(origin, f"is not valid JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise refusal(origin, "must hold one JSON object")
    return parsed


def refusal(origin: str, reason: str, hint: str | None = None) -> ConfigurationError:
    """The error of a wrong file, as one sentence without any URL's key."""
    return ConfigurationError(f"{redact_text(origin)}: {reason}.", hint=hint)


def _unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    pairs = list(pairs)
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {repeated[:40]!r} stands twice in one object")
    return found


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number in JSON")


def _not_utf8(document: bytes, error: UnicodeDecodeError) -> str:
    line = document.count(b"\n", 0, error.start) + 1
    return f"is not UTF-8 text at line {line}"


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]
