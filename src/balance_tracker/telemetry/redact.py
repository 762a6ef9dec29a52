"""Keys never leave: URLs shrink to their host, and secrets once named are struck out."""

import base64
import re
from collections.abc import Iterable
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

HIDDEN = "[redacted]"

_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^\s\"'<>`|\\]+", re.IGNORECASE)
_WORD = re.compile(r"[a-z]{1,15}")
_SHORTEST_SECRET = 8
_SHORTEST_TOKEN = 6
_URL_SAFE = str.maketrans("+/", "-_")

_secrets: list[str] = []
"""Parts of the operator's URLs, the longest first; an endpoint may echo one outside of a URL."""


def redact_url(url: str) -> str:
    """The host and, if given, the port of a URL: never user, password, path or query.

    >>> redact_url("wss://me:pw@node.example:8546/v3/0123456789abcdef?key=1")
    'node.example:8546'
    """
    parts = _split(url)
    if parts is None or not parts.netloc:
        return HIDDEN
    return parts.netloc.rpartition("@")[2].lower() or HIDDEN


def redact_text(text: str) -> str:
    """The text with every URL cut down to its host and every protected secret struck out.

    A URL that is nothing but scheme and host has nothing to hide and stays as it is.

    >>> redact_text("refused by https://node.example/v3/0123456789abcdef, giving up")
    'refused by node.example, giving up'
    """
    text = _URL.sub(_host_and_tail, text)
    for secret in _secrets:
        if secret in text:
            text = text.replace(secret, HIDDEN)
    return text


def protect(urls: Iterable[str]) -> None:
    """Strike out from now on what in these URLs may be a key, wherever :func:`redact_text` meets it."""
    for url in urls:
        _keep(_secret_parts(url))


def protect_keys(keys: Iterable[str]) -> None:
    """Strike out these keys from now on, wherever :func:`redact_text` meets them."""
    _keep({form for key in keys if len(key) >= _SHORTEST_SECRET for form in _cases(key)})


def _keep(found: set[str]) -> None:
    """The longest come first: a short one inside of it must not leave the rest of a long one behind."""
    _secrets[:] = sorted({*_secrets, *found}, key=lambda secret: (-len(secret), secret))


def _cases(secret: str) -> set[str]:
    """As it is, and as a server that does not mind the case may say it."""
    return {secret, secret.lower(), secret.upper()}


def _secret_parts(url: str) -> set[str]:
    parts = _split(url)
    if parts is None:
        return set()
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    found = {user, *parts.path.split("/"), *(value for _, value in parse_qsl(parts.query))}
    found |= {unquote(part) for part in found}
    cased = {form for part in found for form in _cases(part) if not _WORD.fullmatch(form)}
    passwords = {form for part in (password, unquote(password)) for form in _cases(part)}
    return {part for part in cased | passwords if len(part) >= _SHORTEST_SECRET} | _basic(user, password)


def _basic(user: str, password: str) -> set[str]:
    """User and password as the header ``Authorization`` has them, without the padding."""
    if not user and not password:
        return set()
    pairs = {f"{user}:{password}", f"{unquote(user)}:{unquote(password)}"}
    found = {
        base64.b64encode(pair.encode(code, "replace")) for pair in pairs for code in ("utf-8", "latin-1")
    }
    texts = {token.decode("ascii").rstrip("=") for token in found}
    texts |= {text.translate(_URL_SAFE) for text in texts}
    return {form for text in texts if len(text) >= _SHORTEST_TOKEN for form in _cases(text)}


def _host_and_tail(match: re.Match[str]) -> str:
    url = match.group()
    bare = url.rstrip(".,;:!?)]}")
    parts = _split(bare)
    if parts is not None and parts.netloc and bare == f"{parts.scheme}://{parts.netloc}" and "@" not in bare:
        return url
    return redact_url(bare) + url[len(bare) :]


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url.strip())
    except ValueError:
        return None
