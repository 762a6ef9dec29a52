"""What is chosen of a portfolio: how stake tokens are told, and whether NFTs are searched for."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import cast

import pytest
from tests.fakes.prices import ScriptedSource
from tests.fakes.readers import ALICE, ETHEREUM, STRANGE, USDC, ScriptedReader, refused, token
from tests.fakes.service import Scene
from tests.services.test_whole import BOB, DOLLAR, ETH, ETHER, lent

from balance_tracker.core.blocks import BlockRef
from balance_tracker.core.errors import InputError
from balance_tracker.core.ids import Address
from balance_tracker.core.nfts import Collection, NftHolding, NftId
from balance_tracker.core.portfolio import FailureCode
from balance_tracker.core.positions import Leg, Position, PositionKind, ProtocolFailure
from balance_tracker.core.whole import StakeTokens, WholePortfolio
from balance_tracker.ports import NftsFound
from balance_tracker.services.serialise_whole import whole_json

STETH = Address("0xae7ab96520DE3A18E5e111B5EaAb095312D7fE84")
STAKED = token(ETHEREUM, STETH, "stETH", 18)
PRICES = {ETH: "2000", DOLLAR.asset_id: "1", STAKED.asset_id: "1990"}
BOTH: tuple[StakeTokens, ...] = ("position", "holding")


def stake(owner: str = ALICE, **changes: object) -> Position:
    """Three ether behind three stETH."""
    position = Position(
        protocol="lido",
        network=ETHEREUM.slug,
        market="stETH",
        position_id=STETH,
        kind=PositionKind.STAKING,
        owner=Address(owner),
        supplied=(Leg(ETHER, 3 * 10**18, receipt=STETH),),
    )
    return replace(position, **changes)  # type: ignore[arg-type]


def staker(*positions: Position, **more: object) -> ScriptedReader:
    amounts: dict[str | None, int] = {None: 10**18, STETH: 3 * 10**18}
    return ScriptedReader(ETHEREUM, amounts, positions=positions or (stake(),), **more)  # type: ignore[arg-type]


async def chosen(
    reader: ScriptedReader, stake_tokens: StakeTokens, addresses: Sequence[str] = (ALICE,)
) -> WholePortfolio:
    source = ScriptedSource(amounts=PRICES)
    async with Scene([reader], [DOLLAR, STAKED], prices=[source]) as scene:
        return await scene.whole.portfolio(addresses, stake_tokens=stake_tokens)


def seen(answer: WholePortfolio) -> tuple[list[str | None], list[str], list[tuple[str | None, str]]]:
    """The symbols held, the markets of positions, and what is excluded why."""
    return (
        [one.balance.asset.symbol for one in answer.holdings],
        [one.position.market for one in answer.positions],
        [(one.asset.symbol, one.reason) for one in answer.excluded],
    )


async def test_a_stake_token_is_a_position_in_what_is_staked_unless_chosen_otherwise() -> None:
    answer = await chosen(staker(), "position")
    assert seen(answer) == (["ETH"], ["stETH"], [("stETH", "in_position")])
    assert answer.total_value == 2000 + 3 * 2000
    assert answer.totals.by_kind == {"wallet": 2000, "staking": 6000}


async def test_chosen_as_a_holding_it_counts_itself_at_its_own_price_and_is_no_position() -> None:
    answer = await chosen(staker(), "holding")
    assert seen(answer) == (["stETH", "ETH"], [], [])
    assert answer.total_value == 2000 + 3 * 1990
    assert answer.totals.by_kind == {"wallet": 7970}
    assert answer.totals.by_asset == {STAKED.asset_id: 5970, ETH: 2000}


@pytest.mark.parametrize("failing", [True, False])
async def test_where_the_token_was_not_read_its_stake_is_not_lost(failing: bool) -> None:
    reader = staker()
    if failing:
        reader.failing = {STETH: FailureCode.REVERTED}
    else:
        del reader.amounts[STETH]
    answer = await chosen(reader, "holding")
    assert seen(answer) == (["ETH"], ["stETH"], [])
    assert answer.total_value == 8000


@pytest.mark.parametrize("stake_tokens", BOTH)
async def test_the_choice_leaves_every_other_position_as_it_is(stake_tokens: StakeTokens) -> None:
    native = stake(supplied=(Leg(ETHER, 5),), protocol="native_stake", market="Native")
    leaving = stake(kind=PositionKind.WITHDRAWAL, market="Queue")
    owing = stake(borrowed=(Leg(DOLLAR, 1_000_000),), market="Owing")
    rewarded = stake(claimable=(Leg(DOLLAR, 1_000_000),), market="Rewarded")
    lending = lent(supplied=(Leg(ETHER, 10**18, receipt=USDC),), borrowed=())
    reader = staker(native, leaving, owing, rewarded, lending)
    reader.amounts[USDC] = 10**18
    answer = await chosen(reader, stake_tokens)
    markets = {one.position.market for one in answer.positions}
    assert markets == {"Native", "Queue", "Owing", "Rewarded", "AaveV3Ethereum"}
    assert [(one.asset.symbol, one.reason) for one in answer.excluded] == [
        ("USDC", "in_position"),
        ("stETH", "in_position"),
    ]


async def test_of_several_owners_each_is_told_by_what_was_read_of_it() -> None:
    reader = staker(stake(), stake(BOB))
    reader.amounts_of = {BOB: {STETH: 0}}
    answer = await chosen(reader, "holding", [ALICE, BOB])
    assert [one.position.owner for one in answer.positions] == [BOB]
    held = {one.balance.asset.symbol: one.balance.raw_amount for one in answer.holdings}
    assert held == {"ETH": 2 * 10**18, "stETH": 3 * 10**18}


async def test_spam_in_the_guise_of_a_stake_token_does_not_stand_in_for_a_stake() -> None:
    lure = token(ETHEREUM, STETH, "claim at lure.example.com", trust="unknown")
    async with Scene([staker()], [lure], prices=[ScriptedSource(amounts=PRICES)]) as scene:
        answer = await scene.whole.portfolio([ALICE], stake_tokens="holding")
    assert [one.position.market for one in answer.positions] == ["stETH"]
    assert answer.total_value == 8000


async def test_a_choice_that_there_is_not_is_refused_before_anything_is_read() -> None:
    reader = staker()
    async with Scene([reader], [STAKED]) as scene:
        with pytest.raises(InputError) as refusal:
            await scene.whole.portfolio([ALICE], stake_tokens=cast("StakeTokens", "both"))
    assert refusal.value.code == "invalid_parameter"
    assert "position, holding" in str(refusal.value.hint)
    assert reader.chunks == []


CATS = Collection(ETHEREUM.slug, STRANGE, "erc721", "Cats")
CARDS = Collection(ETHEREUM.slug, USDC, "erc1155", "Cards")


@dataclass
class ScriptedSearch:
    """Finds what it is told to; implements ``NftReader``."""

    found: tuple[NftHolding, ...] = ()
    failures: tuple[ProtocolFailure, ...] = ()
    error: Exception | None = None
    delay_seconds: float = 0.0
    searched: list[tuple[Address, tuple[Collection, ...], BlockRef]] = field(default_factory=list)

    async def search(
        self,
        owner: Address,
        collections: Sequence[Collection],
        holdings: Sequence[NftHolding],
        block: BlockRef,
        deadline: float,
    ) -> NftsFound:
        self.searched.append((owner, tuple(collections), block))
        await asyncio.sleep(self.delay_seconds)
        if self.error is not None:
            raise self.error
        return NftsFound((*holdings, *self.found), self.failures, requests=2)

    async def uris(
        self, wanted: Sequence[tuple[Collection, str]], block: BlockRef, deadline: float
    ) -> Sequence[str | None]:
        raise AssertionError("a portfolio asks no URIs")


def collector(**more: object) -> ScriptedReader:
    """A wallet with a cat, on a network where cards stand in events only."""
    cats = NftHolding(CATS, 1, (NftId("7", 1),), ids_complete=True)
    return ScriptedReader(
        ETHEREUM,
        {None: 10**18},
        collections=(cats,),
        unsearched=(CARDS,),
        **more,  # type: ignore[arg-type]
    )


def cards(count: int = 1) -> NftHolding:
    ids = tuple(NftId(str(number), 5) for number in range(count))
    return NftHolding(CARDS, None, ids, ids_complete=True)


def collecting(reader: ScriptedReader, search: ScriptedSearch, deadline_seconds: float = 2) -> Scene:
    lists, searches = {ETHEREUM.slug: [CATS, CARDS]}, {ETHEREUM.slug: search}
    source = ScriptedSource(amounts=PRICES)
    return Scene(
        [reader], prices=[source], collections=lists, searches=searches, deadline_seconds=deadline_seconds
    )


async def test_collections_that_list_nothing_are_named_as_not_searched_and_cost_nothing() -> None:
    search = ScriptedSearch((cards(),))
    async with collecting(collector(), search) as scene:
        answer = await scene.whole.portfolio([ALICE])
    counts = whole_json(answer)["coverage"][0]["collections"]
    assert counts == {
        "asked": 1,
        "answered": 1,
        "failed": [],
        "not_searched": [{"contract_address": USDC, "name": "Cards", "standard": "erc1155"}],
    }
    assert (answer.complete, answer.coverage[0].requests, search.searched) == (True, 1, [])


async def test_a_search_finds_them_at_the_block_of_the_balances_and_counts_them_as_asked() -> None:
    search = ScriptedSearch((cards(),))
    reader = collector()
    async with collecting(reader, search) as scene:
        answer = await scene.whole.portfolio([ALICE], search_nfts=True)
    assert [one.holding.collection.name for one in answer.collections] == ["Cats", "Cards"]
    counts = whole_json(answer)["coverage"][0]["collections"]
    assert counts == {"asked": 2, "answered": 2, "failed": [], "not_searched": []}
    assert (answer.complete, answer.coverage[0].requests) == (True, 3)
    assert search.searched == [(ALICE, (CATS, CARDS), answer.coverage[0].block)]
    assert reader.included[0].most_ids > 100


async def test_what_was_searched_is_kept_as_long_as_what_was_read() -> None:
    search = ScriptedSearch((cards(),))
    async with collecting(collector(), search) as scene:
        first = await scene.whole.portfolio([ALICE], search_nfts=True)
        again = await scene.whole.portfolio([ALICE], search_nfts=True)
        scene.clock.now += 61
        await scene.whole.portfolio([ALICE], search_nfts=True)
    assert again.collections == first.collections
    assert (again.coverage[0].requests, len(search.searched)) == (0, 2)


async def test_every_owner_is_searched_for() -> None:
    search = ScriptedSearch((cards(),))
    async with collecting(collector(), search) as scene:
        answer = await scene.whole.portfolio([ALICE, BOB], search_nfts=True)
    assert [owner for owner, _, _ in search.searched] == [ALICE, BOB]
    found = [(one.owner, one.holding.collection.name) for one in answer.collections]
    assert found == [(ALICE, "Cats"), (ALICE, "Cards"), (BOB, "Cats"), (BOB, "Cards")]


async def test_more_ids_than_a_portfolio_shows_are_cut_and_no_longer_complete() -> None:
    async with collecting(collector(), ScriptedSearch((cards(130),))) as scene:
        answer = await scene.whole.portfolio([ALICE], search_nfts=True)
    held = answer.collections[1].holding
    assert (len(held.token_ids), held.ids_complete) == (100, False)
    assert held.ids_note == "100 of 130 ids that were found are told here"


@pytest.mark.parametrize(
    ("search", "code"),
    [
        (ScriptedSearch(error=RuntimeError("broke at https://node.example/key-1")), "internal_error"),
        (ScriptedSearch(delay_seconds=5), "timed_out"),
    ],
)
async def test_a_search_that_came_to_nothing_loses_no_balance_and_is_told(
    search: ScriptedSearch, code: str
) -> None:
    async with collecting(collector(), search, deadline_seconds=0.3) as scene:
        answer = await scene.whole.portfolio([ALICE], search_nfts=True)
    shape = whole_json(answer)
    [coverage] = shape["coverage"]
    assert (coverage["status"], coverage["error"]["code"], shape["complete"]) == ("partial", code, False)
    assert [one["name"] for one in coverage["collections"]["not_searched"]] == ["Cards"]
    assert [one.holding.collection.name for one in answer.collections] == ["Cats"]
    assert answer.total_value == 2000
    assert "key-1" not in str(shape)


async def test_a_collection_whose_search_failed_is_declared_and_searched_again_soon() -> None:
    search = ScriptedSearch(failures=(ProtocolFailure("nfts", str(USDC), "reverted", "not for you"),))
    async with collecting(collector(), search) as scene:
        answer = await scene.whole.portfolio([ALICE], search_nfts=True)
        await scene.whole.portfolio([ALICE], search_nfts=True)
    counts = whole_json(answer)["coverage"][0]["collections"]
    assert (counts["asked"], counts["answered"], counts["not_searched"]) == (2, 1, [])
    assert [one["contract_address"] for one in counts["failed"]] == [USDC]
    assert (answer.complete, len(search.searched)) == (False, 2)


async def test_a_network_that_failed_claims_to_have_searched_nothing() -> None:
    reader, search = collector(error=refused()), ScriptedSearch((cards(),))
    async with collecting(reader, search) as scene:
        answer = await scene.whole.portfolio([ALICE], search_nfts=True)
    counts = whole_json(answer)["coverage"][0]["collections"]
    assert (counts["asked"], counts["answered"], len(counts["failed"])) == (1, 0, 1)
    assert [one["name"] for one in counts["not_searched"]] == ["Cards"]
    assert (search.searched, answer.total_value) == ([], None)


async def test_the_value_of_a_portfolio_does_not_depend_on_the_search() -> None:
    async with collecting(collector(), ScriptedSearch((cards(),))) as scene:
        plain = await scene.whole.portfolio([ALICE])
        searched = await scene.whole.portfolio([ALICE], search_nfts=True)
    assert plain.total_value == searched.total_value == Decimal(2000)
