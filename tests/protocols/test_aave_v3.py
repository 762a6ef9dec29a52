"""Aave V3 as its authors compiled it (V3.0.2) and from its sources (V3.6): what its contracts say."""

import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal

import pytest
from tests.nodes.chains import rolled_back, started
from tests.protocols.aave_golden import FOLDER, VERSIONS, record
from tests.protocols.aave_market import (
    MOST,
    STABLE,
    STABLECOINS,
    VARIABLE,
    AaveMarket,
    build_market,
)
from tests.protocols.driving import Driven, Driver, driver
from tests.protocols.stage import ETHEREUM, answer, catalog, words

from balance_tracker.core.amounts import to_amount
from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.ids import Address
from balance_tracker.core.positions import Leg, Position, PositionKind
from balance_tracker.demo.anvil import AnvilNode
from balance_tracker.demo.contracts import MULTICALL3_ADDRESS, multicall3_runtime, set_code
from balance_tracker.evm.address import EvmAddresses
from balance_tracker.evm.tours import MOST_ROUNDS, TourError
from balance_tracker.protocols.aave_v3 import guides
from balance_tracker.protocols.spec import EvmGuide, Row

pytestmark = pytest.mark.integration

BANK, WALLET, OTHER, HUNTER, NOBODY = (
    EvmAddresses().parse(f"0x{name:040x}") for name in (0xBA0C, 0xA11CE, 0xB0B, 0x4077E4, 0xDEAD)
)
type Facts = tuple[Address | None, int, Address | None, str | None]
YEAR = 365 * 86_400
BROKEN = bytes.fromhex("60006000fd")
ONE_WORD = bytes.fromhex("60ff60005260206000f3")
LIAR = bytes.fromhex("600160ff1b60005260206000f3")
"""Runtimes that revert, and that answer everything with one word, a small one or 2**255."""


@dataclass
class Scene:
    """A market on a node, and the tour that reads it."""

    node: AnvilNode
    market: AaveMarket
    driver: Driver

    def guide(
        self, row: Row | None = None, *, listed: Sequence[str] = ("WETH", "USDC", "DAI", "WBTC")
    ) -> EvmGuide:
        """The market's guide where the catalog knows some tokens."""
        tokens = {
            one.underlying: (symbol, one.listing.decimals)
            for symbol, one in self.market.reserves.items()
            if symbol in listed
        }
        [guide] = guides(ETHEREUM, catalog(tokens), [row or self.market.row()])
        return guide

    async def read(self, who: Address, guide: EvmGuide | None = None) -> Driven[Sequence[Position]]:
        driven = await self.driver.drive(guide or self.guide(), who)
        assert driven.block == int(self.node.client.call("eth_blockNumber"), 16)
        return driven

    async def agreed(self, who: Address, guide: EvmGuide | None = None) -> Position:
        """The one position of somebody, which is what the contracts say."""
        [position] = (await self.read(who, guide)).found
        assert_agrees(self.market, who, position)
        return position


def assert_agrees(market: AaveMarket, who: Address, position: Position) -> None:
    """Every leg is what its token says, and the account is what the pool says."""
    parse = EvmAddresses().parse
    supplied: list[Facts] = []
    borrowed: list[Facts] = []
    for reserve in market.reserves.values():
        underlying = parse(reserve.underlying)
        for side, token, label in (
            (supplied, reserve.a_token, None),
            (borrowed, reserve.variable_debt_token, "variable"),
            (borrowed, reserve.stable_debt_token, "stable"),
        ):
            amount = market.balance(token, who)
            if amount:
                side.append((underlying, amount, parse(token), label))
    assert [_facts(leg) for leg in position.supplied] == supplied
    assert [_facts(leg) for leg in position.borrowed] == borrowed
    collateral, debt, available, threshold, ltv, health = market.account(who)
    assert position.health_factor == (None if health == MOST else Decimal(health) / 10**18)
    assert position.liquidation_threshold == (Decimal(threshold) / 10**4 if collateral else None)
    details = dict(position.details)
    said = [Decimal(details[name]) for name in ("collateral_usd", "debt_usd", "available_borrows_usd")]
    assert said == [to_amount(amount, 8) for amount in (collateral, debt, available)]
    assert Decimal(details["loan_to_value"]) * 10**4 == ltv
    assert position.kind is PositionKind.LENDING
    assert position.owner == who


def _facts(leg: Leg) -> Facts:
    return leg.asset.contract_address, leg.raw_amount, leg.receipt, leg.label


def add_money(market: AaveMarket) -> None:
    """What others supplied, so that there is something to borrow."""
    for symbol in market.reserves:
        market.supply(BANK, symbol, 1_000_000 * market.reserves[symbol].one)


@pytest.fixture(scope="module", params=["V3.0", "V3.6"])
def built(request: pytest.FixtureRequest) -> Iterator[tuple[AnvilNode, AaveMarket]]:
    with started(1, "--timestamp", "1700000000") as node:
        set_code(node.client, {MULTICALL3_ADDRESS: multicall3_runtime()})
        market = build_market(node.client, request.param)
        add_money(market)
        yield node, market


@pytest.fixture
async def scene(built: tuple[AnvilNode, AaveMarket]) -> AsyncIterator[Scene]:
    node, market = built
    reserves = dict(market.reserves)
    with rolled_back(node.client):
        async with driver(ETHEREUM, node.url) as drives:
            yield Scene(node, market, drives)
    market.reserves = reserves


def one(scene: Scene, symbol: str) -> int:
    return one_of(scene.market, symbol)


async def test_a_wallet_with_nothing_costs_three_calls_and_no_round_more(scene: Scene) -> None:
    driven = await scene.read(NOBODY)
    assert (list(driven.found), driven.rounds, driven.calls, driven.requests) == ([], 1, (3,), 1)


async def test_a_supply_alone_has_no_health_factor_and_takes_two_rounds(scene: Scene) -> None:
    scene.market.supply(WALLET, "WETH", 3 * one(scene, "WETH"))
    scene.market.pass_time(YEAR)
    position = await scene.agreed(WALLET)
    [leg] = position.supplied
    assert (leg.asset.symbol, leg.collateral, position.borrowed) == ("WETH", True, ())
    assert position.health_factor is None
    driven = await scene.read(WALLET)
    assert (driven.rounds, driven.requests) == (2, 2)


async def test_a_supply_that_is_no_collateral_sets_no_bit_and_is_seen(scene: Scene) -> None:
    scene.market.supply(WALLET, "DAI", 70 * one(scene, "DAI"))
    scene.market.use_as_collateral(WALLET, "DAI", False)
    pool = scene.market.contracts["pool"]
    assert answer(scene.node.client, pool, "getUserConfiguration(address)", "uint256", WALLET) == 0
    position = await scene.agreed(WALLET)
    [leg] = position.supplied
    assert (leg.raw_amount >= 70 * 10**18, leg.collateral) == (True, False)
    assert position.liquidation_threshold is None


async def test_debts_grow_with_time_and_stay_what_the_debt_token_says(scene: Scene) -> None:
    market = scene.market
    market.supply(WALLET, "WETH", 10 * one(scene, "WETH"))
    market.borrow(WALLET, "USDC", 9_000 * one(scene, "USDC"))
    market.borrow(WALLET, "WBTC", one(scene, "WBTC") // 100)
    before = await scene.agreed(WALLET)
    market.pass_time(3 * YEAR)
    after = await scene.agreed(WALLET)
    assert [leg.label for leg in after.borrowed] == ["variable", "variable"]
    assert after.borrowed[0].raw_amount > before.borrowed[0].raw_amount
    assert after.health_factor is not None
    assert before.health_factor is not None
    assert after.health_factor < before.health_factor


async def test_a_wallet_near_liquidation_and_under_water(scene: Scene) -> None:
    market = scene.market
    market.supply(WALLET, "WETH", 10 * one(scene, "WETH"))
    market.borrow(WALLET, "USDC", 15_999 * one(scene, "USDC"))
    market.set_price("WETH", 1939_50000000)
    near = await scene.agreed(WALLET)
    assert near.health_factor is not None
    assert Decimal(1) < near.health_factor < Decimal("1.001")
    market.set_price("WETH", 1500_00000000)
    sunken = await scene.agreed(WALLET)
    assert sunken.health_factor is not None
    assert sunken.health_factor < Decimal("0.8")
    assert Decimal(dict(sunken.details)["debt_usd"]) > Decimal(dict(sunken.details)["collateral_usd"])
    market.liquidate(HUNTER, WALLET, "WETH", "USDC", 5_000 * one(scene, "USDC"))
    liquidated = await scene.agreed(WALLET)
    assert liquidated.supplied[0].raw_amount < sunken.supplied[0].raw_amount


async def test_e_mode_has_its_own_threshold_and_is_named(scene: Scene) -> None:
    market = scene.market
    market.supply(WALLET, "DAI", 1_000 * one(scene, "DAI"))
    market.enter_e_mode(WALLET, STABLECOINS)
    market.borrow(WALLET, "USDC", 920 * one(scene, "USDC"))
    position = await scene.agreed(WALLET)
    assert position.liquidation_threshold == Decimal("0.95")
    details = dict(position.details)
    assert (details["e_mode"], details["e_mode_label"]) == ("1", "Stablecoins")


@pytest.mark.parametrize("built", ["V3.0"], indirect=True)
async def test_stable_debt_stands_beside_variable_debt(scene: Scene) -> None:
    """It is gone since V3.2."""
    market = scene.market
    market.supply(WALLET, "WETH", 50 * one(scene, "WETH"))
    market.borrow(WALLET, "USDC", 7_000 * one(scene, "USDC"), STABLE)
    market.borrow(WALLET, "USDC", 6_000 * one(scene, "USDC"))
    market.pass_time(YEAR)
    position = await scene.agreed(WALLET)
    assert [leg.label for leg in position.borrowed] == ["variable", "stable"]
    assert "claimable" not in dict(position.details)
    market.repay(WALLET, "USDC", MOST, VARIABLE)
    position = await scene.agreed(WALLET)
    assert [leg.label for leg in position.borrowed] == ["stable"]


async def test_a_position_left_behind_is_gone(scene: Scene) -> None:
    market = scene.market
    market.supply(WALLET, "USDC", 5 * one(scene, "USDC"))
    market.pass_time(YEAR)
    market.withdraw(WALLET, "USDC", MOST)
    assert list((await scene.read(WALLET)).found) == []


KINDS = ("supply", "borrow", "repay", "withdraw", "collateral", "e-mode", "time", "price", "liquidate")


async def test_random_sequences_agree_after_every_step(scene: Scene) -> None:
    """Until everything has happened, and to somebody who was under water."""
    chance = random.Random(f"aave 8 {scene.market.version}")
    done: Counter[str] = Counter()
    for step in range(400):
        done[act(scene.market, chance)] += 1
        for who in (WALLET, OTHER):
            found = (await scene.read(who)).found
            for position in found:
                assert_agrees(scene.market, who, position)
                done["under water"] += position.health_factor is not None and position.health_factor < 1
            assert len(found) == any(holds(scene.market, who))
        if step > 60 and all(done[kind] for kind in (*KINDS, "under water")):
            return
    raise AssertionError(f"not all has happened: {done}")


def holds(market: AaveMarket, who: str) -> Iterator[int]:
    """Balances of all tokens of the market."""
    for reserve in market.reserves.values():
        for token in (reserve.a_token, reserve.stable_debt_token, reserve.variable_debt_token):
            yield market.balance(token, who)


def act(market: AaveMarket, chance: random.Random) -> str:
    """One step of somebody, by its name; ``refused`` if the contracts did not allow it."""
    who = chance.choice((WALLET, OTHER))
    symbol = chance.choice(("WETH", "USDC", "DAI", "WBTC"))
    dollars, price, unit = 10 ** chance.uniform(0, 4), market.price(symbol), one_of(market, symbol)
    amount = max(int(dollars * 10**8 * unit / price), 1)
    most = max(market.account(who)[2] * unit * 98 // (price * 100), 1)
    held = [one for one, reserve in market.reserves.items() if market.balance(reserve.a_token, who)]
    owed = [
        one for one, reserve in market.reserves.items() if market.balance(reserve.variable_debt_token, who)
    ]
    back, out = chance.choice(owed or [symbol]), chance.choice(held or [symbol])
    mode = STABLE if market.version == "V3.0" and chance.random() < 0.2 else VARIABLE
    steps: dict[str, Callable[[], None]] = {
        "supply": lambda: market.supply(who, symbol, chance.choice((1, 5)) * amount),
        "borrow": lambda: market.borrow(who, symbol, chance.choice((amount, most)), mode),
        "repay": lambda: market.repay(who, back, chance.choice((amount, MOST))),
        "withdraw": lambda: market.withdraw(who, out, chance.choice((amount, MOST))),
        "collateral": lambda: market.use_as_collateral(who, symbol, chance.random() < 0.5),
        "e-mode": lambda: market.enter_e_mode(who, chance.choice((0, STABLECOINS))),
        "time": lambda: market.pass_time(chance.randrange(1, YEAR // 4)),
        "price": lambda: move_prices(market, who, held, chance),
        "liquidate": lambda: liquidate_somebody(market, amount),
    }
    sunken = any(market.account(one)[5] < 10**18 for one in (WALLET, OTHER))
    name = "liquidate" if sunken and chance.random() < 0.7 else chance.choice(tuple(steps))
    try:
        steps[name]()
    except UpstreamError:
        return "refused"
    return name


def move_prices(market: AaveMarket, who: str, held: Sequence[str], chance: random.Random) -> None:
    """Up or down a little, or down to where somebody is almost or just under water."""
    health = market.account(who)[5]
    factor = chance.uniform(0.85, 1.2)
    if health < 10**20 and chance.random() < 0.6:
        factor = chance.uniform(0.85, 1.02) * 10**18 / health
    for symbol in held:
        market.set_price(symbol, max(int(market.price(symbol) * factor), 1000))


def one_of(market: AaveMarket, symbol: str) -> int:
    return market.reserves[symbol].one


def liquidate_somebody(market: AaveMarket, amount: int) -> None:
    """The first pair of a debt and a collateral that the pool allows.

    Raises:
        UpstreamError: Nobody can be liquidated.
    """
    for who in (WALLET, OTHER):
        if market.account(who)[5] >= 10**18:
            continue
        for debt, owed in market.reserves.items():
            if not market.balance(owed.variable_debt_token, who):
                continue
            for collateral in market.reserves:
                with suppress(UpstreamError):
                    market.liquidate(HUNTER, who, collateral, debt, amount)
                    return
    raise UpstreamError("Nobody is under water.")


async def test_rewards_are_those_that_the_controller_would_pay(scene: Scene) -> None:
    """Also those of a debt that was repaid since; one that is paid in an aToken is its underlying."""
    market = scene.market
    earn(scene)
    position = await scene.agreed(WALLET)
    tokens = [token for one in market.reserves.values() for token in (one.a_token, one.variable_debt_token)]
    due = rewards_of(market, tokens, WALLET)
    dai, wbtc = market.reserves["DAI"], market.reserves["WBTC"]
    assert set(due) == {dai.underlying.lower(), wbtc.a_token.lower()}
    claims = {leg.asset.contract_address: leg.raw_amount for leg in position.claimable}
    assert claims == {dai.underlying: due[dai.underlying.lower()], wbtc.underlying: due[wbtc.a_token.lower()]}
    assert min(claims.values()) > 0


async def test_a_market_whose_reserves_nobody_listed_takes_a_round_more_for_rewards(scene: Scene) -> None:
    market = scene.market
    earn(scene)
    guide = scene.guide(market.row(known=False))
    position = await scene.agreed(WALLET, guide)
    due = rewards_of(market, [market.reserves["WETH"].a_token], WALLET)
    assert {str(leg.asset.contract_address).lower(): leg.raw_amount for leg in position.claimable} == {
        token: amount for token, amount in due.items() if amount
    }
    assert position.claimable
    assert (await scene.read(WALLET, guide)).rounds == 4


def earn(scene: Scene) -> None:
    """Rewards of a supply, and of a debt that is there no more."""
    market = scene.market
    market.reward("USDC", 10**12, market.reserves["DAI"].underlying)
    market.reward("WETH", 10**3, market.reserves["WBTC"].a_token)
    market.supply(WALLET, "WETH", 10 * one(scene, "WETH"))
    market.borrow(WALLET, "USDC", 5_000 * one(scene, "USDC"))
    market.pass_time(YEAR)
    market.repay(WALLET, "USDC", MOST)
    market.pass_time(YEAR)


def rewards_of(market: AaveMarket, tokens: Sequence[str], who: str) -> dict[str, int]:
    signature = "getAllUserRewards(address[],address)"
    said = answer(market.client, market.contracts["rewards"], signature, "address[],uint256[]", tokens, who)
    return {token.lower(): amount for token, amount in zip(*said, strict=True)}


async def test_rewards_that_cannot_be_read_are_said_to_be_unknown(scene: Scene) -> None:
    scene.market.supply(WALLET, "WETH", one(scene, "WETH"))
    set_code(scene.node.client, {scene.market.contracts["rewards"]: BROKEN})
    position = await scene.agreed(WALLET)
    assert position.claimable == ()
    assert dict(position.details)["claimable"] == "unknown: without a reason"


async def test_a_token_that_no_list_has_is_asked_what_it_is(scene: Scene) -> None:
    scene.market.supply(WALLET, "WBTC", 7)
    position = await scene.agreed(WALLET, scene.guide(listed=("WETH",)))
    asset = position.supplied[0].asset
    assert (asset.symbol, asset.name, asset.decimals, asset.trust) == ("WBTC", "Test WBTC", 8, "unknown")


async def test_after_a_reserve_was_dropped_debts_are_still_found(scene: Scene) -> None:
    """The helper looks for the debt in the wrong place then."""
    market = scene.market
    market.supply(WALLET, "WETH", 10 * one(scene, "WETH"))
    market.borrow(WALLET, "USDC", 3_000 * one(scene, "USDC"))
    market.borrow(WALLET, "WBTC", one(scene, "WBTC") // 10)
    before = (await scene.read(WALLET)).found
    market.withdraw(BANK, "GONE", MOST)
    market.drop("GONE")
    position = await scene.agreed(WALLET)
    assert len(position.borrowed) == len(before[0].borrowed) == 2
    driven = await scene.read(WALLET)
    assert driven.rounds == 4


@pytest.mark.parametrize("code", [b"", BROKEN, ONE_WORD], ids=["gone", "reverting", "lying"])
async def test_without_its_helper_a_market_is_read_reserve_by_reserve(scene: Scene, code: bytes) -> None:
    market = scene.market
    market.supply(WALLET, "WETH", 10 * one(scene, "WETH"))
    market.borrow(WALLET, "DAI", 3_000 * one(scene, "DAI"))
    [whole] = (await scene.read(WALLET)).found
    set_code(scene.node.client, {market.contracts["user_data"]: code})
    position = await scene.agreed(WALLET)
    assert (position.supplied[0].asset, len(position.borrowed)) == (whole.supplied[0].asset, 1)
    driven = await scene.read(NOBODY)
    assert (list(driven.found), driven.rounds) == ([], 3)


async def test_the_longest_way_has_as_many_rounds_as_a_tour_may_have(scene: Scene) -> None:
    """No helper, no list of reserves, no token that the catalog knows."""
    market = scene.market
    earn(scene)
    set_code(scene.node.client, {market.contracts["user_data"]: b""})
    guide = scene.guide(market.row(known=False), listed=())
    position = await scene.agreed(WALLET, guide)
    assert position.claimable
    assert (await scene.read(WALLET, guide)).rounds == MOST_ROUNDS


async def test_the_data_provider_is_the_one_that_the_market_names(scene: Scene) -> None:
    scene.market.supply(WALLET, "WETH", 10 * one(scene, "WETH"))
    row = {**scene.market.row(), "protocol_data_provider": OTHER}
    await scene.agreed(WALLET, scene.guide(row))


@pytest.mark.parametrize(
    ("code", "failure"),
    [(b"", "no_contract"), (BROKEN, "reverted"), (ONE_WORD, "malformed")],
    ids=["gone", "reverting", "lying"],
)
async def test_a_pool_that_is_none_is_a_declared_failure(scene: Scene, code: bytes, failure: str) -> None:
    scene.market.supply(WALLET, "WETH", one(scene, "WETH"))
    set_code(scene.node.client, {scene.market.contracts["pool"]: code})
    with pytest.raises(TourError) as caught:
        await scene.read(WALLET)
    assert caught.value.code == failure


async def test_an_oracle_that_fails_is_a_declared_failure_and_not_a_healthy_account(scene: Scene) -> None:
    market = scene.market
    market.supply(WALLET, "WETH", 10 * one(scene, "WETH"))
    market.borrow(WALLET, "USDC", 3_000 * one(scene, "USDC"))
    set_code(scene.node.client, {market.reserves["WETH"].aggregator: BROKEN})
    with pytest.raises(TourError) as caught:
        await scene.read(WALLET)
    assert caught.value.code == "reverted"


async def test_a_token_that_pretends_to_be_an_atoken_changes_nothing(scene: Scene) -> None:
    """It answers every question with the same number: so much of it, whoever asks."""
    market, client = scene.market, scene.node.client
    market.supply(WALLET, "WETH", 10 * one(scene, "WETH"))
    [before] = (await scene.read(WALLET)).found
    set_code(client, {OTHER: LIAR})
    assert market.balance(OTHER, WALLET) == 2**255
    [after] = (await scene.read(WALLET)).found
    assert after == before
    market.give(WALLET, "DAI", one(scene, "DAI"))
    [still] = (await scene.read(WALLET)).found
    assert still.supplied[0].raw_amount == market.balance(market.reserves["WETH"].a_token, WALLET)


async def test_a_helper_that_invents_a_reserve_is_found_out(scene: Scene) -> None:
    market, client = scene.market, scene.node.client
    told = words(64, 0, 1, OTHER, 2**255, 1, 0) if market.version == "V3.6" else b""
    told = told or words(64, 0, 1, OTHER, 2**255, 1, 0, 0, 0, 0)
    set_code(client, {OTHER: LIAR, market.contracts["user_data"]: saying(told)})
    with pytest.raises(TourError) as caught:
        await scene.read(NOBODY)
    assert caught.value.code == "reverted"


def saying(data: bytes) -> bytes:
    """A runtime that answers everything with this."""
    head = bytes.fromhex("61") + len(data).to_bytes(2) + bytes.fromhex("600e60003961") + len(data).to_bytes(2)
    return head + bytes.fromhex("6000f3") + data


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_golden_conversation_is_still_had_with_the_contracts(version: str) -> None:
    kept = json.loads((FOLDER / f"{version}.json").read_text(encoding="ascii"))
    assert json.loads(json.dumps(await record(version))) == kept
