"""The JSON shapes of the contract, written in one place for the API, the command line and the demo.

Amounts are plain decimal strings, times RFC 3339 in UTC, and ``None`` means "not known".
"""

from datetime import datetime
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
from balance_tracker.ports import EndpointHealth

type Json = dict[str, Any]


def portfolio_json(portfolio: Portfolio) -> Json:
    """The object of ``GET /balances``."""
    chains: dict[str, int | None] = {entry.network: entry.chain_id for entry in portfolio.coverage}
    total = portfolio.total_value
    return {
        "address": portfolio.address,
        "name": portfolio.name,
        "currency": portfolio.currency,
        "holdings": [holding_json(holding, chains) for holding in portfolio.holdings],
        "coverage": [coverage_json(entry) for entry in portfolio.coverage],
        "total_value": None if total is None else plain(total),
        "unpriced": portfolio.unpriced,
        "excluded": [_excluded_json(entry) for entry in portfolio.excluded],
        "complete": portfolio.complete,
    }


def holding_json(holding: Holding, chain_ids: dict[str, int | None]) -> Json:
    """One holding; what Solana knows beyond the others is added only there."""
    asset, balance = holding.balance.asset, holding.balance
    chain_id = chain_ids.get(asset.network)
    shape: Json = {
        **asset_json(asset, chain_id),
        "raw_amount": str(balance.raw_amount),
        "amount": None if balance.amount is None else plain(balance.amount),
        "price": None,
        "value": None if holding.value is None else plain(holding.value),
        "value_change_24h": None,
        "trust": asset.trust,
        "logo_uri": asset.logo_uri,
    }
    if balance.ui_amount is not None:
        shape["ui_amount"] = balance.ui_amount
    if chain_id is None and not asset.native:
        shape["accounts"] = [_account_json(account) for account in balance.accounts]
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


def _excluded_json(entry: Excluded) -> Json:
    asset = entry.asset
    amount = None if asset.decimals is None else plain(to_amount(entry.raw_amount, asset.decimals))
    return {
        "network": asset.network,
        "asset_id": asset.asset_id,
        "contract_address": asset.contract_address,
        "symbol": asset.symbol,
        "raw_amount": str(entry.raw_amount),
        "amount": amount,
        "reason": entry.reason,
    }
