"""Uniswap V3 positions on its own contracts: what the reader says is what they would pay, to the wei."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from eth_abi.abi import encode
from tests.nodes.chains import rolled_back, started
from tests.protocols.conversation import load, replay
from tests.protocols.driving import Driven, driver
from tests.protocols.leading import lead_by, words
from tests.protocols.uniswap_golden import V3, guide_v3
from tests.protocols.uniswap_scenes import (
    HIGH,
    LOW,
    MANAGER,
    MOST,
    NETWORK,
    OWNERS,
    USDC,
    V3_FACTORY,
    WETH,
    PoolV3,
    Uniswap,
    asset_of,
    collect_call,
    create_pool,
    decrease_call,
    ids_of,
    increase_call,
    kept,
    place_uniswap,
    rows_of,
)

from balance_tracker.core.ids import Address
from balance_tracker.core.networks import Network
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
from balance_tracker.evm.multicall import Call
from balance_tracker.evm.outcomes import CallFailure, Outcome
from balance_tracker.evm.ticks import root_at
from balance_tracker.evm.tours import TourError
from balance_tracker.protocols.spec import EvmGuide
from balance_tracker.protocols.uniswap_v3 import (
    FIRST_IDS,
    MOST_ASKED_ALONE,
    MOST_POSITIONS,
    POSITIONS,
    guides,
    pool_address,
)

integration = pytest.mark.integration

FIRST, SECOND = OWNERS
WIDEST = 887_220
E18 = 10**18
ETHER_TICK = 195_300
"""Where a raw unit of USDC (the first token) is worth about 303 million wei: 3,300 USDC an ether."""


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
def pool(uniswap: Uniswap) -> PoolV3:
    """USDC and ether at 0.3 %, with liquidity of nobody who is asked about."""
    made = create_pool(uniswap, (USDC, WETH), 3_000, 60, root_at(ETHER_TICK))
    made.mint(DEPLOYER, (-WIDEST, WIDEST), (3_000_000 * 10**6, 1_000 * E18))
    return made


def guide(network: Network = NETWORK, **changed: Any) -> EvmGuide:
    rows = [{**row, **changed} for row in rows_of("uniswap_v3", "ethereum")]
    return guides(network, asset_of, rows)[0]


async def read(node: AnvilNode, owner: str = FIRST, chosen: EvmGuide | None = None) -> Driven[list[Position]]:
    async with driver(NETWORK, node.url) as one:
        driven = await one.drive(chosen or guide(), Address(owner))
    return Driven(list(driven.found), driven.block, driven.rounds, driven.requests, driven.calls)


def amounts(legs: tuple[Leg, ...], tokens: tuple[str, str]) -> tuple[int, int]:
    by_token = {str(leg.asset.contract_address).lower(): leg.raw_amount for leg in legs}
    return by_token.get(tokens[0].lower(), 0), by_token.get(tokens[1].lower(), 0)


def paid(uniswap: Uniswap, owner: str, token_id: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """What the manager would pay now: the principal and the fees, by its own static calls."""
    liquidity = kept(uniswap, token_id)[7]
    two = ["uint256", "uint256"]
    collect = collect_call(token_id, owner)
    fees = uniswap.view(MANAGER, collect, two, owner)
    if not liquidity:
        return (0, 0), (fees[0], fees[1])
    both = call_data("multicall(bytes[])", [decrease_call(token_id, liquidity), collect])
    (results,) = uniswap.view(MANAGER, both, ["bytes[]"], owner)
    principal, total = ([int.from_bytes(one[at : at + 32]) for at in (0, 32)] for one in results)
    assert [total[side] - principal[side] for side in (0, 1)] == list(fees)
    return (principal[0], principal[1]), (fees[0], fees[1])


async def assert_agrees(uniswap: Uniswap, node: AnvilNode, owner: str) -> list[Position]:
    """Every position that is not closed is there, and pays what the reader says."""
    driven = await read(node, owner)
    by_id = {position.position_id: position for position in driven.found}
    opened = []
    for token_id in ids_of(uniswap, owner):
        its = kept(uniswap, token_id)
        if not (its[7] or its[10] or its[11]):
            continue
        opened.append(f"{MANAGER}/{token_id}")
        position = by_id[opened[-1]]
        tokens = (its[2], its[3])
        said = (amounts(position.supplied, tokens), amounts(position.claimable, tokens))
        assert said == paid(uniswap, owner, token_id)
    assert list(by_id) == opened
    return driven.found


# The golden conversation.


def test_the_golden_conversation_comes_to_what_the_contracts_paid() -> None:
    golden = load(V3)
    found = replay(guide_v3(), golden)
    assert found == golden.positions
    assert [len(one) for one in golden.rounds] == [2, 1, 4, 20]
    for position, paid_out in zip(found, golden.paid, strict=True):
        said = [int(leg["raw_amount"]) for leg in (*position["supplied"], *position["claimable"])]
        assert said == [amount for amount in paid_out if amount]
    assert [position["details"]["in_range"] for position in found] == ["true", "false", "true"]


# What a position is.


@integration
async def test_a_position_in_range_has_both_tokens_and_its_fees(
    uniswap: Uniswap, uniswap_node: AnvilNode, pool: PoolV3
) -> None:
    pool.mint(FIRST, (ETHER_TICK - 600, ETHER_TICK + 600), (30_000 * 10**6, 10 * E18))
    pool.swap(5_000 * 10**6, first=True)
    pool.swap(2 * E18, first=False)
    (position,) = await assert_agrees(uniswap, uniswap_node, FIRST)
    assert (position.protocol, position.market, position.kind) == (
        "uniswap_v3",
        "Uniswap V3",
        PositionKind.LIQUIDITY,
    )
    assert [leg.asset.symbol for leg in position.supplied] == ["USDC", "WETH"]
    assert [(leg.asset.symbol, leg.label) for leg in position.claimable] == [
        ("USDC", "fees"),
        ("WETH", "fees"),
    ]
    details = dict(position.details)
    assert (details["pair"], details["fee"], details["in_range"]) == ("USDC/WETH", "0.3%", "true")
    assert details["pool"].lower() == pool.address.lower()
    assert (position.owner, position.health_factor, position.borrowed) == (FIRST, None, ())


@integration
@pytest.mark.parametrize(("ticks", "symbol"), [((600, 1_200), "USDC"), ((-1_200, -600), "WETH")])
async def test_a_position_out_of_range_is_all_of_one_token(
    uniswap: Uniswap, uniswap_node: AnvilNode, pool: PoolV3, ticks: tuple[int, int], symbol: str
) -> None:
    pool.mint(FIRST, (ETHER_TICK + ticks[0], ETHER_TICK + ticks[1]), (30_000 * 10**6, 10 * E18))
    (position,) = await assert_agrees(uniswap, uniswap_node, FIRST)
    assert [leg.asset.symbol for leg in position.supplied] == [symbol]
    assert (position.claimable, dict(position.details)["in_range"]) == ((), "false")


@integration
async def test_a_price_at_the_very_edge_of_a_range_is_judged_as_the_pool_does(
    uniswap: Uniswap, uniswap_node: AnvilNode
) -> None:
    made = create_pool(uniswap, (LOW, HIGH), 500, 10, root_at(100))
    for ticks in ((0, 100), (100, 200)):
        made.mint(FIRST, ticks, (E18, E18))
    found = await assert_agrees(uniswap, uniswap_node, FIRST)
    assert [dict(position.details)["in_range"] for position in found] == ["false", "true"]


@integration
async def test_what_was_taken_out_and_not_collected_is_claimable(
    uniswap: Uniswap, uniswap_node: AnvilNode, pool: PoolV3
) -> None:
    pool.mint(FIRST, (ETHER_TICK - 600, ETHER_TICK + 600), (30_000 * 10**6, 10 * E18))
    (token_id,) = ids_of(uniswap, FIRST)
    uniswap.send(MANAGER, decrease_call(token_id, kept(uniswap, token_id)[7]), FIRST)
    (position,) = await assert_agrees(uniswap, uniswap_node, FIRST)
    assert (position.supplied, len(position.claimable)) == ((), 2)


@integration
async def test_a_closed_position_is_none(uniswap: Uniswap, uniswap_node: AnvilNode, pool: PoolV3) -> None:
    pool.mint(FIRST, (ETHER_TICK - 600, ETHER_TICK + 600), (30_000 * 10**6, 10 * E18))
    (token_id,) = ids_of(uniswap, FIRST)
    uniswap.send(MANAGER, decrease_call(token_id, kept(uniswap, token_id)[7]), FIRST)
    uniswap.send(MANAGER, collect_call(token_id, FIRST), FIRST)
    assert ids_of(uniswap, FIRST) == [token_id]
    driven = await read(uniswap_node)
    assert (driven.found, driven.rounds) == ([], 2)


@integration
async def test_tokens_of_no_list_are_asked_what_they_are(uniswap: Uniswap, uniswap_node: AnvilNode) -> None:
    made = create_pool(uniswap, (LOW, HIGH), 500, 10, root_at(0))
    made.mint(FIRST, (-100, 100), (E18, E18))
    (position,) = (await read(uniswap_node)).found
    told = [(leg.asset.symbol, leg.asset.decimals, leg.asset.trust) for leg in position.supplied]
    assert told == [("LOW", 18, "unknown"), ("HIGH", 8, "unknown")]
    assert dict(position.details)["fee"] == "0.05%"


@integration
async def test_a_token_that_is_gone_harms_no_other_position(
    uniswap: Uniswap, uniswap_node: AnvilNode, pool: PoolV3
) -> None:
    spam = create_pool(uniswap, (LOW, HIGH), 500, 10, root_at(0))
    spam.mint(FIRST, (-100, 100), (E18, E18))
    pool.mint(FIRST, (ETHER_TICK - 600, ETHER_TICK + 600), (30_000 * 10**6, 10 * E18))
    uniswap.client.call("anvil_setCode", LOW, "0x")
    gone, other = (await read(uniswap_node)).found
    assert (gone.supplied[0].asset.symbol, gone.supplied[0].asset.decimals) == (None, None)
    assert dict(gone.details)["pair"].startswith("0x1111…1111/")
    assert len(other.supplied) == 2


@integration
@pytest.mark.parametrize("code", ["0x5b600056", "0x621000006000f3"], ids=["endless", "megabyte"])
@pytest.mark.parametrize("runs_evm_code", [True, False])
async def test_a_token_that_takes_all_gas_harms_no_other(
    uniswap: Uniswap, uniswap_node: AnvilNode, pool: PoolV3, *, code: str, runs_evm_code: bool
) -> None:
    spam = create_pool(uniswap, (LOW, HIGH), 500, 10, root_at(0))
    spam.mint(FIRST, (-100, 100), (E18, E18))
    pool.mint(FIRST, (ETHER_TICK - 600, ETHER_TICK + 600), (30_000 * 10**6, 10 * E18))
    uniswap.client.call("anvil_setCode", LOW, code)
    async with driver(replace(NETWORK, runs_evm_code=runs_evm_code), uniswap_node.url) as one:
        driven = await one.drive(guide(), Address(FIRST))
    evil, other = driven.found
    assert [(leg.asset.symbol, leg.asset.decimals) for leg in evil.supplied] == [(None, None), ("HIGH", 8)]
    assert len(other.supplied) == 2
    assert (driven.rounds, driven.requests) == (3, 4)


@integration
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_every_position_pays_what_the_reader_says_after_any_action(
    uniswap: Uniswap, uniswap_node: AnvilNode, pool: PoolV3, seed: int
) -> None:
    players = Players(uniswap, pool, random.Random(seed))
    for _ in range(24):
        players.act()
        for owner in OWNERS:
            await assert_agrees(uniswap, uniswap_node, owner)
    assert len(players.done) >= 5


@dataclass
class Players:
    """Two providers who do anything that the manager lets them, while others trade."""

    uniswap: Uniswap
    pool: PoolV3
    dice: random.Random
    done: set[str] = field(default_factory=set)

    def act(self) -> None:
        owned = [(owner, token_id) for owner in OWNERS for token_id in ids_of(self.uniswap, owner)]
        chosen = self.dice.choices(
            ("mint", "swap", "increase", "decrease", "collect", "give", "burn", "time"),
            (3, 6, 2, 3, 2, 1, 1, 1),
        )[0]
        if chosen == "mint" or not owned:
            self._mint()
        elif chosen == "swap":
            self._swap()
        elif chosen == "time":
            self.uniswap.pass_time(self.dice.randrange(1, 100_000))
        else:
            owner, token_id = self.dice.choice(owned)
            if not self.uniswap.tries(MANAGER, self._call(chosen, owner, token_id), owner):
                return
        self.done.add(chosen)

    def _mint(self) -> None:
        spacing = self.pool.spacing
        # Few ranges, so that several positions share the pool's entry for the manager.
        middle = self.pool.tick // spacing // 5 * 5 * spacing
        lower = middle + self.dice.choice((-10, -5, 0, 5)) * spacing
        upper = lower + self.dice.choice((5, 10, 40)) * spacing
        most = (self.dice.randrange(10**6, 10**12), self.dice.randrange(10**15, 10**21))
        self.pool.mint(self.dice.choice(OWNERS), (lower, upper), most)

    def _swap(self) -> None:
        first = self.dice.random() < 0.5
        most = 10 ** self.dice.randrange(3, 13) if first else 10 ** self.dice.randrange(9, 22)
        self.pool.swap(self.dice.randrange(most // 10, most), first=first)

    def _call(self, chosen: str, owner: str, token_id: int) -> bytes:
        liquidity = kept(self.uniswap, token_id)[7]
        match chosen:
            case "increase":
                return increase_call(token_id, (self.dice.randrange(10**4, 10**11), 10**20))
            case "decrease":
                part = liquidity * self.dice.choice((1, 50, 99, 100, 100)) // 100
                return decrease_call(token_id, part)
            case "collect":
                most = self.dice.choice(((MOST, MOST), (1, MOST), (10**5, 10**12)))
                return collect_call(token_id, owner, most)
            case "give":
                other = next(one for one in OWNERS if one != owner)
                return call_data("transferFrom(address,address,uint256)", owner, other, token_id)
            case _:
                return call_data("burn(uint256)", token_id)


@integration
async def test_a_pool_that_owes_less_by_rounding_pays_less_and_so_it_is_told(
    uniswap: Uniswap, uniswap_node: AnvilNode, pool: PoolV3
) -> None:
    """Each time that somebody with hardly any liquidity touches the range, the pool rounds down."""
    ticks = (ETHER_TICK - 60, ETHER_TICK + 60)
    pool.mint(FIRST, ticks, (7_000 * 10**6, 2 * E18))
    pool.mint(SECOND, ticks, (1_000, 10**12))
    (own,), (other,) = ids_of(uniswap, FIRST), ids_of(uniswap, SECOND)
    for amount in (33_333_337, 77_777_773, 12_345_767, 99_998_983, 31_333_437, 27_182_818):
        pool.swap(amount, first=True)
        uniswap.send(MANAGER, collect_call(other, SECOND), SECOND)
    (position,) = await assert_agrees(uniswap, uniswap_node, FIRST)
    with rolled_back(uniswap.client):
        uniswap.send(MANAGER, collect_call(own, FIRST, (1, 1)), FIRST)
        manager_owes = kept(uniswap, own)[10] + 1
    assert position.claimable[0].raw_amount < manager_owes
    # Without liquidity of its own the pool is not made to count again, whatever others have earned.
    uniswap.send(MANAGER, decrease_call(own, kept(uniswap, own)[7]), FIRST)
    pool.swap(100_000 * 10**6, first=True)
    pool.swap(40 * E18, first=False)
    await assert_agrees(uniswap, uniswap_node, FIRST)
    await assert_agrees(uniswap, uniswap_node, SECOND)


# How many rounds it takes.


@integration
@pytest.mark.parametrize("runs_evm_code", [True, False])
async def test_a_wallet_without_positions_is_done_after_the_first_round(
    uniswap: Uniswap, uniswap_node: AnvilNode, pool: PoolV3, runs_evm_code: bool
) -> None:
    network = replace(NETWORK, runs_evm_code=runs_evm_code)
    async with driver(network, uniswap_node.url) as one:
        driven = await one.drive(guide(network), Address(SECOND))
    assert (driven.found, driven.rounds, driven.requests, driven.calls) == ((), 1, 1, (2,))


@integration
@pytest.mark.parametrize(("positions", "rounds"), [(1, 3), (FIRST_IDS, 3), (FIRST_IDS + 1, 4)])
async def test_few_positions_take_three_rounds_and_more_take_four(
    uniswap: Uniswap, uniswap_node: AnvilNode, pool: PoolV3, positions: int, rounds: int
) -> None:
    for number in range(positions):
        lower = ETHER_TICK - 600 * (number + 1)
        pool.mint(FIRST, (lower, lower + 1_200), (30_000 * 10**6, 10 * E18))
    driven = await read(uniswap_node)
    assert (len(driven.found), driven.rounds, driven.requests) == (positions, rounds, rounds)


@integration
async def test_without_multicall_and_code_hash_the_same_is_found_in_more_rounds(
    uniswap: Uniswap, uniswap_node: AnvilNode, pool: PoolV3
) -> None:
    pool.mint(FIRST, (ETHER_TICK - 600, ETHER_TICK + 600), (30_000 * 10**6, 10 * E18))
    bare = guide(replace(NETWORK, contracts={}), pool_code_hash=None)
    slow = await read(uniswap_node, chosen=bare)
    assert slow.rounds == 5
    assert slow.found == (await read(uniswap_node)).found


# Where it is.


def test_a_pool_is_where_it_is_on_the_network() -> None:
    (uniswap, pancake) = rows_of("uniswap_v3", "ethereum")
    usdc_ether = pool_address(uniswap["factory"], uniswap["pool_code_hash"], (USDC, WETH), 500)
    assert usdc_ether == "0x88e6A0c2dDD26FEEb64F039a2c41296FcB3f5640".lower()
    usdt = "0xdAC17F958D2ee523a2206206994597C13D831ec7"
    ether_usdt = pool_address(pancake["deployer"], pancake["pool_code_hash"], (WETH, usdt), 500)
    assert ether_usdt == "0x6CA298D2983aB03Aa1dA7679389D955A4eFEE15C".lower()


def test_every_shipped_row_makes_a_guide_of_its_market() -> None:
    for network in (
        "ethereum",
        "arbitrum",
        "optimism",
        "polygon",
        "base",
        "bsc",
        "avalanche",
        "linea",
        "zksync",
    ):
        made = guides(NETWORK, asset_of, rows_of("uniswap_v3", network))
        assert made[0].market == "Uniswap V3"
        assert len({one.market for one in made}) == len(made)


def test_the_real_manager_is_shipped() -> None:
    row = rows_of("uniswap_v3", "ethereum")[0]
    assert (row["manager"], row["factory"]) == (MANAGER, V3_FACTORY)


# Liars.


def kept_words(**changed: int) -> bytes:
    """An honest position, but for what is changed."""
    named = {
        "nonce": 0,
        "operator": 0,
        "token0": int(USDC, 16),
        "token1": int(WETH, 16),
        "fee": 3_000,
        "lower": -60,
        "upper": 60,
        "liquidity": 10**15,
        "last0": 0,
        "last1": 0,
        "owed0": 0,
        "owed1": 0,
    }
    assert set(changed) <= set(named)
    return words(*(named | changed).values())


def lead(*rounds: list[Outcome]) -> Sequence[Position]:
    return lead_by(guide(replace(NETWORK, contracts={})), *rounds)


REVERTED = CallFailure(FailureCode.REVERTED, "without a reason")


@pytest.mark.parametrize("count", [MOST_POSITIONS + 1, 1 << 255, (1 << 256) - 1])
def test_a_manager_that_says_countless_positions_is_not_followed(count: int) -> None:
    with pytest.raises(TourError, match="more than 500 positions") as raised:
        lead([words(count)])
    assert raised.value.code == "too_many"


@pytest.mark.parametrize(
    ("code", "rounds"),
    [
        ("reverted", [[REVERTED]]),
        ("malformed", [[b"\x01"]]),
        ("reverted", [[words(1)], [REVERTED]]),
        ("malformed", [[words(2)], [words(7)]]),
        ("reverted", [[words(1)], [words(7)], [REVERTED]]),
        ("malformed", [[words(1)], [words(7)], [kept_words() + b"\0"]]),
        ("malformed", [[words(1)], [words(7)], [kept_words(lower=60)]]),
        ("malformed", [[words(1)], [words(7)], [kept_words(upper=1 << 200)]]),
        ("malformed", [[words(1)], [words(7)], [kept_words(upper=887_273)]]),
        ("malformed", [[words(1)], [words(7)], [kept_words(liquidity=1 << 255)]]),
        ("malformed", [[words(1)], [words(7)], [kept_words(owed0=1 << 128)]]),
        ("malformed", [[words(1)], [words(7)], [kept_words(token0=1 << 160)]]),
        ("malformed", [[words(1)], [words(7)], [kept_words(token0=0)]]),
        ("no_contract", [[words(1)], [words(7)], [kept_words()], [CallFailure(FailureCode.NO_CONTRACT, "")]]),
        ("malformed", [[words(1)], [words(7)], [kept_words()], [words(0, 0, 0, 0, 0, 0, 0)]]),
        ("malformed", [[words(1)], [words(7)], [kept_words()], [words(1 << 96, -5, 0, 0, 0, 0, 0)]]),
        ("malformed", [[words(1)], [words(7)], [kept_words()], [words(1 << 96, 887_272, 0, 0, 0, 0, 0)]]),
        ("malformed", [[words(1)], [words(7)], [kept_words()], [words(1 << 96, 0, 0, 0, 0, 0, 0)]]),
    ],
)
def test_what_is_not_as_it_should_be_fails_the_market_and_says_why(
    code: str, rounds: list[list[Outcome]]
) -> None:
    with pytest.raises(TourError) as raised:
        lead(*rounds)
    assert raised.value.code == code
    assert raised.value.reason


def test_tokens_of_no_list_are_not_all_worth_all_the_gas_of_a_call() -> None:
    """Anybody may give anybody a hundred positions, each in tokens that never answer."""
    tour = guide(replace(NETWORK, contracts={})).start(FIRST)
    held = [kept_words(token0=number, token1=1_000 + number) for number in range(1, 101)]
    next(tour)
    tour.send([words(100)])
    tour.send([words(number) for number in range(100)])
    calls = tour.send(held)
    told = [call for call in calls if call.data in {"95d89b41", "06fdde03", "313ce567"}]
    assert (len(told), sum(call.alone for call in told)) == (600, 3 * MOST_ASKED_ALONE)


def test_growth_beyond_all_measure_goes_round_and_stays_in_128_bits() -> None:
    slot0, most = words(1 << 96, 0, 0, 0, 0, 0, 0), words((1 << 256) - 1)
    ticks = words(1, 1, 5, 5, 0, 0, 0, 1)
    entry = words(10**15, 0, 0, 0, 0)
    (position,) = lead([words(1)], [words(7)], [kept_words()], [slot0, most, most, ticks, ticks, entry])
    assert all(0 < leg.raw_amount < 1 << 128 for leg in position.claimable)


def test_where_there_is_no_manager_nobody_has_anything() -> None:
    assert not lead([CallFailure(FailureCode.NO_CONTRACT, "")])


def test_a_multicall_that_answers_nonsense_costs_a_round_and_nothing_else() -> None:
    for nonsense in (
        b"",
        b"\xff" * 64,
        encode(["(bool,bytes)[]"], [[(True, b"\x01")] * FIRST_IDS]),
        REVERTED,
    ):
        tour = guide().start(FIRST)
        assert len(next(tour)) == 2
        (asked,) = tour.send([words(1), nonsense])
        assert (asked.to, asked.data[:8]) == (MANAGER.lower(), "2f745c59")
        (asked,) = tour.send([words(7)])
        assert asked == Call(MANAGER.lower(), POSITIONS + f"{7:064x}")
