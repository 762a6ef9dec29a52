"""The routes: each takes its query, asks the tracker and writes its answer."""

import platform
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from balance_tracker import __version__
from balance_tracker.api import examples, schemas
from balance_tracker.api.problems import MEDIA_TYPE, problem
from balance_tracker.api.queries import BalancesQuery, NoQuery, TokensQuery, once_each
from balance_tracker.bootstrap import Tracker
from balance_tracker.core.errors import InputError
from balance_tracker.services.catalog import NetworkView
from balance_tracker.services.serialise import Json, network_json, portfolio_json, token_json
from balance_tracker.telemetry.metrics import METRICS

router = APIRouter(dependencies=[Depends(once_each)])


class NotOpenError(Exception):
    """The tracker is not open (yet, or any more)."""


def tracker_of(request: Request) -> Tracker:
    """The tracker that the app opened.

    Raises:
        NotOpenError: It is not open.
    """
    tracker = getattr(request.app.state, "tracker", None)
    if not isinstance(tracker, Tracker):
        raise NotOpenError
    return tracker


type Tracking = Annotated[Tracker, Depends(tracker_of)]


def _problems(**by_status: tuple[str, str, str]) -> dict[int | str, dict[str, Any]]:
    """The documented problems of a route: ``s400=("Bad Request", code, detail)``."""
    documented: dict[int | str, dict[str, Any]] = {}
    for key, (title, code, detail) in by_status.items():
        status = int(key[1:])
        documented[status] = {
            "description": title,
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "example": schemas.problem_example(status, title, code, detail),
                }
            },
        }
    return documented


def _answers(
    model: type[Any], example: Json, problems: dict[int | str, dict[str, Any]]
) -> dict[int | str, dict[str, Any]]:
    answer = {"model": model, "content": {"application/json": {"example": example}}}
    return {200: answer, **_GENERAL, **problems}


_GENERAL = _problems(
    s400=("Bad Request", "unknown_parameter", "'netwroks' is not a parameter of this route."),
    s503=("Service Unavailable", "not_ready", "The service is starting or stopping."),
)
_ALWAYS: dict[int | str, dict[str, Any]] = {400: _GENERAL[400]}
_NOTHING = _problems(
    s502=("Bad Gateway", "nothing_obtained", "Not one network could be read."),
)
_NOT_FOUND = _problems(
    s404=("Not Found", "unknown_network", "There is no network 'bse' here."),
)


@router.get(
    "/balances",
    tags=["balances"],
    summary="What an address holds",
    responses=_answers(schemas.Balances, examples.BALANCES, _NOTHING),
)
async def balances(query: Annotated[BalancesQuery, Query()], tracker: Tracking) -> Response:
    """Native coins and tokens of one address on all networks asked, each network at one block.

    A network that failed never fails the answer: its `status` in `coverage` says so and `complete` is
    false. Balances that are not 0 are listed, and those asked for with `tokens` also at 0. What is not
    known is `null`.
    """
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
    return _json(answer)


@router.get(
    "/networks",
    tags=["catalog"],
    summary="The tracked networks",
    responses=_answers(schemas.Networks, {"networks": [examples.NETWORK]}, {}),
)
async def networks(_query: Annotated[NoQuery, Query()], tracker: Tracking) -> Response:
    """Every tracked network with the health of its endpoints, as far as it is known."""
    return _json({"networks": [_network(view) for view in tracker.networks()]})


@router.get(
    "/networks/{slug}",
    tags=["catalog"],
    summary="One tracked network",
    responses=_answers(schemas.NetworkShape, examples.NETWORK, _NOT_FOUND),
)
async def network(
    slug: Annotated[str, Path(description="The network's slug.", max_length=60, examples=["base"])],
    _query: Annotated[NoQuery, Query()],
    tracker: Tracking,
) -> Response:
    """One network with the health of its endpoints."""
    try:
        return _json(_network(tracker.network(slug)))
    except InputError as error:
        return problem(404, error.code, error.message, hint=error.hint)


@router.get(
    "/tokens",
    tags=["catalog"],
    summary="The listed tokens",
    responses=_answers(schemas.Tokens, examples.TOKENS, {}),
)
async def tokens(query: Annotated[TokensQuery, Query()], tracker: Tracking) -> Response:
    """Listed tokens by network, page by page; any other token can be asked by its address in `/balances`."""
    page = tracker.tokens([query.network] if query.network else None, query.query, query.limit, query.cursor)
    chain_ids = {view.network.slug: view.network.chain_id for view in tracker.networks()}
    shapes = [token_json(token, chain_ids[token.network]) for token in page.tokens]
    return _json({"tokens": shapes, "next_cursor": page.next_cursor})


@router.get(
    "/health",
    tags=["service"],
    summary="Liveness",
    responses={200: {"model": schemas.Health}, **_ALWAYS},
)
async def health(_query: Annotated[NoQuery, Query()]) -> Response:
    """Whether the process answers; it asks nobody else."""
    return _json({"status": "ok"})


@router.get(
    "/ready",
    tags=["service"],
    summary="Readiness",
    responses=_answers(schemas.Ready, examples.READY, {}),
)
async def ready(_query: Annotated[NoQuery, Query()], tracker: Tracking) -> Response:
    """Each component by name. `unknown`: a network that nobody has asked yet.

    It is not ready while it is not open, and when every network is known to be down.
    """
    readiness = tracker.readiness()
    components: Json = dict(readiness.components)
    if not readiness.ready:
        return problem(503, "not_ready", "No network can be read.", components=components)
    return _json({"status": "ready", "components": components})


@router.get(
    "/version",
    tags=["service"],
    summary="What runs here",
    responses={200: {"model": schemas.Version}, **_ALWAYS},
)
async def version(_query: Annotated[NoQuery, Query()]) -> Response:
    """Name and version."""
    return _json({"name": "balance-tracker", "version": __version__, "python": platform.python_version()})


@router.get(
    "/metrics",
    tags=["service"],
    summary="Metrics of this process",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **_ALWAYS},
)
async def metrics(_query: Annotated[NoQuery, Query()]) -> Response:
    """Prometheus text."""
    return Response(METRICS.exposition(), headers={"Content-Type": METRICS.content_type})


def _network(view: NetworkView) -> Json:
    return network_json(view.network, view.tokens, list(view.endpoints))


def _json(body: Json) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")
