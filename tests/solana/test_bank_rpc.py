"""The bank's JSON-RPC: the recorded shapes, the errors of real nodes, and solana.py as a client."""

import asyncio
import base64
from typing import Any

import pytest
from solana.rpc.async_api import AsyncClient
from solana.rpc.core import RPCException
from solana.rpc.models import TokenAccountOpts
from solders.pubkey import Pubkey
from tests.solana import recorded
from tests.solana.conftest import Wallet, balance_of

from balance_tracker.demo import solana_programs as programs
from balance_tracker.demo.solana_bank import SolanaBank, TransactionFailedError
from balance_tracker.demo.solana_programs import TOKEN, TOKEN_2022
from balance_tracker.demo.solana_rpc_encoding import base58
from balance_tracker.demo.solana_story import (
    AAPLX,
    JITOSOL,
    PYUSD,
    SOLANA_USER,
    TREASURY_NOTE,
    USDC,
    USDT,
    running_demo_bank,
)
from balance_tracker.demo.solana_tokens import BankTokens, Extras
from balance_tracker.transport.http import HttpClient
from balance_tracker.transport.jsonrpc import RpcCall, RpcError
from balance_tracker.transport.pool import open_pool

pytestmark = pytest.mark.integration


async def _ask(bank: SolanaBank, method: str, *params: Any) -> Any:
    async with open_pool("solana", [bank.url]) as pool:

        async def operation(session):
            return (await session.ask([RpcCall(method, list(params))]))[0]

        return await pool.run(operation, asyncio.get_running_loop().time() + 5)


def _shape(value: Any) -> Any:
    """Keys and types, of lists the first item."""
    if isinstance(value, dict):
        return {key: _shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shape(item) for item in value[:2]]
    return type(value).__name__


async def test_solana_py_sees_the_numbers_that_the_reader_sees(readers) -> None:
    owner = Pubkey.from_string(SOLANA_USER)
    async with running_demo_bank() as bank, AsyncClient(bank.url) as client:
        wallet = Wallet(bank, owner, await readers(bank.url))
        reading = await wallet.read()
        sol = await client.get_balance(owner)
        assert balance_of(reading, None).raw_amount == sol.value
        seen: dict[str, int] = {}
        for program in (TOKEN, TOKEN_2022):
            rows = await client.get_token_accounts_by_owner(owner, TokenAccountOpts(program_id=program))
            for row in rows.value:
                mint = str(Pubkey.from_bytes(row.account.data[:32]))
                if bank.svm.get_account(Pubkey.from_string(mint)) is None:
                    continue
                told = (await client.get_token_account_balance(row.pubkey)).value
                seen[mint] = seen.get(mint, 0) + int(told.amount)
        known = {b.asset.contract_address: b for b in reading.balances if b.asset.decimals is not None}
        nfts = {mint for mint, raw_amount in seen.items() if mint not in known and raw_amount == 1}
        assert {mint: raw for mint, raw in seen.items() if mint not in nfts} == {
            mint: balance.raw_amount for mint, balance in known.items() if mint is not None
        }
        assert reading.nfts == len(nfts) == 2
        for mint, balance in known.items():
            if mint is not None:
                supply = (await client.get_token_supply(Pubkey.from_string(mint))).value
                assert supply.decimals == balance.asset.decimals


async def test_the_story_has_every_difficulty_of_solana(readers) -> None:
    async with running_demo_bank() as bank:
        wallet = Wallet(bank, Pubkey.from_string(SOLANA_USER), await readers(bank.url))
        reading = await wallet.read()
        assert reading.failures == ()
        assert len(balance_of(reading, USDC).accounts) == 2
        assert [
            account.delegated_raw_amount for account in balance_of(reading, USDC).accounts if account.delegate
        ]
        assert [account.state for account in balance_of(reading, USDT).accounts] == ["frozen"]
        assert balance_of(reading, PYUSD).accounts[0].withheld_raw_amount == 500_000
        assert balance_of(reading, AAPLX).ui_amount == bank.ui_amount(AAPLX, 250_000_000)
        assert balance_of(reading, TREASURY_NOTE).ui_amount == bank.ui_amount(TREASURY_NOTE, 2_000_000_000)
        assert balance_of(reading, JITOSOL).asset.symbol == "JitoSOL"
        assert [b.asset.decimals for b in reading.balances].count(None) == 1


@pytest.mark.parametrize("mint_bytes", [recorded.JITOSOL, recorded.PYUSD])
async def test_an_account_has_the_recorded_shape(bank, mint_bytes: str) -> None:
    real = recorded.account(mint_bytes)
    address = Pubkey.from_string(mint_bytes)
    bank.set_bytes(address, recorded.data_of(real), Pubkey.from_string(real["owner"]))
    told = await _ask(bank, "getAccountInfo", mint_bytes, {"encoding": "base64"})
    assert _shape(told["value"]) == _shape(real)
    assert told["value"] | {"lamports": 0} == real | {"lamports": 0}
    assert set(told["context"]) == {"apiVersion", "slot"}


async def test_parsed_token_accounts_have_the_recorded_shape(wallet) -> None:
    mint = wallet.tokens.create_mint(9)
    wallet.tokens.give(mint, wallet.owner, 154368192585984)
    options = {"encoding": "jsonParsed"}
    told = await _ask(wallet.bank, "getTokenAccountsByOwner", str(wallet.owner), {"mint": str(mint)}, options)
    [real] = [r for r in recorded.recorded() if "note" in r]
    assert _shape(told["value"][0]) == _shape(real["result"][2])
    amount = told["value"][0]["account"]["data"]["parsed"]["info"]["tokenAmount"]
    assert amount == real["result"][2]["account"]["data"]["parsed"]["info"]["tokenAmount"]


async def test_a_parsed_account_tells_its_delegate_its_reserve_and_the_programs_amount(wallet) -> None:
    account = wallet.tokens.wrap_sol(wallet.owner, 5_000)
    wallet.bank.send(programs.approve(TOKEN, account, wallet.bank.authority, wallet.owner, 7))
    told = await _ask(wallet.bank, "getAccountInfo", str(account), {"encoding": "jsonParsed"})
    info = told["value"]["data"]["parsed"]["info"]
    assert info["isNative"]
    assert info["delegatedAmount"]["amount"] == "7"
    assert info["rentExemptReserve"]["uiAmountString"] == "0.00203928"
    note = wallet.tokens.create_mint(6, extras=Extras(interest_bps=500))
    wallet.tokens.give(note, wallet.owner, 1_000_000)
    wallet.bank.advance(1, 31_556_736)
    supply = await _ask(wallet.bank, "getTokenSupply", str(note))
    assert supply["value"]["uiAmountString"] == "1.051271"
    parsed = await _ask(wallet.bank, "getAccountInfo", str(note), {"encoding": "jsonParsed"})
    assert parsed["value"]["data"]["parsed"]["info"]["decimals"] == 6


@pytest.mark.parametrize(
    ("method", "params", "code", "message"),
    [
        ("getMultipleAccounts", [[recorded.PYUSD] * 101], -32602, "Too many inputs provided; max 100"),
        ("getSlot", [{"minContextSlot": 2**40}], -32016, "Minimum context slot has not been reached"),
        ("getBalance", ["xyz"], -32602, "Invalid param: WrongSize"),
        ("getBalance", ["0"], -32602, "Invalid param: Invalid"),
        ("getBalance", [[]], -32602, "Invalid params: invalid type, expected str."),
        ("getBalance", [], -32602, "`params` should have at least 1 argument(s)"),
        (
            "getBalance",
            [recorded.PYUSD, 5],
            -32602,
            "Invalid params: invalid type, expected a configuration object.",
        ),
        ("eth_chainId", [], -32601, "Method not found"),
        ("getTokenAccountBalance", [recorded.PYUSD], -32602, "Invalid param: could not find account"),
        ("getTokenAccountBalance", [str(TOKEN)], -32602, "Invalid param: not a Token account"),
        ("getTokenSupply", [recorded.PYUSD], -32602, "Invalid param: could not find mint"),
        (
            "getTokenAccountsByOwner",
            [recorded.WALLET, {"programId": recorded.WALLET}],
            -32602,
            "Invalid param: unrecognized Token program id",
        ),
        (
            "getTokenAccountsByOwner",
            [recorded.WALLET, {"mint": recorded.WALLET}],
            -32602,
            "Invalid param: could not find mint",
        ),
        ("getProgramAccounts", [str(TOKEN), {"filters": [{}]}], -32602, "Invalid params: unknown filter."),
    ],
)
async def test_errors_are_worded_as_real_nodes_word_them(bank, method, params, code, message) -> None:
    BankTokens(bank).create_mint(6)
    reply = await _ask(bank, method, *params)
    assert isinstance(reply, RpcError)
    assert (reply.code, reply.message) == (code, message)


async def test_base58_is_the_default_and_fails_over_128_bytes(wallet) -> None:
    mint = wallet.tokens.create_mint(6)
    account = wallet.tokens.give(mint, wallet.owner, 1)
    reply = await _ask(wallet.bank, "getAccountInfo", str(account))
    assert isinstance(reply, RpcError)
    assert reply.code == -32600
    part = {"encoding": "base58", "dataSlice": {"offset": 0, "length": 32}}
    told = await _ask(wallet.bank, "getAccountInfo", str(account), part)
    assert told["value"]["data"] == [str(mint), "base58"]
    short = await _ask(wallet.bank, "getAccountInfo", str(mint))
    stored = wallet.bank.svm.get_account(mint)
    assert short["value"]["data"] == base58(bytes(stored.data))
    assert isinstance(await _ask(wallet.bank, "getAccountInfo", str(mint), {"encoding": "hex"}), RpcError)


async def test_program_accounts_are_filtered_and_come_bare(wallet) -> None:
    mint = wallet.tokens.create_mint(6)
    account = wallet.tokens.give(mint, wallet.owner, 1)
    wanted: dict[str, Any] = {
        "encoding": "base64",
        "filters": [{"dataSize": 165}, {"memcmp": {"offset": 32, "bytes": str(wallet.owner)}}],
    }
    rows = await _ask(wallet.bank, "getProgramAccounts", str(TOKEN), wanted)
    assert [row["pubkey"] for row in rows] == [str(account)]
    in_base64 = base64.b64encode(bytes(wallet.owner)).decode()
    wanted["filters"][1]["memcmp"] |= {"bytes": in_base64, "encoding": "base64"}
    told = await _ask(wallet.bank, "getProgramAccounts", str(TOKEN), wanted | {"withContext": True})
    assert (told["value"], told["context"]["slot"]) == (rows, wallet.bank.slot)


async def test_solana_py_can_ask_what_a_wallet_asks(bank) -> None:
    async with AsyncClient(bank.url) as client:
        assert await client.is_connected()
        assert (await client.get_slot()).value == bank.slot
        assert str((await client.get_genesis_hash()).value) == bank.genesis_hash
        assert (await client.get_block_time(bank.slot)).value == bank.unix_timestamp
        assert (await client.get_block_time(bank.slot - 10)).value == bank.unix_timestamp - 4
        assert (await client.get_minimum_balance_for_rent_exemption(165)).value > 0
        assert (await client.get_latest_blockhash()).value.last_valid_block_height == bank.slot + 150
        assert (await client.get_version()).value.solana_core == "3.1.11"
        with pytest.raises(RPCException):
            await client.get_token_supply(Pubkey.new_unique())


async def test_wrong_bodies_get_the_errors_of_json_rpc(bank) -> None:
    async with HttpClient() as http:
        for body, code in ((b"{", -32700), (b"[]", -32600), (b"{}", -32600), (b"[1]", -32600)):
            reply = await http.post(bank.url, body, timeout_seconds=5)
            assert f'"code":{code}'.encode() in reply.body


async def test_a_transaction_that_the_program_refuses_is_an_error(wallet) -> None:
    mint = wallet.tokens.create_mint(6)
    with pytest.raises(TransactionFailedError, match="failed"):
        wallet.tokens.mint_to(mint, mint, 1)
    with pytest.raises(TransactionFailedError):
        wallet.bank.ask_program(programs.amount_to_ui_amount(TOKEN, wallet.owner, 1))
    with pytest.raises(LookupError):
        wallet.bank.program_of(Pubkey.new_unique())


async def test_burned_tokens_are_gone(wallet) -> None:
    mint = wallet.tokens.create_mint(6)
    account = wallet.tokens.give(mint, wallet.owner, 10)
    wallet.bank.send(programs.burn(TOKEN, account, mint, wallet.owner, 4))
    assert (await wallet.balance(mint)).raw_amount == 6
