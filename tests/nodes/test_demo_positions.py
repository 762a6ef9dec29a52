"""What the demo's wallets have in protocols and collections, beside what the contracts themselves say."""

import asyncio
import os
import re
import tomllib
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from eth_abi.abi import decode
from rich.console import Console
from tests.protocols.stage import NETWORKS

from balance_tracker import Tracker
from balance_tracker.cli.whole_render import readable_health, show_whole
from balance_tracker.core.ids import Slug
from balance_tracker.core.whole import ValuedPosition, WholePortfolio
from balance_tracker.demo.aave import created_address
from balance_tracker.demo.contracts import call_data
from balance_tracker.demo.node_client import NodeClient
from balance_tracker.demo.protocol_tables import shipped_row, shipped_tables, write_tables
from balance_tracker.demo.run import rpc_variable, running_demo
from balance_tracker.demo.solana_story import SOLANA_USER
from balance_tracker.demo.stories import TRADER, TREASURY
from balance_tracker.demo.uniswap import NEVER, struct_call

pytestmark = pytest.mark.integration

ETHEREUM = Slug("ethereum")
TABLES = shipped_tables(NETWORKS)
LENDING = shipped_row(TABLES, "aave_v3", ETHEREUM, "AaveV3Ethereum")
V3 = shipped_row(TABLES, "uniswap_v3", ETHEREUM, "Uniswap V3")
V2 = shipped_row(TABLES, "uniswap_v2", ETHEREUM, "Uniswap V2")


@dataclass(frozen=True)
class Scene:
    """What was read of the three wallets, and the nodes that it was read from."""

    wallets: dict[str, WholePortfolio]
    nodes: dict[str, NodeClient]

    def ask(
        self, owner: str, slug: str, to: str, data: bytes, types: list[str], sender: str = TRADER
    ) -> tuple[Any, ...]:
        """A contract's own answer at the block at which the owner was read."""
        block = next(one.block for one in self.wallets[owner].coverage if one.network == slug)
        assert block is not None
        call = {"from": sender, "to": to, "data": "0x" + data.hex(), "gasPrice": "0x0"}
        raw = self.nodes[slug].call("eth_call", call, hex(block.number))
        return decode(types, bytes.fromhex(raw[2:]))

    def position(self, owner: str, protocol: str) -> ValuedPosition:
        """The owner's only one in a protocol."""
        [found] = [one for one in self.wallets[owner].positions if one.position.protocol == protocol]
        return found


async def prepare(stack: AsyncExitStack) -> Scene:
    await stack.enter_async_context(running_demo(lambda line: None))
    urls = {slug: urlsplit(os.environ[rpc_variable(Slug(slug))]) for slug in ("ethereum", "arbitrum")}
    nodes = {slug: NodeClient(url.hostname or "", url.port or 0) for slug, url in urls.items()}
    for node in nodes.values():
        stack.callback(node.close)
    asked = {TREASURY: ["ethereum", "arbitrum"], TRADER: ["ethereum", "arbitrum"], SOLANA_USER: ["solana"]}
    async with Tracker() as tracker:
        return Scene({owner: await tracker.whole([owner], slugs) for owner, slugs in asked.items()}, nodes)


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        try:
            yield runner.run(prepare(stack))
        finally:
            runner.run(stack.aclose())


def legs(sides: Any) -> dict[str, int]:
    return {one.leg.asset.symbol: one.leg.raw_amount for one in sides}


def test_every_portfolio_is_complete_and_has_positions_and_collections(scene: Scene) -> None:
    for answer in scene.wallets.values():
        assert answer.complete
        assert answer.positions
        assert len(answer.collections) >= 2
        assert answer.totals.by_kind.keys() > {"wallet"}


@pytest.mark.parametrize("owner", [TREASURY, TRADER])
def test_the_health_factor_is_the_pool_s_own(scene: Scene, owner: str) -> None:
    ask = call_data("getUserAccountData(address)", owner)
    told = scene.ask(owner, ETHEREUM, LENDING["pool"], ask, ["uint256"] * 6)
    position = scene.position(owner, "aave_v3").position
    assert position.health_factor == Decimal(told[5]).scaleb(-18)
    assert Decimal("1.05") < position.health_factor < 20
    details = dict(position.details)
    assert Decimal(details["debt_usd"]) == Decimal(told[1]).scaleb(-8)


@pytest.mark.parametrize("owner", [TREASURY, TRADER])
def test_what_is_lent_and_owed_is_at_the_tokens_of_the_shipped_table(scene: Scene, owner: str) -> None:
    position = scene.position(owner, "aave_v3").position
    known = {one["symbol"]: one for one in LENDING["reserves"]}
    assert position.supplied
    assert position.borrowed
    for side, key in ((position.supplied, "a_token"), (position.borrowed, "variable_debt_token")):
        for leg in side:
            assert leg.receipt == known[leg.asset.symbol][key]
            ask = call_data("balanceOf(address)", owner)
            assert scene.ask(owner, ETHEREUM, leg.receipt, ask, ["uint256"]) == (leg.raw_amount,)


@pytest.mark.parametrize(("owner", "slug"), [(TRADER, "ethereum"), (TREASURY, "arbitrum")])
def test_liquidity_in_range_is_what_the_manager_would_pay(scene: Scene, owner: str, slug: str) -> None:
    one = scene.position(owner, "uniswap_v3")
    details = dict(one.position.details)
    assert (one.position.network, details["in_range"]) == (slug, "true")
    token_id = int(one.position.position_id.rpartition("/")[2])
    types = "(uint256,uint128,uint256,uint256,uint256)"
    data = struct_call("decreaseLiquidity", types, (token_id, int(details["liquidity"]), 0, 0, NEVER))
    paid = scene.ask(owner, slug, V3["manager"], data, ["uint256"] * 2, owner)
    assert sorted(paid) == sorted(legs(one.supplied).values())
    assert all(fees > 0 for fees in legs(one.claimable).values())
    assert len(one.claimable) == 2


def test_a_share_of_a_pair_is_its_part_of_the_reserves(scene: Scene) -> None:
    [pair] = [one for one in V2["pairs"] if one["name"] == "USDC/WETH"]
    first, second, _ = scene.ask(
        TREASURY, ETHEREUM, pair["pair"], call_data("getReserves()"), ["uint112", "uint112", "uint32"]
    )
    held, supply = (
        scene.ask(TREASURY, ETHEREUM, pair["pair"], data, ["uint256"])[0]
        for data in (call_data("balanceOf(address)", TREASURY), call_data("totalSupply()"))
    )
    expected = {"USDC": held * first // supply, "WETH": held * second // supply}
    assert legs(scene.position(TREASURY, "uniswap_v2").supplied) == expected


def test_collections_say_what_the_contracts_say(scene: Scene) -> None:
    checked = 0
    for owner in (TREASURY, TRADER):
        for one in scene.wallets[owner].collections:
            held = one.holding
            slug, contract = held.collection.network, str(held.collection.contract_address)
            ask = call_data("balanceOf(address)", owner)
            assert scene.ask(owner, slug, contract, ask, ["uint256"]) == (held.balance,)
            assert held.ids_complete
            assert len(held.token_ids) == held.balance
            checked += 1
    assert checked >= 6


def test_a_solana_wallet_has_stake_in_two_states_and_two_otters(scene: Scene) -> None:
    answer = scene.wallets[SOLANA_USER]
    stakes = [one.position for one in answer.positions if one.position.protocol == "native_stake"]
    assert sorted(dict(one.details)["state"] for one in stakes) == ["activating", "active"]
    assert sum(leg.raw_amount for one in stakes for leg in one.supplied) > 275 * 10**9
    assert legs(scene.position(SOLANA_USER, "marinade").supplied) == {"SOL": 17_085_000_000}
    assert [one.reason for one in answer.excluded] == ["in_position"]
    assert {one.holding.collection.name for one in answer.collections} == {"Demo Otter #7", "Demo Otter #8"}


def test_only_protocols_that_are_there_are_asked(scene: Scene) -> None:
    coverage = {one.network: one for one in scene.wallets[TRADER].coverage}
    assert set(coverage["arbitrum"].protocols) == {"uniswap_v3"}
    assert {"aave_v3", "uniswap_v2", "uniswap_v3"} <= set(coverage[ETHEREUM].protocols)
    assert "compound_v3" not in coverage[ETHEREUM].protocols


def test_rows_are_written_as_they_were_read(tmp_path: Path) -> None:
    rows = [("aave_v3", LENDING), ("uniswap_v2", V2), ("uniswap_v3", V3)]
    write_tables(tmp_path / "networks", rows)
    for protocol, row in rows:
        text = (tmp_path / "networks" / "protocols" / f"{protocol}.toml").read_text(encoding="utf-8")
        assert tomllib.loads(text) == {"deployments": [row]}
    assert (tmp_path / "networks" / "protocols" / "compound_v3.toml").read_text(encoding="utf-8") == ""


def test_a_contract_s_contracts_are_where_the_table_has_them() -> None:
    assert created_address(LENDING["pool_addresses_provider"], 1) == LENDING["pool"].lower()
    assert len({created_address(LENDING["pool"], nonce) for nonce in (1, 127, 128, 250)}) == 4


def test_a_terminal_shows_health_cut_short_the_range_and_each_nft_once(scene: Scene) -> None:
    console = Console(file=StringIO(), width=110, record=True)
    for answer in scene.wallets.values():
        show_whole(answer, console)
    text = console.export_text()
    assert re.search(r"health 1\.75\d\s", text)
    assert text.count("in range") == 2
    assert "Azuki" in text
    assert "not listed here" not in text
    assert readable_health(Decimal("0.99999")) == "0.999"
    assert readable_health(Decimal(10) ** 30) == ">1000"
