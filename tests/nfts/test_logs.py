"""Events through endpoints that limit them: the range is learnt, told, and looked through over time."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from eth_abi.abi import encode
from tests.fakes.bad_endpoint import BadEndpoint, Exchange, Fault
from tests.nfts.collections import Chain, collection
from tests.nfts.conftest import OTHER, OWNER, Nfts, ids_of, soon

from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.portfolio import FailureCode
from balance_tracker.evm import nft_logs
from balance_tracker.evm.nft_logs import LOG_RANGE, Received, range_limit
from balance_tracker.evm.nft_search import _amounts
from balance_tracker.evm.outcomes import NO_DATA, CallFailure
from balance_tracker.evm.touring import Touring
from balance_tracker.transport.jsonrpc import Meaning, RpcCall, RpcError, meaning
from balance_tracker.transport.pool import Session, open_pool

type Refusal = Callable[[int], dict[str, Any] | None]

BARE = [collection("Bare721")]


def limited_to(blocks: int, code: int = -32000, wording: str = "limited to a {} blocks range") -> Refusal:
    def refusal(span: int) -> dict[str, Any] | None:
        return {"code": code, "message": wording.format(blocks)} if span > blocks else None

    return refusal


@asynccontextmanager
async def refusing(node_url: str, refusal: Refusal) -> AsyncIterator[BadEndpoint]:
    """The node, but events of too many blocks are refused."""

    def edit(call: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        if call["method"] != "eth_getLogs":
            return reply
        where = call["params"][0]
        span = int(where["toBlock"], 16) - int(where["fromBlock"], 16) + 1
        error = refusal(span)
        return reply if error is None else {"jsonrpc": "2.0", "id": call["id"], "error": error}

    async def act(exchange: Exchange) -> None:
        await exchange.reply_edited(edit)

    async with BadEndpoint(Fault("no events", act, frozenset()), node_url) as endpoint:
        yield endpoint


def place(chain: Chain, blocks: int = 30) -> None:
    chain.place("Bare721")
    chain.give("Bare721", OWNER, 1)
    chain.mine(blocks)
    chain.give("Bare721", OWNER, 2)
    chain.give("Bare721", OTHER, 3)


@pytest.mark.integration
async def test_a_limit_of_a_thousand_blocks_is_learnt_and_the_whole_range_looked_through(
    chain: Chain, node_url: str
):
    place(chain, blocks=1_100)
    async with refusing(node_url, limited_to(1_000)) as endpoint, open_pool("e", [endpoint.url]) as pool:
        nfts = Nfts(pool)
        [found] = (await nfts.find(BARE)).holdings
        assert ids_of([found]) == {"Bare721": [1, 2]}
        assert found.ids_complete
        assert pool.ordered()[0].memory.number(LOG_RANGE) == 1_000
        assert pool.health()[0].failures == 0


@pytest.mark.integration
@pytest.mark.parametrize("way", ["too many results", "too many bytes"])
async def test_what_one_wallet_has_too_much_of_narrows_its_own_search_and_nobody_elses(
    chain: Chain, node_url: str, monkeypatch: pytest.MonkeyPatch, way: str
):
    place(chain, blocks=300)
    refusal = limited_to(
        100 if way == "too many results" else 10**9, wording="query returned more than {} results"
    )
    if way == "too many bytes":
        monkeypatch.setattr(Session, "ask", answers_of_at_most(100, Session.ask))
    async with refusing(node_url, refusal) as endpoint, open_pool("e", [endpoint.url]) as pool:
        [found] = (await Nfts(pool).find(BARE)).holdings
        assert (ids_of([found]), found.ids_complete) == ({"Bare721": [1, 2]}, True)
        assert pool.ordered()[0].memory.number(LOG_RANGE) is None
        assert pool.health()[0].failures == 0


def answers_of_at_most(blocks: int, ask: Callable[..., Any]) -> Callable[..., Any]:
    """A session whose endpoint's events of more blocks are more bytes than an answer may have."""

    async def limited(session: Session, calls: Sequence[RpcCall]) -> Any:
        for call in calls:
            if call.method == "eth_getLogs":
                where = call.params[0]
                if int(where["toBlock"], 16) - int(where["fromBlock"], 16) >= blocks:
                    raise UpstreamError("larger than it may be", code="response_too_large")
        return await ask(session, calls)

    return limited


@pytest.mark.integration
async def test_what_one_read_can_not_look_through_is_told_and_the_next_ones_go_on(
    chain: Chain, node_url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(nft_logs, "MOST_RANGES", 4)
    place(chain, blocks=140)
    head = chain.head
    async with refusing(node_url, limited_to(20)) as endpoint, open_pool("e", [endpoint.url]) as pool:
        nfts = Nfts(pool)
        [part] = (await nfts.find(BARE)).holdings
        assert (part.balance, ids_of([part]), part.ids_complete) == (2, {"Bare721": [2]}, False)
        low = head - 4 * 20 + 1
        assert part.ids_note == f"events of blocks {low} to {head} were looked through"
        await nfts.find(BARE)
        chain.mine(10)
        [whole] = (await nfts.find(BARE)).holdings
        assert (ids_of([whole]), whole.ids_complete) == ({"Bare721": [1, 2]}, True)


@pytest.mark.integration
async def test_an_erc1155_collection_whose_events_are_not_looked_through_is_never_complete(
    chain: Chain, node_url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(nft_logs, "MOST_RANGES", 4)
    chain.place_preset("many", "ERC1155PresetMinterPauser", ("string",), "")
    chain.send(("many", "mint(address,uint256,uint256,bytes)", (OWNER, 3, 1, b"")))
    chain.mine(50)
    many = collection("many", "erc1155")
    async with refusing(node_url, limited_to(10)) as endpoint, open_pool("e", [endpoint.url]) as pool:
        [found] = (await Nfts(pool).find([many])).holdings
    assert (found.token_ids, found.ids_complete) == ((), False)
    assert found.ids_note is not None
    assert found.ids_note.startswith("events of blocks ")


@pytest.mark.integration
async def test_an_endpoint_without_events_is_passed_over_and_nothing_is_held_against_it(
    chain: Chain, node_url: str
):
    place(chain)

    def none_at_all(_span: int) -> dict[str, Any]:
        return {"code": -32601, "message": "the method eth_getLogs does not exist"}

    async with refusing(node_url, none_at_all) as silent, open_pool("e", [silent.url]) as pool:
        [found] = (await Nfts(pool).find(BARE)).holdings
        assert (found.balance, found.ids_complete) == (2, False)
        assert found.ids_note == "no events could be looked through"
        assert pool.health()[0].failures == 0
    async with (
        refusing(node_url, none_at_all) as silent,
        open_pool("e", [silent.url, node_url]) as pool,
    ):
        [found] = (await Nfts(pool).find(BARE)).holdings
        assert ids_of([found]) == {"Bare721": [1, 2]}


@pytest.mark.integration
async def test_events_that_were_made_up_add_nothing(chain: Chain, node_url: str):
    place(chain)
    word = f"0x{7:064x}"

    def edit(call: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        if call["method"] == "eth_getLogs" and reply["result"]:
            made_up = {**reply["result"][0], "topics": [*reply["result"][0]["topics"][:3], word]}
            foreign = {**made_up, "address": "0x" + "77" * 20}
            return {**reply, "result": [made_up, foreign, *reply["result"]]}
        return reply

    async def act(exchange: Exchange) -> None:
        await exchange.reply_edited(edit)

    liar = BadEndpoint(Fault("made up", act, frozenset()), node_url)
    async with liar, open_pool("e", [liar.url]) as pool:
        [found] = (await Nfts(pool).find(BARE)).holdings
    assert (ids_of([found]), found.ids_complete) == ({"Bare721": [1, 2]}, True)


def test_thousands_of_ids_without_a_batch_view_are_asked_one_by_one_and_found():
    ids = range(6_000)
    received = Received(low=0, high=9, ids={BARE[0].contract_address.lower(): dict.fromkeys(ids)})
    touring = Touring(BARE[0].network)
    party = touring.start([_amounts(replace(BARE[0], standard="erc1155"), received)], OWNER)
    touring.take([NO_DATA] * len(touring.calls))
    asked = 0
    while calls := touring.calls:
        asked += len(calls)
        touring.take([bytes(31) + b"\1"] * len(calls))
    [[holding]] = party.found
    assert (party.failures, asked, len(holding.token_ids), holding.ids_complete) == ([], 6_000, 6_000, True)


def test_amounts_that_take_all_gas_are_not_asked_id_by_id():
    received = Received(low=0, high=9, ids={BARE[0].contract_address.lower(): dict.fromkeys(range(6_000))})
    touring = Touring(BARE[0].network)
    party = touring.start([_amounts(replace(BARE[0], standard="erc1155"), received)], OWNER)
    assert sum(call.alone for call in touring.calls) == 1
    touring.take([CallFailure(FailureCode.OUT_OF_GAS, "all of it")] * len(touring.calls))
    assert (list(touring.calls), [one.code for one in party.failures]) == ([], ["out_of_gas"])


@pytest.mark.parametrize(
    ("message", "blocks"),
    [
        ("eth_getLogs is limited to a 1000 blocks range", 1_000),
        ("block range is too wide (maximum 10000)", 10_000),
        ("exceed maximum block range: 50000", 50_000),
        ("eth_getLogs is limited to a 10,000 range", 10_000),
        ("requested too many blocks from 0 to 18000000, maximum is set to 2048", 2_048),
        ("You can make eth_getLogs requests with up to a 10 block range", 10),
        ("Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range", 2_000),
        ("query returned more than 10000 results", 5_000_000),
        ("block range limit exceeded", 5_000_000),
    ],
)
def test_limits_are_read_from_the_words_of_endpoints(message: str, blocks: int):
    error = RpcError(-32005, message)
    assert range_limit(error, 20_000_000) == blocks


@pytest.mark.parametrize("message", ["query returned more than 10000 results", "block range limit exceeded"])
def test_a_range_that_is_too_wide_is_not_taken_for_too_many_requests(message: str):
    assert meaning(RpcError(-32005, message)) is Meaning.TOO_LARGE


def test_other_errors_are_no_limits():
    assert range_limit(RpcError(-32601, "the method eth_getLogs does not exist"), 100) is None
    assert range_limit(RpcError(-32005, "daily request count exceeded, request rate limited"), 100) is None


@pytest.mark.integration
@pytest.mark.parametrize("what", ["behind", "other branch", "no list", "no words", "no contract"])
async def test_events_of_who_has_not_the_block_or_gives_nonsense_are_not_used(
    chain: Chain, node_url: str, what: str
):
    place(chain)

    armed: list[bool] = []

    def edit(call: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        if armed and call["method"] == "eth_getBlockByNumber" and what == "behind":
            return {**reply, "result": None}
        if armed and call["method"] == "eth_getBlockByNumber" and what == "other branch":
            return {**reply, "result": {**reply["result"], "hash": "0x" + "77" * 32}}
        if call["method"] != "eth_getLogs" or what in {"behind", "other branch"}:
            return reply
        bad = {"no list": {}, "no words": [{"address": "0x", "topics": ["0x1"], "data": "0x"}]}
        return {**reply, "result": bad.get(what, [None])}

    async def act(exchange: Exchange) -> None:
        await exchange.reply_edited(edit)

    bad = BadEndpoint(Fault(what, act, frozenset()), node_url)
    async with bad, open_pool("e", [bad.url]) as pool:
        reading = await Nfts(pool).read(BARE)
        armed.append(True)
        contracts = [BARE[0].contract_address.lower()]
        received, _ = await nft_logs.ReceiptLogs(pool).received(OWNER, contracts, 0, reading.block, soon())
    assert received.note == "no events could be looked through"
    assert received.ids == {}


def test_of_a_batch_that_is_too_long_to_follow_up_enough_is_kept_to_know_that_it_is_not_all():
    data = encode(["uint256[]", "uint256[]"], [list(range(10_005)), [1] * 10_005])
    assert len(nft_logs._batch_ids(data)) == nft_logs.MOST_IDS
    assert nft_logs._batch_ids(data[:-1][: 64 + 32 * 9_000]) == []
