"""``GET /nfts``: what an address holds of collections, page by page."""

from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from balance_tracker.api import examples, nft_schemas
from balance_tracker.api.documented import answers_of, problems_of
from balance_tracker.api.problems import problem
from balance_tracker.api.queries import AT, NETWORKS, StrictBool, StrictInt, once_each
from balance_tracker.api.tracking import Tracking
from balance_tracker.services.nft_pages import DEFAULT_LIMIT, MOST_PER_PAGE
from balance_tracker.services.nfts import MOST_COLLECTIONS
from balance_tracker.services.serialise import Json
from balance_tracker.services.serialise_nfts import nfts_json

router = APIRouter(dependencies=[Depends(once_each)], tags=["portfolio"])

_PROBLEMS = problems_of(
    s400=("Bad Request", "invalid_cursor", "The cursor does not belong to this question."),
    s502=("Bad Gateway", "nothing_obtained", "Not one network could be read."),
)
_EXAMPLE: Json = {
    "address": "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045",
    "name": "vitalik.eth",
    "collections": [
        {
            "network": "ethereum",
            "contract_address": "0xBC4CA0EdA7647A8aB7C2061c2E118A18a936f13D",
            "standard": "erc721",
            "name": "Bored Ape Yacht Club",
            "symbol": None,
            "trust": "verified",
            "balance": 1,
            "token_ids": [{"token_id": "42", "amount": "1", "metadata_uri": "ipfs://bafy…/42"}],
            "ids_complete": True,
            "ids_note": None,
            "details": {},
        }
    ],
    "coverage": [
        {
            **examples.BALANCES["coverage"][0],
            "assets": {"asked": 1, "answered": 1, "failed": []},
            "collections": {"asked": 52, "answered": 52, "failed": [], "not_searched": []},
        }
    ],
    "complete": True,
    "next_cursor": None,
}


class NftsQuery(BaseModel):
    """What `GET /nfts` takes."""

    model_config = ConfigDict(extra="forbid")

    address: str = Field(
        max_length=300,
        description="Whose tokens: an EVM or a Solana address, or an ENS name. One address.",
        examples=["0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045", "vitalik.eth"],
    )
    networks: str | None = NETWORKS
    collections: str | None = Field(
        default=None,
        max_length=2000,
        description=(
            "Contract addresses (Solana: mints of collections), comma-separated, at most "
            f"{MOST_COLLECTIONS}: only "
            "these are told, listed or not. Without it, every listed collection; on Solana all that is held."
        ),
        examples=["0xBC4CA0EdA7647A8aB7C2061c2E118A18a936f13D"],
    )
    at: str | None = AT
    limit: StrictInt = Field(
        default=DEFAULT_LIMIT, ge=1, le=MOST_PER_PAGE, description="The most token ids of one page."
    )
    cursor: str | None = Field(
        default=None,
        max_length=2000,
        description=(
            "`next_cursor` of the page before, with the same question; all pages are of the same blocks. It "
            "stands for 15 minutes."
        ),
    )
    metadata: StrictBool = Field(
        default=False,
        description=(
            "Whether metadata is fetched from where URIs point (`http`, `https`, and `ipfs` by the "
            "operator's gateway), within bounds and never from private addresses."
        ),
    )


@router.get(
    "/nfts",
    summary="What an address holds of collections",
    responses=answers_of(nft_schemas.Nfts, _EXAMPLE, _PROBLEMS),
)
async def nfts(query: Annotated[NftsQuery, Query()], tracker: Tracking) -> Response:
    """Non-fungible tokens by collection, page by page, each network at one block.

    Ids come from the contract where it lists them, else from its events and by asking for owners. Where
    not all are known `ids_complete` is false and `ids_note` says which blocks were looked through. A
    collection that could not be read is in the coverage's `collections.failed`.
    """
    page = await tracker.nfts(
        query.address,
        [query.networks] if query.networks else None,
        collections=[query.collections] if query.collections else (),
        at=query.at,
        limit=query.limit,
        cursor=query.cursor,
        metadata=query.metadata,
    )
    answer = nfts_json(page)
    if page.nothing_obtained:
        return problem(
            502,
            "nothing_obtained",
            "Not one network could be read.",
            hint="The coverage says why; ask again later.",
            address=answer["address"],
            coverage=answer["coverage"],
        )
    return Response(orjson.dumps(answer), media_type="application/json")
