"""Everything that addresses have: nothing twice, debts subtracted, what failed declared."""

from dataclasses import replace
from decimal import Decimal

import pytest
from tests.fakes.prices import ScriptedSource
from tests.fakes.readers import (
    ALICE,
    BASE,
    BLOCK,
    DAI,
    ETHEREUM,
    MINT,
    SOLANA,
    SOLANA_ALICE,
    STRANGE,
    USDC,
    ScriptedNames,
    ScriptedReader,
    network,
    refused,
    token,
)
from tests.fakes.service import Scene

from balance_tracker.core.assets import native_asset
from balance_tracker.core.errors import InputError
from balance_tracker.core.ids import Address
from balance_tracker.core.nfts import Collection, NftHolding, NftId
from balance_tracker.core.portfolio import FailureCode
from balance_tracker.core.positions import Leg, Position, PositionKind, ProtocolFailure
from balance_tracker.services.serialise_whole import positions_json, whole_json

BOB = Address("0x0000000000000000000000000000000000000B0b")
RECEIPT = Address("0x98C23E9d8f34FEFb1B7BD6a91B7FF122F4e16F5c")
SHARES = Address("0x7Fc66500c84A76Ad7e9c93437bFc5Ac33E2DDaE9")
DOLLAR = token(ETHEREUM, USDC, "USDC")
A_DOLLAR = token(ETHEREUM, RECEIPT, "aEthUSDC")
SAI = token(ETHEREUM, DAI, "DAI", 18)
ETHER = native_asset(ETHEREUM)
ETH = "eip155:1/slip44:60"
PRICES = {ETH: "2000", DOLLAR.asset_id: "1", A_DOLLAR.asset_id: "1"}
LISTED = [DOLLAR, A_DOLLAR, SAI]


def lent(owner: str = ALICE, **changes: object) -> Position:
    """600 dollars lent, half an ether borrowed."""
    position = Position(
        protocol="aave_v3",
        network=ETHEREUM.slug,
        market="AaveV3Ethereum",
        position_id="AaveV3Ethereum",
        kind=PositionKind.LENDING,
        owner=Address(owner),
        supplied=(Leg(DOLLAR, 600_000_000, collateral=True, receipt=RECEIPT),),
        borrowed=(Leg(ETHER, 10**17, label="variable"),),
        health_factor=Decimal("2.5"),
        liquidation_threshold=Decimal("0.83"),
        details=(("e_mode", "none"),),
    )
    return replace(position, **changes)  # type: ignore[arg-type]


def lender() -> ScriptedReader:
    """A wallet with an ether, 50 dollars, and the receipt of what it lent."""
    amounts: dict[str | None, int] = {None: 10**18, USDC: 50_000_000, RECEIPT: 600_000_000}
    return ScriptedReader(ETHEREUM, amounts, positions=(lent(),))


def source() -> ScriptedSource:
    return ScriptedSource(amounts=PRICES)


async def test_a_receipt_is_in_its_position_and_not_beside_it_and_debts_are_subtracted() -> None:
    async with Scene([lender()], LISTED, prices=[source()]) as scene:
        answer = await scene.whole.portfolio([ALICE])
    assert [holding.balance.asset.symbol for holding in answer.holdings] == ["ETH", "USDC"]
    assert [(one.asset.symbol, one.reason) for one in answer.excluded] == [("aEthUSDC", "in_position")]
    assert answer.positions[0].net_value == 400
    assert answer.total_value == 2000 + 50 + 600 - 200
    assert (answer.unpriced, answer.complete) == (0, True)
    assert dict(answer.totals.by_network) == {"ethereum": 2450}
    assert dict(answer.totals.by_kind) == {"wallet": 2050, "lending": 400}
    assert dict(answer.totals.by_asset) == {ETH: 1800, DOLLAR.asset_id: 650}


async def test_the_json_of_a_portfolio_is_that_of_the_contract() -> None:
    async with Scene([lender()], LISTED, prices=[source()]) as scene:
        shape = whole_json(await scene.whole.portfolio([ALICE]))
    assert shape["addresses"] == [ALICE]
    assert shape["total_value"] == "2450"
    assert shape["totals"]["by_kind"] == {"wallet": "2050", "lending": "400"}
    [position] = shape["positions"]
    assert (position["health_factor"], position["liquidation_threshold"]) == ("2.5", "0.83")
    assert (position["net_value"], position["kind"], position["claimable"]) == ("400", "lending", [])
    [supplied], [borrowed] = position["supplied"], position["borrowed"]
    assert (supplied["asset_id"], supplied["amount"], supplied["value"]) == (DOLLAR.asset_id, "600", "600")
    assert (supplied["collateral"], supplied["receipt"]) == (True, RECEIPT)
    assert (borrowed["native"], borrowed["amount"], borrowed["label"]) == (True, "0.1", "variable")
    assert shape["coverage"][0]["protocols"] == {"asked": 1, "answered": 1, "failed": []}
    nothing = {"asked": 0, "answered": 0, "failed": [], "not_searched": []}
    assert shape["coverage"][0]["collections"] == nothing
    assert shape["excluded"][0]["reason"] == "in_position"


async def test_an_unpriced_part_leaves_the_position_without_a_value() -> None:
    pool = lent(supplied=(Leg(DOLLAR, 5_000_000), Leg(SAI, 1)), borrowed=(), kind=PositionKind.LIQUIDITY)
    reader = ScriptedReader(ETHEREUM, {None: 10**18}, positions=(pool,))
    async with Scene([reader], LISTED, prices=[source()]) as scene:
        answer = await scene.whole.portfolio([ALICE])
    assert answer.positions[0].net_value is None
    assert answer.positions[0].supplied[0].holding.value == 5
    assert (answer.total_value, answer.unpriced) == (2000, 1)
    assert dict(answer.totals.by_asset) == {ETH: 2000}
    assert answer.totals.by_kind["liquidity"] is None


async def test_a_side_of_nothing_needs_no_price() -> None:
    reader = ScriptedReader(ETHEREUM, positions=(lent(claimable=(Leg(SAI, 0),), borrowed=()),))
    async with Scene([reader], LISTED, prices=[source()]) as scene:
        answer = await scene.whole.portfolio([ALICE])
    assert answer.positions[0].net_value == 600


async def test_a_receipt_counts_as_a_holding_where_its_protocol_failed_and_that_is_declared() -> None:
    reader = lender()
    reader.positions = ()
    reader.protocol_failures = (
        ProtocolFailure("aave_v3", "AaveV3Ethereum", "reverted", "see https://node.example/secret-key"),
        ProtocolFailure("aave_v3", "AaveV3EthereumLido", "malformed", "nonsense"),
        ProtocolFailure("lido", None, "timed_out", "not answered in time"),
    )
    async with Scene([reader], LISTED, prices=[source()]) as scene:
        answer = await scene.whole.portfolio([ALICE])
        shape = whole_json(answer)
    assert (answer.complete, answer.coverage[0].status) == (False, "partial")
    assert answer.total_value == 2650
    protocols = shape["coverage"][0]["protocols"]
    assert (protocols["asked"], protocols["answered"]) == (2, 0)
    assert [(one["protocol"], one["code"], len(one["markets"])) for one in protocols["failed"]] == [
        ("aave_v3", "reverted", 2),
        ("lido", "timed_out", 1),
    ]
    assert "secret-key" not in str(shape)


async def test_several_addresses_are_one_portfolio_read_together_and_a_repeated_one_counts_once() -> None:
    reader = lender()
    reader.amounts_of = {BOB: {None: 2 * 10**18, USDC: 0, RECEIPT: 7}}
    async with Scene([reader], LISTED, prices=[source()]) as scene:
        answer = await scene.whole.portfolio([f"{ALICE},{BOB}", ALICE])
    assert reader.chunks == [(ALICE, BOB)]
    assert answer.addresses == (ALICE, BOB)
    amounts = {one.balance.asset.symbol: one.balance.raw_amount for one in answer.holdings}
    # Bob lent nothing: his receipt stands for no position of his.
    assert amounts == {"ETH": 3 * 10**18, "USDC": 50_000_000, "aEthUSDC": 7}
    assert [one.position.owner for one in answer.positions] == [ALICE]
    assert answer.coverage[0].asked == 8


async def test_addresses_of_both_families_are_asked_where_they_live() -> None:
    solana = ScriptedReader(SOLANA, {None: 5})
    async with Scene([lender(), solana], LISTED) as scene:
        answer = await scene.whole.portfolio([ALICE, SOLANA_ALICE])
    assert [entry.network for entry in answer.coverage] == ["ethereum", "solana"]
    assert solana.chunks == [(SOLANA_ALICE,)]
    assert solana.included[0].nfts


async def test_an_owner_who_failed_beside_others_makes_the_network_partial() -> None:
    reader = lender()
    reader.lost = {BOB: refused()}
    async with Scene([reader], LISTED, prices=[source()]) as scene:
        answer = await scene.whole.portfolio([ALICE, BOB])
    coverage = answer.coverage[0]
    assert (coverage.status, answer.complete, answer.total_value) == ("partial", False, 2450)
    assert coverage.error is not None
    assert "key-1" not in coverage.error.detail


async def test_a_network_that_failed_says_so_of_its_protocols_too() -> None:
    reader = lender()
    reader.error = refused()
    other = ScriptedReader(BASE, {None: 10**18})
    async with Scene([reader, other], LISTED, prices=[source()]) as scene:
        answer = await scene.whole.portfolio([ALICE])
    failed, fine = answer.coverage
    assert (failed.status, failed.block, fine.status) == ("failed", None, "ok")
    assert failed.protocols == ("aave_v3",)
    assert [(one.protocol, one.code) for one in failed.protocol_failures] == [("aave_v3", "endpoint_failed")]
    assert answer.total_value == 2000
    assert answer.totals.by_network == {"ethereum": None, "base": 2000}


async def test_the_last_good_answer_stands_in_for_one_that_failed() -> None:
    reader = lender()
    async with Scene([reader], LISTED, prices=[source()]) as scene:
        await scene.whole.portfolio([ALICE])
        cached = await scene.whole.portfolio([ALICE])
        scene.clock.now += 61
        reader.error = refused()
        stale = await scene.whole.portfolio([ALICE])
    assert (len(reader.chunks), cached.coverage[0].cached, cached.coverage[0].requests) == (2, True, 0)
    assert (stale.coverage[0].status, stale.positions[0].net_value) == ("stale", 400)


async def test_an_answer_with_a_failed_protocol_is_asked_again_soon() -> None:
    reader = lender()
    reader.protocol_failures = (ProtocolFailure("lido", None, "timed_out", "late"),)
    async with Scene([reader], LISTED) as scene:
        await scene.whole.portfolio([ALICE])
        scene.clock.now += 6
        reader.protocol_failures = ()
        again = await scene.whole.portfolio([ALICE])
    assert again.complete


async def test_mirrors_and_spam_are_left_out_with_their_reason() -> None:
    net = network("celo", chain_id=42220, mirrors=(STRANGE,))
    lure = token(net, DAI, "claim at lure.example.com", trust="unknown")
    reader = ScriptedReader(net, {STRANGE: 5, DAI: 6})
    async with Scene([reader], [token(net, STRANGE, "CELO"), lure]) as scene:
        answer = await scene.whole.portfolio([ALICE])
    assert {(one.asset.contract_address, one.reason) for one in answer.excluded} == {
        (STRANGE, "mirror"),
        (DAI, "spam"),
    }
    assert answer.total_value == 0


async def test_collections_are_told_with_their_owner() -> None:
    cats = Collection(ETHEREUM.slug, SHARES, "erc721", "Cats")
    reader = lender()
    reader.collections = (NftHolding(cats, 2, (NftId("7", 1), NftId("9", 1)), ids_complete=True),)
    async with Scene([reader], LISTED, collections={ETHEREUM.slug: [cats]}) as scene:
        shape = whole_json(await scene.whole.portfolio([ALICE]))
    [held] = shape["collections"]
    assert (held["owner"], held["balance"], [one["token_id"] for one in held["token_ids"]]) == (
        ALICE,
        2,
        ["7", "9"],
    )
    assert shape["coverage"][0]["collections"]["asked"] == 1


async def test_positions_alone_ask_no_tokens_and_only_the_protocols_named() -> None:
    reader = lender()
    reader.positions += (lent(protocol="lido", kind=PositionKind.STAKING, borrowed=()),)
    async with Scene([reader], LISTED, prices=[source()]) as scene:
        every = await scene.whole.positions(ALICE)
        some = await scene.whole.positions(ALICE, protocols=["LIDO"])
        shape = positions_json(some)
    assert [one.position.protocol for one in every.positions] == ["lido", "aave_v3"]
    assert [one.position.protocol for one in some.positions] == ["lido"]
    assert reader.asked == [(), ()]
    assert not reader.included[0].collections
    assert shape["coverage"][0]["protocols"]["asked"] == 1
    assert shape["coverage"][0]["assets"]["asked"] == 1
    assert "collections" not in shape["coverage"][0]
    assert (shape["address"], shape["complete"]) == (ALICE, True)


async def test_names_come_in_and_go_out() -> None:
    names = ScriptedNames({"alice.eth": ALICE})
    async with Scene([lender()], LISTED, names=names) as scene:
        asked = await scene.whole.portfolio(["alice.eth"])
        found = await scene.whole.positions(ALICE)
        both = await scene.whole.portfolio(["alice.eth", ALICE])
    assert dict(asked.names) == {ALICE: "alice.eth"}
    assert found.name == "alice.eth"
    assert (both.addresses, dict(both.names)) == ((ALICE,), {ALICE: "alice.eth"})


@pytest.mark.parametrize(
    ("addresses", "more", "code"),
    [
        ([], {}, "invalid_address"),
        (["nonsense"], {}, "invalid_address"),
        ([f"0x{number:040x}" for number in range(1, 23)], {}, "too_many_addresses"),
        ([ALICE], {"networks": ["nowhere"]}, "unknown_network"),
        ([ALICE], {"networks": ["solana"]}, "wrong_network_family"),
        ([ALICE], {"at": "5"}, "invalid_at"),
        ([ALICE], {"currency": "shells"}, "invalid_currency"),
    ],
)
async def test_what_cannot_be_asked_is_refused(
    addresses: list[str], more: dict[str, object], code: str
) -> None:
    readers = [lender(), ScriptedReader(BASE), ScriptedReader(SOLANA)]
    async with Scene(readers, LISTED) as scene:
        with pytest.raises(InputError) as refusal:
            await scene.whole.portfolio(addresses, **more)  # type: ignore[arg-type]
    assert refusal.value.code == code


async def test_a_protocol_that_nobody_has_is_refused_with_the_nearest() -> None:
    async with Scene([lender()], LISTED) as scene:
        with pytest.raises(InputError) as refusal:
            await scene.whole.positions(ALICE, protocols=["aave_v2"])
    assert (refusal.value.code, refusal.value.hint) == ("unknown_protocol", "Did you mean 'aave_v3'?")


async def test_a_past_block_is_valued_at_its_time() -> None:
    past = ScriptedSource(past={ETH: "1000", DOLLAR.asset_id: "1"})
    async with Scene([lender()], LISTED, prices=[past]) as scene:
        answer = await scene.whole.portfolio([ALICE], at=str(BLOCK.number))
    assert answer.positions[0].net_value == 500


async def test_a_failed_asset_is_told_and_is_no_zero() -> None:
    reader = lender()
    reader.failing = {USDC: FailureCode.REVERTED}
    async with Scene([reader], LISTED) as scene:
        answer = await scene.whole.portfolio([ALICE])
    assert [one.asset.symbol for one in answer.coverage[0].failures] == ["USDC"]
    assert "USDC" not in [holding.balance.asset.symbol for holding in answer.holdings]
    assert MINT not in str(answer.coverage[0].failures)
