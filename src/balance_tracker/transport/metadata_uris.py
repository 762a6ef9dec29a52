"""URIs of metadata: what stands in them, and where they point.

Sources: RFC 2397 (``data:``), and what collections write without regard to it: raw JSON after
``data:application/json;utf8,``.
"""

import base64
import binascii
import json
from typing import Any
from urllib.parse import quote, unquote, unquote_to_bytes

from balance_tracker.core.nfts import MOST_URI_BYTES

MOST_METADATA_BYTES = 256 * 1024
MOST_DEPTH = 32

_IPFS = "ipfs://"
_MOST_DIGITS = 18


def metadata_in(uri: str) -> dict[str, Any] | None:
    """The JSON object that a ``data:`` URI holds; ``None`` for another URI, or where it holds none."""
    if uri[:5].lower() != "data:" or len(uri) > MOST_URI_BYTES:
        return None
    head, comma, body = uri[5:].partition(",")
    if not comma or not _is_json(head):
        return None
    data = _plain(body) if not head.lower().endswith(";base64") else _unpacked(body)
    return None if data is None else metadata_of(data)


def metadata_of(document: bytes) -> dict[str, Any] | None:
    """A JSON object of bounded size and depth; ``None`` for anything else."""
    if len(document) > MOST_METADATA_BYTES:
        return None
    try:
        found = json.loads(document, parse_constant=_refused, parse_int=_integer)
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and _depth(found) <= MOST_DEPTH else None


def web_address(uri: str, ipfs_gateway: str) -> str | None:
    """Where a URI can be fetched over the web; ``None`` if it is of no scheme that is fetched.

    Args:
        uri: As the contract gives it.
        ipfs_gateway: The root of a gateway, behind which paths are ``/ipfs/…``.

    >>> web_address("ipfs://ipfs/bafy/1.json", "https://gateway.example")
    'https://gateway.example/ipfs/bafy/1.json'
    >>> web_address("file:///etc/passwd", "https://gateway.example") is None
    True
    """
    if uri[:7].lower() == _IPFS:
        path = uri[7:].removeprefix("ipfs/").lstrip("/")
        if not path or any(unquote(part) in {".", ".."} for part in path.split("/")):
            return None
        return f"{ipfs_gateway.rstrip('/')}/ipfs/{quote(path, safe='/%-._~')}"
    return uri if uri.lower().startswith(("https://", "http://")) else None


def _is_json(head: str) -> bool:
    kind = head.partition(";")[0].strip().lower()
    return kind in {"application/json", "text/plain", ""}


def _plain(body: str) -> bytes | None:
    """Percent-encoded text; texts that are JSON as they stand may hold a bare ``%``."""
    raw = body.encode("utf-8", errors="replace")
    return raw if metadata_of(raw) is not None else unquote_to_bytes(raw)


def _unpacked(body: str) -> bytes | None:
    try:
        return base64.b64decode(unquote_to_bytes(body), validate=True)
    except (binascii.Error, ValueError):
        return None


def _depth(value: Any) -> int:
    """How deep lists and objects stand in each other; the parser has bounded it already."""
    deepest, stack = 0, [(value, 1)]
    while stack:
        one, depth = stack.pop()
        deepest = max(deepest, depth)
        if depth > MOST_DEPTH:
            return depth
        children = one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        stack += [(child, depth + 1) for child in children if isinstance(child, dict | list)]
    return deepest


def _integer(digits: str) -> int | str:
    """A whole number; one that many readers can't hold stays text."""
    return int(digits) if len(digits) <= _MOST_DIGITS else digits


def _refused(word: str) -> None:
    raise ValueError(f"{word} is not JSON")
