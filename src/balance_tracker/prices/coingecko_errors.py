"""What CoinGecko says when it does not answer: three shapes of document, with any HTTP status.

Source: https://docs.coingecko.com/docs/errors-and-rate-limits
"""

import re
from collections.abc import Mapping
from typing import Any

from balance_tracker.core.errors import UpstreamError
from balance_tracker.transport.api_host import RequestRefusedError

_NO_KEY = 10002
_NOT_IN_THE_PLAN = 10005
_WRONG_HOST_FOR_KEY = frozenset({10010, 10011})
_OVER_THE_PLAN = 10012
"""More contracts at once, or further back, than the plan allows: said with HTTP status 400 or 401."""
_ADDRESSES = re.compile(r"(\d{1,4})\s+(?:contract\s+)?address", re.IGNORECASE)


class WrongHostError(UpstreamError):
    """The key is of the other plan, which has another host."""

    code = "unauthorized"


def explain(status: int, document: Any) -> UpstreamError | None:
    """What an error document of CoinGecko means; it may come with any status, 200 too."""
    error = _error_of(document)
    if error is None:
        return None
    code, message = error
    said = f"CoinGecko answered with error {code or status}: {message[:200]}"
    if code in _WRONG_HOST_FOR_KEY:
        return WrongHostError(said, retryable=False)
    if code == 429 or status == 429:
        return UpstreamError(said, code="rate_limited")
    over_the_plan = code in {_OVER_THE_PLAN, _NOT_IN_THE_PLAN}
    if code == _NO_KEY or (status in (401, 403) and not over_the_plan):
        return UpstreamError(said, code="unauthorized", retryable=False)
    if over_the_plan or 400 <= status < 500:
        return RequestRefusedError(said, status, document)
    return UpstreamError(said, code="bad_response")


def is_over_the_plan(error: RequestRefusedError) -> bool:
    """Whether it refused what another plan would give."""
    said = _error_of(error.document)
    return said is not None and said[0] in {_OVER_THE_PLAN, _NOT_IN_THE_PLAN}


def contracts_allowed(error: RequestRefusedError) -> int | None:
    """How many contracts it takes at once, if that is why it refused."""
    said = _error_of(error.document)
    if said is None or said[0] != _OVER_THE_PLAN:
        return None
    match = _ADDRESSES.search(said[1])
    return max(1, int(match.group(1))) if match else 1


def _error_of(document: Any) -> tuple[int | None, str] | None:
    """Code and words of an error; a coin may be called ``status`` or ``error``, and is none."""
    if not isinstance(document, Mapping):
        return None
    code, status, error = (document.get(name) for name in ("error_code", "status", "error"))
    if isinstance(error, str):
        return _whole(code), error
    if isinstance(error, Mapping) and isinstance(error.get("status"), Mapping):
        status = error["status"]
    if isinstance(status, Mapping) and ("error_message" in status or "error_code" in status):
        return _whole(code) or _whole(status.get("error_code")), str(status.get("error_message", ""))
    return None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
