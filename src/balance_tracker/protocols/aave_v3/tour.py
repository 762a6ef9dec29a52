"""The way through one market."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import batched

from balance_tracker.core.amounts import plain, to_amount
from balance_tracker.core.assets import Asset
from balance_tracker.core.ids import Address
from balance_tracker.core.networks import Network
from balance_tracker.core.positions import Leg, Position, PositionKind
from balance_tracker.evm.abi import address_word, read_address
from balance_tracker.evm.multicall import Call
from balance_tracker.evm.outcomes import NOT_YET, Outcome
from balance_tracker.evm.tours import Tour, TourError
from balance_tracker.protocols.aave_v3.answers import (
    Account,
    Holding,
    borrows_in,
    read_account,
    read_addresses,
    read_holding,
    read_label,
    read_rewards,
    read_tokens,
    read_user_reserves,
    read_word,
)
from balance_tracker.protocols.aave_v3.markets import Market
from balance_tracker.protocols.assets import eip55, known_assets
from balance_tracker.protocols.spec import AssetOf, EvmTour

GET_USER_ACCOUNT_DATA = "bf92857c"
GET_USER_CONFIGURATION = "4417a583"
GET_USER_E_MODE = "eddf1b79"
GET_E_MODE_CATEGORY_DATA = "6c6f6ae1"
GET_RESERVES_LIST = "d1946dbc"
GET_POOL_DATA_PROVIDER = "e860accb"
GET_USER_RESERVES_DATA = "51974cc0"
GET_USER_RESERVE_DATA = "28dd2d01"
GET_RESERVE_TOKENS_ADDRESSES = "d2493b6c"
GET_ALL_USER_REWARDS = "4c0369c3"

BASE_DECIMALS = 8
"""All markets count in dollars of eight digits."""

_TOKENS_PER_REWARDS_CALL = 24
_FEWEST_RESERVES = 24
_NO_TOKEN = f"0x{0:040x}"


@dataclass(frozen=True, slots=True)
class Scene:
    """What a tour knows before it begins; ``underlyings`` are by aToken, of all markets of the network."""

    network: Network
    asset_of: AssetOf
    market: Market
    underlyings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """One reserve that the wallet is in, and the tokens that stand for it."""

    underlying: str
    holding: Holding
    a_token: str
    stable_debt_token: str
    variable_debt_token: str

    @property
    def tokens(self) -> Iterator[str]:
        """Those of which the wallet has some."""
        holding = self.holding
        amounts = (holding.supplied, holding.stable_debt, holding.variable_debt)
        tokens = (self.a_token, self.stable_debt_token, self.variable_debt_token)
        return (token for token, amount in zip(tokens, amounts, strict=True) if amount)


@dataclass(frozen=True, slots=True)
class Presence:
    """Which reserves the wallet is in, and whom to ask about them."""

    held: Sequence[str]
    data_provider: str
    e_mode: int


@dataclass(frozen=True, slots=True)
class State:
    """Everything of the wallet in the market but what its tokens are.

    ``rewards`` are unclaimed amounts by token; a text says why they are not known.
    """

    account: Account
    e_mode: int
    e_mode_label: str | None
    entries: Sequence[Entry]
    rewards: Mapping[str, int] | str


def visit(scene: Scene, owner: Address) -> EvmTour:
    """The wallet's position in the market, if it has one."""
    who = address_word(owner)
    presence = yield from _presence(scene.market, who)
    if not presence.held:
        return ()
    state = yield from _state(scene.market, presence, who)
    if not state.entries and not state.rewards:
        return ()
    rewards = state.rewards if isinstance(state.rewards, Mapping) else {}
    receipts = scene.underlyings
    claims = [(receipts.get(token, token), amount) for token, amount in rewards.items()]
    tokens = [entry.underlying for entry in state.entries] + [token for token, _ in claims]
    assets = yield from known_assets(scene.network, scene.asset_of, tokens)
    supplied, borrowed = _legs(state.entries, assets)
    account = state.account
    position = Position(
        protocol="aave_v3",
        network=scene.network.slug,
        market=scene.market.name,
        position_id=scene.market.name,
        kind=PositionKind.LENDING,
        owner=owner,
        supplied=supplied,
        borrowed=borrowed,
        claimable=tuple(Leg(assets[token], amount) for token, amount in claims),
        health_factor=None if account.health_factor is None else to_amount(account.health_factor, 18),
        liquidation_threshold=to_amount(account.liquidation_threshold, 4) if account.collateral else None,
        details=tuple(_details(scene.market, state)),
    )
    return (position,)


def _presence(market: Market, who: str) -> Tour[Presence]:
    """What rides with the balances; more only where the helper is of no use.

    Raises:
        TourError: The pool is not what it should be.
    """
    reserves = max(len(market.reserves), _FEWEST_RESERVES)
    configuration, named, told = yield [
        Call(market.pool, GET_USER_CONFIGURATION + who),
        Call(market.provider, GET_POOL_DATA_PROVIDER),
        Call(
            market.user_data,
            GET_USER_RESERVES_DATA + address_word(market.provider) + who,
            gas_units=16 + reserves,
        ),
    ]
    if configuration is NOT_YET:  # The helper may be older: it serves all markets of the network.
        return Presence((), market.data_provider, e_mode=0)
    bitmap = read_word(configuration, "the account's configuration")
    provider = (read_address(named) if isinstance(named, bytes) else None) or market.data_provider
    seen = read_user_reserves(told)
    if seen is not None:
        rows, e_mode = seen
        if sum(row.borrowed for row in rows) == borrows_in(bitmap):
            in_use = [row.underlying for row in rows if row.supplied or row.borrowed]
            return Presence(tuple(dict.fromkeys(in_use)), provider, e_mode)
    held = yield from _held_of_all(market, provider, who)
    return Presence(held, provider, e_mode=0)


def _held_of_all(market: Market, provider: str, who: str) -> Tour[Sequence[str]]:
    """The reserves that the wallet is in, by asking every one."""
    (listed,) = yield [Call(market.pool, GET_RESERVES_LIST, gas_units=16)]
    reserves = read_addresses(listed)
    outcomes = yield [_reserve_call(provider, GET_USER_RESERVE_DATA, reserve, who) for reserve in reserves]
    holdings = [read_holding(outcome) for outcome in outcomes]
    return [reserve for reserve, holding in zip(reserves, holdings, strict=True) if not holding.empty]


def _state(market: Market, presence: Presence, who: str) -> Tour[State]:
    """The pool's word on the account, every reserve to the wei, and rewards."""
    known = [token for one in market.reserves for token in (one.a_token, one.variable_debt_token)]
    account_calls = _account_calls(market, presence, who)
    reserve_calls = [
        call
        for reserve in presence.held
        for call in (
            _reserve_call(presence.data_provider, GET_USER_RESERVE_DATA, reserve, who),
            _reserve_call(presence.data_provider, GET_RESERVE_TOKENS_ADDRESSES, reserve),
        )
    ]
    outcomes = yield [*account_calls, *reserve_calls, *_rewards_calls(market, known, who)]
    told = outcomes[len(account_calls) :]
    entries = _entries(presence.held, told[: len(reserve_calls)])
    rewards = told[len(reserve_calls) :]
    # Never stable debt tokens: the controller can't ask them, and has nothing for them.
    earning = {token for entry in entries for token in entry.tokens if token != entry.stable_debt_token}
    strangers = earning.difference(known)
    if market.incentives is not None and strangers:
        more = yield _rewards_calls(market, sorted(strangers), who)
        rewards = [*rewards, *more]
    return State(
        account=read_account(outcomes[0]),
        e_mode=read_word(outcomes[1], "the account's e-mode"),
        e_mode_label=read_label(outcomes[2]) if presence.e_mode else None,
        entries=entries,
        rewards=_sum(rewards),
    )


def _account_calls(market: Market, presence: Presence, who: str) -> list[Call]:
    calls = [
        # A price of each reserve, and some prices are made of several.
        Call(market.pool, GET_USER_ACCOUNT_DATA + who, gas_units=8 + 4 * len(presence.held)),
        Call(market.pool, GET_USER_E_MODE + who),
    ]
    if presence.e_mode:
        calls.append(Call(market.pool, f"{GET_E_MODE_CATEGORY_DATA}{presence.e_mode:064x}"))
    return calls


def _reserve_call(provider: str, selector: str, reserve: str, who: str = "") -> Call:
    return Call(provider, selector + address_word(reserve) + who)


def _rewards_calls(market: Market, tokens: Sequence[str], who: str) -> list[Call]:
    """Some tokens each: every reward of the controller is looked up for every one of them."""
    if market.incentives is None:
        return []
    calls = []
    for some in batched(tokens, _TOKENS_PER_REWARDS_CALL):
        words = "".join(address_word(token) for token in some)
        data = f"{GET_ALL_USER_REWARDS}{64:064x}{who}{len(some):064x}{words}"
        calls.append(Call(market.incentives, data, gas_units=8 + 2 * len(some)))
    return calls


def _entries(held: Sequence[str], outcomes: Sequence[Outcome]) -> list[Entry]:
    """What is in each reserve; a scaled balance may be too small to be anything.

    Raises:
        TourError: A reserve's data failed or is malformed.
    """
    entries = []
    for reserve, (holding, tokens) in zip(held, batched(outcomes, 2), strict=True):
        entry = Entry(reserve, read_holding(holding), *read_tokens(tokens))
        if _NO_TOKEN in entry.tokens:
            raise TourError("malformed", f"the reserve {reserve} has a balance without a token")
        if not entry.holding.empty:
            entries.append(entry)
    return entries


def _sum(outcomes: Sequence[Outcome]) -> Mapping[str, int] | str:
    """Rewards of all calls together, or why they are not known: a part of them would pass for all."""
    total: Counter[str] = Counter()
    for outcome in outcomes:
        rewards = read_rewards(outcome)
        if isinstance(rewards, str):
            return rewards
        total.update(rewards)
    return total


def _legs(entries: Sequence[Entry], assets: Mapping[str, Asset]) -> tuple[tuple[Leg, ...], tuple[Leg, ...]]:
    """What is supplied, and what is owed."""
    supplied, borrowed = [], []
    for entry in entries:
        asset, holding = assets[entry.underlying], entry.holding
        if holding.supplied:
            supplied.append(Leg(asset, holding.supplied, holding.collateral, eip55(entry.a_token)))
        if holding.variable_debt:
            receipt = eip55(entry.variable_debt_token)
            borrowed.append(Leg(asset, holding.variable_debt, receipt=receipt, label="variable"))
        if holding.stable_debt:
            receipt = eip55(entry.stable_debt_token)
            borrowed.append(Leg(asset, holding.stable_debt, receipt=receipt, label="stable"))
    return tuple(supplied), tuple(borrowed)


def _details(market: Market, state: State) -> Iterator[tuple[str, str]]:
    account = state.account
    yield "collateral_usd", plain(to_amount(account.collateral, BASE_DECIMALS))
    yield "debt_usd", plain(to_amount(account.debt, BASE_DECIMALS))
    yield "available_borrows_usd", plain(to_amount(account.available_borrows, BASE_DECIMALS))
    yield "loan_to_value", plain(to_amount(account.ltv, 4))
    if state.e_mode:
        yield "e_mode", str(state.e_mode)
    if state.e_mode and state.e_mode_label:
        yield "e_mode_label", state.e_mode_label
    if isinstance(state.rewards, str):
        yield "claimable", f"unknown: {state.rewards}"
    if market.deprecated:
        yield "status", "deprecated"
