"""Receipts of stakes on models of their documented views, at their own addresses, against sums done here."""

import random

import pytest
from tests.nodes.protocols.flat import compile_flat
from tests.nodes.token_zoo import zoo_address
from tests.protocols.driving import driver
from tests.protocols.stage import ABSENT, ETHEREUM, NETWORKS, REVERTED, catalog, replay, words

from balance_tracker.core.ids import Slug
from balance_tracker.core.positions import PositionKind
from balance_tracker.demo.anvil import AnvilNode
from balance_tracker.demo.contracts import Placement, Transaction, call_data, place, transact
from balance_tracker.evm.address import EvmAddresses
from balance_tracker.evm.outcomes import Outcome
from balance_tracker.evm.tours import TourError
from balance_tracker.protocols import liquid_staking, rocket_pool
from balance_tracker.protocols.spec import EvmGuide

OWNER = zoo_address("staker")
OTHER = zoo_address("other staker")
NOTHING = catalog({})
RECEIPTS = {"rETH": rocket_pool.DEPLOYMENTS["ethereum"]} | {
    receipt.symbol: receipt for row in liquid_staking.DEPLOYMENTS.values() for receipt in row
}
ON_ETHEREUM = ["rETH", "cbETH", "weETH", "osETH", "ETHx", "rsETH"]


def guide_of(symbol: str) -> EvmGuide:
    every = [*rocket_pool.guides(ETHEREUM, NOTHING), *liquid_staking.guides(ETHEREUM, NOTHING)]
    [guide] = [guide for guide in every if guide.market == symbol]
    return guide


@pytest.mark.integration
@pytest.mark.parametrize("symbol", ON_ETHEREUM)
async def test_receipts_stand_for_their_share_of_what_is_staked(node: AnvilNode, symbol: str) -> None:
    receipt = RECEIPTS[symbol]
    pools = {receipt.token, receipt.told_by or receipt.token}
    model = compile_flat("Staking.sol")["ReceiptModel"]
    place(node.client, [Placement(pool, model) for pool in pools])
    chance = random.Random(symbol)
    mine = total = 0
    async with driver(ETHEREUM, node.url) as tours:
        for _ in range(4):
            given = chance.randrange(1, 10 ** chance.randrange(1, 24)), chance.randrange(10**20)
            mine, total = mine + given[0], total + sum(given)
            pooled = total * chance.randrange(10**6, 3 * 10**6) // 10**6
            for pool in pools:
                gifts = [
                    call_data("give(address,uint256)", *gift)
                    for gift in zip((OWNER, OTHER), given, strict=True)
                ]
                calls = [*gifts, call_data("setPool(uint256)", pooled)]
                transact(node.client, [Transaction(pool, data) for data in calls])
            driven = await tours.drive(guide_of(symbol), OWNER)
            [position] = driven.found
            [leg] = position.supplied
            exact = (
                mine * pooled // total if receipt.of_amount else mine * (10**18 * pooled // total) // 10**18
            )
            assert (leg.raw_amount, leg.asset.symbol, leg.receipt) == (exact, "ETH", receipt.token)
            assert position.details == (("receipts", str(mine)),)
            assert driven.rounds == 2


def test_the_golden_case_of_a_rate() -> None:
    [position] = replay(guide_of("cbETH"), OWNER, [words(3 * 10**18)], [words(1_123_456_789_012_345_678)])
    assert position.kind is PositionKind.STAKING
    assert position.supplied[0].raw_amount == 3_370_370_367_037_037_034
    assert position.position_id == "0xBe9895146f7AF43049ca1c1AE358B0541Ea49704"


def test_the_golden_case_of_an_amount() -> None:
    [position] = replay(guide_of("rETH"), OWNER, [words(10**18)], [words(1_147_000_000_000_000_001)])
    assert (position.protocol, position.market) == ("rocket_pool", "rETH")
    assert position.supplied[0].raw_amount == 1_147_000_000_000_000_001


def test_what_stands_for_a_token_is_given_in_that_token() -> None:
    gnosis = NETWORKS[Slug("gnosis")]
    gno = "0x9C58BAcC331c9aa871AFD802DB6379a98e80CEdb"
    [guide] = liquid_staking.guides(gnosis, catalog({gno: ("GNO", 18)}, gnosis))
    [position] = replay(guide, OWNER, [words(100)], [words(103)])
    assert (position.supplied[0].asset.symbol, position.supplied[0].raw_amount) == ("GNO", 103)


def test_who_holds_none_is_asked_once() -> None:
    assert replay(guide_of("rETH"), OWNER, [words(0)]) == ()
    assert replay(guide_of("rETH"), OWNER, [ABSENT]) == ()


@pytest.mark.parametrize("symbol", ON_ETHEREUM)
@pytest.mark.parametrize("lie", [words(2**255), words(101 * 10**18), words(0, 0), b"", REVERTED])
def test_a_rate_that_can_not_be_is_a_failure(symbol: str, lie: Outcome) -> None:
    with pytest.raises(TourError):
        replay(guide_of(symbol), OWNER, [words(10**18)], [lie])


@pytest.mark.parametrize("symbol", ON_ETHEREUM)
def test_a_rate_of_nothing_is_a_failure_and_not_a_stake_of_nothing(symbol: str) -> None:
    """A proxy or oracle that is not set up answers zero; the receipt would no longer count as a holding."""
    with pytest.raises(TourError, match="can't stand for"):
        replay(guide_of(symbol), OWNER, [words(10**18)], [words(0)])


@pytest.mark.parametrize("lie", [words(2**255), words(1, 1), REVERTED])
def test_a_balance_that_can_not_be_is_a_failure(lie: Outcome) -> None:
    with pytest.raises(TourError):
        replay(guide_of("rETH"), OWNER, [lie])


def test_addresses_are_written_as_they_go_out() -> None:
    addresses = EvmAddresses()
    for receipt in RECEIPTS.values():
        for address in (receipt.token, receipt.told_by, receipt.underlying):
            assert address is None or addresses.parse(address) == address
