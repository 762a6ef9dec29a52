"""``GET /defi`` and ``GET /portfolio``: what protocols hold, and everything that addresses have."""

from typing import Annotated, Literal

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from balance_tracker.api import whole_examples, whole_schemas
from balance_tracker.api.documented import answers_of, problems_of
from balance_tracker.api.guard import charge
from balance_tracker.api.problems import problem
from balance_tracker.api.queries import AT, CURRENCY, NETWORKS, once_each
from balance_tracker.api.tracking import Tracking
from balance_tracker.core.whole import StakeTokens
from balance_tracker.services.serialise import Json
from balance_tracker.services.serialise_whole import positions_json, whole_json
from balance_tracker.services.whole import MOST_ADDRESSES

router = APIRouter(dependencies=[Depends(once_each)], tags=["portfolio"])

UNITS_OF_A_SEARCH = 4
"""What looking through events costs beyond the one unit of each address."""

_NOTHING = problems_of(s502=("Bad Gateway", "nothing_obtained", "Not one network could be read."))


class PositionsQuery(BaseModel):
    """What `GET /defi` takes."""

    model_config = ConfigDict(extra="forbid")

    address: str = Field(
        max_length=300,
        description="Whose positions: an EVM or a Solana address, or an ENS name. One address.",
        examples=["0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045", "vitalik.eth"],
    )
    networks: str | None = NETWORKS
    protocols: str | None = Field(
        default=None,
        max_length=1000,
        description="Slugs of protocols, comma-separated. Without it, every one that is known.",
        examples=["aave_v3,uniswap_v3"],
    )
    currency: str = CURRENCY
    at: str | None = AT


class WholeQuery(BaseModel):
    """What `GET /portfolio` takes."""

    model_config = ConfigDict(extra="forbid")

    address: str = Field(
        max_length=300 * MOST_ADDRESSES,
        description=(
            f"Whose portfolio: addresses or names, comma-separated, at most {MOST_ADDRESSES}; a repeated one "
            "counts once."
        ),
        examples=["0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045", "vitalik.eth"],
    )
    networks: str | None = NETWORKS
    currency: str = CURRENCY
    at: str | None = AT
    nfts: Literal["listed", "search"] = Field(
        default="listed",
        description=(
            "`listed`: ids that contracts list themselves; collections that list none (ERC-1155) are in the "
            "coverage's `collections.not_searched`. `search`: what `/nfts` finds too, at the same block, in "
            "more requests and more time."
        ),
    )
    stake_tokens: StakeTokens = Field(
        default="position",
        description=(
            "How a token that stands for a stake (stETH, rETH, mSOL) is told, never both: as a `position` in "
            "what is staked, or as a `holding` at its own price."
        ),
    )


@router.get(
    "/defi",
    summary="What protocols hold for an address",
    responses=answers_of(whole_schemas.Positions, whole_examples.POSITIONS, _NOTHING),
)
async def defi(query: Annotated[PositionsQuery, Query()], tracker: Tracking) -> Response:
    """Positions in protocols: lent, borrowed, staked, provided and claimable, in the underlying assets.

    All of a network is of one block. A protocol or market that could not be read is in the coverage's
    `protocols.failed`, the network is then `partial`, and `complete` is false.
    """
    found = await tracker.positions(
        query.address,
        [query.networks] if query.networks else None,
        protocols=[query.protocols] if query.protocols else (),
        currency=query.currency,
        at=query.at,
    )
    return _answer(positions_json(found), nothing=found.nothing_obtained)


@router.get(
    "/portfolio",
    summary="Everything that addresses have",
    responses=answers_of(whole_schemas.Whole, whole_examples.WHOLE, _NOTHING),
)
async def portfolio(request: Request, query: Annotated[WholeQuery, Query()], tracker: Tracking) -> Response:
    """Balances, positions and non-fungible tokens of one or several addresses, and what they are worth.

    Nothing is counted twice: a receipt (an aToken, an LP token, a vault's share) is in its position and
    listed in `excluded`. Debts are subtracted. All of a network is of one block.
    """
    addresses = query.address.count(",") + 1
    await charge(request, addresses - 1 + (addresses * UNITS_OF_A_SEARCH if query.nfts == "search" else 0))
    found = await tracker.whole(
        [query.address],
        [query.networks] if query.networks else None,
        currency=query.currency,
        at=query.at,
        search_nfts=query.nfts == "search",
        stake_tokens=query.stake_tokens,
    )
    return _answer(whole_json(found), nothing=found.nothing_obtained)


def _answer(answer: Json, *, nothing: bool) -> Response:
    if nothing:
        return problem(
            502,
            "nothing_obtained",
            "Not one network could be read.",
            hint="The coverage says why; ask again later.",
            coverage=answer["coverage"],
        )
    return Response(orjson.dumps(answer), media_type="application/json")
