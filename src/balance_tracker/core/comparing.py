"""What changed between two snapshots, split into amounts and prices so that the parts add up exactly.

For an amount that went from ``a0`` to ``a1`` and a price that went from ``p0`` to ``p1``::

    a1 p1 - a0 p0  =  (a1 - a0) (p0 + p1) / 2  +  (a0 + a1) / 2 (p1 - p0)
                      amount effect               price effect

Both halves are exact decimals: nothing is left over, and neither effect is favoured by the order
(the split of Marshall and Edgeworth). Of an asset with a price at one end only there is no price to
compare: what came or went is amount.

Only what is known at both ends is compared. A network that was not asked, or not fully answered, at
one end is left out at both, and told; what is not known there is no zero.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from balance_tracker.core.amounts import exact_product, exact_sum
from balance_tracker.core.ids import AssetId, Slug
from balance_tracker.core.snapshots import Line, Snapshot

_HALF = Decimal("0.5")


@dataclass(frozen=True, slots=True)
class Effects:
    """A change of value in its two parts; both ``None`` where a value is not known."""

    amount: Decimal | None
    price: Decimal | None

    @property
    def total(self) -> Decimal | None:
        """Their sum, which is the change of the value."""
        return None if self.amount is None or self.price is None else exact_sum((self.amount, self.price))


@dataclass(frozen=True, slots=True)
class AssetChange:
    """One asset, over all places it was in: moving it from one to another is no change.

    Attributes:
        amount_before: The net amount, below zero where more was owed; ``None`` where it is not known.
        price_before: ``None`` where none was known, or it was not held.
    """

    asset: AssetId
    symbol: str | None
    amount_before: Decimal | None
    amount_after: Decimal | None
    price_before: Decimal | None
    price_after: Decimal | None
    effects: Effects


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two snapshots of one currency.

    Attributes:
        changes: By asset, those that did not change too.
        effects: The sum over the assets whose values are known at both ends; ``None`` where no
            network is.
        unknown: Assets whose values are not.
        left_out: Networks that are not known at both ends; nothing of them is in the changes.
    """

    before: Snapshot
    after: Snapshot
    changes: tuple[AssetChange, ...]
    effects: Effects
    unknown: tuple[AssetId, ...]
    left_out: tuple[Slug, ...] = ()


@dataclass(frozen=True, slots=True)
class _Sum:
    """All lines of one asset in one snapshot."""

    symbol: str | None
    amount: Decimal | None
    price: Decimal | None


_NOTHING = _Sum(None, Decimal(0), None)


def compare(before: Snapshot, after: Snapshot) -> Comparison:
    """What changed from one snapshot to a later one.

    >>> from balance_tracker.core.amounts import plain
    >>> plain(effects(Decimal(2), Decimal(3), Decimal(10), Decimal(20)).amount)
    '15'
    """
    shared = before.known_networks & after.known_networks
    asked = {one.network for snapshot in (before, after) for one in snapshot.networks}
    changes = changes_on(before, after, shared)
    known = [one.effects for one in changes if one.effects.total is not None]
    nothing = Effects(None, None)
    return Comparison(
        before=before,
        after=after,
        changes=changes,
        effects=Effects(
            exact_sum(one.amount for one in known if one.amount is not None),
            exact_sum(one.price for one in known if one.price is not None),
        )
        if shared
        else nothing,
        unknown=tuple(one.asset for one in changes if one.effects.total is None),
        left_out=tuple(sorted(asked - shared)),
    )


def changes_on(before: Snapshot, after: Snapshot, networks: Collection[Slug]) -> tuple[AssetChange, ...]:
    """What each asset did on these networks, in the order of the assets."""
    first = _by_asset(line for line in before.lines if line.place.network in networks)
    second = _by_asset(line for line in after.lines if line.place.network in networks)
    return tuple(
        _change(key, first.get(key, _NOTHING), second.get(key, _NOTHING)) for key in sorted({*first, *second})
    )


def effects(
    amount_before: Decimal | None,
    amount_after: Decimal | None,
    price_before: Decimal | None,
    price_after: Decimal | None,
) -> Effects:
    """The change of a value in its two parts; see the module for the formula.

    A price that is not known at one end, where nothing was held, is that of the other end.
    """
    if amount_before is None or amount_after is None:
        return Effects(None, None)
    if amount_before == amount_after == 0:
        return Effects(Decimal(0), Decimal(0))
    if price_before is None and amount_before == 0:
        price_before = price_after
    if price_after is None and amount_after == 0:
        price_after = price_before
    if price_before is None or price_after is None:
        return Effects(None, None)
    moved = exact_sum((amount_after, amount_before.copy_negate()))
    risen = exact_sum((price_after, price_before.copy_negate()))
    return Effects(
        exact_product(exact_product(moved, exact_sum((price_before, price_after))), _HALF),
        exact_product(exact_product(risen, exact_sum((amount_before, amount_after))), _HALF),
    )


def _by_asset(lines: Iterable[Line]) -> dict[AssetId, _Sum]:
    grouped: dict[AssetId, list[Line]] = {}
    for line in lines:
        grouped.setdefault(line.price_key, []).append(line)
    return {key: _summed(own) for key, own in grouped.items()}


def _summed(lines: Sequence[Line]) -> _Sum:
    amounts = [line.signed_amount for line in lines]
    known = [amount for amount in amounts if amount is not None]
    prices = [line.price.amount for line in lines if line.price is not None]
    return _Sum(
        symbol=lines[0].symbol,
        amount=exact_sum(known) if len(known) == len(amounts) else None,
        price=prices[0] if prices else None,
    )


def _change(key: AssetId, before: _Sum, after: _Sum) -> AssetChange:
    return AssetChange(
        asset=key,
        symbol=after.symbol or before.symbol,
        amount_before=before.amount,
        amount_after=after.amount,
        price_before=before.price,
        price_after=after.price,
        effects=effects(before.amount, after.amount, before.price, after.price),
    )
