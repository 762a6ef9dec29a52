"""``GET /balances``: a plain route that gives stored bytes, and asks the tracker for the rest."""

from typing import Annotated, Any

import orjson
from fastapi import Depends, Query, Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route
from starlette.types import Message, Receive, Scope, Send

from balance_tracker.api import examples, schemas
from balance_tracker.api.documented import Answers, answers_of, problems_of
from balance_tracker.api.problems import problem
from balance_tracker.api.queries import BalancesQuery, once_each
from balance_tracker.api.stored import StoredAnswer, StoredAnswers, entity_tag
from balance_tracker.api.tracking import Tracking
from balance_tracker.services.freshness import good_for_seconds
from balance_tracker.services.serialise import portfolio_json
from balance_tracker.telemetry.metrics import METRICS

STORED = "balance_tracker.stored"
"""Set in the scope of a request that was answered with stored bytes."""

_CACHE = "answers"
_ALLOWED = "GET, HEAD"
_METHODS = frozenset({"GET", "HEAD"})
_JSON = (b"content-type", b"application/json")

type RawHeaders = list[tuple[bytes, bytes]]


async def balances(query: Annotated[BalancesQuery, Query()], request: Request, tracker: Tracking) -> Response:
    """Native coins and tokens of one address on all networks asked, each network at one block.

    A network that failed never fails the answer: its `status` in `coverage` says so and `complete` is
    false. Balances that are not 0 are listed, and those asked for with `tokens` also at 0. What is not
    known is `null`.

    A complete answer says in `Cache-Control` how long it stands, and has an `ETag`: asked again with
    `If-None-Match`, the same blocks are a 304. `HEAD` is answered alike, without the text.
    """
    answers: StoredAnswers = request.app.state.answers
    asked_at = answers.clock()
    portfolio = await tracker.portfolio(
        query.address,
        [query.networks] if query.networks else None,
        tokens=[query.tokens] if query.tokens else (),
        currency=query.currency,
        at=query.at,
        spam=query.spam,
        min_value=query.min_value,
    )
    answer = portfolio_json(portfolio)
    if portfolio.nothing_obtained:
        return problem(
            502,
            "nothing_obtained",
            "Not one network could be read.",
            hint="The coverage says why; ask again later.",
            address=answer["address"],
            coverage=answer["coverage"],
        )
    good_for = good_for_seconds(portfolio, answers.ttl_seconds)
    if good_for > 0 and all(entry.cached for entry in portfolio.coverage):
        ages = [entry.age_seconds for entry in portfolio.coverage]
        answers.keep(request.scope["query_string"], StoredAnswer(answer, ages, asked_at, good_for))
    headers = (
        _headers(entity_tag(answer), asked_at + good_for - answers.clock()) if portfolio.complete else []
    )
    if _not_modified(request.scope, headers):
        return _raw(304, headers, b"")
    body = orjson.dumps(answer)
    return _raw(200, [_JSON, *headers, (b"content-length", b"%d" % len(body))], body)


class BalancesRoute(Route):
    """Answers from the stored bytes where it can, and otherwise hands on to the documented route.

    A plain route: what FastAPI does for each request (dependencies, validation, a response object)
    costs several times what it takes to send bytes that are already there.
    """

    def __init__(self) -> None:
        self.documented = APIRoute(
            "/balances",
            balances,
            methods=["GET"],
            tags=["balances"],
            summary="What an address holds",
            dependencies=[Depends(once_each)],
            responses=_answers(),
        )
        super().__init__(self.documented.path, balances, methods=["GET"])

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether the request is for this route; the documented one is what errors tell about.

        The path as it is nearly always written needs no pattern.
        """
        if scope["path"] == self.path and scope["type"] == "http" and scope["method"] in _METHODS:
            return Match.FULL, {"endpoint": self.endpoint, "path_params": {}, "route": self.documented}
        match, child_scope = super().matches(scope)
        if match is not Match.NONE:
            child_scope["route"] = self.documented
        return match, child_scope

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request.

        Raises:
            HTTPException: The method is neither ``GET`` nor ``HEAD``.
        """
        if scope["method"] not in _METHODS:
            raise HTTPException(405, headers={"Allow": _ALLOWED})
        answers: StoredAnswers | None = getattr(scope["app"].state, "answers", None)
        stored = answers.get(scope["query_string"]) if answers is not None else None
        METRICS.observe_cache(_CACHE, "miss" if stored is None else "hit")
        if answers is not None and stored is not None:
            scope[STORED] = True
            await _send(scope, send, stored, answers.clock())
        elif scope["method"] == "HEAD":
            await self.documented.handle({**scope, "method": "GET"}, receive, _without_body(send))
        else:
            await self.documented.handle(scope, receive, send)


async def _send(scope: Scope, send: Send, stored: StoredAnswer, now: float) -> None:
    headers = _headers(stored.etag, stored.good_until - now) if stored.complete else []
    status, body = 304, b""
    if not _not_modified(scope, headers):
        status, body = 200, stored.body(now)
        headers += (_JSON, (b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def _headers(etag: bytes, left_seconds: float) -> RawHeaders:
    """The validator and the whole seconds left of a complete answer; others have neither.

    ``private``, because what an address holds is told to the one who asked, not to those who share
    a proxy with them.
    """
    return [(b"etag", etag), (b"cache-control", b"private, max-age=%d" % max(0, int(left_seconds)))]


def _not_modified(scope: Scope, headers: RawHeaders) -> bool:
    """Whether the asker has an answer with this tag already, by the weak comparison of RFC 9110."""
    if not headers:
        return False
    etag = headers[0][1]
    return any(
        tag == b"*" or tag.removeprefix(b"W/") == etag.removeprefix(b"W/")
        for name, value in scope["headers"]
        if name == b"if-none-match"
        for tag in map(bytes.strip, value.split(b","))
    )


def _raw(status: int, headers: RawHeaders, body: bytes) -> Response:
    response = Response(body, status)
    response.raw_headers = headers
    return response


def _without_body(send: Send) -> Send:
    async def send_head(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return send_head


def _answers() -> Answers:
    nothing = problems_of(s502=("Bad Gateway", "nothing_obtained", "Not one network could be read."))
    documented = answers_of(schemas.Balances, examples.BALANCES, nothing)
    documented[200]["headers"] = {
        "ETag": _header("Of a complete answer: the same as long as it is of the same blocks."),
        "Cache-Control": _header(
            "`private, max-age=` and the whole seconds a complete answer still stands; else `no-store`."
        ),
    }
    documented[304] = {"description": "Not Modified"}
    return documented


def _header(description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}}
