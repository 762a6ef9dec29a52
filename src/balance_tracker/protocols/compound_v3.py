"""Compound V3 (Comet): one asset that is lent and borrowed per market, others that only secure debts.

Source: https://docs.compound.finance (``balanceOf``, ``borrowBalanceOf``, ``userBasic``, ``userCollateral``,
``getAssetInfo``, ``getPrice``; CometRewards ``getRewardOwed``); health by the formula of ``isLiquidatable``
in contracts/Comet.sol of github.com/compound-finance/comet: each collateral at its price, cut to whole
units, times its ``liquidateCollateralFactor``, cut again, against the debt at its price
Markets: data/protocols/compound_v3.toml
Golden: tests/protocols/test_compound_v3.py
Known gaps: proven on a model of the documented views, for Comet's binaries are not to be had. Positions of
wrappers (cUSDCv3 in a vault) are not looked through.

Supply and debt are the contract's own, with the interest up to the block. ``isLiquidatable`` takes the
interest up to the last transaction only; a liquidator's transaction adds the rest first, and so does health
here. What rewards are owed is asked with a call that writes before it answers, so that readers which may
not write ask it by itself, one request more for a wallet that has something in a market.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial

from balance_tracker.core.amounts import plain, to_amount
from balance_tracker.core.assets import Asset
from balance_tracker.core.ids import Address
from balance_tracker.core.networks import Network
from balance_tracker.core.positions import Leg, Position, PositionKind
from balance_tracker.evm.abi import address_word
from balance_tracker.evm.multicall import Call
from balance_tracker.evm.outcomes import NOT_YET, CallFailure, Outcome
from balance_tracker.evm.tours import Guide, Tour, TourError
from balance_tracker.evm.views import (
    AMOUNT_LIMIT,
    WORD_LIMIT,
    address_of,
    amount_of,
    as_address,
    as_amount,
    data_of,
    is_absent,
    uint_word,
    word_of,
    words_of,
)
from balance_tracker.protocols.assets import eip55, known_assets
from balance_tracker.protocols.spec import AssetOf, EvmGuide, EvmTour, ProtocolSpec, Row, Rows

PROTOCOL = ProtocolSpec(slug="compound_v3", name="Compound v3", family="evm", grade="bronze")

BALANCE_OF = "70a08231"
BORROW_BALANCE_OF = "374c49b4"
USER_BASIC = "dc4abafd"
USER_COLLATERAL = "2b92a07d"
GET_ASSET_INFO = "c8c7fe6b"
GET_PRICE = "41976e09"
GET_REWARD_OWED = "41e0cad6"
BASE_TOKEN = "c55dae63"  # noqa: S105 - a selector
BASE_TOKEN_PRICE_FEED = "e7dad6bd"  # noqa: S105 - a selector
BASE_SCALE = "44c1e5eb"

FACTOR_SCALE = 10**18
MOST_SCALE = 10**36
MOST_COLLATERALS = 24
"""Bits that Comet has for them."""

_PRINCIPAL_LIMIT = 1 << 103
_NOT_SUPPORTED = "with error 0x9c58e3b6"
_WRITES = 1
"""Units of 65,536 gas: what must not write takes all it is given, so it is given little."""


@dataclass(frozen=True, slots=True)
class Market:
    """One Comet, and who pays rewards for it."""

    name: str
    comet: Address
    rewards: Address


@dataclass(frozen=True, slots=True)
class Basic:
    """What Comet keeps of an account: which way it stands, and which collaterals it has."""

    principal: int
    collaterals: tuple[int, ...]
    earned: bool


@dataclass(frozen=True, slots=True)
class Base:
    """The asset that is lent, and how much of it an owner has lent or owes, in smallest units."""

    token: str
    price_feed: str
    scale: int
    supplied: int
    borrowed: int


@dataclass(frozen=True, slots=True)
class Collateral:
    """One asset that secures the debt: ``amount`` and ``price`` are of the owner's and of the block."""

    token: str
    price_feed: str
    scale: int
    borrow_factor: int
    liquidate_factor: int
    amount: int = 0
    price: int | None = None

    @property
    def value(self) -> int:
        """At its price, cut to whole units of the price."""
        return self.amount * (self.price or 0) // self.scale


@dataclass(frozen=True, slots=True)
class Owed:
    """Rewards: ``token`` is ``None`` where none are paid; ``unknown`` says why they are not known."""

    token: str | None = None
    amount: int = 0
    unknown: str | None = None


def guides(network: Network, asset_of: AssetOf, rows: Rows = ()) -> Sequence[EvmGuide]:
    """A guide for each Comet of the network."""
    markets = [_market(row) for row in rows]
    return [
        Guide(PROTOCOL.slug, market.name, partial(_tour, network, asset_of, market)) for market in markets
    ]


def _market(row: Row) -> Market:
    return Market(row["market"], eip55(row["comet"]), eip55(row["rewards"]))


def _tour(network: Network, asset_of: AssetOf, market: Market, owner: Address) -> EvmTour:
    outcomes = yield [Call(market.comet.lower(), USER_BASIC + address_word(owner))]
    if is_absent(outcomes[0]):
        return ()
    basic = _basic(outcomes[0])
    if not (basic.principal or basic.collaterals or basic.earned):
        return ()
    outcomes = yield _second_round(market, basic, owner)
    base = _base(basic, outcomes)
    owed = _owed(outcomes[-1])
    collaterals = [
        _collateral(number, outcome)
        for number, outcome in zip(basic.collaterals, outcomes[5:-1], strict=True)
    ]
    base_price = None
    if collaterals:
        base_price, collaterals = yield from _priced(market, base, collaterals, owner)
    tokens = [base.token, *(each.token for each in collaterals), *([owed.token] if owed.token else [])]
    if not (base.supplied or base.borrowed or owed.amount or any(each.amount for each in collaterals)):
        if owed.unknown:
            data_of(outcomes[-1], "the rewards owed")  # raises: what is not known is not nothing
        return ()
    assets = yield from known_assets(network, asset_of, tokens)
    position = _position(network, market, owner, base, assets)
    return (_with_health(_with_others(position, collaterals, owed, assets), base, base_price, collaterals),)


def _second_round(market: Market, basic: Basic, owner: Address) -> list[Call]:
    comet, who = market.comet.lower(), address_word(owner)
    return [
        Call(comet, BALANCE_OF + who),
        Call(comet, BORROW_BALANCE_OF + who),
        Call(comet, BASE_TOKEN),
        Call(comet, BASE_TOKEN_PRICE_FEED),
        Call(comet, BASE_SCALE),
        *(Call(comet, GET_ASSET_INFO + uint_word(number)) for number in basic.collaterals),
        Call(market.rewards.lower(), GET_REWARD_OWED + address_word(comet) + who, gas_units=_WRITES),
    ]


def _priced(
    market: Market, base: Base, collaterals: Sequence[Collateral], owner: Address
) -> Tour[tuple[int | None, list[Collateral]]]:
    """The price of the base, and every collateral with its amount and price."""
    comet, who = market.comet.lower(), address_word(owner)
    feeds = [base.price_feed, *(each.price_feed for each in collaterals)]
    prices = [Call(comet, GET_PRICE + address_word(feed), gas_units=8) for feed in feeds]
    held = [Call(comet, USER_COLLATERAL + who + address_word(each.token)) for each in collaterals]
    outcomes = yield [*prices, *held]
    amounts = [words_of(outcome, 2, "the owner's collateral")[0] for outcome in outcomes[len(prices) :]]
    priced = [
        replace(each, amount=as_amount(amount, "the owner's collateral"), price=_price(outcome))
        for each, amount, outcome in zip(collaterals, amounts, outcomes[1 : len(prices)], strict=True)
    ]
    return _price(outcomes[0]), priced


# What the contract says, judged.


def _basic(outcome: Outcome) -> Basic:
    principal, _index, earned, first, more = words_of(outcome, 5, "the owner's account")
    if principal >= WORD_LIMIT // 2:
        principal -= WORD_LIMIT
    if not -_PRINCIPAL_LIMIT <= principal < _PRINCIPAL_LIMIT or first >> 16 or more >> 8:
        raise TourError("malformed", "the owner's account is none")
    bits = first | more << 16
    return Basic(principal, tuple(n for n in range(MOST_COLLATERALS) if bits >> n & 1), bool(earned))


def _base(basic: Basic, outcomes: Sequence[Outcome]) -> Base:
    """The base side.

    Raises:
        TourError: A view failed, or supply and debt are not as the account stands.
    """
    supplied = amount_of(outcomes[0], "the supply")
    borrowed = amount_of(outcomes[1], "the debt")
    if bool(supplied) != (basic.principal > 0) or bool(borrowed) != (basic.principal < 0):
        raise TourError("malformed", "supply and debt are not as the owner's account stands")
    return Base(
        token=address_of(outcomes[2], "the base token"),
        price_feed=address_of(outcomes[3], "the base token's price feed"),
        scale=_scale(word_of(outcomes[4], "the base token's scale")),
        supplied=supplied,
        borrowed=borrowed,
    )


def _collateral(number: int, outcome: Outcome) -> Collateral:
    what = f"the collateral {number}"
    offset, token, feed, scale, borrow, liquidate, _penalty, _cap = words_of(outcome, 8, what)
    if offset != number or max(borrow, liquidate) > FACTOR_SCALE:
        raise TourError("malformed", f"{what} is not what it should be")
    return Collateral(as_address(token, what), as_address(feed, what), _scale(scale), borrow, liquidate)


def _scale(value: int) -> int:
    if not 0 < value <= MOST_SCALE or value != 10 ** (len(str(value)) - 1):
        raise TourError("malformed", f"a scale can't be {value}")
    return value


def _price(outcome: Outcome) -> int | None:
    """A price, if there is one: without it, amounts are still what they are."""
    if isinstance(outcome, CallFailure) or len(outcome) != 32:
        return None
    value = int.from_bytes(outcome)
    return value if 0 < value < AMOUNT_LIMIT else None


def _owed(outcome: Outcome) -> Owed:
    """Rewards; a market without any says so by its own error, and who was not there yet owes none."""
    if outcome is NOT_YET:
        return Owed()
    if isinstance(outcome, CallFailure):
        return Owed() if outcome.reason == _NOT_SUPPORTED else Owed(unknown=outcome.reason)
    token, amount = words_of(outcome, 2, "the rewards owed")
    if not amount:
        return Owed()
    return Owed(as_address(token, "the reward token"), as_amount(amount, "the rewards owed"))


# What the owner has.


def _position(
    network: Network, market: Market, owner: Address, base: Base, assets: Mapping[str, Asset]
) -> Position:
    asset = assets[base.token]
    return Position(
        protocol=PROTOCOL.slug,
        network=network.slug,
        market=market.name,
        position_id=market.comet,
        kind=PositionKind.LENDING,
        owner=owner,
        supplied=(Leg(asset, base.supplied, receipt=market.comet),) if base.supplied else (),
        borrowed=(Leg(asset, base.borrowed),) if base.borrowed else (),
    )


def _with_others(
    position: Position, collaterals: Sequence[Collateral], owed: Owed, assets: Mapping[str, Asset]
) -> Position:
    held = [Leg(assets[one.token], one.amount, label="collateral") for one in collaterals if one.amount]
    return replace(
        position,
        supplied=(*position.supplied, *held),
        claimable=(Leg(assets[owed.token], owed.amount),) if owed.token else (),
        details=(("rewards", f"unknown: {owed.unknown}"),) if owed.unknown else (),
    )


def _with_health(
    position: Position, base: Base, base_price: int | None, collaterals: Sequence[Collateral]
) -> Position:
    """Health and what can still be borrowed, where there is a debt or something that secures one."""
    if not (base.borrowed or collaterals):
        return position
    if collaterals and (base_price is None or any(each.price is None for each in collaterals)):
        return replace(position, details=(*position.details, ("health", "unknown: a price is missing")))
    debt = base.borrowed * (base_price or 0) // base.scale
    weighed = sum(each.value * each.liquidate_factor // FACTOR_SCALE for each in collaterals)
    lendable = sum(each.value * each.borrow_factor // FACTOR_SCALE for each in collaterals)
    left = max(lendable - debt, 0) * base.scale // base_price if base_price else 0
    whole = to_amount(left, len(str(base.scale)) - 1)
    return replace(
        position,
        health_factor=_health(base, debt, weighed),
        liquidation_threshold=_ratio(weighed, sum(each.value for each in collaterals), 4),
        details=(*position.details, ("available_borrows", plain(whole))),
    )


def _health(base: Base, debt: int, weighed: int) -> Decimal | None:
    if not base.borrowed:
        return None
    # A debt too small to have a price can't be liquidated; one that nothing secures can.
    return _ratio(weighed, debt or 1, 18)


def _ratio(part: int, whole: int, digits: int) -> Decimal | None:
    """Rounded down, so that what is under 1 stays under 1."""
    return to_amount(part * 10**digits // whole, digits) if whole else None
