"""Compound V2 and its forks: one pool of markets per Comptroller, each lent and borrowed through a cToken.

Source: https://docs.compound.finance/v2 (Comptroller: ``getAssetsIn``, ``getAllMarkets``,
``getAccountLiquidity``; cToken: ``getAccountSnapshot``, ``balanceOfUnderlying``, ``borrowBalanceCurrent``)
Pools: data/protocols/compound_v2.toml (Compound, Venus' core and isolated pools, Tectonic, Mendi), each with
the sources of its addresses; Venus' isolated pools: github.com/VenusProtocol/venus-protocol-documentation
Golden: tests/protocols/golden/compound_v2/
Known gaps: the forks are read by Compound's functions, which their published interfaces share; the tests run
Compound's contracts only. Venus' isolated pool of BTC is not read: only one source of its address was to be
had. Rewards (COMP, XVS, TONIC, MENDI) are not read: what can be claimed is known only after a transaction.
One market that can't accrue its interest leaves the pool declared failed for everyone who is in that market.

Amounts are what the protocol itself gives with the interest up to the block: ``balanceOfUnderlying`` and
``borrowBalanceCurrent``. They write before they answer, so a reader that may not write asks them by
themselves, which costs one request more; computed from what is stored, a debt could be off by a wei or two.
Health is the Comptroller's own account, which takes what is stored and the interest up to the last time
anyone touched the market: 1 and ``getAccountLiquidity`` agree to the wei on who can be liquidated.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial

from balance_tracker.core.amounts import plain, to_amount
from balance_tracker.core.assets import Asset, native_asset
from balance_tracker.core.ids import Address
from balance_tracker.core.networks import Network
from balance_tracker.core.positions import Leg, Position, PositionKind
from balance_tracker.evm.abi import BALANCE_OF, address_word
from balance_tracker.evm.multicall import Call
from balance_tracker.evm.outcomes import CallFailure, Outcome
from balance_tracker.evm.tours import Guide, Tour, TourError
from balance_tracker.evm.views import (
    address_of,
    addresses_of,
    amount_of,
    as_amount,
    is_absent,
    word_of,
    words_of,
)
from balance_tracker.protocols.assets import eip55, known_assets
from balance_tracker.protocols.spec import AssetOf, EvmGuide, EvmTour, ProtocolSpec, Row, Rows

PROTOCOL = ProtocolSpec(slug="compound_v2", name="Compound v2", family="evm", grade="silver")

GET_ALL_MARKETS = "b0772d0b"
GET_ASSETS_IN = "abfceffc"
GET_ACCOUNT_LIQUIDITY = "5ec88c79"
GET_ACCOUNT_SNAPSHOT = "c37f68e2"
GET_UNDERLYING_PRICE = "fc57d4df"
GET_VAI_REPAY_AMOUNT = "78c2f922"
ORACLE = "7dc0d1d0"
UNDERLYING = "6f307dc3"
BALANCE_OF_UNDERLYING = "3af9e669"
BORROW_BALANCE_CURRENT = "17bfdfbc"

MOST_MARKETS = 200
"""Markets of one pool; Venus' has the most, 50."""

MANTISSA = 10**18
_WRITES = 1
"""Units of 65,536 gas: what must not write takes all it is given, so it is given little."""
_MOST_UNITS = 255
_UNITS_PER_MARKET = 3


@dataclass(slots=True)
class Pool:
    """One Comptroller's markets.

    Attributes:
        markets: The cTokens of the data, in lower case.
        met: Those met on the chain, which cost the next wallet no round; they count where they are listed.
        native_market: The one whose underlying is the network's own coin.
        vai_controller: Where Venus keeps what was minted of its stablecoin against the collateral.
        by_threshold: Whether ``getAccountLiquidity`` tells how far liquidation is, which is more than may
            still be borrowed (Venus); else the two are the same.
    """

    name: str
    comptroller: Address
    native_market: str | None
    vai_controller: str | None
    vai: str | None
    by_threshold: bool = False
    markets: dict[str, None] = field(default_factory=dict)
    met: dict[str, None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Account:
    """How an owner stands in one market, in smallest units of its underlying.

    Attributes:
        underlying: Its contract in lower case; ``None`` for the network's own coin.
        supplied: With the interest up to the block, as ``borrowed``.
        stored_supply: With the interest up to the last time anyone touched the market, as ``stored_debt``.
        price: Of one smallest unit, scaled by 10**36; ``None`` where the oracle has none.
    """

    market: str
    underlying: str | None
    entered: bool
    supplied: int
    borrowed: int
    stored_supply: int
    stored_debt: int
    price: int | None


@dataclass(frozen=True, slots=True)
class Standing:
    """How far an owner is from liquidation, as the Comptroller has it."""

    health_factor: Decimal | None
    threshold: Decimal | None
    details: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class First:
    """What the first round tells of an owner: where there is something, and what of it."""

    tokens: Mapping[str, int]
    entered: frozenset[str]
    oracle: str | None
    vai: int

    @property
    def active(self) -> list[str]:
        """Markets in which the owner has supplied, or may have borrowed."""
        return [market for market, held in self.tokens.items() if held or market in self.entered]


def guides(network: Network, asset_of: AssetOf, rows: Rows = ()) -> Sequence[EvmGuide]:
    """A guide for each pool of the network."""
    pools = [_pool(row) for row in rows]
    return [Guide(PROTOCOL.slug, pool.name, partial(_tour, network, asset_of, pool)) for pool in pools]


def _pool(row: Row) -> Pool:
    return Pool(
        name=row["market"],
        comptroller=eip55(row["comptroller"]),
        native_market=_lowered(row.get("native_market")),
        vai_controller=_lowered(row.get("vai_controller")),
        vai=row["vai"].lower() if row.get("vai_controller") else None,
        by_threshold=row.get("by_threshold", False),
        markets=dict.fromkeys(market.lower() for market in row.get("markets", ())),
    )


def _lowered(address: str | None) -> str | None:
    return address.lower() if address else None


def _tour(network: Network, asset_of: AssetOf, pool: Pool, owner: Address) -> EvmTour:
    first = yield from _first(pool, owner)
    if first is None or not (first.active or first.vai):
        return ()
    accounts, standing = yield from _second(pool, first, owner)
    used = [account for account in accounts if account.supplied or account.borrowed]
    if not (used or first.vai):
        return ()
    tokens = [account.underlying for account in used if account.underlying]
    if first.vai and pool.vai:
        tokens.append(pool.vai)
    known = yield from known_assets(network, asset_of, tokens)
    ether = native_asset(network)
    assets = {account.market: known.get(account.underlying or "", ether) for account in used}
    borrowed = [Leg(assets[one.market], one.borrowed) for one in used if one.borrowed]
    if first.vai and pool.vai:
        borrowed.append(Leg(known[pool.vai], first.vai, label="minted"))
    return (
        Position(
            protocol=PROTOCOL.slug,
            network=network.slug,
            market=pool.name,
            position_id=pool.comptroller,
            kind=PositionKind.LENDING,
            owner=owner,
            supplied=tuple(_supply(assets, one) for one in used if one.supplied),
            borrowed=tuple(borrowed),
            health_factor=standing.health_factor,
            liquidation_threshold=standing.threshold,
            details=standing.details,
        ),
    )


def _supply(assets: Mapping[str, Asset], account: Account) -> Leg:
    asset, receipt = assets[account.market], eip55(account.market)
    return Leg(asset, account.supplied, collateral=account.entered, receipt=receipt)


# The first round: whether there is anything.


def _first(pool: Pool, owner: Address) -> Tour[First | None]:
    known = [*pool.markets, *pool.met]
    comptroller, who = pool.comptroller.lower(), address_word(owner)
    calls = [
        Call(comptroller, GET_ALL_MARKETS),
        Call(comptroller, GET_ASSETS_IN + who),
        Call(comptroller, ORACLE),
    ]
    if pool.vai_controller:
        calls.append(Call(pool.vai_controller, GET_VAI_REPAY_AMOUNT + who))
    outcomes = yield [*calls, *(Call(market, BALANCE_OF + who) for market in known)]
    if is_absent(outcomes[0]):
        return None
    listed = addresses_of(outcomes[0], MOST_MARKETS, "the pool's markets")
    entered = addresses_of(outcomes[1], MOST_MARKETS, "the markets that the owner has entered")
    live = {*listed, *entered}
    tokens = _balances(known, outcomes[len(calls) :], live)
    tokens = {market: held for market, held in tokens.items() if market in live or market in pool.markets}
    new = [market for market in dict.fromkeys([*listed, *entered]) if market not in known]
    if new:
        more = yield [Call(market, BALANCE_OF + who) for market in new]
        tokens |= _balances(new, more, set(new))
        if len(known) + len(new) <= 2 * MOST_MARKETS:
            pool.met |= dict.fromkeys(new)
    vai = amount_of(outcomes[3], "the VAI to repay") if pool.vai_controller else 0
    return First(tokens, frozenset(entered), _oracle(outcomes[2]), vai)


def _balances(markets: Sequence[str], outcomes: Sequence[Outcome], live: set[str]) -> dict[str, int]:
    """The cTokens held by market; what can't be read of a market that the pool does not have is left out."""
    return {
        market: amount_of(outcome, f"the balance in the market {market}")
        for market, outcome in zip(markets, outcomes, strict=True)
        if market in live or not isinstance(outcome, CallFailure)
    }


def _oracle(outcome: Outcome) -> str | None:
    try:
        return address_of(outcome, "the pool's oracle")
    except TourError:
        return None  # Then there are no prices, and health is not known.


# The second round: how much, and how safe.


def _second(pool: Pool, first: First, owner: Address) -> Tour[tuple[list[Account], Standing]]:
    """What reads comes before what writes, so that nothing read depends on what was written beside it."""
    markets, who = first.active, address_word(owner)
    units = min(_MOST_UNITS, 8 + _UNITS_PER_MARKET * len(first.entered))
    reads = [Call(pool.comptroller.lower(), GET_ACCOUNT_LIQUIDITY + who, gas_units=units)]
    writes = []
    for market in markets:
        reads.append(Call(market, GET_ACCOUNT_SNAPSHOT + who))
        # The native market has no underlying to ask for; its balance keeps the answers in threes.
        reads.append(Call(market, BALANCE_OF + who if market == pool.native_market else UNDERLYING))
        reads.append(Call(first.oracle or market, GET_UNDERLYING_PRICE + address_word(market), gas_units=8))
        writes.append(Call(market, BALANCE_OF_UNDERLYING + who, gas_units=_WRITES))
        writes.append(Call(market, BORROW_BALANCE_CURRENT + who, gas_units=_WRITES))
    outcomes = yield [*reads, *writes]
    accounts = []
    for number, market in enumerate(markets):
        at, current = 1 + 3 * number, len(reads) + 2 * number
        parts = (*outcomes[at : at + 3], *outcomes[current : current + 2])
        accounts.append(_account(pool, first, market, parts))
    left_name = "left_until_liquidation_usd" if pool.by_threshold else "available_borrows_usd"
    return accounts, _standing(outcomes[0], accounts, first.vai, left_name)


def _account(pool: Pool, first: First, market: str, outcomes: Sequence[Outcome]) -> Account:
    """One market as an owner stands in it.

    Raises:
        TourError: The market failed, or contradicts itself.
    """
    snapshot, underlying, price, supply, debt = outcomes
    error, tokens, stored_debt, rate = words_of(snapshot, 4, f"the account in the market {market}")
    if error or tokens != first.tokens[market]:
        raise TourError("malformed", f"the market {market} contradicts itself (error {error})")
    supplied = amount_of(supply, f"the supply in the market {market}")
    borrowed = amount_of(debt, f"the debt in the market {market}")
    if borrowed < stored_debt or bool(borrowed) != bool(stored_debt) or (supplied and not tokens):
        raise TourError("malformed", f"the market {market} contradicts itself in what is owed")
    if borrowed and market not in first.entered:
        raise TourError("malformed", f"a debt in the market {market}, which the owner never entered")
    native = market == pool.native_market
    return Account(
        market=market,
        underlying=None if native else address_of(underlying, f"the underlying of the market {market}"),
        entered=market in first.entered,
        supplied=supplied,
        borrowed=borrowed,
        stored_supply=as_amount(tokens * rate // MANTISSA, f"the supply in the market {market}"),
        stored_debt=stored_debt,
        price=None if isinstance(price, CallFailure) else word_of(price, "a price"),
    )


def _standing(liquidity: Outcome, accounts: Sequence[Account], vai: int, left_name: str) -> Standing:
    """Health from the Comptroller's answer: what the debts are worth, and what is left over or missing.

    The sum of the debts is added up as the Comptroller does, each cut to whole units of 10**-18; with what
    it says is left, that gives the collateral by its own factors, whatever these are.
    """
    try:
        error, left, missing = words_of(liquidity, 3, "the account's liquidity")
    except TourError as failed:
        return _unknown(failed.reason)
    entered = [account for account in accounts if account.entered]
    if error or (left and missing) or any(account.price is None for account in entered):
        return _unknown(f"the pool can't tell (error {error})")
    debts = vai + sum((one.price or 0) * one.stored_debt // MANTISSA for one in entered)
    collateral = debts + left - missing
    if collateral < 0:
        return _unknown("the pool's account does not add up")
    supplies = sum((one.price or 0) * one.stored_supply // MANTISSA for one in entered)
    name, amount = ("shortfall_usd", missing) if missing else (left_name, left)
    return Standing(
        health_factor=_ratio(collateral, debts, 18),
        threshold=_ratio(collateral, supplies, 4),
        details=((name, plain(to_amount(amount, 18))),),
    )


def _unknown(why: str) -> Standing:
    return Standing(None, None, (("health", f"unknown: {why}"),))


def _ratio(part: int, whole: int, digits: int) -> Decimal | None:
    """Rounded down, so that what is under 1 stays under 1."""
    return to_amount(part * 10**digits // whole, digits) if whole else None
