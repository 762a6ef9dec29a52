"""What addresses have, put together and valued: holdings without what stands for a position, and totals."""

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field, replace
from decimal import Decimal

from balance_tracker.core.amounts import exact_sum
from balance_tracker.core.assets import Asset
from balance_tracker.core.ids import Address, AssetId, Slug
from balance_tracker.core.networks import Network
from balance_tracker.core.portfolio import Balance, Excluded, Holding, Reading
from balance_tracker.core.positions import Leg, Position, PositionKind
from balance_tracker.core.whole import (
    WALLET,
    OwnedCollection,
    StakeTokens,
    Totals,
    ValuedLeg,
    ValuedPosition,
    known_sum,
)
from balance_tracker.services.spam import judged
from balance_tracker.services.valuation import Priced, valued
from balance_tracker.services.whole_reading import WholeAnswer

IN_POSITION = "in_position"


@dataclass(frozen=True, slots=True)
class Had:
    """What all owners have on all networks, before anything is priced.

    Attributes:
        balances: Of the wallets, one for each asset, in the order of the networks.
        excluded: What is left out of them, and why.
    """

    balances: tuple[Balance, ...] = ()
    excluded: tuple[Excluded, ...] = ()
    positions: tuple[Position, ...] = ()
    collections: tuple[OwnedCollection, ...] = field(default=())

    def priceable(self) -> list[Asset]:
        """The assets whose prices are asked for, each once: all that is held or owed, and no spam."""
        legs = (leg for position in self.positions for leg in _legs(position))
        assets = [one.asset for one in self.balances] + [judged(leg.asset) for leg in legs]
        return list({asset.asset_id: asset for asset in assets if asset.trust != "spam"}.values())


def put_together(answers: Sequence[WholeAnswer], stake_tokens: StakeTokens = "position") -> Had:
    """What the networks answered as one; nothing that stands for a position is counted beside it.

    Args:
        answers: Of the networks.
        stake_tokens: Whether tokens that stand for a stake are positions or holdings.
    """
    if stake_tokens == "holding":
        answers = [_with_stakes_held(answer) for answer in answers]
    balances: dict[AssetId, Balance] = {}
    excluded: list[Excluded] = []
    for balance, reason in (one for answer in answers for one in _judged_balances(answer)):
        asset = balance.asset
        if reason is not None:
            excluded.append(Excluded(asset, balance.raw_amount, reason))
        elif asset.asset_id in balances:
            balances[asset.asset_id] = _sum(balances[asset.asset_id], balance)
        else:
            balances[asset.asset_id] = balance
    readings = [(owner, one) for answer in answers for owner, one in answer.readings.items()]
    return Had(
        balances=tuple(balances.values()),
        excluded=_summed(excluded),
        positions=tuple(position for _, one in readings for position in one.positions),
        collections=tuple(OwnedCollection(owner, own) for owner, one in readings for own in one.collections),
    )


def valued_position(position: Position, priced: Priced) -> ValuedPosition:
    """A position with the value of every side; an unpriced part leaves the whole without one."""
    sides = [
        tuple(_valued_leg(leg, priced) for leg in side)
        for side in (position.supplied, position.borrowed, position.claimable)
    ]
    supplied, borrowed, claimable = sides
    plus = [one.holding.value for one in (*supplied, *claimable)]
    minus = [None if (value := one.holding.value) is None else value.copy_negate() for one in borrowed]
    values = [*plus, *minus]
    net = None if None in values else exact_sum(value for value in values if value is not None)
    return ValuedPosition(position, supplied, borrowed, claimable, net)


def totals_of(
    networks: Iterable[Slug], holdings: Sequence[Holding], positions: Sequence[ValuedPosition]
) -> Totals:
    """The known values by network, asset and kind: each of these sums up to the total value."""
    entries = [*map(_of_holding, holdings), *map(_of_position, positions)]
    by_kind = {kind: known_sum(one.value for one in entries if one.kind == kind) for kind in _kinds(entries)}
    parts = [part for one in entries if one.value is not None for part in one.parts]
    by_asset = {
        key: exact_sum(value for other, value in parts if other == key)
        for key in dict.fromkeys(key for key, _ in parts)
    }
    by_network = {slug: _network_sum(slug, entries) for slug in networks}
    return Totals(by_network, by_asset, by_kind)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A holding or a position as totals see it: its value, and that of its parts by what prices them."""

    network: Slug
    kind: str
    value: Decimal | None
    parts: tuple[tuple[AssetId, Decimal], ...]


def _of_holding(holding: Holding) -> _Entry:
    asset, value = holding.balance.asset, holding.value
    return _Entry(asset.network, WALLET, value, () if value is None else ((asset.price_key, value),))


def _of_position(one: ValuedPosition) -> _Entry:
    position = one.position
    signed = [(leg, 1) for leg in (*one.supplied, *one.claimable)] + [(leg, -1) for leg in one.borrowed]
    parts = tuple(
        (leg.leg.asset.price_key, leg.holding.value.copy_negate() if sign < 0 else leg.holding.value)
        for leg, sign in signed
        if leg.holding.value is not None
    )
    return _Entry(position.network, position.kind.value, one.net_value, parts)


def _kinds(entries: Iterable[_Entry]) -> list[str]:
    return list(dict.fromkeys([WALLET, *(one.kind for one in entries)]))


def _network_sum(slug: Slug, entries: Iterable[_Entry]) -> Decimal | None:
    values = [one.value for one in entries if one.network == slug]
    return known_sum(values)


def _legs(position: Position) -> Iterator[Leg]:
    yield from position.supplied
    yield from position.borrowed
    yield from position.claimable


def _valued_leg(leg: Leg, priced: Priced) -> ValuedLeg:
    """Spam is worth nothing that is known; nothing of an asset is worth zero, priced or not."""
    holding = valued(Balance(judged(leg.asset), leg.raw_amount), priced)
    if leg.raw_amount == 0 and holding.value is None:
        holding = replace(holding, value=Decimal(0))
    return ValuedLeg(leg, holding)


def _judged_balances(answer: WholeAnswer) -> Iterator[tuple[Balance, str | None]]:
    """What every owner has, zeros left out, and why it is not counted."""
    for reading in answer.readings.values():
        receipts = _receipts(reading.positions)
        for balance in reading.balances:
            if balance.raw_amount:
                asset = judged(balance.asset)
                own = balance if asset is balance.asset else replace(balance, asset=asset)
                yield own, _reason(asset, receipts, answer.network.mirrors)


def _with_stakes_held(answer: WholeAnswer) -> WholeAnswer:
    """The answer without the stakes whose tokens are in it as balances, which then count themselves."""
    readings = {owner: _stakes_held(one, answer.network) for owner, one in answer.readings.items()}
    return replace(answer, readings=readings)


def _stakes_held(reading: Reading, network: Network) -> Reading:
    """A token that was not read, or that does not count, does not stand in for its stake."""
    held = {
        str(one.asset.contract_address).lower()
        for one in reading.balances
        if one.raw_amount and _reason(judged(one.asset), set(), network.mirrors) is None
    }
    kept = tuple(one for one in reading.positions if not _is_stake_of(one, held))
    return replace(reading, positions=kept)


def _is_stake_of(position: Position, held: Set[str]) -> bool:
    """Whether a position is a stake, and all of it is what tokens among these stand for."""
    if position.kind is not PositionKind.STAKING or position.borrowed or position.claimable:
        return False
    receipts = [leg.receipt for leg in position.supplied]
    return bool(receipts) and all(one is not None and one.lower() in held for one in receipts)


def _receipts(positions: Iterable[Position]) -> set[str]:
    """The contracts, in lower case, that stand for a position in the wallet that has it."""
    legs = (leg for position in positions for leg in _legs(position))
    return {leg.receipt.lower() for leg in legs if leg.receipt is not None}


def _reason(asset: Asset, receipts: set[str], mirrors: Sequence[Address]) -> str | None:
    """Why a balance is not counted."""
    if asset.contract_address is None:
        return None
    if asset.contract_address in mirrors:
        return "mirror"
    if asset.contract_address.lower() in receipts:
        return IN_POSITION
    return "spam" if asset.trust == "spam" else None


def _sum(one: Balance, other: Balance) -> Balance:
    """What two owners have of one asset; a displayed amount can't be summed."""
    return replace(
        one,
        raw_amount=one.raw_amount + other.raw_amount,
        accounts=(*one.accounts, *other.accounts),
        ui_amount=None,
    )


def _summed(excluded: Iterable[Excluded]) -> tuple[Excluded, ...]:
    """What is left out of several owners' wallets for one reason, told once an asset."""
    found: dict[tuple[AssetId, str], Excluded] = {}
    for one in excluded:
        key = (one.asset.asset_id, one.reason)
        before = found.get(key)
        found[key] = one if before is None else replace(one, raw_amount=one.raw_amount + before.raw_amount)
    return tuple(found.values())
