"""Shares of Uniswap V2's pairs on its own contracts: the reader says what ``burn`` pays, to the wei."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from math import isqrt

import pytest
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st
from tests.nodes.chains import rolled_back, started
from tests.nodes.token_zoo import zoo_address
from tests.protocols.conversation import load, replay
from tests.protocols.driving import Driven, driver
from tests.protocols.leading import lead_by, words
from tests.protocols.uniswap_golden import V2, guide_v2
from tests.protocols.uniswap_scenes import (
    HIGH,
    LOW,
    NETWORK,
    NOBODY,
    OWNERS,
    USDC,
    V2_FACTORY,
    WETH,
    PairV2,
    Uniswap,
    asset_of,
    create_pair,
    place_uniswap,
    rows_of,
)

from balance_tracker.catalog.networks import load_networks
from balance_tracker.catalog.tokens import load_tokens
from balance_tracker.core.ids import Address
from balance_tracker.core.portfolio import FailureCode
from balance_tracker.core.positions import Leg, Position, PositionKind
from balance_tracker.demo.anvil import AnvilNode
from balance_tracker.demo.contracts import (
    DEPLOYER,
    MULTICALL3_ADDRESS,
    ContractLibrary,
    call_data,
    multicall3_runtime,
    set_code,
)
from balance_tracker.evm.outcomes import CallFailure, Outcome
from balance_tracker.evm.tours import TourError
from balance_tracker.protocols.spec import EvmGuide, Row
from balance_tracker.protocols.uniswap_v2 import ONE_SIXTH, State, exchange_part, guides

integration = pytest.mark.integration

FIRST, SECOND = OWNERS
TAKER = zoo_address("taker of the exchange's part")
E18 = 10**18
NETWORKS = ("ethereum", "polygon", "arbitrum", "gnosis", "bsc", "avalanche")


@pytest.fixture(scope="module")
def uniswap_node() -> Iterator[AnvilNode]:
    with started(1) as node:
        set_code(node.client, {MULTICALL3_ADDRESS: multicall3_runtime()})
        yield node


@pytest.fixture(scope="module")
def placed(uniswap_node: AnvilNode, library: ContractLibrary) -> Uniswap:
    return place_uniswap(uniswap_node.client, library)


@pytest.fixture
def uniswap(placed: Uniswap) -> Iterator[Uniswap]:
    with rolled_back(placed.client):
        yield placed


@pytest.fixture
def pair(uniswap: Uniswap) -> PairV2:
    """USDC and ether, with liquidity of nobody who is asked about."""
    made = create_pair(uniswap, (USDC, WETH))
    made.add(DEPLOYER, (3_300_000 * 10**6, 1_000 * E18))
    return made


def guide(name: str = "Uniswap V2 USDC/WETH", rows: list[Row] | None = None) -> EvmGuide:
    made = guides(NETWORK, asset_of, rows or rows_of("uniswap_v2", "ethereum"))
    return next(one for one in made if one.market == name)


def guide_of(pair: PairV2) -> EvmGuide:
    """For a pair that is not shipped."""
    one = {"name": "LOW/HIGH", "pair": pair.address, "tokens": list(pair.tokens)}
    return guide("Uniswap V2 LOW/HIGH", [{"market": "Uniswap V2", "factory": V2_FACTORY, "pairs": [one]}])


async def read(node: AnvilNode, owner: str, chosen: EvmGuide | None = None) -> Driven[list[Position]]:
    async with driver(NETWORK, node.url) as one:
        driven = await one.drive(chosen or guide(), Address(owner))
    return Driven(list(driven.found), driven.block, driven.rounds, driven.requests, driven.calls)


async def assert_agrees(pair: PairV2, node: AnvilNode, owner: str) -> None:
    found = (await read(node, owner)).found
    if not pair.liquidity(owner):
        assert found == []
        return
    (position,) = found
    assert tuple(leg.raw_amount for leg in position.supplied) == pair.removal(owner)


def fee_to(uniswap: Uniswap, taker: str) -> None:
    uniswap.send(V2_FACTORY, call_data("setFeeTo(address)", taker))


# The golden conversation.


def test_the_golden_conversation_comes_to_what_the_contracts_paid() -> None:
    golden = load(V2)
    found = replay(guide_v2(), golden)
    assert found == golden.positions
    assert [len(one) for one in golden.rounds] == [1, 8]
    assert [[int(leg["raw_amount"]) for leg in position["supplied"]] for position in found] == golden.paid


# What a share is.


@integration
async def test_a_share_is_a_part_of_both_tokens(
    uniswap: Uniswap, uniswap_node: AnvilNode, pair: PairV2
) -> None:
    assert pair.address == Address("0xB4e16d0168e52d35CaCD2c6185b44281Ec28C9Dc")
    pair.add(FIRST, (6_600 * 10**6, 2 * E18))
    pair.swap(10_000 * 10**6, first=True)
    (position,) = (await read(uniswap_node, FIRST)).found
    assert tuple(leg.raw_amount for leg in position.supplied) == pair.removal(FIRST)
    assert [leg.asset.symbol for leg in position.supplied] == ["USDC", "WETH"]
    assert {leg.receipt for leg in position.supplied} == {pair.address}
    assert (position.protocol, position.market, position.position_id, position.kind) == (
        "uniswap_v2",
        "Uniswap V2 USDC/WETH",
        pair.address,
        PositionKind.LIQUIDITY,
    )
    details = dict(position.details)
    assert (details["pair"], details["share"][:8]) == ("USDC/WETH", "0.001996")
    assert details["liquidity"] == str(pair.liquidity(FIRST))


@integration
async def test_what_is_given_to_a_pair_belongs_to_its_owners_too(
    uniswap: Uniswap, uniswap_node: AnvilNode, pair: PairV2
) -> None:
    pair.add(FIRST, (6_600 * 10**6, 2 * E18))
    before = pair.removal(FIRST)
    uniswap.send(USDC, call_data("transfer(address,uint256)", pair.address, 1_000_000 * 10**6))
    await assert_agrees(pair, uniswap_node, FIRST)
    assert pair.removal(FIRST)[0] > before[0] * 5 // 4


@integration
async def test_the_exchange_takes_its_part_of_growth_first(
    uniswap: Uniswap, uniswap_node: AnvilNode, pair: PairV2
) -> None:
    fee_to(uniswap, TAKER)
    pair.add(FIRST, (6_600 * 10**6, 2 * E18))  # from here on the pair keeps its growth
    for _ in range(3):
        pair.swap(500_000 * 10**6, first=True)
        pair.swap(150 * E18, first=False)
    await assert_agrees(pair, uniswap_node, FIRST)
    taken = pair.removal(FIRST)
    fee_to(uniswap, NOBODY)
    await assert_agrees(pair, uniswap_node, FIRST)
    assert pair.removal(FIRST) > taken


@integration
async def test_tokens_of_no_list_are_asked_what_they_are(uniswap: Uniswap, uniswap_node: AnvilNode) -> None:
    made = create_pair(uniswap, (LOW, HIGH))
    made.add(FIRST, (3 * E18, 7 * E18))
    driven = await read(uniswap_node, FIRST, guide_of(made))
    (position,) = driven.found
    told = [(leg.asset.symbol, leg.asset.decimals, leg.asset.trust) for leg in position.supplied]
    assert (told, driven.rounds) == ([("LOW", 18, "unknown"), ("HIGH", 8, "unknown")], 3)
    assert tuple(leg.raw_amount for leg in position.supplied) == made.removal(FIRST)


@integration
async def test_a_wallet_without_a_share_is_done_after_the_first_round(
    uniswap: Uniswap, uniswap_node: AnvilNode, pair: PairV2
) -> None:
    driven = await read(uniswap_node, SECOND)
    assert (driven.found, driven.rounds, driven.requests, driven.calls) == ([], 1, 1, (1,))
    pair.add(SECOND, (6_600 * 10**6, 2 * E18))
    driven = await read(uniswap_node, SECOND)
    assert (len(driven.found), driven.rounds, driven.requests) == (1, 2, 2)


@integration
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_every_share_pays_what_the_reader_says_after_any_action(
    uniswap: Uniswap, uniswap_node: AnvilNode, pair: PairV2, seed: int
) -> None:
    players = Players(uniswap, pair, random.Random(seed))
    for _ in range(24):
        players.act()
        for owner in OWNERS:
            await assert_agrees(pair, uniswap_node, owner)
    assert len(players.done) >= 6


@dataclass
class Players:
    """Two providers, traders, and whoever else may touch a pair."""

    uniswap: Uniswap
    pair: PairV2
    dice: random.Random
    done: set[str] = field(default_factory=set)

    def act(self) -> None:
        chosen = self.dice.choices(
            ("add", "swap", "remove", "transfer", "give", "sync", "skim", "fee", "time"),
            (4, 6, 3, 1, 1, 1, 1, 2, 1),
        )[0]
        self.done.add(chosen)
        owner, other = self.dice.sample(OWNERS, 2)
        match chosen:
            case "add":
                self.pair.add(owner, (self.dice.randrange(10**6, 10**12), 10**22))
            case "swap":
                first = self.dice.random() < 0.5
                most = 10**12 if first else 10**20
                self.pair.swap(self.dice.randrange(most // 1_000, most), first=first)
            case "remove":
                part = self.dice.choice((1, 30, 99, 100))
                self.pair.remove(owner, self.pair.liquidity(owner) * part // 100)
            case "transfer" | "give":
                self._hand_over(chosen, owner, other)
            case "sync":
                self.uniswap.send(self.pair.address, call_data("sync()"))
            case "skim":
                self.uniswap.send(self.pair.address, call_data("skim(address)", DEPLOYER))
            case "fee":
                fee_to(self.uniswap, self.dice.choice((NOBODY, TAKER, TAKER)))
            case _:
                self.uniswap.pass_time(self.dice.randrange(1, 100_000))

    def _hand_over(self, chosen: str, owner: str, other: str) -> None:
        token: str = self.pair.address if chosen == "transfer" else self.dice.choice((USDC, WETH))
        to = other if chosen == "transfer" else self.pair.address
        most = self.pair.liquidity(owner) if chosen == "transfer" else 10**9
        amount = self.dice.randrange(most + 1)
        self.uniswap.send(token, call_data("transfer(address,uint256)", to, amount), owner)


# Where the pairs are.


@pytest.mark.parametrize("network", NETWORKS)
def test_every_shipped_pair_is_where_its_factory_made_it(network: str) -> None:
    """CREATE2, EIP-1014: an address follows from the factory, the two tokens and the code."""
    for row in rows_of("uniswap_v2", network):
        for one in row["pairs"]:
            first, second = (bytes.fromhex(token[2:]) for token in one["tokens"])
            assert first < second
            made = bytes.fromhex(row["factory"][2:]) + keccak(first + second)
            address = keccak(b"\xff" + made + bytes.fromhex(row["code_hash"][2:]))[12:]
            assert one["pair"].lower() == "0x" + address.hex(), one["name"]


@pytest.mark.parametrize("network", NETWORKS)
def test_every_shipped_pair_is_of_two_listed_tokens_and_named_after_them(network: str) -> None:
    networks = {slug: one for slug, one in load_networks().items() if slug == network}
    listed = {
        str(asset.contract_address).lower(): str(asset.symbol)
        for assets in load_tokens(networks, shipped=True).values()
        for asset in assets
        if asset.contract_address is not None
    }
    names = []
    for row in rows_of("uniswap_v2", network):
        for one in row["pairs"]:
            symbols = [listed[token.lower()].replace("USD₮0", "USDT") for token in one["tokens"]]
            assert one["name"].upper() == "/".join(symbols).upper()
            names.append(f"{row['market']} {one['name']}")
    assert [one.market for one in guides(NETWORK, asset_of, rows_of("uniswap_v2", network))] == names
    assert len(set(names)) == len(names) > 0


@pytest.mark.parametrize(
    ("network", "market", "pair"),
    [
        ("ethereum", "Uniswap V2 DAI/WETH", "0xA478c2975Ab1Ea89e8196811F51A7B7Ade33eB11"),
        ("ethereum", "SushiSwap USDC/WETH", "0x397FF1542f962076d0BFE58eA045FfA2d347ACa0"),
        ("bsc", "PancakeSwap V2 CAKE/WBNB", "0x0eD7e52944161450477ee417DE9Cd3a859b14fD0"),
        ("polygon", "QuickSwap V2 USDC.e/WETH", "0x853Ee4b2A13f8a742d64C8F088bE7bA2131f670d"),
        ("arbitrum", "SushiSwap WETH/USDC.e", "0x905dfCD5649217c42684f23958568e533C711Aa3"),
        ("avalanche", "Trader Joe USDC.e/WAVAX", "0xA389f9430876455C36478DeEa9769B7Ca4E3DDB1"),
    ],
)
def test_well_known_pairs_are_at_their_published_addresses(network: str, market: str, pair: str) -> None:
    found = {
        f"{row['market']} {one['name']}": one["pair"]
        for row in rows_of("uniswap_v2", network)
        for one in row["pairs"]
    }
    assert found[market] == pair


# The exchange's part.


@given(
    st.integers(10**3, 10**30),
    st.integers(10**3, 1 << 112),
    st.integers(10**3, 1 << 112),
    st.integers(1, 10**6),
    st.sampled_from([(ONE_SIXTH, Fraction(1, 6)), ((8, 17), Fraction(8, 25))]),
)
def test_the_exchange_has_its_part_of_the_growth_and_no_more(
    supply: int, one: int, other: int, grew: int, share: tuple[tuple[int, int], Fraction]
) -> None:
    last = one * other * 10**6 // (10**6 + grew)
    state = State((one, other), (one, other), supply, last, fee_on=True)
    minted = exchange_part(state, share[0])
    growth = 1 - Fraction(isqrt(last), isqrt(one * other))
    assert Fraction(minted, supply + minted) <= share[1] * growth < Fraction(minted + 1, supply + minted + 1)


@pytest.mark.parametrize(("k_last", "fee_on"), [(0, True), (10**30, False), (10**36, True), (10**40, True)])
def test_without_growth_or_a_taker_there_is_no_part(k_last: int, fee_on: bool) -> None:
    state = State((E18, E18), (E18, E18), E18, k_last, fee_on)
    assert exchange_part(state, ONE_SIXTH) == 0


# Liars.

REVERTED = CallFailure(FailureCode.REVERTED, "without a reason")
NO_PAIR = CallFailure(FailureCode.NO_CONTRACT, "there is no contract at this address")


def answered(**changed: Outcome) -> list[Outcome]:
    """What an honest pair says, but for what is changed."""
    named: dict[str, Outcome] = {
        "token0": words(int(USDC, 16)),
        "token1": words(int(WETH, 16)),
        "supply": words(10**15),
        "reserves": words(10**12, 10**20, 0),
        "k_last": words(0),
        "held0": words(10**12),
        "held1": words(10**20),
        "fee_to": words(0),
    }
    assert set(changed) <= set(named)
    return list((named | changed).values())


def test_an_honest_pair_is_read() -> None:
    (position,) = lead_by(guide(), [words(10**14)], answered())
    assert [leg.raw_amount for leg in position.supplied] == [10**11, 10**19]


def test_where_there_is_no_pair_nobody_has_a_share() -> None:
    assert lead_by(guide(), [NO_PAIR]) == ()


def test_a_share_too_small_for_a_token_has_no_leg_in_it() -> None:
    (position,) = lead_by(guide(), [words(100)], answered())
    (leg,) = position.supplied
    assert isinstance(leg, Leg)
    assert (leg.asset.symbol, leg.raw_amount) == ("WETH", 10**7)


@pytest.mark.parametrize(
    ("code", "rounds"),
    [
        ("reverted", [[REVERTED]]),
        ("malformed", [[words(1 << 255)]]),
        ("malformed", [[b"\x01"]]),
        ("malformed", [[words(10**16)], answered()]),
        ("malformed", [[words(1)], answered(supply=words(0))]),
        ("malformed", [[words(1)], answered(supply=words(1 << 255))]),
        ("malformed", [[words(1)], answered(token0=words(int(LOW, 16)))]),
        ("malformed", [[words(1)], answered(token1=words(1 << 200))]),
        ("malformed", [[words(1)], answered(reserves=words(1, 2))]),
        ("malformed", [[words(1)], answered(reserves=words(1 << 255, 2, 3))]),
        ("malformed", [[words(1)], answered(held0=words((1 << 256) - 1))]),
        ("reverted", [[words(1)], answered(held1=REVERTED)]),
        ("no_contract", [[words(1)], answered(fee_to=NO_PAIR)]),
    ],
)
def test_what_is_not_as_it_should_be_fails_the_pair_and_says_why(
    code: str, rounds: list[list[Outcome]]
) -> None:
    with pytest.raises(TourError) as raised:
        lead_by(guide(), *rounds)
    assert raised.value.code == code
    assert raised.value.reason
