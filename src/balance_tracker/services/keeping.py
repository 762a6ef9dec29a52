"""What of a portfolio is kept in a snapshot: its amounts in their places, networks and collections."""

from balance_tracker.core.portfolio import Holding, NetworkCoverage
from balance_tracker.core.prices import Price
from balance_tracker.core.snapshots import KeptCollection, Line, LinePrice, Place, ReadNetwork, Side
from balance_tracker.core.whole import OwnedCollection, ValuedLeg, ValuedPosition, WholePortfolio


def lines_of(portfolio: WholePortfolio) -> tuple[Line, ...]:
    """Every amount of a portfolio in its place; what is nothing is left out."""
    lines = [_held(holding) for holding in portfolio.holdings]
    for one in portfolio.positions:
        for side, legs in (
            (Side.SUPPLIED, one.supplied),
            (Side.BORROWED, one.borrowed),
            (Side.CLAIMABLE, one.claimable),
        ):
            lines += [_in_position(one, side, leg) for leg in legs]
    return tuple(line for line in lines if line.raw_amount)


def networks_of(portfolio: WholePortfolio) -> tuple[ReadNetwork, ...]:
    """What each network answered."""
    return tuple(_network(coverage) for coverage in portfolio.coverage)


def collections_of(portfolio: WholePortfolio) -> tuple[KeptCollection, ...]:
    """Collections that were held."""
    return tuple(_collection(owned) for owned in portfolio.collections)


def _held(holding: Holding) -> Line:
    asset = holding.balance.asset
    return Line(
        place=Place(asset.network, asset.asset_id),
        price_key=asset.price_key,
        symbol=asset.symbol,
        raw_amount=holding.balance.raw_amount,
        amount=holding.balance.amount,
        price=_price(holding.price),
    )


def _in_position(one: ValuedPosition, side: Side, leg: ValuedLeg) -> Line:
    position, asset = one.position, leg.leg.asset
    place = Place(
        network=position.network,
        asset_id=asset.asset_id,
        side=side,
        kind=position.kind.value,
        protocol=position.protocol,
        market=position.market,
        position_id=position.position_id,
        owner=position.owner,
        label=leg.leg.label,
    )
    return Line(
        place=place,
        price_key=asset.price_key,
        symbol=asset.symbol,
        raw_amount=leg.leg.raw_amount,
        amount=leg.holding.balance.amount,
        price=_price(leg.holding.price),
        receipt=leg.leg.receipt,
    )


def _price(price: Price | None) -> LinePrice | None:
    return None if price is None else LinePrice(price.amount, price.as_of, price.sources)


def _network(coverage: NetworkCoverage) -> ReadNetwork:
    block = coverage.block
    missing = len(coverage.failures) + len(coverage.protocol_failures) + len(coverage.collection_failures)
    return ReadNetwork(
        network=coverage.network,
        status=coverage.status,
        block_number=None if block is None else block.number,
        block_hash=None if block is None else block.hash,
        as_of=None if block is None else block.as_of,
        missing=missing,
        error=None if coverage.error is None else coverage.error.code,
        known=coverage.status == "ok",
    )


def _collection(owned: OwnedCollection) -> KeptCollection:
    holding = owned.holding
    return KeptCollection(
        network=holding.collection.network,
        owner=owned.owner,
        contract_address=holding.collection.contract_address,
        name=holding.collection.name,
        balance=holding.balance,
        ids=tuple(one.token_id for one in holding.token_ids),
    )
