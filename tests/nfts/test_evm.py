"""What wallets hold of collections on a real node: every way to learn ids, and every liar."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tests.evm.scenes import LOCAL, PLAIN_MULTICALL
from tests.nfts.collections import Chain, address_named, collection
from tests.nfts.conftest import OTHER, OWNER, Nfts, ids_of, soon

from balance_tracker.core.networks import Network
from balance_tracker.evm import nft_calls, nft_search
from balance_tracker.evm.calls import CallReader
from balance_tracker.evm.multicall import Call
from balance_tracker.evm.question import Question
from balance_tracker.evm.reader import chain_facts
from balance_tracker.transport.pool import open_pool

pytestmark = pytest.mark.integration

NOTHING_BUT_CALLS = replace(PLAIN_MULTICALL, contracts={})
"""A network without Multicall3 where a call can't bring code."""


@pytest.fixture
async def nfts(node_url: str) -> AsyncIterator[Nfts]:
    async with open_pool("ethereum", [node_url]) as pool:
        yield Nfts(pool)


def place_enumerable(chain: Chain, name: str = "enumerable") -> None:
    chain.place_preset(
        name, "ERC721PresetMinterPauserAutoId", ("string",) * 3, "Real", "REAL", "https://example.org/"
    )


async def test_an_enumerable_collection_tells_its_ids_and_a_wallet_without_any_costs_one_request(
    chain: Chain, nfts: Nfts
):
    place_enumerable(chain)
    mints = [OTHER, OWNER, OWNER, OTHER, OWNER]
    chain.send(*(("enumerable", "mint(address)", (to,)) for to in mints))
    collections = [collection("enumerable")]
    reading = await nfts.read(collections)
    assert ids_of(reading.collections) == {"enumerable": [1, 2, 4]}
    assert reading.collections[0].ids_complete
    assert reading.requests == 2
    empty = await nfts.read(collections, address_named("nobody"))
    assert (empty.collections, empty.collection_failures, empty.requests) == ((), (), 1)


async def test_more_than_a_page_of_indexes_is_read_whole_or_told_as_a_part(chain: Chain, nfts: Nfts):
    place_enumerable(chain)
    chain.send(*(("enumerable", "mint(address)", (OWNER,)) for _ in range(130)))
    whole = (await nfts.read([collection("enumerable")])).collections[0]
    assert [int(one.token_id) for one in whole.token_ids] == list(range(130))
    assert whole.ids_complete
    part = (await nfts.read([collection("enumerable")], most_ids=20)).collections[0]
    assert (part.balance, len(part.token_ids), part.ids_complete) == (130, 20, False)
    assert part.ids_note == "20 of 130 ids were read"


async def test_a_list_that_is_longer_than_wanted_is_cut_and_told_as_a_part(chain: Chain, nfts: Nfts):
    chain.place("Packs", "Punks")
    chain.send(("Packs", "mint(address,uint256)", (OWNER, 6)))
    chain.send(*(("Punks", "setInitialOwner(address,uint256)", (OWNER, index)) for index in (7, 8, 9)))
    collections = [collection("Packs"), collection("Punks", "cryptopunks")]
    reading = await nfts.read(collections, most_ids=2)
    assert ids_of(reading.collections) == {"Packs": [0, 1], "Punks": [7, 8]}
    assert [(one.ids_complete, one.ids_note) for one in reading.collections] == [
        (False, "2 of 6 ids were read"),
        (False, "2 of 3 ids were read"),
    ]


async def test_packs_with_gaps_are_listed_by_the_contract_itself(chain: Chain, nfts: Nfts):
    chain.place("Packs", "Wallets")
    mint = "mint(address,uint256)"
    chain.send(("Packs", mint, (OWNER, 5)), ("Packs", mint, (OTHER, 3)), ("Packs", mint, (OWNER, 2)))
    chain.send(("Packs", "burn(uint256)", (1,)))
    chain.give("Wallets", OWNER, 150, 3)
    reading = await nfts.read([collection("Packs"), collection("Wallets")])
    # The burner was not the owner: ids that the owner keeps are 0, 2, 3, 4, 8 and 9.
    assert ids_of(reading.collections) == {"Packs": [0, 2, 3, 4, 8, 9], "Wallets": [3, 150]}
    assert all(one.ids_complete for one in reading.collections)


async def test_ids_that_no_view_lists_are_rebuilt_from_events_and_checked(chain: Chain, nfts: Nfts):
    chain.place("Bare721")
    chain.give("Bare721", OWNER, 5, 10**30, 7)
    chain.give("Bare721", OTHER, 7)
    collections = [collection("Bare721")]
    reading = await nfts.read(collections)
    assert [(one.balance, one.token_ids, one.ids_complete) for one in reading.collections] == [(2, (), False)]
    found = await nfts.find(collections)
    assert ids_of(found.holdings) == {"Bare721": [5, 10**30]}
    assert found.holdings[0].ids_complete
    assert found.requests == 2


async def test_what_was_held_at_a_past_block_is_told_as_of_then(chain: Chain, nfts: Nfts):
    chain.place("Bare721")
    chain.give("Bare721", OWNER, 5, 7)
    then = chain.head
    chain.give("Bare721", OTHER, 7)
    chain.give("Bare721", OWNER, 9)
    assert ids_of((await nfts.find([collection("Bare721")])).holdings) == {"Bare721": [5, 9]}
    assert ids_of((await nfts.find([collection("Bare721")], at=then)).holdings) == {"Bare721": [5, 7]}


async def test_a_pack_without_lists_is_found_by_its_events_and_a_consecutive_one_too(
    chain: Chain, nfts: Nfts
):
    chain.place("PlainPacks", "Consecutive")
    mint = "mint(address,uint256)"
    chain.send(("PlainPacks", mint, (OTHER, 4)), ("PlainPacks", mint, (OWNER, 3)))
    chain.send(("Consecutive", mint, (OTHER, 2)), ("Consecutive", mint, (OWNER, 30)))
    found = await nfts.find([collection("PlainPacks"), collection("Consecutive")])
    assert ids_of(found.holdings) == {"PlainPacks": [4, 5, 6], "Consecutive": list(range(2, 32))}
    assert all(one.ids_complete for one in found.holdings)


async def test_a_small_collection_without_events_is_asked_for_every_owner(chain: Chain, nfts: Nfts):
    chain.place("Silent")
    chain.give("Silent", OTHER, 0, 1)
    chain.give("Silent", OWNER, 2, 4)
    chain.send(("Silent", "give(address,uint256)", (OWNER, 40)))
    [found] = (await nfts.find([collection("Silent")])).holdings
    assert (found.balance, ids_of([found])) == (3, {"Silent": [2, 4]})
    assert not found.ids_complete
    assert found.ids_note is not None
    assert found.ids_note.endswith("ids 0 to 6 were asked for their owner")


async def test_erc1155_ids_and_amounts_come_from_single_and_batch_events(chain: Chain, nfts: Nfts):
    chain.place_preset("many", "ERC1155PresetMinterPauser", ("string",), "https://example.org/{id}.json")
    chain.send(
        ("many", "mint(address,uint256,uint256,bytes)", (OWNER, 3, 500, b"")),
        ("many", "mintBatch(address,uint256[],uint256[],bytes)", (OWNER, [8, 2**255 + 1], [1, 2], b"")),
        ("many", "mint(address,uint256,uint256,bytes)", (OTHER, 4, 1, b"")),
    )
    many = collection("many", "erc1155")
    reading = await nfts.read([many])
    assert (reading.collections, reading.requests) == ((), 1)
    [found] = (await nfts.find([many])).holdings
    assert {one.token_id: one.amount for one in found.token_ids} == {"3": 500, "8": 1, str(2**255 + 1): 2}
    assert (found.balance, found.ids_complete) == (None, True)
    uris = await nfts.searching.uris([(many, "8"), (many, "3")], reading.block, soon())
    assert uris == [f"https://example.org/{number:064x}.json" for number in (8, 3)]
    nobody = await nfts.find([many], address_named("nobody"))
    assert nobody.holdings == ()


async def test_a_uri_that_grows_by_its_id_is_handed_on_no_longer_than_any_other(
    chain: Chain, nfts: Nfts, monkeypatch: pytest.MonkeyPatch
):
    chain.place("Bare721")
    chain.place_preset("many", "ERC1155PresetMinterPauser", ("string",), "{id}" * 60)
    chain.give("Bare721", OWNER, 5)
    chain.send(("Bare721", "write(uint256,string)", (5, "https://example.org/{id}")))
    wanted = [(collection("many", "erc1155"), "8"), (collection("Bare721"), "5")]
    reading = await nfts.read([])
    whole, plain = await nfts.searching.uris(wanted, reading.block, soon())
    assert (whole, plain) == (f"{8:064x}" * 60, "https://example.org/{id}")
    monkeypatch.setattr(nft_search, "MOST_URI_BYTES", 60 * 64 - 1)
    assert list(await nfts.searching.uris(wanted, reading.block, soon())) == [None, plain]


async def test_a_collection_that_a_list_takes_for_erc721_is_recognised_once(chain: Chain, nfts: Nfts):
    chain.place_preset("many", "ERC1155PresetMinterPauser", ("string",), "ipfs://folder/{id}")
    chain.send(("many", "mint(address,uint256,uint256,bytes)", (OWNER, 3, 1, b"")))
    guessed = [collection("many", "erc721")]
    assert (await nfts.read(guessed)).requests == 2
    assert (await nfts.read(guessed)).requests == 1
    [found] = (await nfts.find(guessed)).holdings
    assert (found.collection.standard, ids_of([found])) == ("erc1155", {"many": [3]})


async def test_punks_are_read_by_their_own_interface_in_bounded_rounds(chain: Chain, nfts: Nfts):
    chain.place("Punks")
    give = "setInitialOwner(address,uint256)"
    chain.send(*(("Punks", give, (OWNER, index)) for index in (0, 3_399, 3_400, 9_999)))
    chain.send(("Punks", give, (OTHER, 17)))
    reading = await nfts.read([collection("Punks", "cryptopunks")])
    assert ids_of(reading.collections) == {"Punks": [0, 3_399, 3_400, 9_999]}
    assert reading.collections[0].ids_complete
    assert reading.requests <= 5


@pytest.mark.parametrize(
    "network", [LOCAL, PLAIN_MULTICALL, NOTHING_BUT_CALLS], ids=["scan", "multi", "plain"]
)
async def test_liars_change_nothing_and_are_declared(chain: Chain, node_url: str, network: Network):
    async with open_pool("ethereum", [node_url]) as pool:
        await _check_liars(chain, Nfts(pool, network))


async def _check_liars(chain: Chain, nfts: Nfts) -> None:
    names = ["Boundless", "Liar", "Refuser", "Endless"]
    chain.place(*names, "Bare721")
    chain.give("Bare721", OWNER, 5)
    chain.send(("Boundless", "say(address,uint256)", (OWNER, 1)))
    collections = [collection(name) for name in (*names, "Bare721", "not there")]
    reading = await nfts.read(collections)
    failed = {one.market: one.code for one in reading.collection_failures}
    assert failed[address_named("Boundless")] == "malformed"
    assert failed[address_named("Refuser")] == "reverted"
    assert failed[address_named("Endless")] == "out_of_gas"
    assert failed[address_named("not there")] == "no_contract"
    found = await nfts.searching.search(OWNER, collections, reading.collections, reading.block, soon())
    ids = {one.collection.name: (one.balance, one.ids_complete) for one in found.holdings}
    assert ids == {"Liar": (3, False), "Bare721": (1, True)}
    assert ids_of(found.holdings)["Liar"] in ([], [7])


@pytest.mark.parametrize("network", [LOCAL, PLAIN_MULTICALL], ids=["scan", "multi"])
async def test_a_contract_that_takes_all_gas_for_every_id_is_asked_few_and_costs_its_neighbour_nothing(
    chain: Chain, node_url: str, network: Network
):
    """Anybody may have any contract asked by its address: 9,000 ids at all gas each are not asked."""
    chain.place("Greedy", "Bare721")
    place_enumerable(chain)
    chain.give("Bare721", OWNER, *range(20))
    chain.send(*(("enumerable", "mint(address)", (OWNER,)) for _ in range(30)))
    collections = [collection(name) for name in ("Greedy", "Bare721", "enumerable")]
    async with open_pool("ethereum", [node_url]) as pool:
        nfts = Nfts(pool, network)
        reading = await nfts.read(collections)
        found = await nfts.searching.search(OWNER, collections, reading.collections, reading.block, soon())
    told = {one.collection.name: (len(one.token_ids), one.ids_complete) for one in found.holdings}
    assert told == {"Greedy": (0, False), "Bare721": (20, True), "enumerable": (30, True)}
    assert reading.requests <= 4
    assert found.requests <= 4


async def test_an_erc1155_liar_is_declared_and_spares_its_neighbour(chain: Chain, nfts: Nfts):
    chain.place("Boundless")
    chain.place_preset("many", "ERC1155PresetMinterPauser", ("string",), "")
    chain.send(
        ("Boundless", "say(address,uint256)", (OWNER, 1)),
        ("many", "mint(address,uint256,uint256,bytes)", (OWNER, 3, 1, b"")),
    )
    found = await nfts.find([collection("Boundless", "erc1155"), collection("many", "erc1155")])
    assert ids_of(found.holdings) == {"many": [3]}
    assert [(one.market, one.code) for one in found.failures] == [(address_named("Boundless"), "malformed")]


async def test_a_uri_of_a_megabyte_is_not_handed_on_and_its_neighbours_are(chain: Chain, nfts: Nfts):
    chain.place("Verbose", "Bare721")
    chain.give("Verbose", OWNER, 1)
    chain.give("Bare721", OWNER, 2)
    drawn = 'data:application/json;utf8,{"name": "Drawn on the chain"}'
    chain.send(("Bare721", "write(uint256,string)", (2, drawn)))
    verbose, bare = collection("Verbose"), collection("Bare721")
    reading = await nfts.read([bare])
    uris = await nfts.searching.uris([(verbose, "1"), (bare, "2"), (bare, "3")], reading.block, soon())
    assert uris == [None, drawn, None]


@pytest.mark.parametrize("network", [LOCAL, PLAIN_MULTICALL], ids=["scan", "multi"])
async def test_a_hundred_uris_of_a_megabyte_are_held_against_nobody(
    chain: Chain, node_url: str, network: Network
):
    chain.place("Verbose", "Bare721")
    chain.give("Bare721", OWNER, 2)
    chain.send(("Bare721", "write(uint256,string)", (2, "ipfs://bafy")))
    verbose, bare = collection("Verbose"), collection("Bare721")
    async with open_pool("ethereum", [node_url]) as pool:
        nfts = Nfts(pool, network)
        reading = await nfts.read([bare])
        wanted = [(verbose, str(number)) for number in range(100)]
        uris = await nfts.searching.uris([*wanted, (bare, "2")], reading.block, soon())
        [health] = pool.health()
    assert uris == [None] * 100 + ["ipfs://bafy"]
    assert (health.failures, health.errors) == (0, {})
    if network is LOCAL:
        # Nor does it limit what is asked of the endpoint later.
        assert not [name for name in health.learned if name.startswith(("cells", "rung", "body"))]


async def test_answers_that_are_too_long_together_are_asked_for_in_less(chain: Chain, node_url: str):
    chain.place("Verbose")
    contract = address_named("Verbose").lower()
    calls = [Call(contract, f"{nft_calls.ERC721_URI}{number:064x}", gas_units=46) for number in range(20)]
    async with open_pool("ethereum", [node_url]) as pool:
        answer = await CallReader(pool, chain_facts(LOCAL)).read(Question(calls=calls), None, soon())
        [health] = pool.health()
    assert {len(data or b"") for data in answer.calls} == {64 + 2**20}
    assert (health.failures, health.errors) == (0, {})
