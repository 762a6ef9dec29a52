"""Pairs of Uniswap V2 and of exchanges made of its code: a share of what a pair holds of two tokens.

A position is what the pair's ``burn`` would pay for all of the wallet's liquidity tokens at the block, to
the wei: their part of the pair's own balances (which can be more than its reserves), rounded down, after
the exchange has taken its part of what the pair has grown by since anybody last came or left.

The balances of liquidity tokens ride with the wallet's other balances; a pair that the wallet has a
part of takes one round more.

Sources: https://docs.uniswap.org/contracts/v2/reference (UniswapV2Pair ``burn``, ``kLast``); the
exchange's part is one sixth on Uniswap, SushiSwap and Trader Joe, 8 of 25 on PancakeSwap.
Pairs: data/protocols/uniswap_v2.toml
Golden: tests/protocols/test_uniswap_v2.py, on Uniswap's own contracts.
Known gaps: only pairs of the data are read; liquidity tokens that are staked elsewhere are not seen,
and those that lie in the pair itself, which the next to leave is given, are nobody's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from functools import partial
from math import isqrt

from balance_tracker.core.ids import Address
from balance_tracker.core.networks import Network
from balance_tracker.core.positions import Leg, Position, PositionKind
from balance_tracker.evm.abi import BALANCE_OF, address_word
from balance_tracker.evm.multicall import Call
from balance_tracker.evm.outcomes import Outcome
from balance_tracker.evm.tours import Guide, TourError
from balance_tracker.evm.views import address_of, amount_of, as_amount, is_absent, word_of, words_of
from balance_tracker.protocols.assets import eip55, known_assets
from balance_tracker.protocols.spec import AssetOf, EvmGuide, EvmTour, ProtocolSpec, Row, Rows

PROTOCOL = ProtocolSpec(slug="uniswap_v2", name="Uniswap V2", family="evm", grade="silver")

TOTAL_SUPPLY = "18160ddd"
GET_RESERVES = "0902f1ac"
K_LAST = "7464fc3d"
TOKENS = ("0dfe1681", "d21220a7")
"""``token0()`` and ``token1()``."""
FEE_TO = "017e7e58"

ONE_SIXTH = (1, 5)
_SHOWN = Context(prec=12)


@dataclass(frozen=True, slots=True)
class Pair:
    """One pair.

    Attributes:
        market: The exchange and both symbols, for people.
        factory: Says who takes the exchange's part, if anybody does.
        fee_share: The exchange's part of growth, a to b: it is ``a / (a + b)``.
    """

    market: str
    address: Address
    tokens: tuple[str, str]
    factory: Address
    fee_share: tuple[int, int]


@dataclass(frozen=True, slots=True)
class State:
    """What a pair said of itself: raw amounts of both tokens, and its liquidity tokens.

    Attributes:
        k_last: The product of the reserves when anybody last came or left; 0 where it is not kept.
        fee_on: Whether the exchange takes a part.
    """

    balances: tuple[int, int]
    reserves: tuple[int, int]
    supply: int
    k_last: int
    fee_on: bool


def guides(network: Network, asset_of: AssetOf, rows: Rows = ()) -> Sequence[EvmGuide]:
    """A guide for every pair of the network."""
    pairs = [pair for row in rows for pair in _pairs(row)]
    return [Guide(PROTOCOL.slug, pair.market, partial(_tour, network, asset_of, pair)) for pair in pairs]


def _pairs(row: Row) -> list[Pair]:
    first, second = row.get("fee_share", ONE_SIXTH)
    return [
        Pair(
            market=f"{row['market']} {one['name']}",
            address=eip55(one["pair"]),
            tokens=(one["tokens"][0].lower(), one["tokens"][1].lower()),
            factory=eip55(row["factory"]),
            fee_share=(first, second),
        )
        for one in row["pairs"]
    ]


def _tour(network: Network, asset_of: AssetOf, pair: Pair, owner: Address) -> EvmTour:
    outcomes = yield [Call(pair.address.lower(), BALANCE_OF + address_word(owner))]
    if is_absent(outcomes[0]):
        return ()
    liquidity = amount_of(outcomes[0], "the liquidity tokens")
    if liquidity == 0:
        return ()
    outcomes = yield _questions(pair)
    state = _read_state(pair, outcomes)
    if liquidity > state.supply:
        raise TourError("malformed", "the wallet has more liquidity tokens than there are")
    assets = yield from known_assets(network, asset_of, pair.tokens)
    supply = state.supply + exchange_part(state, pair.fee_share)
    legs = [
        Leg(assets[token], liquidity * balance // supply, receipt=pair.address)
        for token, balance in zip(pair.tokens, state.balances, strict=True)
    ]
    return (
        Position(
            protocol=PROTOCOL.slug,
            network=network.slug,
            market=pair.market,
            position_id=pair.address,
            kind=PositionKind.LIQUIDITY,
            owner=owner,
            supplied=tuple(leg for leg in legs if leg.raw_amount),
            details=(
                ("pair", pair.market.rpartition(" ")[2]),
                ("liquidity", str(liquidity)),
                ("share", f"{_SHOWN.divide(Decimal(liquidity), Decimal(supply)):f}"),
            ),
        ),
    )


def _questions(pair: Pair) -> list[Call]:
    to = pair.address.lower()
    calls = [Call(to, selector) for selector in (*TOKENS, TOTAL_SUPPLY, GET_RESERVES, K_LAST)]
    held = [Call(token, BALANCE_OF + address_word(pair.address)) for token in pair.tokens]
    return [*calls, *held, Call(pair.factory.lower(), FEE_TO)]


def _read_state(pair: Pair, outcomes: Sequence[Outcome]) -> State:
    first, second, supply, reserves, k_last, *held, fee_to = outcomes
    tokens = (address_of(first, "token0"), address_of(second, "token1"))
    if tokens != pair.tokens:
        raise TourError("malformed", f"the pair is one of {tokens[0]} and {tokens[1]}")
    one, other, _ = words_of(reserves, 3, "getReserves")
    balances = [amount_of(outcome, "the pair's balance") for outcome in held]
    return State(
        balances=(balances[0], balances[1]),
        reserves=(as_amount(one, "a reserve"), as_amount(other, "a reserve")),
        supply=amount_of(supply, "totalSupply"),
        k_last=word_of(k_last, "kLast"),
        fee_on=word_of(fee_to, "feeTo") != 0,
    )


def exchange_part(state: State, fee_share: tuple[int, int]) -> int:
    """Liquidity tokens that the exchange is given before anybody leaves.

    They are worth its part of the growth of the root of the reserves' product, which is what fees
    make it grow by.
    """
    if not state.fee_on or not state.k_last:
        return 0
    root, last = isqrt(state.reserves[0] * state.reserves[1]), isqrt(state.k_last)
    if root <= last:
        return 0
    part, rest = fee_share
    return state.supply * (root - last) * part // (root * rest + last * part)
