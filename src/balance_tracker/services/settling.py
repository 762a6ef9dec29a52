"""A portfolio made into a snapshot, and what it does not know carried forward from an earlier one.

The rule, in full:

* What was not to be had (a network that failed, an asset, a protocol) is taken from an earlier
  snapshot of the same subject, if that knew it and it was read no longer ago than
  :data:`~balance_tracker.core.snapshots.CARRY_FOR`. It keeps the time it was read at, and is
  valued at the new price where there is one. The snapshot is then ``estimated``. An estimate of an
  estimate goes by the time of the first reading, so that a chain of them is no longer than one.
* What was read of other addresses than now is not carried: a wallet that was changed begins anew.
* Where one of several addresses could not be read on a network, all of that network is taken from
  the earlier snapshot; of an asset that failed for some addresses, the larger of the two amounts.
* What stands for an amount in a position (an aToken) is not counted beside the position carried.
* An asset that had a price and has none now keeps the old one for ``CARRY_FOR``. After that its
  snapshots are incomplete until it has one again, or had none for
  :data:`~balance_tracker.core.snapshots.LAPSE_FOR`.
* What can't be carried forward makes the snapshot ``incomplete``: it has no total, and no sum,
  series or return uses what is left of it. Unknown is never booked as zero.
* Non-fungible tokens are in no total: a collection that failed is carried forward too, but makes
  the snapshot no worse than ``estimated``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum

from balance_tracker.core.ids import AssetId
from balance_tracker.core.portfolio import NetworkCoverage
from balance_tracker.core.snapshots import (
    CARRY_FOR,
    LAPSE_FOR,
    KeptCollection,
    Line,
    LinePrice,
    Place,
    ReadNetwork,
    Snapshot,
    SnapshotState,
)


def settled(
    fresh: Snapshot,
    coverage: Sequence[NetworkCoverage],
    earlier: Sequence[Snapshot],
    prices: Mapping[AssetId, LinePrice] | None = None,
) -> Snapshot:
    """The snapshot with what it lacks carried forward, as far as that goes, and its state.

    Args:
        fresh: What was read now.
        coverage: Of the networks of ``fresh``, in the same order.
        earlier: Earlier snapshots of the same subject and currency, the newest first.
        prices: New prices of what is carried forward, by what prices it.
    """
    lines = fresh.lines
    collections = list(fresh.collections)
    networks: list[ReadNetwork] = []
    for told, network in zip(coverage, fresh.networks, strict=True):
        if network.status == "ok":
            networks.append(network)
            continue
        gap = _Gap(told, fresh)
        filled = gap.filled(lines, earlier)
        lines = lines if filled is None else filled.lines
        collections += gap.collections(collections, earlier)
        since = None if filled is None else filled.since
        networks.append(replace(network, known=filled is not None, carried_from=since))
    priced, worst = _with_prices(lines, {**(prices or {}), **_new_prices(fresh)}, earlier, fresh.taken_at)
    state = SnapshotState.COMPLETE
    if worst is _Prices.CARRIED or any(network.status != "ok" for network in networks):
        state = SnapshotState.ESTIMATED
    if worst is _Prices.LAPSED or not all(network.known for network in networks):
        state = SnapshotState.INCOMPLETE
    return replace(fresh, lines=priced, networks=tuple(networks), collections=tuple(collections), state=state)


@dataclass(frozen=True, slots=True)
class _Filled:
    """All lines with a network's gap filled; ``since`` is when the oldest of it was read."""

    lines: tuple[Line, ...]
    since: datetime | None


class _Gap:
    """What one network did not answer."""

    def __init__(self, coverage: NetworkCoverage, fresh: Snapshot) -> None:
        self._slug = coverage.network
        self._taken_at = fresh.taken_at
        self._addresses = frozenset(fresh.addresses)
        self._assets = {failure.asset.asset_id for failure in coverage.failures}
        self._markets = {(failure.protocol, failure.market) for failure in coverage.protocol_failures}
        self._contracts = {failure.market for failure in coverage.collection_failures}
        self._stale_since = (
            coverage.block.as_of if coverage.status == "stale" and coverage.block is not None else None
        )
        # Of several addresses one may be missing as a whole, which names no asset.
        several = len(fresh.addresses) > 1
        lost = several and (coverage.status == "stale" or coverage.error is not None)
        self._all = coverage.status == "failed" or lost

    def filled(self, lines: tuple[Line, ...], earlier: Sequence[Snapshot]) -> _Filled | None:
        """All lines with what lacks added; ``None`` where that is not known."""
        stale_since = None if self._all else self._stale_since
        if stale_since is not None:
            if not _near(stale_since, self._taken_at):
                return None
            lines = tuple(
                line.carried(stale_since) if line.place.network == self._slug else line for line in lines
            )
        if not (self._all or self._assets or self._markets):
            return _Filled(lines, stale_since)
        source = self._source(earlier)
        if source is None:
            return None
        snapshot, since = source
        return _Filled(self._merged(lines, snapshot), min(since, stale_since or since))

    def collections(
        self, there: Iterable[KeptCollection], earlier: Sequence[Snapshot]
    ) -> list[KeptCollection]:
        """Collections to add; they are in no total."""
        if not (self._all or self._contracts) or not earlier:
            return []
        source = self._source(earlier)
        snapshot = earlier[0] if source is None else source[0]
        if not _near(snapshot.taken_at, self._taken_at):
            return []
        own = {(one.owner, one.contract_address) for one in there if one.network == self._slug}
        return [
            one
            for one in snapshot.collections
            if one.network == self._slug
            and one.owner in self._addresses
            and (self._all or one.contract_address in self._contracts)
            and (one.owner, one.contract_address) not in own
        ]

    def _source(self, earlier: Sequence[Snapshot]) -> tuple[Snapshot, datetime] | None:
        """The newest snapshot that knows all of the network, and since when that stands.

        One of other addresses, of a wallet that was changed, is none: its amounts are sums over them.
        """
        for snapshot in earlier:
            if frozenset(snapshot.addresses) != self._addresses:
                continue
            for network in snapshot.networks:
                if network.network != self._slug or not network.known:
                    continue
                since = network.carried_from or snapshot.taken_at
                if _near(since, self._taken_at):
                    return snapshot, since
        return None

    def _merged(self, lines: tuple[Line, ...], earlier: Snapshot) -> tuple[Line, ...]:
        """The lines, with what lacks as it was earlier."""
        old = [line for line in earlier.lines if line.place.network == self._slug]
        markets = {(line.place.protocol, line.place.market) for line in old}
        there = {line.place: line for line in lines}
        added = [
            line.carried(earlier.taken_at)
            for line in old
            if self._lacks(line.place, markets) and self._is_more(line, there.get(line.place))
        ]
        replaced = {line.place for line in added}
        receipts = {line.receipt.lower() for line in added if line.receipt is not None}
        return (*(line for line in lines if not self._gives_way(line, replaced, receipts)), *added)

    def _lacks(self, place: Place, markets: set[tuple[str | None, str | None]]) -> bool:
        """Whether what is there was not answered."""
        if self._all:
            return True
        if place.protocol is None:
            return place.asset_id in self._assets
        # A failure may name a part of its protocol that no position is named after: then any may lack.
        return any(
            protocol == place.protocol
            and (market in {None, place.market} or (protocol, market) not in markets)
            for protocol, market in self._markets
        )

    def _is_more(self, line: Line, now: Line | None) -> bool:
        """Whether what was there earlier is to stand: what is there now may be of some addresses only."""
        if self._all or now is None:
            return True
        return line.place.protocol is None and line.raw_amount > now.raw_amount

    def _gives_way(self, line: Line, replaced: set[Place], receipts: set[str]) -> bool:
        place = line.place
        if place.network != self._slug:
            return False
        stands_for = place.protocol is None and place.asset_id.rpartition(":")[2].lower() in receipts
        return self._all or place in replaced or stands_for


class _Prices(IntEnum):
    """Where the prices of a snapshot are from, the worst of them."""

    FRESH = 0
    CARRIED = 1
    LAPSED = 2


def _near(moment: datetime, taken_at: datetime) -> bool:
    return taken_at - moment <= CARRY_FOR


def _with_prices(
    lines: Sequence[Line],
    new: Mapping[AssetId, LinePrice],
    earlier: Sequence[Snapshot],
    taken_at: datetime,
) -> tuple[tuple[Line, ...], _Prices]:
    """Lines with one price for each asset: the new one, else the old one while that is good."""
    old = _old_prices(earlier)
    worst = _Prices.FRESH
    priced: list[Line] = []
    for line in lines:
        price, last_price = new.get(line.price_key), None
        if price is None and (before := old.get(line.price_key)) is not None:
            age = taken_at - before.as_of
            if age <= CARRY_FOR:
                price, worst = before, max(worst, _Prices.CARRIED)
            elif age <= LAPSE_FOR:
                last_price, worst = before, _Prices.LAPSED
        priced.append(replace(line, price=price, last_price=last_price))
    return tuple(priced), worst


def _new_prices(fresh: Snapshot) -> dict[AssetId, LinePrice]:
    return {line.price_key: line.price for line in fresh.lines if line.price is not None}


def unpriced_now(fresh: Snapshot, made: Snapshot) -> tuple[AssetId, ...]:
    """What is carried forward in a snapshot and was not priced with what was read."""
    new = _new_prices(fresh)
    keys = (line.price_key for line in made.lines if line.read_at is not None)
    return tuple(dict.fromkeys(key for key in keys if key not in new))


def _old_prices(earlier: Sequence[Snapshot]) -> Mapping[AssetId, LinePrice]:
    """The last price of each asset that was held."""
    old: dict[AssetId, LinePrice] = {}
    for snapshot in reversed(earlier):
        for line in snapshot.lines:
            price = line.price or line.last_price
            if price is not None:
                old[line.price_key] = price
    return old
