"""Compound V2: its own contracts on a node, against their own answers, and liars by hand."""

import random
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest
from tests.nodes.token_zoo import zoo_address
from tests.protocols.compound_market import (
    CDAI,
    CETH,
    COMPTROLLER,
    CUSDC,
    DAI,
    MARKETS,
    MOST,
    ORACLE,
    PRICES,
    RATES,
    USDC,
    CompoundMarket,
    open_market,
)
from tests.protocols.conversation import load
from tests.protocols.driving import driver
from tests.protocols.pools_golden import POOL, guide_of_pool, retold
from tests.protocols.stage import (
    ABSENT,
    ETHEREUM,
    NETWORKS,
    REVERTED,
    answer,
    catalog,
    listed,
    replay,
    rows_of,
    rows_on,
    words,
)

from balance_tracker.core.ids import Slug
from balance_tracker.core.positions import Position
from balance_tracker.demo.anvil import AnvilNode
from balance_tracker.demo.contracts import ContractLibrary
from balance_tracker.evm.address import EvmAddresses
from balance_tracker.evm.outcomes import Outcome
from balance_tracker.evm.tours import TourError
from balance_tracker.protocols.compound_v2 import MOST_MARKETS, guides
from balance_tracker.protocols.spec import EvmGuide

OWNER, OTHER, NOBODY = (
    zoo_address("compound owner"),
    zoo_address("compound other"),
    zoo_address("compound nobody"),
)
PEOPLE = (OWNER, OTHER)
KNOWN = catalog({DAI: ("DAI", 18), USDC: ("USDC", 6)})
SYMBOLS = {"DAI": CDAI, "USDC": CUSDC, "ETH": CETH}
ALL = tuple(MARKETS)


def guide_with(*markets: str) -> EvmGuide:
    [row] = rows_on("compound_v2", ETHEREUM)
    [guide] = guides(ETHEREUM, KNOWN, [dict(row) | {"markets": list(markets)}])
    return guide


@pytest.fixture
def pool(node: AnvilNode, library: ContractLibrary) -> CompoundMarket:
    return open_market(node.client, library, PEOPLE)


def amounts(positions: Sequence[Position]) -> dict[str, tuple[int, int]]:
    """Supply and debt of the one position, by cToken."""
    found: dict[str, list[int]] = {}
    assert len(positions) <= 1
    for side, legs in [
        (side, legs) for one in positions for side, legs in enumerate((one.supplied, one.borrowed))
    ]:
        for leg in legs:
            found.setdefault(SYMBOLS[leg.asset.symbol or ""], [0, 0])[side] = leg.raw_amount
    return {market: (supply, debt) for market, (supply, debt) in found.items()}


def act_at_random(pool: CompoundMarket, chance: random.Random) -> None:
    owner, market, other = chance.choice(PEOPLE), chance.choice(ALL), chance.choice(ALL)
    unit = 10**6 if market == CUSDC else 10**18
    amount = chance.randrange(1, (50 if market == CETH else 100_000) * unit)
    match chance.randrange(9):
        case 0 | 1:
            pool.supply(owner, market, amount)
        case 2:
            left, _ = pool.liquidity(owner)
            most = (
                left * 10**18 // answer(pool.client, ORACLE, "getUnderlyingPrice(address)", "uint256", market)
            )
            pool.attempt(market, "borrow(uint256)", most * chance.randrange(50, 100) // 100, by=owner)
        case 3:
            pool.repay(owner, market, chance.choice((amount, MOST if market != CETH else amount // 100)))
        case 4:
            pool.attempt(market, "redeemUnderlying(uint256)", amount // 10, by=owner)
        case 5:
            signature = chance.choice(("enterMarkets(address[])", "exitMarket(address)"))
            pool.attempt(COMPTROLLER, signature, [market] if "[]" in signature else market, by=owner)
        case 6:
            pool.price(market, PRICES[market] * chance.randrange(25, 180) // 100 + chance.randrange(1_000))
        case 7:
            victim = OTHER if owner == OWNER else OWNER
            pool.attempt(
                CDAI, "liquidateBorrow(address,uint256,address)", victim, amount // 100, other, by=owner
            )
        case _:
            pool.pass_blocks(chance.randrange(1, 400))


@pytest.mark.integration
@pytest.mark.parametrize("seed", range(4))
async def test_amounts_and_health_are_the_contracts_own_after_anything_that_happens(
    pool: CompoundMarket, node: AnvilNode, seed: int
) -> None:
    chance = random.Random(seed)
    for owner in PEOPLE:
        pool.act(COMPTROLLER, "enterMarkets(address[])", list(ALL), by=owner)
        for market in ALL:
            pool.supply(owner, market, 10**20 if market == CETH else 10**11 if market == CUSDC else 10**23)
    pool.act(CDAI, "borrow(uint256)", 19 * 10**22, by=OWNER)
    pool.act(CUSDC, "borrow(uint256)", 18 * 10**10, by=OTHER)
    seen_debt = False
    async with driver(ETHEREUM, node.url) as tours:
        for _ in range(14):
            act_at_random(pool, chance)
            for owner in PEOPLE:
                driven = await tours.drive(guide_with(*ALL), owner)
                assert amounts(driven.found) == pool.amounts(owner)
                if driven.found:
                    assert_health_is_right(pool, driven.found[0])
                    seen_debt |= driven.found[0].health_factor is not None
    assert seen_debt


def assert_health_is_right(pool: CompoundMarket, position: Position) -> None:
    (left, missing), (collateral, debts) = pool.liquidity(position.owner), pool.sums(position.owner)
    assert collateral - debts == left - missing
    health = position.health_factor
    if not debts:
        assert health is None
        return
    assert health is not None
    assert health == Decimal(collateral * 10**18 // debts).scaleb(-18)
    assert (health < 1) == bool(missing)
    name, amount = ("shortfall_usd", missing) if missing else ("available_borrows_usd", left)
    assert Decimal(dict(position.details)[name]) * 10**18 == amount


@pytest.mark.integration
async def test_near_liquidation_under_water_and_liquidated_it_is_the_contracts_own_account(
    pool: CompoundMarket, node: AnvilNode
) -> None:
    pool.act(COMPTROLLER, "enterMarkets(address[])", [CETH], by=OWNER)
    pool.supply(OTHER, CDAI, 10**24)
    pool.supply(OWNER, CETH, 10**19)
    pool.act(CDAI, "borrow(uint256)", 16_499 * 10**18, by=OWNER)
    healths = []
    async with driver(ETHEREUM, node.url) as tours:
        for price in (2_000, 1_500, 1_500):
            pool.price(CETH, price * 10**18)
            [position] = (await tours.drive(guide_with(*ALL), OWNER)).found
            assert amounts([position]) == pool.amounts(OWNER)
            assert_health_is_right(pool, position)
            healths.append(position.health_factor)
            assert position.liquidation_threshold == Decimal("0.8250")
            pool.attempt(
                CDAI, "liquidateBorrow(address,uint256,address)", OWNER, 8_000 * 10**18, CETH, by=OTHER
            )
    assert [str(health)[:6] for health in healths[:2]] == ["1.0000", "0.7500"]
    assert healths[2] != healths[1]  # what was liquidated has changed it


@pytest.mark.integration
async def test_who_has_nothing_costs_one_request_and_who_has_something_three(
    pool: CompoundMarket, node: AnvilNode
) -> None:
    pool.supply(OWNER, CDAI, 10**20)
    async with driver(ETHEREUM, node.url) as tours:
        nothing = await tours.drive(guide_with(*ALL), NOBODY)
        something = await tours.drive(guide_with(*ALL), OWNER)
    assert (nothing.found, nothing.requests) == ((), 1)
    assert (something.rounds, something.requests) == (2, 3)  # what writes is asked by itself
    [position] = something.found
    [leg] = position.supplied
    assert (leg.asset.symbol, leg.collateral, leg.receipt) == ("DAI", False, CDAI)
    assert position.health_factor is None


@pytest.mark.integration
@pytest.mark.parametrize("multicall3", [True, False])
async def test_it_comes_to_the_same_where_calls_may_write_and_where_each_goes_alone(
    pool: CompoundMarket, node: AnvilNode, *, multicall3: bool
) -> None:
    pool.act(COMPTROLLER, "enterMarkets(address[])", [CDAI, CETH], by=OWNER)
    pool.supply(OTHER, CDAI, 10**24)
    pool.supply(OWNER, CETH, 10**20)
    pool.act(CDAI, "borrow(uint256)", 10**22, by=OWNER)
    pool.pass_blocks(300)
    contracts = ETHEREUM.contracts if multicall3 else {}
    network = replace(ETHEREUM, runs_evm_code=False, contracts=contracts)
    async with driver(ETHEREUM, node.url) as tours, driver(network, node.url) as others:
        usual = await tours.drive(guide_with(*ALL), OWNER)
        unusual = await others.drive(guide_with(*ALL), OWNER)
    assert unusual.found == usual.found
    assert amounts(usual.found) == pool.amounts(OWNER)


@pytest.mark.integration
async def test_a_past_block_is_read_as_it_was(pool: CompoundMarket, node: AnvilNode) -> None:
    pool.act(COMPTROLLER, "enterMarkets(address[])", [CDAI, CETH], by=OWNER)
    pool.supply(OTHER, CDAI, 10**24)
    pool.supply(OWNER, CETH, 10**20)
    pool.act(CDAI, "borrow(uint256)", 10**22, by=OWNER)
    block = int(node.client.call("eth_blockNumber"), 16)
    then = pool.amounts(OWNER)
    pool.pass_blocks(300)
    pool.repay(OWNER, CDAI, 10**21)
    async with driver(ETHEREUM, node.url) as tours:
        assert amounts((await tours.drive(guide_with(*ALL), OWNER, block)).found) == then
        assert amounts((await tours.drive(guide_with(*ALL), OWNER)).found) == pool.amounts(OWNER) != then


@pytest.mark.integration
async def test_a_market_that_the_data_does_not_have_is_found_and_kept(
    pool: CompoundMarket, node: AnvilNode
) -> None:
    pool.supply(OWNER, CUSDC, 10**9)
    guide = guide_with(CDAI)
    async with driver(ETHEREUM, node.url) as tours:
        first = await tours.drive(guide, OWNER)
        again = await tours.drive(guide, OWNER)
        nobody = await tours.drive(guide, NOBODY)
    assert amounts(first.found) == amounts(again.found) == pool.amounts(OWNER)
    assert (first.rounds, again.rounds, nobody.rounds) == (3, 2, 1)


@pytest.mark.integration
async def test_a_price_that_is_missing_leaves_the_amounts_and_says_so(
    pool: CompoundMarket, node: AnvilNode
) -> None:
    pool.act(COMPTROLLER, "enterMarkets(address[])", [CDAI, CETH], by=OWNER)
    pool.supply(OTHER, CDAI, 10**24)
    pool.supply(OWNER, CETH, 10**20)
    pool.act(CDAI, "borrow(uint256)", 10**20, by=OWNER)
    pool.price(CDAI, 0)
    async with driver(ETHEREUM, node.url) as tours:
        [position] = (await tours.drive(guide_with(*ALL), OWNER)).found
    assert amounts([position]) == pool.amounts(OWNER)
    assert position.health_factor is None
    assert dict(position.details)["health"].startswith("unknown")


@pytest.mark.integration
async def test_a_market_that_can_not_accrue_is_a_failure_and_not_a_zero(
    pool: CompoundMarket, node: AnvilNode
) -> None:
    pool.supply(OWNER, CDAI, 10**20)
    node.client.call("anvil_setCode", RATES, "0x")
    async with driver(ETHEREUM, node.url) as tours:
        with pytest.raises(TourError) as caught:
            await tours.drive(guide_with(*ALL), OWNER)
    assert caught.value.code == "reverted"


FIRST: list[Outcome] = [listed(CDAI), listed(CDAI), words(ORACLE), words(5 * 10**10)]
SECOND: list[Outcome] = [
    words(0, 700 * 10**18, 0),
    words(0, 5 * 10**10, 50 * 10**18, 2 * 10**28),
    words(DAI),
    words(10**18),
    words(1_000 * 10**18 + 7),
    words(50 * 10**18 + 1),
]


def test_the_golden_conversation_comes_to_what_the_contracts_said() -> None:
    golden = load(POOL)
    [position] = retold(guide_of_pool(), golden)
    *accounts, (collateral, debts) = golden.paid
    said = {market: tuple(account) for market, account in zip(ALL, accounts, strict=True) if any(account)}
    assert amounts([position]) == said
    assert position.health_factor == Decimal(collateral * 10**18 // debts).scaleb(-18)
    assert [leg.collateral for leg in position.supplied] == [True, True]


def test_the_golden_case_of_one_market() -> None:
    [position] = replay(guide_with(CDAI), OWNER, FIRST, SECOND)
    assert amounts([position]) == {CDAI: (1_000 * 10**18 + 7, 50 * 10**18 + 1)}
    assert position.supplied[0].collateral is True
    assert (position.health_factor, position.liquidation_threshold) == (Decimal(15), Decimal("0.75"))
    assert position.details == (("available_borrows_usd", "700"),)
    assert (position.market, position.position_id) == ("Compound V2", COMPTROLLER)


def test_an_owner_under_water_is_told_what_is_missing() -> None:
    [position] = replay(guide_with(CDAI), OWNER, FIRST, [words(0, 0, 10**17), *SECOND[1:]])
    assert position.health_factor == Decimal("0.998")
    assert position.details == (("shortfall_usd", "0.1"),)


def test_stablecoins_minted_at_venus_are_a_debt() -> None:
    bsc = NETWORKS[Slug("bsc")]
    [row] = [row for row in rows_on("compound_v2", bsc) if "vai" in row]
    known = catalog({DAI: ("DAI", 18), row["vai"]: ("VAI", 18)}, bsc)
    [guide] = guides(bsc, known, [dict(row) | {"markets": [CDAI]}])
    first: list[Outcome] = [*FIRST[:3], words(30 * 10**18), FIRST[3]]
    [position] = replay(guide, OWNER, first, SECOND)
    assert [(leg.asset.symbol, leg.raw_amount, leg.label) for leg in position.borrowed] == [
        ("DAI", 50 * 10**18 + 1, None),
        ("VAI", 30 * 10**18, "minted"),
    ]
    assert position.health_factor == Decimal("9.75")


def test_a_pool_that_is_not_there_has_nothing() -> None:
    assert replay(guide_with(CDAI), OWNER, [ABSENT, ABSENT, ABSENT, ABSENT]) == ()


def test_a_market_that_was_taken_off_the_list_and_fails_takes_nothing_away() -> None:
    first: list[Outcome] = [listed(CDAI), listed(CDAI), words(ORACLE), words(5 * 10**10), REVERTED]
    assert len(replay(guide_with(CDAI, CUSDC), OWNER, first, SECOND)) == 1


def test_a_market_that_one_answer_made_up_is_not_believed_when_the_pool_does_not_list_it() -> None:
    """What the chain once listed is kept to spare a round; here it is a token that many hold."""
    guide = guide_with(CDAI)
    first: list[Outcome] = [listed(CDAI, DAI), listed(), words(ORACLE), words(0)]
    assert replay(guide, OWNER, first, [words(0)]) == ()
    again = [*FIRST, words(10**20)]
    assert amounts(replay(guide, OWNER, again, SECOND)) == {CDAI: (1_000 * 10**18 + 7, 50 * 10**18 + 1)}
    with pytest.raises(TourError):  # where it is listed, it has to be a market
        replay(
            guide,
            OWNER,
            [listed(CDAI, DAI), *again[1:]],
            [*SECOND[:4], *SECOND[1:4], *SECOND[4:], *SECOND[4:]],
        )


@pytest.mark.parametrize(
    ("at", "lie"),
    [
        (0, listed(*range(1, MOST_MARKETS + 2))),
        (0, words(32, 2**255)),
        (0, words(32, 2, CDAI)),
        (0, listed(2**160)),
        (0, REVERTED),
        (1, REVERTED),
        (1, words(32, 10**6)),
        (3, words(2**255)),
        (3, REVERTED),
        (3, words(1, 1)),
    ],
)
def test_a_first_answer_that_makes_no_sense_is_a_failure(at: int, lie: Outcome) -> None:
    with pytest.raises(TourError):
        replay(guide_with(CDAI), OWNER, [*FIRST[:at], lie, *FIRST[at + 1 :]])


@pytest.mark.parametrize(
    ("at", "lie"),
    [
        (1, REVERTED),
        (1, words(1, 5 * 10**10, 50 * 10**18, 2 * 10**28)),
        (1, words(0, 6 * 10**10, 50 * 10**18, 2 * 10**28)),
        (1, words(0, 5 * 10**10, 51 * 10**18, 2 * 10**28)),
        (1, words(0, 5 * 10**10, 0, 2 * 10**28)),
        (1, words(0, 5 * 10**10, 50 * 10**18, 2**255)),
        (2, words(0)),
        (2, REVERTED),
        (4, words(2**255)),
        (4, REVERTED),
        (5, words(2**200)),
        (5, b""),
    ],
)
def test_a_market_that_contradicts_itself_is_a_failure(at: int, lie: Outcome) -> None:
    with pytest.raises(TourError):
        replay(guide_with(CDAI), OWNER, FIRST, [*SECOND[:at], lie, *SECOND[at + 1 :]])


@pytest.mark.parametrize(
    "liquidity", [REVERTED, words(1), words(9, 0, 0), words(0, 1, 1), words(0, 0, 10**30), words(3, 0, 0)]
)
def test_health_that_can_not_be_is_unknown(liquidity: Outcome) -> None:
    [position] = replay(guide_with(CDAI), OWNER, FIRST, [liquidity, *SECOND[1:]])
    assert (position.health_factor, position.liquidation_threshold) == (None, None)
    assert position.details[0][1].startswith("unknown")


def test_a_debt_where_the_owner_never_entered_is_a_failure() -> None:
    with pytest.raises(TourError):
        replay(guide_with(CDAI), OWNER, [FIRST[0], listed(), *FIRST[2:]], SECOND)


def test_the_pools_of_the_data_are_written_as_they_go_out() -> None:
    addresses = EvmAddresses()
    for row in rows_of("compound_v2"):
        assert NETWORKS[Slug(row["network"])].family == "evm"
        native = [row["native_market"]] if "native_market" in row else []
        written = [row["comptroller"], *native, *row["markets"]]
        assert [addresses.parse(address) for address in written] == written
        assert len(set(row["markets"])) == len(row["markets"])
        assert set(native) <= set(row["markets"])
        assert row["source"]


@pytest.mark.parametrize("by_threshold", [False, True])
def test_what_is_left_is_named_by_what_the_pool_measures_it_by(by_threshold: bool) -> None:
    [row] = rows_on("compound_v2", ETHEREUM)
    [guide] = guides(ETHEREUM, KNOWN, [dict(row) | {"markets": [CDAI], "by_threshold": by_threshold}])
    [position] = replay(guide, OWNER, FIRST, SECOND)
    name = "left_until_liquidation_usd" if by_threshold else "available_borrows_usd"
    assert position.details == ((name, "700"),)
