"""The library, the API, the command line and the bare reader give one answer of the same real nodes."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
from fastapi.testclient import TestClient
from tests.nodes.chains import EnsNamesOnNode
from tests.nodes.token_zoo import Zoo

import balance_tracker
from balance_tracker import BalanceReader, Tracker
from balance_tracker.api import schemas
from balance_tracker.api.app import create_app
from balance_tracker.bootstrap import tracked_networks
from balance_tracker.catalog.token_list import list_chain_id
from balance_tracker.core.amounts import exact_sum
from balance_tracker.core.ids import Slug
from balance_tracker.core.portfolio import Portfolio
from balance_tracker.demo.anvil import AnvilNode
from balance_tracker.demo.solana_story import BONK, SOLANA_USER, USDC, running_demo_bank
from balance_tracker.services.serialise import portfolio_json
from balance_tracker.settings import Settings

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class Front:
    """One set of nodes, as settings and as environment."""

    settings: Settings
    environment: dict[str, str]


@pytest.fixture
async def front(
    shared_node: AnvilNode, zoo: Zoo, ens: EnsNamesOnNode, tmp_path: Path
) -> AsyncIterator[Front]:
    listed = [
        {"chainId": 1, "address": member.address, "symbol": "ZOO", "name": name, "decimals": 18}
        for name, member in zoo.members.items()
        if name not in {"no_decimals", "bytes32_texts"}
    ]
    token_list = tmp_path / "zoo.json"
    token_list.write_text(json.dumps({"name": "Zoo", "tokens": listed}), encoding="utf-8")
    prices = tmp_path / "prices.toml"
    priced = zoo["bytes32_texts"].address, zoo["plain"].address
    prices.write_text(
        '[usd]\n"eip155:1/slip44:60" = "2000.5"\n'
        + "".join(f'"eip155:1/erc20:{address}" = "0.9998"\n' for address in priced),
        encoding="utf-8",
    )
    async with running_demo_bank() as bank:
        variables = {
            "TRACKER_NETWORKS": "ethereum,solana",
            "TRACKER_RPC_ETHEREUM": shared_node.url,
            "TRACKER_RPC_SOLANA": bank.url,
            "TRACKER_SHIPPED_TOKENS": "false",
            "TRACKER_TOKEN_LISTS": str(token_list),
            "TRACKER_DEADLINE_SECONDS": "20",
            "TRACKER_DATA_DIR": str(tmp_path / "data"),
            "TRACKER_PRICE_SOURCES": "none",
            "TRACKER_FIXED_PRICES": str(prices),
        }
        with pytest.MonkeyPatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            settings = Settings(_env_file=None)
        yield Front(settings, variables)


def settled(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without what differs from one asking to the next: time, and what an endpoint taught.

    The operator's own prices are as of the moment that they were asked for.
    """
    for holding in answer["holdings"]:
        if holding["price"] is not None:
            del holding["price"]["as_of"]
    for entry in answer["coverage"]:
        del entry["elapsed_ms"], entry["requests"]
    return answer


def served(settings: Settings, query: dict[str, str]) -> dict[str, Any]:
    with TestClient(create_app(settings)) as api:
        answer = api.get("/balances", params=query)
    assert answer.status_code == 200, answer.text
    schemas.Balances.model_validate(answer.json())
    return answer.json()  # type: ignore[no-any-return]


async def typed(front: Front, folder: Path, *words: str) -> tuple[int, dict[str, Any]]:
    source = str(Path(balance_tracker.__file__).parent.parent)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "balance_tracker", "balances", *words, "--json"),
        cwd=folder,
        env={**os.environ, **front.environment, "PYTHONPATH": source},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert b"Traceback" not in err, err.decode()
    return process.returncode or 0, json.loads(out)


async def test_an_evm_wallet_is_answered_alike_by_all_four(front: Front, zoo: Zoo, tmp_path: Path) -> None:
    asked = f"{zoo['no_decimals'].address},{zoo['bytes32_texts'].address}"
    async with Tracker(front.settings) as tracker:
        portfolio = await tracker.portfolio(zoo.owner, tokens=[asked])
    library = settled(portfolio_json(portfolio))
    api = settled(await asyncio.to_thread(served, front.settings, {"address": zoo.owner, "tokens": asked}))
    code, command_line = await typed(front, tmp_path, zoo.owner, "--tokens", asked)
    assert library == api == settled(command_line)
    assert code == 3
    assert library["coverage"][0]["status"] == "partial"
    values = [holding["value"] for holding in library["holdings"]]
    known = [Decimal(value) for value in values if value is not None]
    assert known == sorted(known, reverse=True)
    assert len(known) >= 2
    assert library["unpriced"] == values.count(None) > 0
    assert Decimal(library["total_value"]) == exact_sum(known)

    tokens = [member.address for member in zoo.members.values()]
    async with BalanceReader([front.environment["TRACKER_RPC_ETHEREUM"]]) as reader:
        matrix = await reader.read([zoo.owner], tokens)
    bare = {
        token: amount
        for token, amount in zip(tokens, matrix.rows[0][1:], strict=True)
        if amount not in {0, None}
    }
    held = {
        holding["contract_address"]: int(holding["raw_amount"])
        for holding in library["holdings"]
        if not holding["native"] and holding["raw_amount"] != "0"
    }
    assert held == bare
    assert matrix.block.number == library["coverage"][0]["block_number"]


async def test_every_asset_of_the_zoo_is_a_value_or_a_failure(front: Front, zoo: Zoo) -> None:
    async with Tracker(front.settings) as tracker:
        body = portfolio_json(await tracker.portfolio(zoo.owner))
    assets = body["coverage"][0]["assets"]
    held = {holding["contract_address"]: int(holding["raw_amount"]) for holding in body["holdings"]}
    failed = {failure["contract_address"]: failure["code"] for failure in assets["failed"]}
    assert assets["asked"] == assets["answered"] + len(assets["failed"])
    for name, member in zoo.members.items():
        if name in {"no_decimals", "bytes32_texts"}:
            continue
        found = failed.get(member.address, held.get(member.address, 0))
        assert found in {
            str(outcome) if isinstance(outcome, str) else outcome for outcome in member.accepts
        }, name


async def test_a_solana_wallet_is_answered_alike_by_all(front: Front, tmp_path: Path) -> None:
    async with Tracker(front.settings) as tracker:
        library = settled(portfolio_json(await tracker.portfolio(SOLANA_USER)))
    api = settled(await asyncio.to_thread(served, front.settings, {"address": SOLANA_USER}))
    code, command_line = await typed(front, tmp_path, SOLANA_USER)
    answers = [library, api, settled(command_line)]
    for answer in answers:
        for entry in answer["coverage"]:
            del entry["block_number"], entry["as_of"]
        for holding in answer["holdings"]:
            holding.pop("ui_amount", None)  # interest goes on while we ask
    assert answers[0] == answers[1] == answers[2]
    assert code in {0, 3}
    assert library["coverage"][0]["nfts"] > 0
    assert any(len(holding.get("accounts", ())) > 1 for holding in library["holdings"])


async def test_many_addresses_are_answered_as_each_alone(
    front: Front, zoo: Zoo, ens: EnsNamesOnNode, tmp_path: Path
) -> None:
    asked = f"{zoo['no_decimals'].address},{zoo['bytes32_texts'].address}"
    addresses = [zoo.owner, ens.named, SOLANA_USER, ens.silent, zoo.owner.lower()]
    async with Tracker(front.settings) as tracker:
        answers = [answer async for answer in tracker.portfolios(addresses, tokens=[asked])]
    assert [answer.positions for answer in answers] == [(0, 4), (1,), (2,), (3,)]
    code, typed_list = await typed(front, tmp_path, *addresses[:4], "--tokens", asked)
    assert code == 3
    async with Tracker(front.settings) as tracker:
        for answer, line in zip(answers, cast("list[dict[str, Any]]", typed_list), strict=True):
            assert isinstance(answer.result, Portfolio)
            tokens = [] if answer.text == SOLANA_USER else [asked]
            alone = settled(portfolio_json(await tracker.portfolio(answer.text, tokens=tokens)))
            together = settled(portfolio_json(answer.result))
            for shape in (alone, together, settled(line)):
                for entry in shape["coverage"]:
                    if entry["network"] == "solana":
                        del entry["block_number"], entry["as_of"]
                for holding in shape["holdings"]:
                    holding.pop("ui_amount", None)
            assert together == alone == line


async def test_a_name_comes_in_and_goes_out(front: Front, ens: EnsNamesOnNode) -> None:
    async with Tracker(front.settings) as tracker:
        by_name = await tracker.portfolio(ens.named.upper())
        by_address = await tracker.portfolio(ens.owner)
        silent = await tracker.portfolio(ens.silent)
    assert (by_name.address, by_name.name) == (ens.owner, ens.named)
    assert (by_address.address, by_address.name) == (ens.owner, ens.named)
    assert silent.name is None


async def test_a_refreshed_list_is_checked_on_chain_and_kept_only_when_told_to(
    front: Front, zoo: Zoo, tmp_path: Path
) -> None:
    entries = [
        {"chainId": 1, "address": zoo[name].address, "symbol": symbol, "name": name, "decimals": decimals}
        for name, symbol, decimals in (
            ("bytes32_texts", "BYT", 18),
            ("plain", "PLAIN", 18),
            ("proxy", "PRX", 9),
        )
    ]
    fresh = tmp_path / "fresh.json"
    fresh.write_text(json.dumps({"name": "Fresh", "tokens": entries}), encoding="utf-8")
    async with Tracker(front.settings) as tracker:
        shown = await tracker.refresh_tokens([str(fresh)])
        assert not (tmp_path / "data").exists()
        await tracker.refresh_tokens([str(fresh)], keep=True)
    assert [token.symbol for token in shown.added] == ["BYT"]
    assert [(found.asset.symbol, found.code) for found in shown.refused] == [("PRX", "decimals_differ")]
    async with Tracker(front.settings) as tracker:
        found = tracker.tokens(query=zoo["bytes32_texts"].address).tokens
    assert [token.symbol for token in found] == ["BYT"]


async def test_a_refreshed_solana_list_is_checked_against_its_mints(front: Front, tmp_path: Path) -> None:
    networks = tracked_networks(front.settings)
    mints = ((str(USDC), "USDC", 6), (str(BONK), "BONK", 9), (SOLANA_USER, "NONE", 6))
    entries = [
        {
            "chainId": list_chain_id(networks[Slug("solana")]),
            "address": address,
            "symbol": symbol,
            "name": symbol,
            "decimals": decimals,
        }
        for address, symbol, decimals in mints
    ]
    fresh = tmp_path / "fresh.json"
    fresh.write_text(json.dumps({"name": "Fresh", "tokens": entries}), encoding="utf-8")
    async with Tracker(front.settings) as tracker:
        difference = await tracker.refresh_tokens([str(fresh)])
    assert [token.symbol for token in difference.added] == ["USDC"]
    assert {found.asset.symbol for found in difference.refused} == {"BONK", "NONE"}
