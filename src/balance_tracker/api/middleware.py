"""The edge of every request: its id, its bounds, its headers, one log line and its metrics."""

import logging
import re
import time
from secrets import token_hex

from fastapi import Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from balance_tracker.api.balances import STORED
from balance_tracker.api.docs import ASSETS
from balance_tracker.api.guard import SENDING
from balance_tracker.api.problems import problem
from balance_tracker.telemetry.logging import get_logger, request_context
from balance_tracker.telemetry.metrics import METRICS

MOST_QUERY_BYTES = 16_384
MOST_BODY_BYTES = 65_536
MOST_BATCH_BYTES = 4 * 2**20
"""Of ``POST /batch``: thousands of addresses."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)
"""On every answer that does not say otherwise itself."""

_log = get_logger(__name__)
_level = logging.getLogger(__name__)
"""Of the same name, to ask what is logged at all before a line is made."""


class Edge:
    """Wraps the app; what escapes it becomes a problem and a log line, never a traceback to a client."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, send)
        with request_context(request_id=exchange.request_id):
            try:
                refusal = _out_of_bounds(scope)
                if refusal is not None:
                    await refusal(scope, receive, exchange.send)
                else:
                    await self._app(scope, _bounded(scope, receive), exchange.send)
            except Exception as error:  # noqa: BLE001 - the edge of one request
                _log.exception("request_broke", route=exchange.route, exc_info=error)
                await exchange.break_off(receive)
            finally:
                exchange.record()


class _Exchange:
    """One request and what became of it."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._started = time.perf_counter()
        self._status: int | None = None
        given = _header(scope, b"x-request-id")
        self.request_id = given if _REQUEST_ID.fullmatch(given) else token_hex(16)

    @property
    def route(self) -> str:
        """The template of the route, so that labels stay few."""
        path = getattr(self._scope.get("route"), "path", None)
        if isinstance(path, str) and path:
            return path
        return ASSETS if self._scope["path"].startswith(f"{ASSETS}/") else "unmatched"

    async def send(self, message: Message) -> None:
        """Pass a message on, with the headers that every answer has."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = list(message.get("headers", ()))  # a copy: the app may keep its own
            present = {name for name, _ in headers}
            headers.append((b"x-request-id", self.request_id.encode("ascii")))
            headers += [pair for pair in _HEADERS if pair[0] not in present]
            message["headers"] = headers
        await self._send(message)

    async def break_off(self, receive: Receive) -> None:
        """Answer what broke, unless an answer has begun."""
        if self._status is None:
            broken = problem(500, "internal_error", "Something broke here, and it was recorded.")
            await broken(self._scope, receive, self._scope.get(SENDING, self.send))

    def record(self) -> None:
        """The metrics of this request, and its one line: of a stored answer only at the level ``debug``.

        Writing a line takes longer than a stored answer as a whole, and its metrics say how many
        there were and how long they took.
        """
        seconds = time.perf_counter() - self._started
        status = self._status or 499
        method = self._scope["method"]
        METRICS.observe_request(self.route, method, status, seconds)
        stored = STORED in self._scope
        if stored and not _level.isEnabledFor(logging.DEBUG):
            return
        (_log.debug if stored else _log.info)(
            "request_answered",
            method=method,
            route=self.route,
            status=status,
            elapsed_seconds=round(seconds, 4),
        )


def _out_of_bounds(scope: Scope) -> Response | None:
    """A refusal of what is larger than any question here needs to be."""
    if len(scope["query_string"]) + len(scope["path"]) > MOST_QUERY_BYTES:
        return problem(400, "uri_too_long", "The URL is too long.", hint="Split the question.")
    length = _header(scope, b"content-length", "0")
    if not length.isdigit() or len(length) > 15 or int(length) > _most_bytes(scope):
        return problem(413, "body_too_large", "The body is too large.", hint="Split what you send.")
    return None


def _most_bytes(scope: Scope) -> int:
    return MOST_BATCH_BYTES if scope["path"] == "/batch" else MOST_BODY_BYTES


def _bounded(scope: Scope, receive: Receive) -> Receive:
    """Counts a body while it comes, since not every one says how long it is."""
    most, received = _most_bytes(scope), 0

    async def counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > most:
            raise HTTPException(413, "The body is too large")
        return message

    return counted


def _header(scope: Scope, name: bytes, default: str = "") -> str:
    """A header of the request, without building an object of all of them."""
    for own, value in scope["headers"]:
        if own == name:
            return bytes(value).decode("latin-1")
    return default
