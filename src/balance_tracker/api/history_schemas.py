"""The shapes of wallets, snapshots and performance, for the specification."""

from typing import Literal

from pydantic import Field

from balance_tracker.api.schemas import Shape
from balance_tracker.services.serialise import Json

type _State = Literal["complete", "estimated", "incomplete"]

_AMOUNT = Field(description="A decimal; null where it is not known.")


class WalletShape(Shape):
    """A named set of addresses."""

    id: str
    name: str
    addresses: list[str]
    networks: list[str] | None = Field(description="Slugs; null: all of each address's family.")
    currency: str
    snapshot_every: str | None
    next_snapshot_at: str | None
    created_at: str
    updated_at: str


class Wallets(Shape):
    """A page of wallets."""

    wallets: list[WalletShape]
    next_cursor: str | None


class SnapshotHeadShape(Shape):
    """A snapshot in a list."""

    id: str
    subject: str = Field(description="The address, or `wallet:` and the wallet's id.")
    wallet_id: str | None
    name: str | None
    currency: str
    taken_at: str
    state: _State
    total_value: str | None = Field(description="Null of an incomplete snapshot: its sum would be too small.")
    known_value: str | None = Field(description="The sum of what is known.")
    unpriced: int = Field(description="Lines without a known value, which are in no sum.")


class Snapshots(Shape):
    """A page of snapshots, the newest first."""

    snapshots: list[SnapshotHeadShape]
    next_cursor: str | None


class KeptPrice(Shape):
    """The price that a line was valued at."""

    currency: str
    amount: str
    as_of: str
    sources: list[str]


class LineShape(Shape):
    """One amount in one place."""

    network: str
    asset_id: str
    symbol: str | None
    side: Literal["held", "supplied", "borrowed", "claimable"]
    kind: str = Field(description="`wallet`, or the kind of the position.")
    protocol: str | None
    market: str | None
    position_id: str | None
    owner: str | None
    raw_amount: str
    amount: str | None
    price: KeptPrice | None
    value: str | None = Field(description="Below zero where it is owed.")
    carried_from: str | None = Field(description="When it was read, if an earlier snapshot had to stand in.")


class KeptNetwork(Shape):
    """What one network answered."""

    network: str
    status: Literal["ok", "partial", "stale", "failed"]
    block_number: int | None
    block_hash: str | None
    as_of: str | None
    known: bool = Field(description="Whether all its amounts are known, read now or carried forward.")
    missing: int = Field(description="Assets, protocols and collections that were not answered.")
    carried_from: str | None
    error: str | None


class KeptCollectionShape(Shape):
    """How many tokens of a collection were held."""

    network: str
    owner: str
    contract_address: str
    name: str | None
    balance: str | None
    token_ids: list[str]


class SnapshotShape(SnapshotHeadShape):
    """A snapshot with all that it holds."""

    addresses: list[str]
    lines: list[LineShape]
    collections: list[KeptCollectionShape]
    networks: list[KeptNetwork]


class PointShape(Shape):
    """One snapshot in a series."""

    id: str
    taken_at: str
    state: _State
    value: str | None
    known_value: str | None
    unpriced: int


class SeriesShape(Shape):
    """Values over time."""

    subject: str
    currency: str
    every: str | None = Field(description="The span that the series is thinned out to.")
    points: list[PointShape]


class EndShape(Shape):
    """One of two snapshots compared."""

    id: str
    taken_at: str
    state: _State
    total_value: str | None


class ChangeShape(Shape):
    """What one asset did, over all places it was in."""

    asset_id: str
    symbol: str | None
    amount_before: str | None
    amount_after: str | None
    price_before: str | None
    price_after: str | None
    value_change: str | None
    amount_effect: str | None
    price_effect: str | None


class ComparisonShape(Shape):
    """What changed between two snapshots."""

    currency: str
    start: EndShape = Field(alias="from")
    end: EndShape = Field(alias="to")
    value_change: str | None = Field(description="The amount effect and the price effect, exactly.")
    amount_effect: str | None
    price_effect: str | None
    assets: list[ChangeShape]
    unknown: list[str] = Field(description="Assets whose values are not known at both ends.")
    left_out: list[str] = Field(
        description="Networks not asked or not fully known at one end: nothing of them is compared."
    )


class DrawdownShape(Shape):
    """The deepest fall."""

    depth: str
    peak_at: str
    trough_at: str


class FlowShape(Shape):
    """A change of an amount."""

    start: str = Field(alias="from")
    end: str = Field(alias="to")
    kind: Literal["deposit", "withdrawal", "trade", "income", "scope"]
    asset_id: str
    symbol: str | None
    amount: str
    value: str


class ProfitShape(Shape):
    """What one asset brought."""

    asset_id: str
    symbol: str | None
    profit: str
    price_effect: str
    income: str
    flows: str
    traded: str


class GapShape(Shape):
    """A time that nothing can be said of."""

    start: str = Field(alias="from")
    end: str = Field(alias="to")
    reason: Literal["incomplete", "unpriced", "no_base"]


class PerformanceShape(SeriesShape):
    """What was earned."""

    estimated: bool
    change: str | None
    time_weighted_return: str | None = Field(description="A ratio: 0.1 is ten per cent.")
    money_weighted_return: str | None = Field(description="A ratio a year.")
    drawdown: DrawdownShape | None
    net_flow: str
    income: str
    trade_result: str
    price_effect: str
    flows: list[FlowShape]
    by_asset: list[ProfitShape]
    gaps: list[GapShape]


_ADDRESS = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"
_USDC = "eip155:1/erc20:0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
_FROM = {"id": "snp_01kdvdna000000000000000001", "taken_at": "2026-11-21T05:00:00Z"}
_TO = {"id": "snp_01kdvdna000000000000000002", "taken_at": "2026-11-22T05:00:00Z"}

WALLET: Json = {
    "id": "wal_01kdvdna000000000000000001",
    "name": "treasury",
    "addresses": [_ADDRESS],
    "networks": ["ethereum"],
    "currency": "usd",
    "snapshot_every": "1h",
    "next_snapshot_at": "2026-11-22T06:00:00Z",
    "created_at": "2026-11-22T05:00:00Z",
    "updated_at": "2026-11-22T05:00:00Z",
}
WALLETS: Json = {"wallets": [WALLET], "next_cursor": None}
HEAD: Json = {
    "id": _TO["id"],
    "subject": _ADDRESS,
    "wallet_id": None,
    "name": "end of the quarter",
    "currency": "usd",
    "taken_at": _TO["taken_at"],
    "state": "complete",
    "total_value": "1.4997",
    "known_value": "1.4997",
    "unpriced": 0,
}
SNAPSHOTS: Json = {"snapshots": [HEAD], "next_cursor": None}
SNAPSHOT: Json = {
    **HEAD,
    "addresses": [_ADDRESS],
    "lines": [
        {
            "network": "ethereum",
            "asset_id": _USDC,
            "symbol": "USDC",
            "side": "held",
            "kind": "wallet",
            "protocol": None,
            "market": None,
            "position_id": None,
            "owner": None,
            "raw_amount": "1500000",
            "amount": "1.5",
            "price": {
                "currency": "usd",
                "amount": "0.9998",
                "as_of": "2026-11-22T04:59:30Z",
                "sources": ["chainlink", "defillama"],
            },
            "value": "1.4997",
            "carried_from": None,
        }
    ],
    "collections": [],
    "networks": [
        {
            "network": "ethereum",
            "status": "ok",
            "block_number": 21000000,
            "block_hash": "0x…",
            "as_of": "2026-11-22T04:59:59Z",
            "known": True,
            "missing": 0,
            "carried_from": None,
            "error": None,
        }
    ],
}
_POINT: Json = {**_TO, "state": "complete", "value": "1.4997", "known_value": "1.4997", "unpriced": 0}
SERIES: Json = {"subject": _ADDRESS, "currency": "usd", "every": None, "points": [_POINT]}
COMPARISON: Json = {
    "currency": "usd",
    "from": {**_FROM, "state": "complete", "total_value": "0.9996"},
    "to": {**_TO, "state": "complete", "total_value": "1.4997"},
    "value_change": "0.5001",
    "amount_effect": "0.49985",
    "price_effect": "0.00025",
    "assets": [
        {
            "asset_id": _USDC,
            "symbol": "USDC",
            "amount_before": "1",
            "amount_after": "1.5",
            "price_before": "0.9996",
            "price_after": "0.9998",
            "value_change": "0.5001",
            "amount_effect": "0.49985",
            "price_effect": "0.00025",
        }
    ],
    "unknown": [],
    "left_out": [],
}
PERFORMANCE: Json = {
    **SERIES,
    "points": [{**_POINT, **_FROM, "value": "0.9996", "known_value": "0.9996"}, _POINT],
    "estimated": False,
    "change": "0.5001",
    "time_weighted_return": "0.000200050013",
    "money_weighted_return": "0.075725",
    "drawdown": {"depth": "0", "peak_at": _FROM["taken_at"], "trough_at": _FROM["taken_at"]},
    "net_flow": "0.49985",
    "income": "0",
    "trade_result": "0",
    "price_effect": "0.00025",
    "flows": [
        {
            "from": _FROM["taken_at"],
            "to": _TO["taken_at"],
            "kind": "deposit",
            "asset_id": _USDC,
            "symbol": "USDC",
            "amount": "0.5",
            "value": "0.49985",
        }
    ],
    "by_asset": [
        {
            "asset_id": _USDC,
            "symbol": "USDC",
            "profit": "0.00025",
            "price_effect": "0.00025",
            "income": "0",
            "flows": "0.49985",
            "traded": "0",
        }
    ],
    "gaps": [],
}
