"""The JSON shapes of the contract, written in one place for the API, the command line and the demo.

Amounts are plain decimal strings, times RFC 3339 in UTC, and ``None`` means "not known".
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from balance_tracker.core.amounts import plain, to_amount
from balance_tracker.core.assets import Asset
from balance_tracker.core.networks import Network
from balance_tracker.core.portfolio import (
    AssetFailure,
    Excluded,
    Holding,
    NetworkCoverage,
    Portfolio,
    TokenAccount,
)
from balance_tracker.core.prices import Price, PriceStatus, Quote
from balance_tracker.ports import EndpointHealth
from balance_tracker.services.price_history import History
from balance_tracker.services.price_questions import PriceList

type Json = dict[str, Any]


def portfolio_json(portfolio: Portfolio) -> Json:
    """The object of ``GET /balances``."""
    chains: dict[str, int | None] = {entry.network: entry.chain_id for entry in portfolio.coverage}
    aged = portfolio.priced_for_seconds == 0
    return {
        "address": portfolio.address,
        "name": portfolio.name,
        "currency": portfolio.currency,
        "holdings": [holding_json(holding, chains, aged=aged) for holding in portfolio.holdings],
        "coverage": [coverage_json(entry) for entry in portfolio.coverage],
        "total_value": _plain_or_none(portfolio.total_value),
        "unpriced": portfolio.unpriced,
        "excluded": [excluded_json(entry) for entry in portfolio.excluded],
        "complete": portfolio.complete,
    }


def holding_json(holding: Holding, chain_ids: dict[str, int | None], *, aged: bool = False) -> Json:
    """One holding; what Solana knows beyond the others is added only there.

    Args:
        holding: What is held.
        chain_ids: By network.
        aged: Whether its price tells its age even if it is not stale; while prices are fresh
            the answer is the same at every moment, and can be kept.
    """
    asset, balance = holding.balance.asset, holding.balance
    chain_id = chain_ids.get(asset.network)
    shape: Json = {
        **asset_json(asset, chain_id),
        "raw_amount": str(balance.raw_amount),
        "amount": None if balance.amount is None else plain(balance.amount),
        "price": None if holding.price is None else price_json(holding.price, aged=aged),
        "value": _plain_or_none(holding.value),
        "value_change_24h": _plain_or_none(holding.value_change_24h),
        "trust": asset.trust,
        "logo_uri": asset.logo_uri,
    }
    if balance.ui_amount is not None:
        shape["ui_amount"] = balance.ui_amount
    if chain_id is None and not asset.native:
        shape["accounts"] = [_account_json(account) for account in balance.accounts]
    return shape


def price_json(price: Price, *, aged: bool) -> Json:
    """One price, how sure it is, and all quotes of one that is disputed."""
    shape: Json = {
        "currency": price.currency,
        "amount": plain(price.amount),
        "as_of": time_text(price.as_of),
        "sources": list(price.sources),
        "spread": plain(price.spread),
        "confidence": plain(price.confidence),
        "status": price.status.value,
        "stale": price.stale,
    }
    if aged or price.stale:
        shape["age_seconds"] = int(price.age_seconds)
    if price.status is PriceStatus.DISPUTED:
        shape["quotes"] = [_quote_json(quote) for quote in price.quotes]
    return shape


def asset_json(asset: Asset, chain_id: int | None) -> Json:
    """What identifies an asset."""
    return {
        "network": asset.network,
        "chain_id": chain_id,
        "asset_id": asset.asset_id,
        "contract_address": asset.contract_address,
        "native": asset.native,
        "symbol": asset.symbol,
        "name": asset.name,
        "decimals": asset.decimals,
    }


def coverage_json(entry: NetworkCoverage) -> Json:
    """What one network was asked, and what of it is known."""
    block, error = entry.block, entry.error
    shape: Json = {
        "network": entry.network,
        "chain_id": entry.chain_id,
        "status": entry.status,
        "block_number": block.number if block else None,
        "block_hash": block.hash if block else None,
        "as_of": time_text(block.as_of) if block else None,
        "cached": entry.cached,
        "stale": entry.stale,
        "age_seconds": int(entry.age_seconds),
        "endpoint": entry.endpoint,
        "requests": entry.requests,
        "elapsed_ms": entry.elapsed_ms,
        "assets": {
            "asked": entry.asked,
            "answered": entry.answered,
            "failed": [_failure_json(failure) for failure in entry.failures],
        },
        "error": None
        if error is None
        else {"code": error.code, "detail": error.detail, "retryable": error.retryable},
    }
    if entry.chain_id is None:
        shape["nfts"] = entry.nfts
    return shape


def prices_json(answer: PriceList) -> Json:
    """The object of ``GET /prices``."""
    return {
        "currency": answer.currency,
        "prices": [
            {"asset_id": asset_id, "price": None if price is None else price_json(price, aged=True)}
            for asset_id, price in answer.prices.items()
        ],
    }


def history_json(history: History) -> Json:
    """The object of ``GET /prices/history``."""
    return {
        "asset_id": history.asset_id,
        "currency": history.currency,
        "interval": history.interval,
        "from": time_text(history.start),
        "to": time_text(history.end),
        "points": [
            {"at": time_text(point.at), "amount": plain(point.amount), "source": point.source}
            for point in history.points
        ],
        "gaps": [
            {"from": time_text(_moment(gap.start)), "to": time_text(_moment(gap.end))} for gap in history.gaps
        ],
        "failed": [{"source": name, "code": code} for name, code in sorted(history.failed.items())],
    }


def network_json(network: Network, tokens: int, endpoints: list[EndpointHealth]) -> Json:
    """One tracked network, with the health of its endpoints."""
    return {
        "slug": network.slug,
        "name": network.name,
        "family": network.family,
        "network_id": network.id,
        "chain_id": network.chain_id,
        "native": {
            "symbol": network.native.symbol,
            "name": network.native.name,
            "decimals": network.native.decimals,
        },
        "lifecycle": network.lifecycle,
        "lifecycle_note": network.lifecycle_note,
        "explorer_url": network.explorer_url,
        "tokens": tokens,
        "endpoints": [_endpoint_json(endpoint) for endpoint in endpoints],
    }


def token_json(asset: Asset, chain_id: int | None) -> Json:
    """One listed token."""
    return {
        **asset_json(asset, chain_id),
        "trust": asset.trust,
        "logo_uri": asset.logo_uri,
        "tags": list(asset.tags),
        "price_ids": dict(asset.price_ids),
        "confidence": asset.confidence,
        "note": asset.note,
    }


def time_text(moment: datetime) -> str:
    """RFC 3339 in UTC, to the second.

    >>> from datetime import UTC
    >>> time_text(datetime(2026, 1, 31, 12, tzinfo=UTC))
    '2026-01-31T12:00:00Z'
    """
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _endpoint_json(endpoint: EndpointHealth) -> Json:
    return {
        "name": endpoint.name,
        "state": endpoint.state,
        "latency_ms": endpoint.latency_ms,
        "p95_latency_ms": endpoint.p95_latency_ms,
        "head": endpoint.head,
        "head_age_seconds": endpoint.head_age_seconds,
        "blocks_behind": endpoint.blocks_behind,
        "requests": endpoint.requests,
        "successes": endpoint.successes,
        "failures": endpoint.failures,
        "errors": dict(endpoint.errors),
        "last_error": endpoint.last_error,
        "retry_in_seconds": endpoint.retry_in_seconds,
        "learned": dict(endpoint.learned),
    }


def _quote_json(quote: Quote) -> Json:
    return {
        "asset_id": quote.asset_id,
        "source": quote.source,
        "currency": "usd",
        "amount": plain(quote.amount),
        "as_of": time_text(quote.as_of),
    }


def _plain_or_none(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)


def _account_json(account: TokenAccount) -> Json:
    return {
        "address": account.address,
        "raw_amount": str(account.raw_amount),
        "state": account.state,
        "delegate": account.delegate,
        "delegated_raw_amount": str(account.delegated_raw_amount),
        "withheld_raw_amount": str(account.withheld_raw_amount),
    }


def _failure_json(failure: AssetFailure) -> Json:
    return {
        "asset_id": failure.asset.asset_id,
        "contract_address": failure.asset.contract_address,
        "symbol": failure.asset.symbol,
        "code": failure.code.value,
        "reason": failure.reason,
    }


def excluded_json(entry: Excluded) -> Json:
    """A holding that totals leave out, and why."""
    asset = entry.asset
    amount = None if asset.decimals is None else plain(to_amount(entry.raw_amount, asset.decimals))
    return {
        "network": asset.network,
        "asset_id": asset.asset_id,
        "contract_address": asset.contract_address,
        "symbol": asset.symbol,
        "raw_amount": str(entry.raw_amount),
        "amount": amount,
        "value": _plain_or_none(entry.value),
        "reason": entry.reason,
    }
