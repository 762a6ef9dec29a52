"""What settings may hold: text from outside, checked, and never shown where it may be a secret."""

import re
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

RPC_PREFIX = "TRACKER_RPC_"
_RPC_SCHEMES = frozenset({"http", "https", "ws", "wss"})
_KEY = re.compile(r"[!-~]{1,512}")
_RATE_LIMIT = re.compile(r"[1-9][0-9]{0,8}/(second|minute|hour|day)")


def split(value: object) -> object:
    """Comma-separated text as a tuple; anything else as it is."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def sources(value: object) -> object:
    """Names in lower case, each once; ``none`` alone is no source."""
    words = split(value)
    if not isinstance(words, tuple):
        return value
    names = tuple(dict.fromkeys(str(word).lower() for word in words if str(word).lower() != "fixed"))
    return () if names == ("none",) else names


def lower(value: object) -> object:
    """Text in lower case without space around it; anything else as it is."""
    return value.strip().lower() if isinstance(value, str) else value


def checked_rpc(rpc: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Refuse what is not a URL, without showing it: it may hold a key."""
    for name, urls in rpc.items():
        for position, url in enumerate(urls, start=1):
            if not _is_endpoint_url(url):
                raise ValueError(
                    f"{RPC_PREFIX}{name.upper()} must hold http(s) or ws(s) URLs; number {position} is none"
                )
    return rpc


def _is_endpoint_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme.lower() in _RPC_SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _checked_key(key: str) -> str:
    """Refuse what no header can hold, without showing it."""
    key = key.strip()
    if not _KEY.fullmatch(key):
        raise ValueError("it must be one word of printable ASCII characters")
    return key


def _checked_base_url(url: str) -> str:
    """Refuse what is no root to put paths behind, without showing it: it may hold a key."""
    url = url.strip().rstrip("/")
    if not _is_endpoint_url(url) or not url.lower().startswith(("http://", "https://")):
        raise ValueError("it must be an http(s) URL")
    if "?" in url or "#" in url:
        raise ValueError("it must have no query, since paths are put behind it")
    return url


def _checked_database_url(url: str) -> str:
    """Refuse what is no database's URL, without showing it: it may hold a password."""
    url = url.strip()
    if not url.lower().startswith(("sqlite:///", "postgresql://", "postgres://")):
        raise ValueError("it must begin with sqlite:/// or postgresql://")
    return url


def _checked_redis_url(url: str) -> str:
    """Refuse what is no Redis URL, without showing it: it may hold a password."""
    url = url.strip()
    if not url.lower().startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("it must begin with redis://, rediss:// or unix://")
    return url


def _checked_rate_limit(limit: str) -> str:
    """Refuse what is no rate limit."""
    limit = limit.strip().lower()
    if limit != "none" and not _RATE_LIMIT.fullmatch(limit):
        raise ValueError("it must be written like 60/minute (second, minute, hour or day), or none")
    return limit


def _checked_admin_key(key: str) -> str:
    """Refuse what could be guessed, without showing it."""
    key = _checked_key(key)
    if len(key) < 16:
        raise ValueError("it must have at least 16 characters")
    return key


type AdminKey = Annotated[str, AfterValidator(_checked_admin_key)]
type ApiKey = Annotated[str, AfterValidator(_checked_key)]
type BaseUrl = Annotated[str, AfterValidator(_checked_base_url)]
type DatabaseUrl = Annotated[str, AfterValidator(_checked_database_url)]
type RedisUrl = Annotated[str, AfterValidator(_checked_redis_url)]
type RateLimit = Annotated[str, AfterValidator(_checked_rate_limit)]
type IpNetwork = IPv4Network | IPv6Network
