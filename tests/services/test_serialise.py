"""The JSON shapes of the contract."""

from dataclasses import replace

from tests.fakes.readers import (
    ALICE,
    DAI,
    ETHEREUM,
    MINT,
    SOLANA,
    SOLANA_ALICE,
    STRANGE,
    USDC,
    ScriptedReader,
    refused,
    token,
)
from tests.fakes.service import Scene

from balance_tracker.core.ids import Address
from balance_tracker.core.portfolio import Balance, FailureCode, TokenAccount
from balance_tracker.services.serialise import portfolio_json


async def test_a_holding_and_its_coverage_have_the_shape_of_the_contract() -> None:
    reader = ScriptedReader(ETHEREUM, {USDC: 1_500_000}, {DAI: FailureCode.REVERTED})
    async with Scene([reader], [token(ETHEREUM, USDC, "USDC"), token(ETHEREUM, DAI, "DAI")]) as scene:
        shape = portfolio_json(await scene.service.portfolio(ALICE))
    coverage = shape["coverage"][0]
    assert isinstance(coverage.pop("elapsed_ms"), int)
    assert shape == {
        "address": ALICE,
        "name": None,
        "currency": "usd",
        "holdings": [
            {
                "network": "ethereum",
                "chain_id": 1,
                "asset_id": f"eip155:1/erc20:{USDC}",
                "contract_address": USDC,
                "native": False,
                "symbol": "USDC",
                "name": "USDC",
                "decimals": 6,
                "raw_amount": "1500000",
                "amount": "1.5",
                "price": None,
                "value": None,
                "value_change_24h": None,
                "trust": "verified",
                "logo_uri": None,
            }
        ],
        "coverage": [coverage],
        "total_value": None,
        "unpriced": 1,
        "excluded": [],
        "complete": False,
    }
    assert coverage == {
        "network": "ethereum",
        "chain_id": 1,
        "status": "partial",
        "block_number": 21_000_000,
        "block_hash": "0x" + "ab" * 32,
        "as_of": "2026-09-21T14:13:20Z",
        "cached": False,
        "stale": False,
        "age_seconds": 0,
        "endpoint": "node.example",
        "requests": 1,
        "assets": {
            "asked": 3,
            "answered": 2,
            "failed": [
                {
                    "asset_id": f"eip155:1/erc20:{DAI}",
                    "contract_address": DAI,
                    "symbol": "DAI",
                    "code": "reverted",
                    "reason": "the contract said no",
                }
            ],
        },
        "error": None,
    }


async def test_a_failed_network_names_no_block_and_shows_no_key() -> None:
    async with Scene([ScriptedReader(ETHEREUM, error=refused())]) as scene:
        shape = portfolio_json(await scene.service.portfolio(ALICE))
    entry = shape["coverage"][0]
    assert (entry["block_number"], entry["block_hash"], entry["as_of"]) == (None, None, None)
    assert entry["error"] == {
        "code": "endpoint_failed",
        "detail": "Refused by node.example.",
        "retryable": True,
    }
    assert (shape["total_value"], shape["holdings"]) == (None, [])


async def test_solana_adds_accounts_ui_amount_and_counted_nfts() -> None:
    account = TokenAccount(Address(STRANGE), 250, "frozen", delegate=Address(ALICE), delegated_raw_amount=5)
    held = Balance(token(SOLANA, MINT, "USDC"), 250, (account,), ui_amount="0.00026")
    async with Scene([ScriptedReader(SOLANA, {None: 1}, extra=(held,), nfts=3)]) as scene:
        shape = portfolio_json(await scene.service.portfolio(SOLANA_ALICE))
    sol, usdc = shape["holdings"]
    assert "accounts" not in sol
    assert (usdc["chain_id"], usdc["amount"], usdc["ui_amount"]) == (None, "0.00025", "0.00026")
    assert usdc["accounts"] == [
        {
            "address": STRANGE,
            "raw_amount": "250",
            "state": "frozen",
            "delegate": ALICE,
            "delegated_raw_amount": "5",
            "withheld_raw_amount": "0",
        }
    ]
    assert shape["coverage"][0]["nfts"] == 3


async def test_what_is_left_out_is_listed_with_its_amount_and_reason() -> None:
    metadata = {STRANGE: ("GIFT", "claim now", None)}
    reader = ScriptedReader(replace(ETHEREUM), {STRANGE: 77}, metadata=metadata)
    async with Scene([reader]) as scene:
        shape = portfolio_json(await scene.service.portfolio(ALICE, tokens=[STRANGE]))
    assert shape["excluded"] == [
        {
            "network": "ethereum",
            "asset_id": f"eip155:1/erc20:{STRANGE}",
            "contract_address": STRANGE,
            "symbol": "GIFT",
            "raw_amount": "77",
            "amount": None,
            "value": None,
            "reason": "spam",
        }
    ]
