"""Snapshots and portfolios for tests of history: small, and written as people would say them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tests.fakes.readers import ALICE, BASE, ETHEREUM, USDC, token

from balance_tracker.core.assets import Asset, native_asset
from balance_tracker.core.blocks import BlockRef
from balance_tracker.core.ids import Address, AssetId, Slug
from balance_tracker.core.kept import ANYONE, Owner
from balance_tracker.core.networks import Network
from balance_tracker.core.portfolio import (
    AssetFailure,
    Balance,
    FailureCode,
    Holding,
    NetworkCoverage,
    NetworkError,
    Status,
)
from balance_tracker.core.positions import Leg, Position, PositionKind, ProtocolFailure
from balance_tracker.core.prices import Price, PriceStatus
from balance_tracker.core.snapshots import (
    Line,
    LinePrice,
    Place,
    ReadNetwork,
    Side,
    Snapshot,
    SnapshotState,
)
from balance_tracker.core.whole import OwnedCollection, Totals, ValuedLeg, ValuedPosition, WholePortfolio

T0 = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
ETHER = native_asset(ETHEREUM)
BASE_ETHER = native_asset(BASE)
DOLLAR = token(ETHEREUM, USDC, "USDC")
RECEIPT = Address("0x98C23E9d8f34FEFb1B7BD6a91B7FF122F4e16F5c")
A_DOLLAR = token(ETHEREUM, RECEIPT, "aEthUSDC")


def line(
    key: str,
    amount: str | int | None,
    price: str | int | None = 1,
    *,
    network: str = "ethereum",
    protocol: str | None = None,
    side: Side = Side.HELD,
    asset: str | None = None,
) -> Line:
    """An amount of an asset, in the wallet or in a protocol."""
    kind = "wallet" if protocol is None else "lending"
    place = Place(Slug(network), AssetId(asset or f"{network}/{key}"), side, kind, protocol)
    return Line(
        place=place,
        price_key=AssetId(key),
        symbol=key.upper(),
        raw_amount=1 if amount is None else int(Decimal(amount)),
        amount=None if amount is None else Decimal(amount),
        price=None if price is None else LinePrice(Decimal(price), T0, ("test",)),
    )


def snapshot(
    at: datetime,
    *lines: Line,
    state: SnapshotState = SnapshotState.COMPLETE,
    networks: Sequence[str] = ("ethereum", "base"),
    unknown: Sequence[str] = (),
    addresses: Sequence[str] = (ALICE,),
    number: int = 0,
    owner: Owner = ANYONE,
    subject: str = ALICE,
    currency: str = "usd",
) -> Snapshot:
    """A snapshot of these lines."""
    read = tuple(
        ReadNetwork(
            Slug(slug), "failed" if slug in unknown else "ok", 1, "0x1", at, known=slug not in unknown
        )
        for slug in networks
    )
    return Snapshot(
        snapshot_id=f"snp_{number:026d}",
        owner=owner,
        subject=subject,
        addresses=tuple(Address(address) for address in addresses),
        wallet_id=None,
        name=None,
        currency=currency,
        taken_at=at,
        state=state,
        lines=tuple(lines),
        networks=read,
    )


def coverage(network: Network, status: Status = "ok", at: datetime = T0, **more: object) -> NetworkCoverage:
    """What a network was asked and answered."""
    error = NetworkError("timed_out", "Nothing came.", retryable=True) if status == "failed" else None
    block = None if status == "failed" else BlockRef(1, "0x1", int(at.timestamp()))
    told = NetworkCoverage(
        network=network.slug,
        chain_id=network.chain_id,
        status=status,
        block=block,
        cached=False,
        stale=status == "stale",
        endpoint=None,
        requests=1,
        elapsed_ms=1,
        asked=3,
        answered=3,
        error=error,
    )
    return replace(told, **more)  # type: ignore[arg-type]


def failure(asset: Asset) -> AssetFailure:
    return AssetFailure(asset, FailureCode.REVERTED, "It reverted.")


def protocol_failure(protocol: str = "aave_v3", market: str | None = None) -> ProtocolFailure:
    return ProtocolFailure(protocol, market, "timed_out", "Nothing came.")


def holding(asset: Asset, amount: int | str, price: str | None, as_of: datetime = T0) -> Holding:
    """So many whole units of an asset."""
    balance = Balance(asset, int(Decimal(amount) * 10 ** (asset.decimals or 0)))
    told = None if price is None else price_of(asset, price, as_of)
    value = None if told is None or balance.amount is None else balance.amount * told.amount
    return Holding(balance, value, told)


def price_of(asset: Asset, price: str, as_of: datetime = T0) -> Price:
    return Price(
        asset_id=asset.price_key,
        currency="usd",
        amount=Decimal(price),
        as_of=as_of,
        sources=("test",),
        spread=Decimal(0),
        confidence=Decimal(1),
        status=PriceStatus.SINGLE,
    )


def lending(
    supplied: str | None,
    borrowed: str | None = None,
    *,
    owner: str = ALICE,
    market: str = "AaveV3Ethereum",
    prices: Mapping[Asset, str] | None = None,
    as_of: datetime = T0,
) -> ValuedPosition:
    """Dollars lent, with a receipt in the wallet, and ether owed."""
    prices = prices or {DOLLAR: "1", ETHER: "2000"}
    plus = () if supplied is None else (Leg(DOLLAR, int(Decimal(supplied) * 10**6), receipt=RECEIPT),)
    minus = () if borrowed is None else (Leg(ETHER, int(Decimal(borrowed) * 10**18), label="variable"),)

    def valued(leg: Leg) -> ValuedLeg:
        amount = Decimal(leg.raw_amount).scaleb(-(leg.asset.decimals or 0))
        return ValuedLeg(leg, holding(leg.asset, str(amount), prices.get(leg.asset), as_of))

    position = Position(
        protocol="aave_v3",
        network=ETHEREUM.slug,
        market=market,
        position_id=market,
        kind=PositionKind.LENDING,
        owner=Address(owner),
        supplied=plus,
        borrowed=minus,
    )
    return ValuedPosition(position, tuple(map(valued, plus)), tuple(map(valued, minus)), (), None)


def portfolio(
    *told: NetworkCoverage,
    holdings: Sequence[Holding] = (),
    positions: Sequence[ValuedPosition] = (),
    collections: Sequence[OwnedCollection] = (),
    addresses: Sequence[str] = (ALICE,),
    currency: str = "usd",
    at: datetime = T0,
) -> WholePortfolio:
    """A portfolio as the use case that reads it gives it."""
    return WholePortfolio(
        addresses=tuple(Address(address) for address in addresses),
        names={},
        currency=currency,
        holdings=tuple(holdings),
        positions=tuple(positions),
        collections=tuple(collections),
        excluded=(),
        totals=Totals({}, {}, {}),
        coverage=told,
        taken_at=at,
    )
