"""Collections of which only events tell, in a portfolio: named where nobody looked, found where asked for."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import OpenGateway
from tests.nfts.collections import Chain, address_named
from tests.nfts.conftest import OTHER, OWNER

from balance_tracker.bootstrap import Tracker
from balance_tracker.demo.protocol_tables import write_tables
from balance_tracker.services.serialise_nfts import nfts_json
from balance_tracker.services.serialise_whole import whole_json
from balance_tracker.settings import Settings

pytestmark = pytest.mark.integration

CARDS, DISGUISED, BARE = address_named("cards"), address_named("disguised"), address_named("Bare721")
MINT = "mint(address,uint256,uint256,bytes)"
PRESET = ("ERC1155PresetMinterPauser", ("string",), "https://example.org/{id}")


@pytest.fixture
def settings(tmp_path: Path) -> Callable[[str], Settings]:
    """Lists with an ERC-1155 collection, one that its list calls ERC-721, and one whose ids no view lists."""
    standards = {CARDS: "erc1155", DISGUISED: "erc721", BARE: "erc721"}
    entries = [
        {"chainId": 1, "address": address, "name": address[:6], "standard": standard}
        for address, standard in standards.items()
    ]
    path = tmp_path / "collections.json"
    path.write_text(json.dumps({"name": "ours", "collections": entries}), encoding="utf-8")
    write_tables(tmp_path / "networks", [])  # The markets of the shipped tables are not on the node.

    def made(url: str) -> Settings:
        return Settings(
            networks=("ethereum",),
            rpc={"ethereum": (url,)},
            shipped_tokens=False,
            collection_lists=(str(path),),
            networks_dir=tmp_path / "networks",
        )

    return made


@pytest.fixture
def collector(chain: Chain) -> Chain:
    chain.place_preset("cards", *PRESET)
    chain.place_preset("disguised", *PRESET)
    chain.place("Bare721")
    chain.send(("cards", MINT, (OWNER, 3, 50, b"")), ("cards", MINT, (OWNER, 2**200, 1, b"")))
    chain.send(("disguised", MINT, (OWNER, 9, 2, b"")))
    chain.give("Bare721", OWNER, 5, 70)
    return chain


def ids(body: dict[str, Any]) -> dict[str, list[tuple[str, str]]]:
    return {
        one["contract_address"]: [(own["token_id"], own["amount"]) for own in one["token_ids"]]
        for one in body["collections"]
    }


def not_searched(body: dict[str, Any]) -> set[str]:
    [coverage] = body["coverage"]
    return {one["contract_address"] for one in coverage["collections"]["not_searched"]}


async def test_a_portfolio_names_what_it_did_not_search_also_what_its_list_calls_something_else(
    collector: Chain, node_url: str, settings: Callable[[str], Settings]
) -> None:
    async with Tracker(settings(node_url)) as tracker:
        for _ in range(2):
            body = whole_json(await tracker.whole([OWNER]))
            assert not_searched(body) == {CARDS, DISGUISED}
            counts = body["coverage"][0]["collections"]
            assert (counts["asked"], counts["answered"], counts["failed"]) == (1, 1, [])
            assert ids(body) == {BARE: []}
            assert not body["collections"][0]["ids_complete"]


async def test_a_search_finds_at_the_block_of_the_balances_what_nfts_finds(
    collector: Chain, node_url: str, settings: Callable[[str], Settings]
) -> None:
    async with Tracker(settings(node_url)) as tracker:
        body = whole_json(await tracker.whole([OWNER], search_nfts=True))
        alone = nfts_json(await tracker.nfts(OWNER))
    assert ids(body) == ids(alone)
    assert ids(body) == {
        BARE: [("5", "1"), ("70", "1")],
        CARDS: [("3", "50"), (str(2**200), "1")],
        DISGUISED: [("9", "2")],
    }
    assert all(one["ids_complete"] for one in body["collections"])
    assert (not_searched(body), not_searched(alone), body["complete"]) == (set(), set(), True)
    assert body["coverage"][0]["collections"]["asked"] == 3
    assert body["coverage"][0]["block_number"] == alone["coverage"][0]["block_number"]


async def test_a_search_of_a_past_block_tells_what_was_held_then(
    collector: Chain, node_url: str, settings: Callable[[str], Settings]
) -> None:
    then = collector.head
    collector.send(("cards", MINT, (OWNER, 4, 1, b"")))
    collector.give("Bare721", OTHER, 70)
    async with Tracker(settings(node_url)) as tracker:
        past = whole_json(await tracker.whole([OWNER], at=then, search_nfts=True))
        now = whole_json(await tracker.whole([OWNER], search_nfts=True))
    assert ids(past)[CARDS] == [("3", "50"), (str(2**200), "1")]
    assert ids(past)[BARE] == [("5", "1"), ("70", "1")]
    assert ids(now)[CARDS] == [("3", "50"), ("4", "1"), (str(2**200), "1")]
    assert ids(now)[BARE] == [("5", "1")]


async def test_a_wallet_with_nothing_costs_one_request_where_no_search_is_asked_for(
    collector: Chain, node_url: str, settings: Callable[[str], Settings], open_gateway: OpenGateway
) -> None:
    gateway = await open_gateway(node_url)
    async with Tracker(settings(gateway.url)) as tracker:
        await tracker.whole([OTHER])  # Learns which collection is of another standard than its list says.
        gateway.reset()
        body = whole_json(await tracker.whole([address_named("nobody")]))
        assert (gateway.counts.requests, body["coverage"][0]["requests"]) == (1, 1)
        assert (body["collections"], not_searched(body)) == ([], {CARDS, DISGUISED})
        gateway.reset()
        searched = whole_json(await tracker.whole([address_named("nobody")], search_nfts=True))
        assert gateway.counts.requests == searched["coverage"][0]["requests"] > 1
    assert (searched["collections"], not_searched(searched)) == ([], set())


async def test_several_owners_are_each_searched_for(
    collector: Chain, node_url: str, settings: Callable[[str], Settings]
) -> None:
    collector.send(("cards", MINT, (OTHER, 8, 7, b"")))
    async with Tracker(settings(node_url)) as tracker:
        body = whole_json(await tracker.whole([OWNER, OTHER], search_nfts=True))
    held = {
        (one["owner"], one["contract_address"]): [own["token_id"] for own in one["token_ids"]]
        for one in body["collections"]
    }
    assert held == {
        (OWNER, BARE): ["5", "70"],
        (OWNER, CARDS): ["3", str(2**200)],
        (OWNER, DISGUISED): ["9"],
        (OTHER, CARDS): ["8"],
    }
