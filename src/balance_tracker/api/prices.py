"""``GET /prices`` and ``GET /prices/history``: what assets are worth, and were."""

from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Query, Response

from balance_tracker.api import examples, schemas
from balance_tracker.api.documented import answers_of, problems_of
from balance_tracker.api.problems import problem
from balance_tracker.api.queries import HistoryQuery, PricesQuery, once_each
from balance_tracker.api.tracking import Tracking
from balance_tracker.core.errors import UpstreamError
from balance_tracker.services.serialise import history_json, prices_json

router = APIRouter(dependencies=[Depends(once_each)], tags=["prices"])

_WRONG_ASSET = problems_of(s400=("Bad Request", "invalid_asset", "'usdc' is no id of an asset."))
_NO_SOURCE = problems_of(s502=("Bad Gateway", "nothing_obtained", "No price source answered."))


@router.get(
    "/prices",
    summary="What assets are worth",
    responses=answers_of(schemas.Prices, examples.PRICES, _WRONG_ASSET),
)
async def prices(query: Annotated[PricesQuery, Query()], tracker: Tracking) -> Response:
    """Every asset asked for, with its price or `null` where none is known.

    A price is decided from independent sources, and says which, how far apart they are, how old the
    oldest is and how sure it is. When all sources fail, the last price is given as `stale` with its age.
    """
    return _json(prices_json(await tracker.prices([query.assets], query.currency)))


@router.get(
    "/prices/history",
    summary="What an asset was worth",
    responses=answers_of(schemas.PriceHistory, examples.PRICE_HISTORY, {**_WRONG_ASSET, **_NO_SOURCE}),
)
async def history(query: Annotated[HistoryQuery, Query()], tracker: Tracking) -> Response:
    """At most one point for each interval, each with its source; times without one are in `gaps`."""
    try:
        found = await tracker.price_history(
            query.asset, query.start, query.end, query.interval, currency=query.currency
        )
    except UpstreamError as error:
        return problem(502, "nothing_obtained", error.message, hint=error.hint)
    return _json(history_json(found))


def _json(body: dict[str, object]) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")
