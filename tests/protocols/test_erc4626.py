"""ERC-4626 vaults: OpenZeppelin's on a node at their mainnet addresses, and liars by hand."""

import random
from dataclasses import replace

import pytest
from tests.nodes.protocols.flat import compile_flat
from tests.nodes.token_zoo import zoo_address
from tests.protocols.conversation import load
from tests.protocols.driving import driver
from tests.protocols.pools_golden import VAULT, guide_of_vault, retold
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
from balance_tracker.core.positions import PositionKind
from balance_tracker.demo.anvil import AnvilNode
from balance_tracker.demo.contracts import (
    DEPLOYER,
    ContractLibrary,
    Placement,
    Transaction,
    call_data,
    place,
    transact,
)
from balance_tracker.evm.address import EvmAddresses
from balance_tracker.evm.outcomes import Outcome
from balance_tracker.evm.tours import TourError
from balance_tracker.protocols.erc4626 import guides
from balance_tracker.protocols.spec import EvmGuide

SDAI = "0x83F20F44975D03b1b09e64809B757c47f942BEeA"
DAI = "0x6B175474E89094C44Da98b954EedeAC495271d0F"
OWNER = zoo_address("vault owner")
OTHER = zoo_address("vault other")
KNOWN = catalog({DAI: ("DAI", 18)})
MOST = 2**256 - 1


def guide_of(symbol: str, **changes: object) -> EvmGuide:
    [row] = [dict(row) for row in rows_on("erc4626", ETHEREUM) if row["symbol"] == symbol]
    [guide] = guides(ETHEREUM, KNOWN, [row | changes])
    return guide


@pytest.fixture
def vault(request: pytest.FixtureRequest, node: AnvilNode, library: ContractLibrary) -> AnvilNode:
    """sDAI's address with the contract that the test asks for, and two who have dai."""
    artifact = replace(compile_flat("Vaults.sol")[request.param], constructor=("address",))
    place(node.client, [Placement(DAI, library.erc20, ("Dai", "DAI"))])
    place(node.client, [Placement(SDAI, artifact, (DAI,))])
    for owner in (OWNER, OTHER):
        transact(
            node.client,
            [
                Transaction(DAI, call_data("mint(address,uint256)", owner, 10**30), DEPLOYER),
                Transaction(DAI, call_data("approve(address,uint256)", SDAI, MOST), owner),
            ],
        )
    return node


def act(node: AnvilNode, owner: str, signature: str, *arguments: object, to: str = SDAI) -> None:
    transact(node.client, [Transaction(to, call_data(signature, *arguments), owner)])


@pytest.mark.integration
@pytest.mark.parametrize("vault", ["PlainVault"], indirect=True)
@pytest.mark.parametrize("seed", range(3))
async def test_shares_are_what_the_vault_says_after_anything_that_happens(
    vault: AnvilNode, seed: int
) -> None:
    chance = random.Random(seed)
    async with driver(ETHEREUM, vault.url) as tours:
        for _ in range(8):
            owner = chance.choice((OWNER, OTHER))
            held = answer(vault.client, SDAI, "balanceOf(address)", "uint256", owner)
            amount = chance.randrange(1, 10 ** chance.randrange(2, 26))
            match chance.randrange(4):
                case 0 if held:
                    act(
                        vault, owner, "redeem(uint256,address,address)", chance.randint(1, held), owner, owner
                    )
                case 1 if held:
                    act(vault, owner, "transfer(address,uint256)", OTHER, chance.randint(1, held))
                case 2:  # what the vault earns
                    act(vault, owner, "transfer(address,uint256)", SDAI, amount, to=DAI)
                case _:
                    act(vault, owner, "deposit(uint256,address)", amount, owner)
            for who in (OWNER, OTHER):
                driven = await tours.drive(guide_of("sDAI"), who)
                shares = answer(vault.client, SDAI, "balanceOf(address)", "uint256", who)
                if not shares:
                    assert (driven.found, driven.requests) == ((), 1)
                    continue
                [position] = driven.found
                worth = answer(vault.client, SDAI, "convertToAssets(uint256)", "uint256", shares)
                assert [leg.raw_amount for leg in position.supplied] == [worth]
                assert position.details == (("shares", str(shares)),)


@pytest.mark.integration
@pytest.mark.parametrize("vault", ["FeeVault"], indirect=True)
async def test_a_fee_on_the_way_out_is_told_beside_the_amount(vault: AnvilNode) -> None:
    act(vault, OWNER, "deposit(uint256,address)", 1_000_003, OWNER)
    async with driver(ETHEREUM, vault.url) as tours:
        driven = await tours.drive(guide_of("sDAI"), OWNER)
    [position] = driven.found
    [leg] = position.supplied
    assert (position.kind, position.position_id, leg.receipt) == (PositionKind.VAULT, SDAI, SDAI)
    assert (leg.asset.symbol, leg.raw_amount) == ("DAI", 1_000_003)
    assert dict(position.details)["redeemable_now"] == "985003"  # less 1.5 %, rounded up
    assert driven.rounds == 2
    before = answer(vault.client, DAI, "balanceOf(address)", "uint256", OWNER)
    act(vault, OWNER, "redeem(uint256,address,address)", 1_000_003, OWNER, OWNER)
    assert answer(vault.client, DAI, "balanceOf(address)", "uint256", OWNER) - before == 985_003


@pytest.mark.integration
@pytest.mark.parametrize("vault", ["AskFirstVault"], indirect=True)
async def test_a_preview_that_reverts_takes_nothing_away(vault: AnvilNode) -> None:
    act(vault, OWNER, "deposit(uint256,address)", 77, OWNER)
    async with driver(ETHEREUM, vault.url) as tours:
        [position] = (await tours.drive(guide_of("sDAI"), OWNER)).found
    assert [leg.raw_amount for leg in position.supplied] == [77]


@pytest.mark.integration
async def test_shares_that_are_only_a_copy_are_a_holding_and_no_position(
    node: AnvilNode, library: ContractLibrary
) -> None:
    place(node.client, [Placement(SDAI, library.erc20, ("Bridged", "sDAI"))])
    act(node, DEPLOYER, "mint(address,uint256)", OWNER, 5)
    async with driver(ETHEREUM, node.url) as tours:
        assert (await tours.drive(guide_of("sDAI", sure=False), OWNER)).found == ()
        with pytest.raises(TourError) as caught:
            await tours.drive(guide_of("sDAI"), OWNER)
    assert caught.value.code == "reverted"


GOOD: tuple[Outcome, ...] = (
    words(DAI),
    words(1_100),
    words(1_100),
    words(10**9),
    words(10**8),
    words(10**10),
)


def test_the_golden_conversation_comes_to_what_the_vault_said() -> None:
    golden = load(VAULT)
    [found] = retold(guide_of_vault(), golden)
    [[worth, redeemable]] = golden.paid
    assert [leg.raw_amount for leg in found.supplied] == [worth]
    assert int(dict(found.details)["redeemable_now"]) == redeemable < worth
    assert [len(one) for one in golden.rounds] == [1, 6]


def test_the_golden_case_is_read_in_two_rounds() -> None:
    [position] = replay(guide_of("sDAI"), OWNER, [words(1_000)], GOOD)
    assert position.market == "sDAI"
    assert [(leg.asset.contract_address, leg.raw_amount) for leg in position.supplied] == [(DAI, 1_100)]
    assert position.details == (("shares", "1000"),)


def test_an_address_without_a_contract_holds_nothing_for_anyone() -> None:
    assert replay(guide_of("sDAI"), OWNER, [ABSENT]) == ()


@pytest.mark.parametrize("shares", [words(2**255), words(1, 2), b"", REVERTED])
def test_a_balance_that_can_not_be_is_a_failure(shares: Outcome) -> None:
    with pytest.raises(TourError):
        replay(guide_of("sDAI"), OWNER, [shares])


@pytest.mark.parametrize(
    ("place_of_lie", "lie"),
    [
        (0, words(SDAI)),
        (0, words(0)),
        (0, words(2**160)),
        (0, b"\x00" * 64),
        (0, REVERTED),
        (1, words(2**255)),
        (1, words(10**9 + 1)),
        (1, REVERTED),
        (3, words(1_099)),
        (3, REVERTED),
        (4, words(999)),
        (4, words(2**256 - 1)),
        (5, words(1_099)),
    ],
)
def test_a_vault_that_contradicts_itself_is_a_failure(place_of_lie: int, lie: Outcome) -> None:
    outcomes = [*GOOD[:place_of_lie], lie, *GOOD[place_of_lie + 1 :]]
    with pytest.raises(TourError):
        replay(guide_of("sDAI"), OWNER, [words(1_000)], outcomes)


@pytest.mark.parametrize("preview", [words(2**256 - 1), b"\x01" * 4_096, b""])
def test_a_preview_without_sense_is_left_out(preview: Outcome) -> None:
    [position] = replay(guide_of("sDAI"), OWNER, [words(1_000)], [*GOOD[:2], preview, *GOOD[3:]])
    assert position.details == (("shares", "1000"),)


def test_every_vault_of_the_data_has_a_name_of_its_own_on_a_network_that_there_is() -> None:
    addresses = EvmAddresses()
    seen = set()
    for row in rows_of("erc4626"):
        assert NETWORKS[Slug(row["network"])].family == "evm"
        assert addresses.parse(row["address"]) == row["address"]
        assert "underlying" not in row or addresses.parse(row["underlying"]) == row["underlying"]
        seen |= {(row["network"], row["symbol"]), (row["network"], row["address"])}
    assert len(seen) == 2 * len(rows_of("erc4626"))
