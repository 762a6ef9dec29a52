"""``/nfts`` from end to end: pages of one block, metadata within bounds, liars declared."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from solders.pubkey import Pubkey
from tests.nfts.collections import Chain, address_named
from tests.nfts.conftest import OTHER, OWNER
from typer.testing import CliRunner

from balance_tracker.api import nft_schemas
from balance_tracker.api.app import create_app
from balance_tracker.bootstrap import Tracker
from balance_tracker.cli.main import app
from balance_tracker.core.errors import InputError
from balance_tracker.demo.solana_bank import SolanaBank
from balance_tracker.demo.solana_tokens import BankTokens
from balance_tracker.services.nft_pages import NftPage
from balance_tracker.services.serialise_nfts import nfts_json
from balance_tracker.settings import Settings

pytestmark = pytest.mark.integration

type Opened = Callable[..., AbstractAsyncContextManager[Tracker]]


def ids(*pages: NftPage) -> list[tuple[str | None, str]]:
    return [
        (holding.collection.name, own.token_id)
        for page in pages
        for holding in page.holdings
        for own in holding.token_ids
    ]


@pytest.fixture
def listed(tmp_path: Path) -> Callable[..., str]:
    """A list of the operator with collections by their names."""

    def write(*names: str, standard: str = "erc721") -> str:
        path = tmp_path / "collections.json"
        entries = [
            {"chainId": 1, "address": address_named(name), "name": name, "standard": standard}
            for name in names
        ]
        path.write_text(json.dumps({"name": "ours", "collections": entries}), encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def settings(node_url: str) -> Callable[..., Settings]:
    def made(*lists: str, **more: Any) -> Settings:
        chosen = {"networks": ("ethereum",), "rpc": {"ethereum": (node_url,)}, **more}
        return Settings(shipped_tokens=False, collection_lists=lists, **chosen)

    return made


@asynccontextmanager
async def serving(body: bytes) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server on this machine that answers everything with a document, and notes who asked."""
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0])
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], asked


async def test_pages_of_one_cursor_are_of_one_block_though_the_chain_moves_on(
    chain: Chain, settings: Callable[..., Settings], listed: Callable[..., str]
):
    chain.place("Bare721", "Wallets")
    chain.give("Bare721", OWNER, 1, 2, 30)
    chain.give("Wallets", OWNER, 4, 5)
    everything = {("Bare721", "1"), ("Bare721", "2"), ("Bare721", "30"), ("Wallets", "4"), ("Wallets", "5")}
    async with Tracker(settings(listed("Bare721", "Wallets"))) as tracker:
        first = await tracker.nfts(OWNER, limit=2)
        chain.give("Bare721", OTHER, 2)
        chain.give("Wallets", OWNER, 6)
        second = await tracker.nfts(OWNER, limit=2, cursor=first.next_cursor)
        third = await tracker.nfts(OWNER, limit=2, cursor=second.next_cursor)
        now = await tracker.nfts(OWNER, at=chain.head)
    assert [len(ids(page)) for page in (first, second, third)] == [2, 2, 1]
    assert set(ids(first, second, third)) == everything
    assert third.next_cursor is None
    assert len({page.coverage[0].block for page in (first, second, third)}) == 1
    assert set(ids(now)) == everything - {("Bare721", "2")} | {("Wallets", "6")}
    # A holding tells its whole balance on every page that it is cut over.
    assert {one.balance for page in (first, second, third) for one in page.holdings} == {2, 3}


async def test_a_cursor_outlives_what_was_kept_where_the_blocks_can_be_read_again(
    chain: Chain, settings: Callable[..., Settings], listed: Callable[..., str]
):
    chain.place("Bare721")
    chain.give("Bare721", OWNER, 1, 2, 3)
    chosen = settings(listed("Bare721"))
    async with Tracker(chosen) as tracker:
        first = await tracker.nfts(OWNER, limit=2)
    chain.give("Bare721", OTHER, 3)
    async with Tracker(chosen) as tracker:
        second = await tracker.nfts(OWNER, limit=2, cursor=first.next_cursor)
        assert ids(second) == [("Bare721", "3")]
        for cursor in (first.next_cursor, "nonsense", "", base64.b64encode(b"[1]").decode()):
            with pytest.raises(InputError) as raised:
                await tracker.nfts(OTHER, limit=2, cursor=cursor)
            assert raised.value.code == "invalid_cursor"


async def test_a_cursor_of_solana_runs_out_and_says_so():
    async with SolanaBank() as bank:
        owner = Pubkey.new_unique()
        bank.give_sol(owner, 10**9)
        tokens = BankTokens(bank)
        mints = sorted(str(tokens.create_nft(owner, f"Piece {number}", "ART")) for number in range(3))
        chosen = Settings(networks=("solana",), rpc={"solana": (bank.url,)}, shipped_tokens=False)
        async with Tracker(chosen) as tracker:
            first = await tracker.nfts(str(owner), limit=2)
            second = await tracker.nfts(str(owner), limit=2, cursor=first.next_cursor)
            assert sorted(own for _, own in ids(first, second)) == mints
            one = await tracker.nfts(str(owner), collections=[mints[1]])
            assert [own for _, own in ids(one)] == [mints[1]]
        async with Tracker(chosen) as tracker:
            with pytest.raises(InputError) as raised:
                await tracker.nfts(str(owner), limit=2, cursor=first.next_cursor)
        assert raised.value.code == "invalid_cursor"


async def test_metadata_is_decoded_always_fetched_when_asked_and_never_from_private_addresses(
    chain: Chain, settings: Callable[..., Settings], listed: Callable[..., str]
):
    chain.place("Bare721")
    chain.give("Bare721", OWNER, 1, 2, 3, 4)
    packed = base64.b64encode(b'{"name": "Packed", "big": 123456789012345678901234567890}').decode()
    async with serving(b'{"name": "Fetched"}') as (port, asked):
        uris = {
            1: f"data:application/json;base64,{packed}",
            2: "data:application/json;utf8,nonsense",
            3: f"http://127.0.0.1:{port}/private.json",
            4: "ipfs://bafy/4.json",
        }
        write = "write(uint256,string)"
        chain.send(*(("Bare721", write, (token_id, uri)) for token_id, uri in uris.items()))
        chosen = settings(listed("Bare721"), ipfs_gateway=f"http://127.0.0.1:{port}")
        async with Tracker(chosen) as tracker:
            plain = await tracker.nfts(OWNER)
            assert asked == []
            [holding] = (await tracker.nfts(OWNER, metadata=True)).holdings
        assert asked == [b"GET /ipfs/bafy/4.json HTTP/1.1"]
    told = {own.token_id: own.metadata for own in holding.token_ids}
    assert told["1"] == {"name": "Packed", "big": "123456789012345678901234567890"}
    assert (told["2"], told["3"], told["4"]) == (None, None, {"name": "Fetched"})
    assert {own.token_id: own.metadata_uri for own in holding.token_ids} == {
        str(token_id): uri for token_id, uri in uris.items()
    }
    assert [own.metadata is None for own in plain.holdings[0].token_ids] == [False, True, True, True]


async def test_liars_are_declared_and_everything_else_is_as_without_them(
    chain: Chain, settings: Callable[..., Settings], listed: Callable[..., str]
):
    liars = ("Boundless", "Refuser", "Endless")
    chain.place(*liars, "Bare721", "Verbose")
    chain.give("Bare721", OWNER, 1)
    chain.give("Verbose", OWNER, 1)
    async with Tracker(settings(listed(*liars, "Bare721", "Verbose"))) as tracker:
        answer = nfts_json(await tracker.nfts(OWNER))
    assert sorted(one["name"] for one in answer["collections"]) == ["Bare721", "Verbose"]
    assert all(own["metadata_uri"] in (None, "") for one in answer["collections"] for own in one["token_ids"])
    [coverage] = answer["coverage"]
    assert (coverage["status"], answer["complete"]) == ("partial", False)
    counts = coverage["collections"]
    assert (counts["asked"], counts["answered"]) == (5, 2)
    assert {one["contract_address"] for one in counts["failed"]} == {address_named(name) for name in liars}


async def test_collections_asked_for_by_address_are_the_only_ones_told_and_need_no_list(
    chain: Chain, settings: Callable[..., Settings], listed: Callable[..., str]
):
    chain.place("Bare721", "Wallets")
    chain.place_preset("many", "ERC1155PresetMinterPauser", ("string",), "https://example.org/{id}")
    chain.give("Bare721", OWNER, 1)
    chain.give("Wallets", OWNER, 2)
    chain.send(("many", "mint(address,uint256,uint256,bytes)", (OWNER, 3, 2**70, b"")))
    async with Tracker(settings(listed("Wallets"))) as tracker:
        asked = [address_named("Bare721").lower(), address_named("many")]
        answer = nfts_json(await tracker.nfts(OWNER, collections=asked))
    found = {one["contract_address"]: one for one in answer["collections"]}
    assert set(found) == {address_named("Bare721"), address_named("many")}
    assert {one["trust"] for one in found.values()} == {"unknown"}
    many = found[address_named("many")]
    assert (many["standard"], many["balance"], many["ids_complete"]) == ("erc1155", None, True)
    assert many["token_ids"] == [
        {"token_id": "3", "amount": str(2**70), "metadata_uri": f"https://example.org/{3:064x}"}
    ]


def test_the_route_answers_in_its_shape_and_refuses_what_can_not_be(
    chain: Chain, settings: Callable[..., Settings], listed: Callable[..., str]
):
    chain.place("Bare721")
    chain.give("Bare721", OWNER, 1, 2)
    with TestClient(create_app(settings(listed("Bare721")))) as api:
        answer = api.get("/nfts", params={"address": OWNER, "limit": 1})
        assert answer.status_code == 200
        nft_schemas.Nfts.model_validate(answer.json())
        rest = api.get("/nfts", params={"address": OWNER, "cursor": answer.json()["next_cursor"]})
        assert [own["token_id"] for own in rest.json()["collections"][0]["token_ids"]] == ["2"]
        wrong = {"limit": "0", "cursor": "x", "metadata": "yes", "collections": "0x1", "nft": "1"}
        many = ",".join(address_named(str(number)) for number in range(21))
        for name, value in [*wrong.items(), ("collections", many)]:
            refused = api.get("/nfts", params={"address": OWNER, name: value})
            assert (refused.status_code, "code" in refused.json()) == (400, True), name


def test_the_command_tells_all_pages_in_every_form(
    chain: Chain, node_url: str, listed: Callable[..., str], monkeypatch: pytest.MonkeyPatch
):
    chain.place("Bare721")
    chain.give("Bare721", OWNER, 1, 2)
    monkeypatch.setenv("TRACKER_NETWORKS", "ethereum")
    monkeypatch.setenv("TRACKER_RPC_ETHEREUM", node_url)
    monkeypatch.setenv("TRACKER_SHIPPED_TOKENS", "false")
    monkeypatch.setenv("TRACKER_COLLECTION_LISTS", listed("Bare721"))
    as_json = CliRunner().invoke(app, ["nfts", OWNER, "--json"])
    assert as_json.exit_code == 0, as_json.stderr
    assert [own["token_id"] for own in json.loads(as_json.stdout)["collections"][0]["token_ids"]] == [
        "1",
        "2",
    ]
    as_csv = CliRunner().invoke(app, ["nfts", OWNER, "--csv"])
    assert [line.split(",")[5] for line in as_csv.stdout.splitlines()] == ["token_id", "1", "2"]
    text = CliRunner().invoke(app, ["nfts", OWNER, OTHER])
    assert text.stdout.splitlines()[1].split("\t")[:4] == [OWNER, "ethereum", "Bare721", "1"]
    assert CliRunner().invoke(app, ["nfts", "nonsense"]).exit_code == 2
