"""Uniswap V3 and what is made of its code: liquidity between two ticks, each position an NFT.

A position is what a full ``decreaseLiquidity`` and ``collect`` would pay at the block, to the wei: its
liquidity at the pool's price as ``supplied``, and as ``claimable`` the fees that nobody collected,
with what was taken out of the pool before and left with the manager. Closed positions (no
liquidity, nothing owed) are left out.

A wallet without positions costs nothing beside its balances. One with up to ``FIRST_IDS`` takes two
rounds more, one with more three, and another where the addresses of pools have to be asked (zkSync Era).

Sources: https://docs.uniswap.org/contracts/v3/reference (NonfungiblePositionManager ``positions``,
``collect``; UniswapV3Pool ``slot0``, ``ticks``, ``positions``); addresses in
data/protocols/uniswap_v3.toml.
Golden: tests/protocols/test_uniswap_v3.py, on Uniswap's own contracts.
Known gaps: positions that a wallet has staked (PancakeSwap's MasterChef) or made without the manager
belong to another contract and are not seen; a wallet with over ``MOST_POSITIONS``, closed ones
included, is declared failed instead of read in part.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial

from eth_utils.crypto import keccak

from balance_tracker.core.assets import Asset, unlisted_token
from balance_tracker.core.ids import Address, shorten
from balance_tracker.core.networks import Network
from balance_tracker.core.positions import Leg, Position, PositionKind
from balance_tracker.evm.abi import BALANCE_OF, WORD, address_word
from balance_tracker.evm.address import EvmAddresses
from balance_tracker.evm.metadata import metadata_calls, read_metadata
from balance_tracker.evm.multicall import Call, UndecodableError, decode_aggregate3, encode_aggregate3
from balance_tracker.evm.outcomes import Outcome
from balance_tracker.evm.ticks import MAX_TICK, PoolPrice, amounts_of, fees_since, growth_inside, root_at
from balance_tracker.evm.tours import Guide, Tour, TourError
from balance_tracker.evm.views import (
    WORD_LIMIT,
    address_of,
    as_address,
    is_absent,
    uint_word,
    word_of,
    words_of,
)
from balance_tracker.ports import MetadataFailure
from balance_tracker.protocols.assets import eip55
from balance_tracker.protocols.spec import AssetOf, EvmGuide, EvmTour, ProtocolSpec, Row, Rows

PROTOCOL = ProtocolSpec(slug="uniswap_v3", name="Uniswap V3", family="evm", grade="silver")

FIRST_IDS = 3
"""Positions whose ids are asked with the balances already: one round less for most wallets."""

MOST_ASKED_ALONE = 8
"""Tokens of no list that may each cost all the gas of a call, or several."""

MOST_POSITIONS = 500
"""Positions of one wallet, closed ones included."""

ID_BY_INDEX = "2f745c59"
"""``tokenOfOwnerByIndex(address,uint256)``"""
POSITIONS = "99fbab88"
GET_POOL = "1698ee82"
SLOT0 = "3850c7bd"
FEE_GROWTH = ("f3058399", "46141319")
"""``feeGrowthGlobal0X128()`` and ``feeGrowthGlobal1X128()``."""
TICKS = "f30dba93"
POOL_POSITIONS = "514ea4bf"

_POSITION_WORDS, _SLOT0_WORDS, _TICK_WORDS, _ENTRY_WORDS = 12, 7, 8, 5
_SIDES = (0, 1)
_OWED = 1 << 128
"""What is owed is kept in 128 bits, and goes round."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A position manager and where its pools are.

    Attributes:
        deployer: The contract that makes the pools; usually the factory does.
        pool_code_hash: Tells a pool's address (CREATE2); without it the factory is asked.
    """

    market: str
    manager: Address
    factory: Address
    deployer: Address
    pool_code_hash: str | None


@dataclass(frozen=True, slots=True)
class Held:
    """A position as its manager keeps it: per token what is owed, and the fees counted until then."""

    token_id: int
    tokens: tuple[str, str]
    fee: int
    lower: int
    upper: int
    liquidity: int
    last: tuple[int, int]
    owed: tuple[int, int]

    @property
    def closed(self) -> bool:
        """Whether nothing is left in it."""
        return not (self.liquidity or any(self.owed))


def guides(network: Network, asset_of: AssetOf, rows: Rows = ()) -> Sequence[EvmGuide]:
    """A guide for every position manager of a network."""
    deployments = [_deployment(row) for row in rows]
    return [Guide(PROTOCOL.slug, one.market, partial(_tour, network, asset_of, one)) for one in deployments]


def _deployment(row: Row) -> Deployment:
    deployer, code_hash = row.get("deployer", row["factory"]), row.get("pool_code_hash")
    parse = EvmAddresses().parse
    return Deployment(
        str(row["market"]), parse(row["manager"]), parse(row["factory"]), parse(deployer), code_hash
    )


def _tour(network: Network, asset_of: AssetOf, deployment: Deployment, owner: Address) -> EvmTour:
    manager = deployment.manager.lower()
    token_ids = yield from _token_ids(network, manager, owner)
    if not token_ids:
        return ()
    outcomes = yield [Call(manager, POSITIONS + uint_word(token_id)) for token_id in token_ids]
    held = [_read_held(token_id, one) for token_id, one in zip(token_ids, outcomes, strict=True)]
    held = [one for one in held if not one.closed]
    if not held:
        return ()
    pools = yield from _pools(deployment, held)
    calls = [call for one, pool in zip(held, pools, strict=True) for call in _pool_calls(manager, one, pool)]
    tokens = dict.fromkeys(token for one in held for token in one.tokens)
    calls += _token_calls([token for token in tokens if asset_of(Address(token)) is None])
    asked = list(dict.fromkeys(calls))
    outcomes = yield asked
    answers = _Answers(network, asset_of, dict(zip(asked, outcomes, strict=True)))
    return [_position(deployment, owner, one, pool, answers) for one, pool in zip(held, pools, strict=True)]


# Which positions.


def _token_ids(network: Network, manager: str, owner: Address) -> Tour[list[int]]:
    ahead = _first_ids_call(network, manager, owner)
    outcomes = yield [Call(manager, BALANCE_OF + address_word(owner)), *ahead]
    if is_absent(outcomes[0]):
        return []
    count = word_of(outcomes[0], "balanceOf")
    if count > MOST_POSITIONS:
        raise TourError("too_many", f"the wallet has more than {MOST_POSITIONS} positions")
    token_ids = _read_first_ids(outcomes[1], count) if ahead and count else []
    left = range(len(token_ids), count)
    if left:
        outcomes = yield [_token_at(manager, owner, index) for index in left]
        token_ids += [word_of(one, "tokenOfOwnerByIndex") for one in outcomes]
    if len(set(token_ids)) != len(token_ids):
        raise TourError("malformed", "the manager gives one position twice")
    return token_ids


def _token_at(manager: str, owner: Address, index: int) -> Call:
    return Call(manager, ID_BY_INDEX + address_word(owner) + uint_word(index))


def _first_ids_call(network: Network, manager: str, owner: Address) -> list[Call]:
    """The first ids in one call, through Multicall3: there a call may fail without being a failure."""
    multicall3 = network.contracts.get("multicall3")
    if multicall3 is None:
        return []
    calls = [_token_at(manager, owner, index) for index in range(FIRST_IDS)]
    data = encode_aggregate3([(call.to, call.data) for call in calls])
    return [Call(multicall3.address.lower(), data[2:])]


def _read_first_ids(outcome: Outcome, count: int) -> list[int]:
    """As many ids as came; the others are asked in a round of their own."""
    try:
        results = decode_aggregate3(outcome, FIRST_IDS) if isinstance(outcome, bytes) else []
    except UndecodableError:
        return []
    found = []
    for succeeded, data in results[:count]:
        if not succeeded or len(data) != WORD:
            break
        found.append(int.from_bytes(data))
    return found


def _read_held(token_id: int, outcome: Outcome) -> Held:
    words = words_of(outcome, _POSITION_WORDS, f"positions({token_id})")
    lower, upper = tick_of(words[5]), tick_of(words[6])
    wide = words[4] >> 24 or max(words[7], *words[10:]) >> 128
    if lower >= upper or wide:
        raise TourError("malformed", f"position {token_id} is none that a pool can have")
    tokens = (as_address(words[2], "token0"), as_address(words[3], "token1"))
    last, owed = (words[8], words[9]), (words[10], words[11])
    return Held(token_id, tokens, words[4], lower, upper, words[7], last, owed)


# Their pools.


def _pools(deployment: Deployment, held: Sequence[Held]) -> Tour[list[str]]:
    """The pool of each position."""
    if deployment.pool_code_hash is not None:
        code_hash = deployment.pool_code_hash
        return [pool_address(deployment.deployer, code_hash, one.tokens, one.fee) for one in held]
    calls = [Call(deployment.factory.lower(), GET_POOL + _pool_key(one.tokens, one.fee)) for one in held]
    asked = list(dict.fromkeys(calls))
    outcomes = yield asked
    found = {call: address_of(one, "getPool") for call, one in zip(asked, outcomes, strict=True)}
    return [found[call] for call in calls]


def pool_address(deployer: str, code_hash: str, tokens: tuple[str, str], fee: int) -> str:
    """Where the pool of two tokens is, in lower case: its deployer makes it by CREATE2 (EIP-1014)."""
    salt = keccak(bytes.fromhex(_pool_key(tokens, fee)))
    made = keccak(b"\xff" + bytes.fromhex(deployer[2:]) + salt + bytes.fromhex(code_hash.removeprefix("0x")))
    return "0x" + made[12:].hex()


def _pool_key(tokens: tuple[str, str], fee: int) -> str:
    return address_word(tokens[0]) + address_word(tokens[1]) + uint_word(fee)


def _pool_calls(manager: str, held: Held, pool: str) -> list[Call]:
    return [
        Call(pool, SLOT0),
        *[Call(pool, selector) for selector in FEE_GROWTH],
        *[_tick_call(pool, tick) for tick in (held.lower, held.upper)],
        _entry_call(manager, held, pool),
    ]


def _tick_call(pool: str, tick: int) -> Call:
    return Call(pool, TICKS + uint_word(tick % WORD_LIMIT))


def _entry_call(manager: str, held: Held, pool: str) -> Call:
    """The pool's entry for the manager: one for all positions of a range, whoever owns them."""
    ticks = b"".join(tick.to_bytes(3, signed=True) for tick in (held.lower, held.upper))
    return Call(pool, POOL_POSITIONS + keccak(bytes.fromhex(manager[2:]) + ticks).hex())


def _token_calls(tokens: Sequence[str]) -> list[Call]:
    """What tokens are that no list has.

    Anybody may give anybody any number of positions in tokens that take all gas: from some number on
    such a token is given up instead of asked alone.
    """
    return [
        replace(call, alone=number < MOST_ASKED_ALONE)
        for number, token in enumerate(tokens)
        for call in metadata_calls(token)
    ]


class _Answers:
    """What the last round gave, by call."""

    def __init__(self, network: Network, asset_of: AssetOf, outcomes: dict[Call, Outcome]) -> None:
        self.network = network
        self._asset_of = asset_of
        self._outcomes = {replace(call, alone=True): outcome for call, outcome in outcomes.items()}

    def words(self, call: Call, count: int, name: str) -> Sequence[int]:
        """What a call gave, as exactly so many words; see :func:`.views.words_of`."""
        return words_of(self._outcomes[call], count, name)

    def asset(self, token: str) -> Asset:
        """A token; what it does not tell stays unknown, and harms no other position.

        Anybody may give anybody a position in a token that is no longer there.
        """
        listed = self._asset_of(Address(token))
        if listed is not None:
            return listed
        said = read_metadata([self._outcomes[call] for call in metadata_calls(token)])
        asset = unlisted_token(self.network, eip55(token))
        if isinstance(said, MetadataFailure):
            return asset
        return asset.with_metadata(said.symbol, said.name, said.decimals)


def tick_of(word: int) -> int:
    """A tick from its word.

    Raises:
        TourError: It is none.
    """
    tick = word - (word >> 255 << 256)
    if abs(tick) > MAX_TICK:
        raise TourError("malformed", "a tick is beyond the highest")
    return tick


# What they are worth.


def _position(deployment: Deployment, owner: Address, held: Held, pool: str, answers: _Answers) -> Position:
    price = _read_price(answers.words(Call(pool, SLOT0), _SLOT0_WORDS, "slot0"))
    amounts = amounts_of(held.liquidity, held.lower, held.upper, price)
    owed = _payable(deployment.manager.lower(), held, pool, price.tick, answers)
    assets = [answers.asset(token) for token in held.tokens]
    sides = list(zip(assets, amounts, owed, strict=True))
    fee = f"{Decimal(held.fee).scaleb(-4).normalize():f}%"
    return Position(
        protocol=PROTOCOL.slug,
        network=answers.network.slug,
        market=deployment.market,
        position_id=f"{deployment.manager}/{held.token_id}",
        kind=PositionKind.LIQUIDITY,
        owner=owner,
        # Principal over 128 bits is lost when it is taken out; only a worthless token gets there.
        supplied=tuple(Leg(asset, amount % _OWED) for asset, amount, _ in sides if amount % _OWED),
        claimable=tuple(Leg(asset, fees, label="fees") for asset, _, fees in sides if fees),
        details=(
            ("pair", "/".join(_shown(asset) for asset in assets)),
            ("fee", fee),
            ("in_range", "true" if held.lower <= price.tick < held.upper else "false"),
            ("tick", str(price.tick)),
            ("tick_lower", str(held.lower)),
            ("tick_upper", str(held.upper)),
            ("liquidity", str(held.liquidity)),
            ("pool", eip55(pool)),
        ),
    )


def _read_price(slot0: Sequence[int]) -> PoolPrice:
    root, tick = slot0[0], tick_of(slot0[1])
    if tick == MAX_TICK or not root_at(tick) <= root <= root_at(tick + 1):
        raise TourError("malformed", "a pool's price and tick are at odds")
    return PoolPrice(root, tick)


def _payable(manager: str, held: Held, pool: str, tick: int, answers: _Answers) -> list[int]:
    """What ``collect`` pays of both tokens beside the principal.

    The pool counts for all positions of a range together and rounds down whenever one of them is
    touched, so it may owe the manager a little less than the manager owes: then it pays that.
    """
    entry = answers.words(_entry_call(manager, held, pool), _ENTRY_WORDS, "pool positions")
    ticks = [answers.words(_tick_call(pool, one), _TICK_WORDS, "ticks") for one in (held.lower, held.upper)]
    place = (tick >= held.lower) + (tick >= held.upper) - 1
    payable = []
    for side in _SIDES:
        (total,) = answers.words(Call(pool, FEE_GROWTH[side]), 1, "feeGrowthGlobal")
        owed, in_pool = held.owed[side], entry[3 + side]
        if held.liquidity:  # without any the pool is not asked to count
            inside = growth_inside(total, ticks[0][2 + side], ticks[1][2 + side], place)
            owed += fees_since(inside, held.last[side], held.liquidity)
            in_pool += fees_since(inside, entry[1 + side], entry[0])
        payable.append(min(owed % _OWED, in_pool % _OWED))
    return payable


def _shown(asset: Asset) -> str:
    return asset.symbol or shorten(str(asset.contract_address))
