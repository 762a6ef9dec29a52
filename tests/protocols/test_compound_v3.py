"""Compound V3 on a model of its documented views, at its mainnet addresses, against sums done here."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest
from tests.nodes.protocols.flat import compile_flat
from tests.nodes.token_zoo import zoo_address
from tests.protocols.driving import driver
from tests.protocols.stage import (
    ABSENT,
    ETHEREUM,
    NETWORKS,
    REVERTED,
    answer,
    catalog,
    replay,
    rows_of,
    rows_on,
    words,
)

from balance_tracker.core.ids import Slug
from balance_tracker.core.portfolio import FailureCode
from balance_tracker.core.positions import Position
from balance_tracker.demo.anvil import AnvilNode
from balance_tracker.demo.contracts import Placement, Transaction, call_data, place, transact
from balance_tracker.evm.address import EvmAddresses
from balance_tracker.evm.outcomes import NOT_YET, CallFailure, Outcome
from balance_tracker.evm.tours import TourError
from balance_tracker.protocols.compound_v3 import guides

[ROW] = [row for row in rows_on("compound_v3", ETHEREUM) if row["market"] == "cUSDCv3"]
COMET, REWARDS = ROW["comet"], ROW["rewards"]
USDC = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
COMP = "0xc00e94Cb662C3520282E6f5717214004A7f26888"
WBTC = "0x2260FAC5E5542a773Aa44fBCfeDf7C193bc2C599"
WETH = "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"
FEED = zoo_address("comet base feed")
OWNER, NOBODY = zoo_address("comet owner"), zoo_address("comet nobody")
KNOWN = catalog({USDC: ("USDC", 6), COMP: ("COMP", 18), WBTC: ("WBTC", 8), WETH: ("WETH", 18)})
[GUIDE] = guides(ETHEREUM, KNOWN, [ROW])
NOT_SUPPORTED = CallFailure(FailureCode.REVERTED, "with error 0x9c58e3b6")


@dataclass
class Asset:
    """A collateral of the model: 10**17 of 10**18 is a tenth."""

    token: str
    scale: int
    borrow: int
    liquidate: int
    price: int
    held: int = 0
    feed: str = field(init=False)

    def __post_init__(self) -> None:
        self.feed = zoo_address(f"feed {self.token}")

    @property
    def worth(self) -> int:
        return self.held * self.price // self.scale


def assets() -> list[Asset]:
    return [
        Asset(COMP, 10**18, 65 * 10**16, 7 * 10**17, 45 * 10**8),
        Asset(WBTC, 10**8, 7 * 10**17, 77 * 10**16, 60_000 * 10**8),
        Asset(WETH, 10**18, 825 * 10**15, 895 * 10**15, 3_000 * 10**8),
    ]


@pytest.fixture
def comet(node: AnvilNode) -> AnvilNode:
    models = compile_flat("Comet.sol")
    artifact = replace(models["CometModel"], constructor=("address", "address", "uint256"))
    place(
        node.client,
        [Placement(COMET, artifact, (USDC, FEED, 10**6)), Placement(REWARDS, models["CometRewardsModel"])],
    )
    adding = "addAsset(address,address,uint64,uint64,uint64)"
    act(
        node,
        ("setPrice(address,uint256)", FEED, 10**8),
        *((adding, each.token, each.feed, each.scale, each.borrow, each.liquidate) for each in assets()),
        *(("setPrice(address,uint256)", each.feed, each.price) for each in assets()),
    )
    return node


def act(node: AnvilNode, *calls: tuple[object, ...], to: str = COMET) -> None:
    transact(node.client, [Transaction(to, call_data(str(call[0]), *call[1:])) for call in calls])


def sides(positions: Sequence[Position]) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    """What is supplied, borrowed and claimable, by symbol."""
    [position] = positions
    supplied, borrowed, claimable = (
        {str(leg.asset.symbol): leg.raw_amount for leg in legs}
        for legs in (position.supplied, position.borrowed, position.claimable)
    )
    return supplied, borrowed, claimable


@pytest.mark.integration
@pytest.mark.parametrize("seed", range(3))
async def test_sides_and_health_are_what_the_formula_says_of_any_account(comet: AnvilNode, seed: int) -> None:
    chance = random.Random(seed)
    held = assets()
    under_water = 0
    async with driver(ETHEREUM, comet.url) as tours:
        for _ in range(10):
            principal = chance.choice((-1, -1, 1, 0)) * chance.randrange(1, 10 ** chance.randrange(1, 13))
            index = 10**15 + chance.randrange(10**15)
            for each in held:
                each.price = each.price * chance.randrange(60, 150) // 100
                each.held = chance.choice((0, chance.randrange(1, 8 * each.scale)))
            act(
                comet,
                ("setIndices(uint256,uint256)", index, index + 7),
                ("setPrincipal(address,int104,uint64)", OWNER, principal, 0),
                *(("setPrice(address,uint256)", each.feed, each.price) for each in held),
                *(
                    ("setCollateral(address,uint8,uint128)", OWNER, n, each.held)
                    for n, each in enumerate(held)
                ),
            )
            debt = max(-principal, 0) * (index + 7) // 10**15
            supply = max(principal, 0) * index // 10**15
            driven = await tours.drive(GUIDE, OWNER)
            if not (debt or supply or any(each.held for each in held)):
                assert driven.found == ()
                continue
            supplied, borrowed, _ = sides(driven.found)
            expected = {"COMP": held[0].held, "WBTC": held[1].held, "WETH": held[2].held, "USDC": supply}
            assert supplied == {symbol: amount for symbol, amount in expected.items() if amount}
            assert borrowed == ({"USDC": debt} if debt else {})
            health = driven.found[0].health_factor
            if not debt:
                assert health is None
                continue
            weighed = sum(each.worth * each.liquidate // 10**18 for each in held)
            owed = debt * 10**8 // 10**6
            assert health == Decimal(weighed * 10**18 // owed).scaleb(-18)
            liquidatable = answer(comet.client, COMET, "isLiquidatable(address)", "bool", OWNER)
            assert (health < 1) == liquidatable
            under_water += liquidatable
            lendable = sum(each.worth * each.borrow // 10**18 for each in held)
            left = max(lendable - owed, 0) * 10**6 // 10**8
            if any(each.held for each in held):
                assert Decimal(dict(driven.found[0].details)["available_borrows"]) * 10**6 == left
    assert under_water


@pytest.mark.integration
async def test_rewards_that_are_owed_are_claimable_and_asked_of_who_has_something(comet: AnvilNode) -> None:
    act(comet, ("setToken(address)", COMP), ("setClaimed(address,uint256)", OWNER, 10**12), to=REWARDS)
    act(comet, ("setPrincipal(address,int104,uint64)", OWNER, 5_000_000, 3_000_001))
    async with driver(ETHEREUM, comet.url) as tours:
        driven = await tours.drive(GUIDE, OWNER)
        nobody = await tours.drive(GUIDE, NOBODY)
    assert sides(driven.found) == ({"USDC": 5_000_000}, {}, {"COMP": 3 * 10**18})
    assert driven.found[0].supplied[0].receipt == COMET
    assert (driven.rounds, driven.requests) == (2, 3)  # what writes is asked by itself
    assert (nobody.found, nobody.requests) == ((), 1)
    assert answer(comet.client, COMET, "accruals()", "uint256") == 0


@pytest.mark.integration
async def test_rewards_left_behind_by_who_has_gone_are_found(comet: AnvilNode) -> None:
    act(comet, ("setToken(address)", COMP), to=REWARDS)
    act(comet, ("setPrincipal(address,int104,uint64)", OWNER, 0, 7))
    async with driver(ETHEREUM, comet.url) as tours:
        [position] = (await tours.drive(GUIDE, OWNER)).found
        assert sides([position]) == ({}, {}, {"COMP": 7 * 10**12})
        act(comet, ("setClaimed(address,uint256)", OWNER, 7 * 10**12), to=REWARDS)
        assert (await tours.drive(GUIDE, OWNER)).found == ()


@pytest.mark.integration
async def test_a_market_without_rewards_says_so_by_its_own_error(comet: AnvilNode) -> None:
    act(comet, ("setPrincipal(address,int104,uint64)", OWNER, 1, 0))
    async with driver(ETHEREUM, comet.url) as tours:
        [position] = (await tours.drive(GUIDE, OWNER)).found
    assert (position.claimable, position.details) == ((), ())


@pytest.mark.integration
async def test_a_collateral_beyond_the_sixteenth_is_read_as_any_other(comet: AnvilNode) -> None:
    more = [zoo_address(f"collateral {number}") for number in range(3, 20)]
    adding = "addAsset(address,address,uint64,uint64,uint64)"
    act(comet, *((adding, token, FEED, 10**18, 10**17, 2 * 10**17) for token in more))
    act(comet, ("setCollateral(address,uint8,uint128)", OWNER, 19, 10**18))
    [guide] = guides(ETHEREUM, catalog({USDC: ("USDC", 6), more[-1]: ("LAST", 18)}), [ROW])
    async with driver(ETHEREUM, comet.url) as tours:
        [position] = (await tours.drive(guide, OWNER)).found
    assert sides([position])[0] == {"LAST": 10**18}
    assert position.liquidation_threshold == Decimal("0.2")


MINUS_FIFTY = 2**256 - 50_000_000
FIRST: list[Outcome] = [words(MINUS_FIFTY, 0, 0, 4, 0)]
SECOND: list[Outcome] = [
    words(0),
    words(60_000_000),
    words(USDC),
    words(FEED),
    words(10**6),
    words(2, WETH, FEED, 10**18, 825 * 10**15, 895 * 10**15, 95 * 10**16, 10**30),
    NOT_SUPPORTED,
]
THIRD: list[Outcome] = [words(10**8), words(3_000 * 10**8), words(10**17, 0)]


def test_the_golden_case() -> None:
    [position] = replay(GUIDE, OWNER, FIRST, SECOND, THIRD)
    assert sides([position]) == ({"WETH": 10**17}, {"USDC": 60_000_000}, {})
    assert (position.health_factor, position.liquidation_threshold) == (Decimal("4.475"), Decimal("0.895"))
    assert position.details == (("available_borrows", "187.5"),)
    assert (position.market, position.position_id) == ("cUSDCv3", COMET)
    assert [leg.label for leg in position.supplied] == ["collateral"]


def test_a_debt_that_nothing_secures_has_a_health_of_nothing() -> None:
    first = [words(MINUS_FIFTY, 0, 0, 0, 0)]
    [position] = replay(GUIDE, OWNER, first, [*SECOND[:5], NOT_SUPPORTED])
    assert position.health_factor == 0
    assert position.liquidation_threshold is None


def test_rewards_that_can_not_be_known_are_told_and_take_nothing_away() -> None:
    [position] = replay(GUIDE, OWNER, FIRST, [*SECOND[:-1], REVERTED], THIRD)
    assert dict(position.details)["rewards"] == "unknown: without a reason"


@pytest.mark.parametrize(
    ("at", "price"), [(0, REVERTED), (1, REVERTED), (1, words(0)), (0, words(2**255)), (1, b"")]
)
def test_without_a_price_amounts_are_known_and_health_is_not(at: int, price: Outcome) -> None:
    [position] = replay(GUIDE, OWNER, FIRST, SECOND, [*THIRD[:at], price, *THIRD[at + 1 :]])
    assert sides([position]) == ({"WETH": 10**17}, {"USDC": 60_000_000}, {})
    assert position.health_factor is None
    assert position.details == (("health", "unknown: a price is missing"),)


def test_rewards_of_who_has_gone_that_can_not_be_known_are_not_nothing() -> None:
    left, second = [words(0, 0, 10**6, 0, 0)], [words(0), words(0), *SECOND[2:5]]
    with pytest.raises(TourError, match="the rewards owed: without a reason"):
        replay(GUIDE, OWNER, left, [*second, REVERTED])
    assert replay(GUIDE, OWNER, left, [*second, NOT_SUPPORTED]) == ()
    # Before there was a contract that pays, it owed nobody anything.
    assert replay(GUIDE, OWNER, left, [*second, NOT_YET]) == ()


@pytest.mark.parametrize(("principal", "side"), [(10**6, 0), (MINUS_FIFTY, 1)])
def test_an_account_without_an_amount_is_a_failure_and_not_nothing(principal: int, side: int) -> None:
    second = [words(0), words(0), *SECOND[2:5], NOT_SUPPORTED]
    with pytest.raises(TourError, match="not as the owner's account stands"):
        replay(GUIDE, OWNER, [words(principal, 0, 0, 0, 0)], second)
    second[side] = words(10**6 + 1)
    [position] = replay(GUIDE, OWNER, [words(principal, 0, 0, 0, 0)], second)
    assert bool(position.supplied) is (side == 0)


def test_who_has_nothing_is_asked_once() -> None:
    assert replay(GUIDE, OWNER, [words(0, 0, 0, 0, 0)]) == ()
    assert replay(GUIDE, OWNER, [ABSENT]) == ()


@pytest.mark.parametrize(
    "basic",
    [
        REVERTED,
        words(1),
        words(2**255, 0, 0, 0, 0),
        words(2**103, 0, 0, 0, 0),
        words(0, 0, 0, 2**16, 0),
        words(0, 0, 0, 1, 256),
    ],
)
def test_an_account_that_can_not_be_is_a_failure(basic: Outcome) -> None:
    with pytest.raises(TourError):
        replay(GUIDE, OWNER, [basic])


@pytest.mark.parametrize(
    ("at", "lie"),
    [
        (0, words(1)),
        (0, REVERTED),
        (1, words(2**255)),
        (1, b""),
        (2, words(0)),
        (3, words(2**200)),
        (4, words(0)),
        (4, words(3)),
        (4, words(10**77)),
        (5, REVERTED),
        (5, words(1, WETH, FEED, 10**18, 0, 0, 0, 0)),
        (5, words(2, WETH, FEED, 10**18, 0, 2 * 10**18, 0, 0)),
        (5, words(2, WETH, FEED, 0, 0, 0, 0, 0)),
        (5, words(2, WETH, FEED)),
        (6, words(COMP, 2**255)),
        (6, words(0, 5)),
        (6, words(5)),
    ],
)
def test_a_market_that_contradicts_itself_is_a_failure(at: int, lie: Outcome) -> None:
    with pytest.raises(TourError):
        replay(GUIDE, OWNER, FIRST, [*SECOND[:at], lie, *SECOND[at + 1 :]], THIRD)


@pytest.mark.parametrize("lie", [words(2**200, 0), words(1), REVERTED])
def test_collateral_that_can_not_be_is_a_failure(lie: Outcome) -> None:
    with pytest.raises(TourError):
        replay(GUIDE, OWNER, FIRST, SECOND, [*THIRD[:2], lie])


def test_the_markets_of_the_data_have_names_of_their_own() -> None:
    addresses = EvmAddresses()
    seen = set()
    for row in rows_of("compound_v3"):
        assert NETWORKS[Slug(row["network"])].family == "evm"
        assert [addresses.parse(row[key]) for key in ("comet", "rewards")] == [row["comet"], row["rewards"]]
        seen.add((row["network"], row["market"]))
    assert len(seen) == len(rows_of("compound_v3")) == 23
