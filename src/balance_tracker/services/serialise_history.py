"""Wallets, snapshots, series, comparisons and performance, as JSON."""

from datetime import datetime
from decimal import Decimal

from balance_tracker.core.amounts import plain
from balance_tracker.core.comparing import AssetChange, Comparison
from balance_tracker.core.performance import Flow, Period
from balance_tracker.core.snapshots import KeptCollection, Line, ReadNetwork, Snapshot, SnapshotHead, Wallet
from balance_tracker.services.performance import AssetProfit, Performance
from balance_tracker.services.serialise import Json, time_text
from balance_tracker.services.snapshots import Series
from balance_tracker.services.wallets import every_text


def wallet_json(wallet: Wallet) -> Json:
    """A wallet."""
    every = wallet.snapshot_every
    return {
        "id": wallet.wallet_id,
        "name": wallet.name,
        "addresses": list(wallet.addresses),
        "networks": None if wallet.networks is None else list(wallet.networks),
        "currency": wallet.currency,
        "snapshot_every": None if every is None else every_text(every),
        "next_snapshot_at": _time(wallet.next_snapshot_at),
        "created_at": time_text(wallet.created_at),
        "updated_at": time_text(wallet.updated_at),
    }


def head_json(head: SnapshotHead) -> Json:
    """A snapshot in a list: all but what it holds."""
    return {
        "id": head.snapshot_id,
        "subject": head.subject,
        "wallet_id": head.wallet_id,
        "name": head.name,
        "currency": head.currency,
        "taken_at": time_text(head.taken_at),
        "state": head.state.value,
        "total_value": _number(head.total_value),
        "known_value": _number(head.known_value),
        "unpriced": head.unpriced,
    }


def snapshot_json(snapshot: Snapshot) -> Json:
    """A snapshot with all that it holds."""
    return {
        "id": snapshot.snapshot_id,
        "subject": snapshot.subject,
        "addresses": list(snapshot.addresses),
        "wallet_id": snapshot.wallet_id,
        "name": snapshot.name,
        "currency": snapshot.currency,
        "taken_at": time_text(snapshot.taken_at),
        "state": snapshot.state.value,
        "total_value": _number(snapshot.total_value),
        "known_value": _number(snapshot.known_value),
        "unpriced": snapshot.unpriced,
        "lines": [_line(line, snapshot.currency) for line in snapshot.lines],
        "collections": [_collection(one) for one in snapshot.collections],
        "networks": [_network(one) for one in snapshot.networks],
    }


def series_json(series: Series) -> Json:
    """Values over time."""
    every = series.every
    return {
        "subject": series.subject,
        "currency": series.currency,
        "every": None if every is None else every_text(every),
        "points": [_point(head) for head in series.heads],
    }


def comparison_json(comparison: Comparison) -> Json:
    """What changed between two snapshots, in amounts and in prices."""
    before, after, effects = comparison.before, comparison.after, comparison.effects
    return {
        "currency": before.currency,
        "from": _end(before),
        "to": _end(after),
        "value_change": _number(effects.total),
        "amount_effect": _number(effects.amount),
        "price_effect": _number(effects.price),
        "assets": [_change(change) for change in comparison.changes if not _is_still(change)],
        "unknown": list(comparison.unknown),
        "left_out": list(comparison.left_out),
    }


def performance_json(found: Performance) -> Json:
    """Values over time and what was earned."""
    fall = found.drawdown
    return {
        **series_json(found.series),
        "estimated": found.estimated,
        "change": _number(found.change),
        "time_weighted_return": _number(found.time_weighted),
        "money_weighted_return": _number(found.money_weighted),
        "drawdown": None
        if fall is None
        else {
            "depth": plain(fall.depth),
            "peak_at": time_text(fall.peak_at),
            "trough_at": time_text(fall.trough_at),
        },
        "net_flow": plain(found.total("flow")),
        "income": plain(found.total("income")),
        "trade_result": plain(found.total("trade")),
        "price_effect": plain(found.total("price")),
        "flows": [flow_json(flow) for flow in found.flows],
        "by_asset": [profit_json(one) for one in found.by_asset],
        "gaps": [_gap(one.period, one.reason) for one in found.gaps],
    }


def flow_json(flow: Flow) -> Json:
    """A change of an amount, and what it was."""
    return {
        "from": time_text(flow.start),
        "to": time_text(flow.end),
        "kind": flow.kind.value,
        "asset_id": flow.asset,
        "symbol": flow.symbol,
        "amount": plain(flow.amount),
        "value": plain(flow.value),
    }


def profit_json(one: AssetProfit) -> Json:
    """What one asset brought."""
    return {
        "asset_id": one.asset,
        "symbol": one.symbol,
        "profit": plain(one.profit),
        "price_effect": plain(one.price),
        "income": plain(one.income),
        "flows": plain(one.flows),
        "traded": plain(one.traded),
    }


def _point(head: SnapshotHead) -> Json:
    return {
        "id": head.snapshot_id,
        "taken_at": time_text(head.taken_at),
        "state": head.state.value,
        "value": _number(head.total_value),
        "known_value": _number(head.known_value),
        "unpriced": head.unpriced,
    }


def _end(snapshot: Snapshot) -> Json:
    return {
        "id": snapshot.snapshot_id,
        "taken_at": time_text(snapshot.taken_at),
        "state": snapshot.state.value,
        "total_value": _number(snapshot.total_value),
    }


def _line(line: Line, currency: str) -> Json:
    place, price = line.place, line.price
    return {
        "network": place.network,
        "asset_id": place.asset_id,
        "symbol": line.symbol,
        "side": place.side.value,
        "kind": place.kind,
        "protocol": place.protocol,
        "market": place.market,
        "position_id": place.position_id,
        "owner": place.owner,
        "raw_amount": str(line.raw_amount),
        "amount": _number(line.amount),
        "price": None
        if price is None
        else {
            "currency": currency,
            "amount": plain(price.amount),
            "as_of": time_text(price.as_of),
            "sources": list(price.sources),
        },
        "value": _number(line.value),
        "carried_from": _time(line.read_at),
    }


def _network(one: ReadNetwork) -> Json:
    return {
        "network": one.network,
        "status": one.status,
        "block_number": one.block_number,
        "block_hash": one.block_hash,
        "as_of": _time(one.as_of),
        "known": one.known,
        "missing": one.missing,
        "carried_from": _time(one.carried_from),
        "error": one.error,
    }


def _collection(one: KeptCollection) -> Json:
    return {
        "network": one.network,
        "owner": one.owner,
        "contract_address": one.contract_address,
        "name": one.name,
        "balance": None if one.balance is None else str(one.balance),
        "token_ids": list(one.ids),
    }


def _change(change: AssetChange) -> Json:
    return {
        "asset_id": change.asset,
        "symbol": change.symbol,
        "amount_before": _number(change.amount_before),
        "amount_after": _number(change.amount_after),
        "price_before": _number(change.price_before),
        "price_after": _number(change.price_after),
        "value_change": _number(change.effects.total),
        "amount_effect": _number(change.effects.amount),
        "price_effect": _number(change.effects.price),
    }


def _is_still(change: AssetChange) -> bool:
    """Whether nothing of it changed."""
    return change.amount_before == change.amount_after and change.price_before == change.price_after


def _gap(period: Period, reason: str) -> Json:
    return {"from": time_text(period.start), "to": time_text(period.end), "reason": reason}


def _number(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else time_text(moment)
