"""A portfolio made into a snapshot, and what it does not know carried forward from an earlier one.

The rule, in full:

* What was not to be had (a network that failed, an asset, a protocol) is taken from the last
  snapshot of the same subject, if that knew it and read it no more than a day before
  (:data:`~balance_tracker.core.snapshots.CARRY_FOR`). It keeps the time it was read at, and is
  valued at the new price where there is one. The snapshot is then ``estimated``.
* An asset that had a price then and has none now keeps that price, if it is no older than a day.
* What can't be carried forward makes the snapshot ``incomplete``: it has no total, and no sum,
  series or return uses what is left of it. Unknown is never booked as zero.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from balance_tracker.core.ids import AssetId, Slug
from balance_tracker.core.portfolio import Holding, NetworkCoverage
from balance_tracker.core.prices import Price
from balance_tracker.core.snapshots import (
    CARRY_FOR,
    KeptCollection,
    Line,
    LinePrice,
    Place,
    ReadNetwork,
    Side,
    Snapshot,
    SnapshotState,
)
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


def settled(fresh: Snapshot, portfolio: WholePortfolio, earlier: Snapshot | None) -> Snapshot:
    """The snapshot with what it lacks carried forward, as far as that goes, and its state.

    Args:
        fresh: What was read now, with the lines of the portfolio.
        portfolio: What it was made of.
        earlier: The last snapshot of the same subject and currency, if there is one.
    """
    lines = list(fresh.lines)
    collections = list(fresh.collections)
    networks: list[ReadNetwork] = []
    whole = True
    for coverage, network in zip(portfolio.coverage, fresh.networks, strict=True):
        if network.status == "ok":
            networks.append(network)
            continue
        lacking = _Lacking(coverage, fresh.taken_at)
        carried = lacking.filled(lines, earlier)
        if carried is None:
            whole = False
            networks.append(network)
            continue
        added, since = carried
        lines += added
        collections += lacking.collections(collections, earlier)
        networks.append(replace(network, carried_from=since))
    priced, held_prices = _with_prices(lines, earlier, fresh.taken_at)
    estimated = any(network.status != "ok" for network in networks) or held_prices == "carried"
    state = SnapshotState.ESTIMATED if estimated else SnapshotState.COMPLETE
    if not whole or held_prices == "lost":
        state = SnapshotState.INCOMPLETE
    return replace(fresh, lines=priced, networks=tuple(networks), collections=tuple(collections), state=state)


class _Lacking:
    """What one network did not answer."""

    def __init__(self, coverage: NetworkCoverage, taken_at: datetime) -> None:
        self._coverage = coverage
        self._slug: Slug = coverage.network
        self._taken_at = taken_at
        self._all = coverage.status == "failed"
        self._assets = {failure.asset.asset_id for failure in coverage.failures}
        self._markets = {(failure.protocol, failure.market) for failure in coverage.protocol_failures}
        self._contracts = {failure.market for failure in coverage.collection_failures}

    def filled(self, lines: Iterable[Line], earlier: Snapshot | None) -> tuple[list[Line], datetime] | None:
        """Lines to add and since when they stand; ``None`` where the gap can't be filled."""
        if self._coverage.status == "stale":
            return self._stale()
        since = None if earlier is None else _known_since(earlier, self._slug)
        if earlier is None or since is None or not _near(since, self._taken_at):
            return None
        there = {line.place for line in lines}
        found = [
            line.carried(since)
            for line in earlier.lines
            if line.place.network == self._slug and self._lacks(line.place) and line.place not in there
        ]
        if any(line.read_at is not None and not _near(line.read_at, self._taken_at) for line in found):
            return None
        return found, since

    def collections(self, there: Iterable[KeptCollection], earlier: Snapshot | None) -> list[KeptCollection]:
        """Collections to add; they are in no total."""
        own = {(one.owner, one.contract_address) for one in there if one.network == self._slug}
        return [
            one
            for one in (() if earlier is None else earlier.collections)
            if one.network == self._slug
            and (self._all or one.contract_address in self._contracts)
            and (one.owner, one.contract_address) not in own
        ]

    def _stale(self) -> tuple[list[Line], datetime] | None:
        """The last good answer stands in for the network: no line is missing, but its time is told."""
        block = self._coverage.block
        if block is None or not _near(block.as_of, self._taken_at):
            return None
        return [], block.as_of

    def _lacks(self, place: Place) -> bool:
        if self._all:
            return True
        if place.protocol is not None:
            return not self._markets.isdisjoint({(place.protocol, None), (place.protocol, place.market)})
        return place.asset_id in self._assets


def _known_since(earlier: Snapshot, slug: Slug) -> datetime | None:
    """When all of a network in an earlier snapshot was last read; ``None`` if it was not known."""
    for network in earlier.networks:
        if network.network == slug:
            if network.status == "ok":
                return earlier.taken_at
            return network.carried_from
    return None


def _near(moment: datetime, taken_at: datetime) -> bool:
    return timedelta(0) <= taken_at - moment <= CARRY_FOR


def _with_prices(
    lines: Iterable[Line], earlier: Snapshot | None, taken_at: datetime
) -> tuple[tuple[Line, ...], str]:
    """Lines with one price for each asset, and whether prices are ``fresh``, ``carried`` or ``lost``."""
    lines = tuple(lines)
    fresh = {line.price_key: line.price for line in lines if line.price and line.read_at is None}
    old = _old_prices(lines, earlier)
    outcome = "fresh"
    priced: list[Line] = []
    for line in lines:
        price = fresh.get(line.price_key)
        if price is None and line.price_key in old:
            price = old[line.price_key]
            if not _near(price.as_of, taken_at):
                price = None
            outcome = "lost" if price is None or outcome == "lost" else "carried"
        priced.append(line if line.price == price else replace(line, price=price))
    return tuple(priced), outcome


def _old_prices(lines: Iterable[Line], earlier: Snapshot | None) -> Mapping[AssetId, LinePrice]:
    """The prices that what is held had before."""
    wanted = {line.price_key for line in lines}
    before = () if earlier is None else earlier.lines
    return {line.price_key: line.price for line in before if line.price and line.price_key in wanted}


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
