"""The JSON shapes of positions and of the whole portfolio, as the contract has them."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from itertools import groupby

from balance_tracker.core.amounts import plain
from balance_tracker.core.portfolio import NetworkCoverage
from balance_tracker.core.positions import ProtocolFailure
from balance_tracker.core.whole import OwnedCollection, Positions, ValuedLeg, ValuedPosition, WholePortfolio
from balance_tracker.services.serialise import Json, coverage_json, excluded_json, holding_json
from balance_tracker.services.serialise_nfts import holding_json as nft_json
from balance_tracker.services.serialise_nfts import nft_coverage_json

type ChainIds = dict[str, int | None]


def positions_json(answer: Positions) -> Json:
    """The object of ``GET /defi``."""
    chains = _chains(answer.coverage)
    aged = answer.priced_for_seconds == 0
    return {
        "address": answer.address,
        "name": answer.name,
        "currency": answer.currency,
        "positions": [position_json(one, chains, aged=aged) for one in answer.positions],
        "coverage": [protocol_coverage_json(entry) for entry in answer.coverage],
        "complete": answer.complete,
    }


def whole_json(answer: WholePortfolio) -> Json:
    """The object of ``GET /portfolio``."""
    chains = _chains(answer.coverage)
    aged = answer.priced_for_seconds == 0
    return {
        "addresses": list(answer.addresses),
        "names": dict(answer.names),
        "currency": answer.currency,
        "holdings": [holding_json(one, chains, aged=aged) for one in answer.holdings],
        "positions": [position_json(one, chains, aged=aged) for one in answer.positions],
        "collections": [collection_json(one) for one in answer.collections],
        "totals": {
            "by_network": _values(answer.totals.by_network),
            "by_asset": _values(answer.totals.by_asset),
            "by_kind": _values(answer.totals.by_kind),
        },
        "total_value": _plain_or_none(answer.total_value),
        "unpriced": answer.unpriced,
        "excluded": [excluded_json(one) for one in answer.excluded],
        "coverage": [whole_coverage_json(entry) for entry in answer.coverage],
        "complete": answer.complete,
    }


def position_json(one: ValuedPosition, chains: ChainIds, *, aged: bool = False) -> Json:
    """One position; its sides hold holdings of the underlying assets.

    Args:
        one: The position.
        chains: Chain ids by network.
        aged: As for :func:`balance_tracker.services.serialise.holding_json`.
    """
    position = one.position
    return {
        "network": position.network,
        "chain_id": chains.get(position.network),
        "protocol": position.protocol,
        "market": position.market,
        "position_id": position.position_id,
        "kind": position.kind.value,
        "owner": position.owner,
        "supplied": [_leg_json(leg, chains, aged=aged) for leg in one.supplied],
        "borrowed": [_leg_json(leg, chains, aged=aged) for leg in one.borrowed],
        "claimable": [_leg_json(leg, chains, aged=aged) for leg in one.claimable],
        "health_factor": _plain_or_none(position.health_factor),
        "liquidation_threshold": _plain_or_none(position.liquidation_threshold),
        "net_value": _plain_or_none(one.net_value),
        "details": dict(position.details),
    }


def protocol_coverage_json(entry: NetworkCoverage) -> Json:
    """What one network was asked, with its protocols."""
    failed = _failed_protocols(entry.protocol_failures)
    asked = len(entry.protocols or ())
    return {
        **coverage_json(entry),
        "protocols": {"asked": asked, "answered": asked - len(failed), "failed": failed},
    }


def whole_coverage_json(entry: NetworkCoverage) -> Json:
    """What one network was asked, with its protocols and collections."""
    return {**nft_coverage_json(entry), **protocol_coverage_json(entry)}


def collection_json(one: OwnedCollection) -> Json:
    """What an address holds of a collection."""
    return {**nft_json(one.holding), "owner": one.owner}


def _failed_protocols(failures: Iterable[ProtocolFailure]) -> list[Json]:
    """Each protocol that failed once, with the markets that did; ``None`` for all of it."""
    ordered = sorted(failures, key=lambda one: one.protocol)
    found: list[Json] = []
    for slug, group in groupby(ordered, key=lambda one: one.protocol):
        markets = list(group)
        found.append(
            {
                "protocol": slug,
                "code": markets[0].code,
                "reason": markets[0].reason,
                "markets": [{"market": m.market, "code": m.code, "reason": m.reason} for m in markets],
            }
        )
    return found


def _leg_json(one: ValuedLeg, chains: ChainIds, *, aged: bool) -> Json:
    leg = one.leg
    return {
        **holding_json(one.holding, chains, aged=aged),
        "collateral": leg.collateral,
        "receipt": leg.receipt,
        "label": leg.label,
    }


def _chains(coverage: Iterable[NetworkCoverage]) -> ChainIds:
    return {entry.network: entry.chain_id for entry in coverage}


def _values[K: str](values: Mapping[K, Decimal | None]) -> dict[str, str | None]:
    return {str(key): _plain_or_none(value) for key, value in values.items()}


def _plain_or_none(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)
