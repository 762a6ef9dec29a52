"""The guard of every request: who sent it, whether it may, how much it may still ask."""

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Protocol

from fastapi import Request, Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from balance_tracker.api.calling import CALLER
from balance_tracker.api.docs import ASSETS
from balance_tracker.api.problems import problem, refusal
from balance_tracker.core.access import Limit
from balance_tracker.core.errors import AccessError, StorageError
from balance_tracker.core.kept import ANYONE
from balance_tracker.ports.keeping import Verdict
from balance_tracker.services.access import (
    AccessService,
    Admission,
    KeyRefusedError,
    RateLimitedError,
    client_subject,
)
from balance_tracker.services.usage import UsageBook

OPEN_PATHS = frozenset({"/", "/redoc", "/docs-start.js", "/openapi.json", "/health", "/ready", "/app"})
"""Answered without a key and without a limit, in every mode."""

UNCOUNTED_PATHS = OPEN_PATHS | {"/metrics", "/version"}

SENDING = "balance_tracker.sending"
"""Where the guard puts what sends an answer, for whoever answers in the place of an app that broke."""

_GUARDED = "balance_tracker.guarded"
_MOST_KEY_CHARACTERS = 512

type _Networks = Sequence[IPv4Network | IPv6Network]


class Guards(Protocol):
    """What the guard asks; on the app's state while it is open."""

    access: AccessService
    usage: UsageBook

    @property
    def trusted_proxies(self) -> Sequence[IPv4Network | IPv6Network]:
        """Networks of proxies whose ``X-Forwarded-For`` is believed."""


class Guard:
    """Lets requests through to the app, or answers why not; while nothing is open it guards nothing."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or _is_open(scope["path"]):
            await self._app(scope, receive, send)
            return
        service: Guards | None = getattr(scope["app"].state, "service", None)
        if service is None:
            await self._app(scope, receive, send)
            return
        if service.access.counts_nobody and key_of(scope) is None:
            await self._app(scope, receive, send)  # anyone, and nothing to count or to tell
            return
        guarded = _Guarded(service)
        sending = scope[SENDING] = guarded.sending(scope, send)
        try:
            await guarded.admit(scope, client_of(scope, service.trusted_proxies))
        except (AccessError, StorageError) as error:
            _find_route(scope)
            await _refused(error)(scope, receive, sending)
            return
        scope[_GUARDED] = guarded
        scope[CALLER] = guarded.caller
        await self._app(scope, receive, sending)


async def charge(request: Request, units: int) -> None:
    """Count more work of this request than the one unit that every request is.

    Raises:
        RateLimitedError: It is too much; the handler of errors answers it.
    """
    guarded = request.scope.get(_GUARDED)
    if isinstance(guarded, _Guarded):
        await guarded.charge(units)


def _find_route(scope: Scope) -> None:
    """The route of a request that does not get as far, so that it is counted where it belongs."""
    for route in _flat(scope["app"].routes):
        match, found = route.matches(scope)
        if match is not Match.NONE and "route" in found:
            scope["route"] = found["route"]
            return


def _flat(routes: Iterable[BaseRoute]) -> Iterator[BaseRoute]:
    """Routes with those of the routers among them, which tell of their own only once they are handled."""
    for route in routes:
        included = getattr(route, "original_router", None)
        yield from (route,) if included is None else included.routes


def _refused(error: AccessError | StorageError) -> Response:
    if isinstance(error, AccessError):
        return refusal(error)
    return problem(503, error.code, error.message, hint=error.hint, headers={"Retry-After": "5"})


class _Guarded:
    """One request that is guarded, what it cost and what is left."""

    def __init__(self, service: Guards) -> None:
        self._service = service
        self._admission: Admission | None = None
        self._verdict: Verdict | None = None
        self._units = 0
        self._refused = False

    @property
    def caller(self) -> object:
        """Who sent it."""
        return None if self._admission is None else self._admission.caller

    async def admit(self, scope: Scope, client: str) -> None:
        """Recognise the caller and count one unit, unless the path is not counted."""
        cost = 0 if scope["path"] in UNCOUNTED_PATHS else 1
        try:
            self._admission, self._verdict = await self._service.access.admit(
                key_of(scope), client, cost=cost
            )
            self._units = cost
        except KeyRefusedError as error:
            self._verdict = error.verdict
            raise
        except RateLimitedError as error:
            self._admission, self._verdict, self._refused = error.admission, error.verdict, True
            raise

    async def charge(self, units: int) -> None:
        """Count more."""
        if self._admission is None:
            return
        try:
            verdict = await self._service.access.charge(self._admission, units, self._units)
            self._verdict = verdict or self._verdict
            self._units += units
        except RateLimitedError as error:
            self._verdict, self._refused = error.verdict, True
            raise

    def sending(self, scope: Scope, send: Send) -> Send:
        """Pass an answer on with what is left of the limit, and note the usage."""

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                if self._verdict is not None:
                    message["headers"] = [*message.get("headers", ()), *limit_headers(self._verdict)]
                self._note(scope, message["status"])
            await send(message)

        return sent

    def _note(self, scope: Scope, status: int) -> None:
        caller = None if self._admission is None else self._admission.caller
        if caller is None or caller.owner == ANYONE or not caller.owner.startswith("key_"):
            return
        path = getattr(scope.get("route"), "path", None)
        route = path if isinstance(path, str) and path else "unmatched"
        self._service.usage.note(caller.owner, route, self._units, refused=self._refused, error=status >= 500)


def limit_headers(verdict: Verdict) -> list[tuple[bytes, bytes]]:
    """What a limit has left, in the fields that clients know.

    Source: https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/ (fields of draft 06)
    """
    units, policy = _limit_texts(verdict.limit)
    return [
        (b"ratelimit-limit", units),
        (b"ratelimit-remaining", b"%d" % max(0, verdict.remaining)),
        (b"ratelimit-reset", b"%d" % math.ceil(verdict.reset_seconds)),
        (b"ratelimit-policy", policy),
    ]


@lru_cache(maxsize=256)
def _limit_texts(limit: Limit) -> tuple[bytes, bytes]:
    return b"%d" % limit.units, b"%d;w=%d" % (limit.units, limit.period_seconds)


def key_of(scope: Scope) -> str | None:
    """The key as it was sent: ``X-API-Key``, else ``Authorization: Bearer``.

    What can be no key is empty text, which no key is: one that is too long, and several of which nobody
    can say which one counts.
    """
    keys: set[bytes] = set()
    bearers: set[bytes] = set()
    for name, value in scope["headers"]:
        if name == b"x-api-key":
            keys.add(value.strip())
        elif name == b"authorization":
            kind, _, rest = value.partition(b" ")
            if kind.lower() == b"bearer":
                bearers.add(rest.strip())
    sent = keys or bearers
    if not sent:
        return None
    key = sent.pop()
    return "" if sent or len(key) > _MOST_KEY_CHARACTERS else str(key.decode("latin-1"))


def client_of(scope: Scope, trusted: _Networks) -> str:
    """The client's address as it is counted: behind trusted proxies, the last address they did not add."""
    client = scope.get("client")
    address = _address(client[0]) if client else None
    if not trusted:
        return client_subject(address)
    forwarded = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
    hops = [hop.strip() for hop in forwarded.decode("latin-1").split(",") if hop.strip()]
    while hops and address is not None and _within(address, trusted):
        nearer = _address(hops.pop())
        if nearer is None:
            break
        address = nearer
    return client_subject(address)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """An address, with or without a port behind it."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _within(address: IPv4Address | IPv6Address, networks: _Networks) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _is_open(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith((f"{ASSETS}/", "/app/"))
