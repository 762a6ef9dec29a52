"""The routes: each takes its query, asks the tracker and writes its answer."""

import platform
from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from balance_tracker import __version__
from balance_tracker.api import examples, schemas
from balance_tracker.api.documented import ALWAYS, answers_of, problems_of
from balance_tracker.api.problems import problem
from balance_tracker.api.queries import NoQuery, TokensQuery, once_each
from balance_tracker.api.tracking import Serving, Tracking
from balance_tracker.bootstrap.service import Service
from balance_tracker.core.errors import InputError
from balance_tracker.services.catalog import NetworkView
from balance_tracker.services.serialise import Json, network_json, token_json
from balance_tracker.telemetry.metrics import METRICS

router = APIRouter(dependencies=[Depends(once_each)])


_NOT_FOUND = problems_of(
    s404=("Not Found", "unknown_network", "There is no network 'bse' here."),
)


@router.get(
    "/networks",
    tags=["catalog"],
    summary="The tracked networks",
    responses=answers_of(schemas.Networks, {"networks": [examples.NETWORK]}, {}),
)
async def networks(_query: Annotated[NoQuery, Query()], tracker: Tracking) -> Response:
    """Every tracked network with the health of its endpoints, as far as it is known."""
    return _json({"networks": [_network(view) for view in tracker.networks()]})


@router.get(
    "/networks/{slug}",
    tags=["catalog"],
    summary="One tracked network",
    responses=answers_of(schemas.NetworkShape, examples.NETWORK, _NOT_FOUND),
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
    responses=answers_of(schemas.Tokens, examples.TOKENS, {}),
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
    responses={200: {"model": schemas.Health}, **ALWAYS},
)
async def health(_query: Annotated[NoQuery, Query()], request: Request) -> Response:
    """Whether the process answers; it asks nobody else and tells each component as it was last seen.

    The status is `ok` whatever they are: to start this process again would mend none of them.
    """
    service: Service | None = getattr(request.app.state, "service", None)
    components: Json = {} if service is None else dict(service.components())
    return _json({"status": "ok", "components": components})


@router.get(
    "/ready",
    tags=["service"],
    summary="Readiness",
    responses=answers_of(schemas.Ready, examples.READY, {}),
)
async def ready(_query: Annotated[NoQuery, Query()], service: Serving) -> Response:
    """Each component by name; the database is asked. `unknown`: a network that nobody has asked yet.

    It is not ready while it is not open, while the database does not answer, and when every network is
    known to be down.
    """
    readiness = await service.readiness()
    components: Json = dict(readiness.components)
    if not readiness.ready:
        reason = (
            "The database does not answer."
            if components["database"] == "failed"
            else "No network can be read."
        )
        return problem(503, "not_ready", reason, components=components)
    return _json({"status": "ready", "components": components})


@router.get(
    "/version",
    tags=["service"],
    summary="What runs here",
    responses={200: {"model": schemas.Version}, **ALWAYS},
)
async def version(_query: Annotated[NoQuery, Query()]) -> Response:
    """Name and version."""
    return _json({"name": "balance-tracker", "version": __version__, "python": platform.python_version()})


@router.get(
    "/metrics",
    tags=["service"],
    summary="Metrics of this process",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **ALWAYS},
)
async def metrics(_query: Annotated[NoQuery, Query()]) -> Response:
    """Prometheus text."""
    return Response(METRICS.exposition(), headers={"Content-Type": METRICS.content_type})


def _network(view: NetworkView) -> Json:
    return network_json(view.network, view.tokens, list(view.endpoints))


def _json(body: Json) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")
