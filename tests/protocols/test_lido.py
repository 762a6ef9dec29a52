"""Lido on models of its documented views, at its mainnet addresses, against sums done here."""

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.nodes.protocols.flat import compile_flat
from tests.nodes.token_zoo import zoo_address
from tests.protocols.driving import driver
from tests.protocols.stage import ABSENT, ETHEREUM, NETWORKS, REVERTED, catalog, listed, replay, words

from balance_tracker.core.ids import Slug
from balance_tracker.core.positions import Position, PositionKind
from balance_tracker.demo.anvil import AnvilNode
from balance_tracker.demo.contracts import Placement, Transaction, call_data, place, transact
from balance_tracker.evm.outcomes import Outcome
from balance_tracker.evm.tours import TourError
from balance_tracker.protocols.lido import DEPLOYMENTS, MOST_REQUESTS, guides

LIDO = DEPLOYMENTS["ethereum"]
OWNER = zoo_address("lido owner")
OTHER = zoo_address("lido other")
ETHER = 10**18
STAKED, QUEUED = guides(ETHEREUM, catalog({}))


@pytest.fixture
def lido(node: AnvilNode) -> AnvilNode:
    models = compile_flat("Staking.sol")
    place(
        node.client,
        [
            Placement(LIDO.steth, models["StEthModel"]),
            Placement(LIDO.wsteth, replace(models["WstEthModel"], constructor=("address",)), (LIDO.steth,)),
            Placement(LIDO.queue, models["QueueModel"]),
        ],
    )
    return node


def act(node: AnvilNode, to: str, *calls: tuple[object, ...]) -> None:
    transact(node.client, [Transaction(to, call_data(str(call[0]), *call[1:])) for call in calls])


def amounts(positions: Sequence[Position]) -> dict[str, int]:
    return {position.market: leg.raw_amount for position in positions for leg in position.supplied}


@pytest.mark.integration
@pytest.mark.parametrize("seed", range(2))
async def test_stakes_are_worth_their_share_of_the_pool(lido: AnvilNode, seed: int) -> None:
    chance = random.Random(seed)
    mine, wrapped, total = 0, 0, 0
    async with driver(ETHEREUM, lido.url) as tours:
        for _ in range(6):
            given = [chance.randrange(10 ** chance.randrange(1, 24)) for _ in range(3)]
            mine, wrapped, total = mine + given[0], wrapped + given[1], total + sum(given)
            pooled = total * chance.randrange(10**6, 2 * 10**6) // 10**6 + chance.randrange(10**3)
            receivers = (OWNER, LIDO.wsteth, OTHER)
            gifts = [("give(address,uint256)", *gift) for gift in zip(receivers, given, strict=True)]
            act(lido, LIDO.steth, *gifts, ("setPool(uint256)", pooled))
            act(lido, LIDO.wsteth, ("give(address,uint256)", OWNER, given[1]))
            driven = await tours.drive(STAKED, OWNER)
            sums = {"stETH": mine * pooled // total, "wstETH": wrapped * pooled // total}
            assert amounts(driven.found) == {name: amount for name, amount in sums.items() if amount}
            assert {leg.asset.symbol for item in driven.found for leg in item.supplied} == {"ETH"}


@pytest.mark.integration
async def test_requests_wait_for_what_was_put_in_and_pay_what_they_were_made_final_at(
    lido: AnvilNode,
) -> None:
    asked = [
        (OWNER, 100 * ETHER, 80 * ETHER),
        (OTHER, 7, 6),
        (OWNER, 33 * ETHER + 1, 30 * ETHER),
        (OWNER, 5, 4),
    ]
    act(lido, LIDO.queue, *(("ask(address,uint256,uint256)", *request) for request in asked))
    act(
        lido,
        LIDO.queue,
        ("finalize(uint256,uint256)", 1, 12 * 10**26),
        ("finalize(uint256,uint256)", 3, 10**30),
    )
    async with driver(ETHEREUM, lido.url) as tours:
        driven = await tours.drive(QUEUED, OWNER)
        assert driven.rounds == 4
        claimable = [leg.raw_amount for item in driven.found for leg in item.claimable]
        waiting = [leg.raw_amount for item in driven.found for leg in item.supplied]
        assert claimable == [96 * ETHER, 33 * ETHER + 1]  # the first at 1.2 for a share, and not at 1.25
        assert waiting == [5]
        assert {item.kind for item in driven.found} == {PositionKind.WITHDRAWAL}
        assert driven.found[0].position_id == f"{LIDO.queue}/1"

        act(lido, LIDO.queue, ("claim(uint256)", 1))
        left = (await tours.drive(QUEUED, OWNER)).found
        assert [item.position_id.rpartition("/")[2] for item in left] == ["3", "4"]
        assert (await tours.drive(QUEUED, zoo_address("nobody"))).rounds == 1


@pytest.mark.integration
async def test_many_requests_are_asked_about_in_parts(lido: AnvilNode) -> None:
    act(lido, LIDO.queue, *(("ask(address,uint256,uint256)", OWNER, 1_000 + n, 1_000) for n in range(120)))
    act(lido, LIDO.queue, ("finalize(uint256,uint256)", 70, 10**30))
    async with driver(ETHEREUM, lido.url) as tours:
        driven = await tours.drive(QUEUED, OWNER)
    assert driven.calls == (1, 4, 2, 2)
    assert [leg.raw_amount for item in driven.found for leg in item.claimable + item.supplied] == [
        1_000 + n for n in range(120)
    ]
    assert sum(bool(item.claimable) for item in driven.found) == 70


def test_the_golden_case_of_a_stake() -> None:
    steth, wsteth = replay(STAKED, OWNER, [words(5), words(100)], [words(123)])
    assert amounts([steth, wsteth]) == {"stETH": 5, "wstETH": 123}
    assert (steth.supplied[0].receipt, wsteth.supplied[0].receipt) == (LIDO.steth, LIDO.wsteth)
    assert wsteth.details == (("receipts", "100"),)
    assert replay(STAKED, OWNER, [words(0), words(0)]) == ()


def test_without_its_contracts_there_is_nothing() -> None:
    assert replay(STAKED, OWNER, [ABSENT, ABSENT]) == ()
    assert replay(QUEUED, OWNER, [ABSENT]) == ()
    assert guides(NETWORKS[Slug("base")], catalog({})) == []


@pytest.mark.parametrize("lie", [words(2**255), words(0), words(1_001), b"", REVERTED, words(1, 2)])
def test_a_rate_that_can_not_be_is_a_failure(lie: Outcome) -> None:
    with pytest.raises(TourError):
        replay(STAKED, OWNER, [words(0), words(100)], [lie])


STATUS = (100, 80, OWNER, 1, 1, 0)


@pytest.mark.parametrize(
    "rounds",
    [
        [[listed(*range(MOST_REQUESTS + 1))]],
        [[words(32, 2**255)]],
        [[words(32, 2, 1)]],
        [[listed(1)], [words(32, 1, 100, 80, OTHER, 1, 1, 0), words(1)]],
        [[listed(1)], [words(32, 1, 2**200, 80, OWNER, 1, 1, 0), words(1)]],
        [[listed(1)], [words(32, 1, 100, 80, OWNER, 1, 2, 0), words(1)]],
        [[listed(1)], [words(32, 2, *STATUS, *STATUS), words(1)]],
        [[listed(1)], [words(32, 0), words(1)]],
        [[listed(1)], [words(32, 1, *STATUS), words(1)], [listed()]],
        [[listed(1)], [words(32, 1, *STATUS), words(1)], [listed(1)], [listed(101)]],
        [[listed(1)], [words(32, 1, *STATUS), words(1)], [listed(1)], [REVERTED]],
        [[listed(1)], [words(32, 1, *STATUS), REVERTED]],
    ],
)
def test_a_queue_that_makes_no_sense_is_a_failure(rounds: list[list[Outcome]]) -> None:
    with pytest.raises(TourError):
        replay(QUEUED, OWNER, *rounds)
