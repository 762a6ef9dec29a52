"""The JSON shapes of ``/nfts``, as the contract has them."""

from balance_tracker.core.nfts import NftHolding, NftId
from balance_tracker.core.portfolio import NetworkCoverage
from balance_tracker.services.nft_pages import NftPage
from balance_tracker.services.serialise import Json, coverage_json


def nfts_json(page: NftPage) -> Json:
    """The object of ``GET /nfts``."""
    return {
        "address": page.address,
        "name": page.name,
        "collections": [holding_json(one) for one in page.holdings],
        "coverage": [nft_coverage_json(entry) for entry in page.coverage],
        "complete": page.complete,
        "next_cursor": page.next_cursor,
    }


def holding_json(one: NftHolding) -> Json:
    """What an address holds of one collection."""
    return {
        "network": one.collection.network,
        "contract_address": one.collection.contract_address,
        "standard": one.collection.standard,
        "name": one.collection.name,
        "symbol": one.collection.symbol,
        "trust": one.collection.trust,
        "balance": one.balance,
        "token_ids": [_id_json(own) for own in one.token_ids],
        "ids_complete": one.ids_complete,
        "ids_note": one.ids_note,
        "details": dict(one.extra),
    }


def nft_coverage_json(entry: NetworkCoverage) -> Json:
    """What one network was asked, with its collections."""
    failed = [
        {"contract_address": one.market, "code": one.code, "reason": one.reason}
        for one in entry.collection_failures
    ]
    asked = max(entry.collections or 0, len(failed))
    counts = {
        "asked": asked,
        "answered": asked - len(failed),
        "failed": failed,
        "not_searched": [
            {"contract_address": one.contract_address, "name": one.name, "standard": one.standard}
            for one in entry.unsearched
        ],
    }
    return {**coverage_json(entry), "collections": counts}


def _id_json(own: NftId) -> Json:
    shape: Json = {"token_id": own.token_id, "amount": str(own.amount), "metadata_uri": own.metadata_uri}
    # Only where it is known: null would say that the metadata itself is null.
    return shape if own.metadata is None else {**shape, "metadata": own.metadata}
