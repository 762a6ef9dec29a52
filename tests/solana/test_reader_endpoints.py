"""The reader on endpoints that are limited, behind, inconsistent or wrong."""

import asyncio
import base64

import pytest
from solders.pubkey import Pubkey
from tests.fakes.solana_endpoint import EditedEndpoint, error
from tests.solana.conftest import Wallet, balance_of

from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.ids import Address
from balance_tracker.core.portfolio import FailureCode
from balance_tracker.demo import solana_programs as programs
from balance_tracker.demo.solana_bank import SolanaBank
from balance_tracker.demo.solana_programs import TOKEN
from balance_tracker.transport.jsonrpc import IDS_A_REQUEST

pytestmark = pytest.mark.integration


def _give_many(wallet: Wallet, count: int) -> dict[str, int]:
    """That many mints with one token account each; raw amounts by mint."""
    amounts = {}
    for raw_amount in range(1, count + 1):
        mint = wallet.tokens.create_mint(6)
        wallet.tokens.give(mint, wallet.owner, raw_amount)
        amounts[str(mint)] = raw_amount
    return amounts


def _amounts(reading) -> dict[str, int]:
    return {b.asset.contract_address: b.raw_amount for b in reading.balances if not b.asset.native}


def _health(wallet: Wallet):
    [health] = wallet.reader.health()
    return health


@pytest.mark.parametrize("most_keys", [100, 75, 5, 2])
async def test_a_smaller_limit_of_keys_is_learnt_and_kept(wallet, most_keys: int) -> None:
    wallet.bank.limits.most_keys = most_keys
    amounts = _give_many(wallet, 40)
    reading = await wallet.read()
    assert _amounts(reading) == amounts
    assert reading.failures == ()
    learned = _health(wallet).learned
    assert learned.get("max_accounts") == (None if most_keys == 100 else str(most_keys))
    before = wallet.bank.requests
    assert _amounts(await wallet.read()) == amounts
    assert wallet.bank.requests - before <= 3


async def test_a_limit_told_without_a_number_is_found_by_smaller_ones(wallet, readers) -> None:
    amounts = _give_many(wallet, 40)
    wallet.bank.limits.most_keys = 10

    def edit(request, reply):
        return error(reply, -32602, "Too many accounts requested") if "error" in reply else reply

    async with EditedEndpoint(wallet.bank, edit) as endpoint:
        wallet.reader = await readers(endpoint.url)
        assert _amounts(await wallet.read()) == amounts
        assert _health(wallet).learned["max_accounts"] == "10"


async def test_an_endpoint_without_batches_answers_the_same(wallet) -> None:
    amounts = _give_many(wallet, 3)
    wallet.bank.limits.batches = False
    reading = await wallet.read()
    assert _amounts(reading) == amounts
    assert balance_of(reading, None).raw_amount == 12_345_678_901


async def test_an_endpoint_of_another_network_is_refused(bank, readers) -> None:
    bank.genesis_hash = "EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG"
    reader = await readers(bank.url)
    deadline = asyncio.get_running_loop().time() + 5
    with pytest.raises(UpstreamError) as caught:
        await reader.read(Address(str(Pubkey.new_unique())), [], None, deadline)
    assert (caught.value.code, caught.value.retryable) == ("wrong_chain", False)


async def test_beside_a_wrong_endpoint_the_right_one_answers(wallet, readers) -> None:
    amounts = _give_many(wallet, 2)
    async with SolanaBank(genesis_hash="4uhcVJyU9pJkvQyS88uRDiswHXSCkY3zQawwpjk2NsNY") as other:
        wallet.reader = await readers(other.url, wallet.bank.url)
        reading = await wallet.read()
        assert _amounts(reading) == amounts
        assert reading.endpoint == wallet.bank.url.removeprefix("http://")
        assert {health.state for health in wallet.reader.health()} == {"healthy", "wrong_chain"}


async def test_an_endpoint_that_does_not_tell_its_genesis_is_taken_at_its_word(wallet) -> None:
    wallet.bank.limits.refused = frozenset({"getGenesisHash"})
    await wallet.read()
    await wallet.read()
    assert _health(wallet).learned["genesis_hash"] == "unsupported"
    assert wallet.bank.rpc.calls.count("getGenesisHash") == 1


async def test_balances_that_move_between_the_calls_are_read_together(wallet) -> None:
    """Tokens move from one account to the other between two calls: their sum stays."""
    mint = wallet.tokens.create_mint(6)
    first = wallet.tokens.give(mint, wallet.owner, 1_000)
    second = wallet.tokens.open_extra_account(mint, wallet.owner)
    wallet.bank.limits.most_keys = 3

    def move(method: str, number: int) -> None:
        wallet.bank.advance(1, 1)
        if number == 5:
            transfer = programs.transfer_checked(
                TOKEN, first, mint, second, wallet.owner, raw=400, decimals=6
            )
            wallet.bank.send(transfer)
        if number == 6:
            wallet.bank.limits.before_call = None

    wallet.bank.limits.before_call = move
    reading = await wallet.read()
    balance = balance_of(reading, mint)
    assert balance.raw_amount == 1_000
    assert {account.raw_amount for account in balance.accounts} == {400, 600}
    assert reading.block.number == wallet.bank.slot
    assert wallet.bank.rpc.calls.count("getMultipleAccounts") == 7


async def test_calls_of_different_slots_are_asked_again_until_they_agree(wallet) -> None:
    amounts = _give_many(wallet, 120)
    wallet.bank.limits.behind_slots = lambda number: 0 if number < 3 or number > 9 else (number % 3)
    reading = await wallet.read()
    assert _amounts(reading) == amounts
    assert reading.block.number == wallet.bank.slot
    assert reading.requests <= 6


async def test_slots_that_never_agree_name_the_lowest(wallet) -> None:
    amounts = _give_many(wallet, 120)
    slots = []

    def pass_slots(method: str, number: int) -> None:
        wallet.bank.advance(1, 1)
        if method == "getMultipleAccounts":
            slots.append(wallet.bank.slot)

    wallet.bank.limits.before_call = pass_slots
    reading = await wallet.read()
    assert _amounts(reading) == amounts
    assert reading.requests == 4
    assert reading.block.number == slots[-len(slots) // 3]


async def test_a_node_that_needs_a_moment_to_reach_the_slot_is_waited_for(wallet) -> None:
    amounts = _give_many(wallet, 1)
    wallet.bank.limits.behind_slots = lambda number: 1 if number == 3 else 0
    reading = await wallet.read()
    assert _amounts(reading) == amounts
    assert reading.requests == 3


async def test_a_node_that_stays_behind_fails_in_few_requests_and_in_time(wallet) -> None:
    wallet.bank.limits.behind_slots = lambda number: 50 if number >= 3 else 0
    with pytest.raises(UpstreamError) as caught:
        await wallet.read(seconds=1.0)
    assert caught.value.code == "stale_head"
    assert wallet.bank.requests <= 5


async def test_the_block_never_goes_back_to_a_node_that_is_behind(wallet, readers) -> None:
    async with SolanaBank(slot=wallet.bank.slot - 20) as behind:
        wallet.reader = await readers(wallet.bank.url, behind.url)
        first = await wallet.read()
        wallet.bank.limits.most_requests = 0
        with pytest.raises(UpstreamError):
            await wallet.read(seconds=2.0)
        assert first.block.number > behind.slot
        assert "getMultipleAccounts" not in behind.rpc.calls


async def test_a_node_150_slots_behind_the_best_one_is_not_believed(wallet, readers) -> None:
    async with SolanaBank(slot=wallet.bank.slot - 151) as behind:
        wallet.reader = await readers(behind.url, wallet.bank.url)
        await wallet.reader.probe()
        await wallet.reader.probe()
        states = {health.name: health.state for health in wallet.reader.health()}
        assert states[behind.url.removeprefix("http://")] == "stale"
        assert (await wallet.read()).block.number == wallet.bank.slot


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        (-32005, "Node is behind by 42 slots", "stale_head"),
        (-32010, "Tokenkeg… excluded from account secondary indexes", "method_unsupported"),
        (-32601, "Method not found", "method_unsupported"),
        (429, "Too many requests", "rate_limited"),
        (-32603, "Internal error", "endpoint_failed"),
    ],
)
async def test_a_list_that_fails_is_the_endpoints_failure_and_not_an_empty_wallet(
    wallet, readers, code: int, message: str, expected: str
) -> None:
    _give_many(wallet, 1)

    def edit(request, reply):
        second = request["method"] == "getTokenAccountsByOwner" and request["id"] % IDS_A_REQUEST == 1
        return error(reply, code, message) if second else reply

    async with EditedEndpoint(wallet.bank, edit) as endpoint:
        wallet.reader = await readers(endpoint.url)
        with pytest.raises(UpstreamError) as caught:
            await wallet.read()
        assert caught.value.code == expected
        wallet.reader = await readers(endpoint.url, wallet.bank.url)
        assert len((await wallet.read()).balances) == 2


async def test_one_failed_call_fails_its_assets_and_never_makes_a_zero(wallet, readers) -> None:
    amounts = _give_many(wallet, 120)

    def edit(request, reply):
        first = request["method"] == "getMultipleAccounts" and request["id"] % IDS_A_REQUEST == 0
        return error(reply, -32603, "Internal error") if first else reply

    async with EditedEndpoint(wallet.bank, edit) as endpoint:
        wallet.reader = await readers(endpoint.url)
        reading = await wallet.read()
    failed = {failure.asset.contract_address for failure in reading.failures}
    assert None in failed
    assert all(balance.asset.contract_address not in failed for balance in reading.balances)
    assert {failure.code for failure in reading.failures} == {FailureCode.ENDPOINT_FAILED}
    assert {one for one in failed if one} | _amounts(reading).keys() == amounts.keys()
    assert all(raw_amount == amounts[mint] for mint, raw_amount in _amounts(reading).items())
    assert reading.asked == len(reading.balances) + len(reading.failures)


@pytest.mark.parametrize(
    "spoilt",
    [
        {"lamports": "12"},
        {"lamports": -1},
        {"lamports": True},
        {"lamports": 2**70},
        {"owner": None},
        {"data": "plain"},
        {"data": ["%%", "base64"]},
        {"data": ["", "base58"]},
    ],
)
async def test_a_strange_account_of_the_owner_fails_sol_alone(wallet, readers, spoilt) -> None:
    amounts = _give_many(wallet, 1)

    def edit(request, reply):
        if request["method"] == "getMultipleAccounts":
            reply["result"]["value"][1] |= {k: float(v) if v == 2**70 else v for k, v in spoilt.items()}
        return reply

    async with EditedEndpoint(wallet.bank, edit) as endpoint:
        wallet.reader = await readers(endpoint.url)
        reading = await wallet.read()
    assert _amounts(reading) == amounts
    [failure] = reading.failures
    assert (failure.asset.native, failure.code) == (True, FailureCode.MALFORMED)


@pytest.mark.parametrize(
    "result",
    [
        None,
        [],
        "ok",
        {"value": []},
        {"context": {"slot": "1"}, "value": []},
        {"context": {"slot": -1}, "value": []},
        {"context": {"slot": 435_888_000}, "value": None},
        {"context": {"slot": 435_888_000}, "value": [None]},
        {"context": {"slot": 435_888_000}, "value": [{"pubkey": 5, "account": None}]},
        {"context": {"slot": 435_888_000}, "value": [{}]},
    ],
)
@pytest.mark.parametrize("method", ["getTokenAccountsByOwner", "getMultipleAccounts"])
async def test_an_answer_of_another_shape_is_the_endpoints_failure(wallet, readers, method, result) -> None:
    def edit(request, reply):
        return {**reply, "result": result} if request["method"] == method else reply

    async with EditedEndpoint(wallet.bank, edit) as endpoint:
        wallet.reader = await readers(endpoint.url)
        with pytest.raises(UpstreamError) as caught:
            await wallet.read()
    assert caught.value.code in {"bad_response", "malformed"}


async def test_accounts_that_change_hands_or_vanish_meanwhile_are_not_the_owners(wallet) -> None:
    kept, given, emptied = (wallet.tokens.create_mint(6) for _ in range(3))
    wallet.tokens.give(kept, wallet.owner, 1)
    account = wallet.tokens.give(given, wallet.owner, 2)
    empty = wallet.tokens.open_account(emptied, wallet.owner)

    def change(method: str, number: int) -> None:
        if number == 3:
            wallet.bank.send(
                programs.set_owner(TOKEN, account, wallet.owner, Pubkey.new_unique()),
                programs.close(TOKEN, empty, wallet.owner, wallet.owner),
            )

    wallet.bank.limits.before_call = change
    reading = await wallet.read()
    assert _amounts(reading) == {str(kept): 1, str(given): 0, str(emptied): 0}
    assert balance_of(reading, given).accounts == ()


async def test_a_token_account_of_nonsense_fails_its_mint(wallet, readers) -> None:
    amounts = _give_many(wallet, 2)
    broken = min(amounts)

    def edit(request, reply):
        if request["method"] == "getMultipleAccounts":
            for value in reply["result"]["value"]:
                if value is not None and value["space"] == 165 and _mint_of(value) == broken:
                    value["data"][0] = value["data"][0][:-8]
        return reply

    async with EditedEndpoint(wallet.bank, edit) as endpoint:
        wallet.reader = await readers(endpoint.url)
        reading = await wallet.read()
    [failure] = reading.failures
    assert (failure.asset.contract_address, failure.code) == (broken, FailureCode.MALFORMED)
    assert broken not in _amounts(reading)


def _mint_of(value) -> str:
    return str(Pubkey.from_bytes(base64.b64decode(value["data"][0])[:32]))


async def test_a_limited_endpoint_is_left_alone(wallet) -> None:
    wallet.bank.limits.most_requests = 1
    with pytest.raises(UpstreamError) as caught:
        await wallet.read()
    assert caught.value.code == "rate_limited"
    assert wallet.bank.requests == 2


async def test_a_probe_learns_the_health_of_every_endpoint(wallet, readers) -> None:
    async with SolanaBank(genesis_hash="4uhcVJyU9pJkvQyS88uRDiswHXSCkY3zQawwpjk2NsNY") as other:
        reader = await readers(wallet.bank.url, other.url)
        await reader.probe()
        health = {one.name: one for one in reader.health()}
        good = health[wallet.bank.url.removeprefix("http://")]
        assert (good.state, good.head) == ("healthy", wallet.bank.slot)
        assert health[other.url.removeprefix("http://")].state == "wrong_chain"


async def test_a_list_much_older_than_the_accounts_is_not_believed(wallet) -> None:
    wallet.bank.limits.behind_slots = lambda number: 151 if number == 0 else 0
    with pytest.raises(UpstreamError) as caught:
        await wallet.read()
    assert caught.value.code == "stale_head"


async def test_an_endpoint_that_goes_back_in_slots_is_not_believed(wallet, readers) -> None:
    def edit(request, reply):
        if request["method"] == "getMultipleAccounts":
            reply["result"]["context"]["slot"] -= 1
        return reply

    async with EditedEndpoint(wallet.bank, edit) as endpoint:
        wallet.reader = await readers(endpoint.url)
        with pytest.raises(UpstreamError) as caught:
            await wallet.read()
    assert caught.value.code == "stale_head"
    assert wallet.bank.requests == 0
    assert wallet.bank.rpc.calls.count("getMultipleAccounts") == 3


@pytest.mark.parametrize("without", ["clock", "account"])
async def test_accounts_without_the_clock_or_too_few_are_the_endpoints_failure(
    wallet, readers, without: str
) -> None:
    def edit(request, reply):
        if request["method"] == "getMultipleAccounts":
            value = reply["result"]["value"]
            reply["result"]["value"] = [None, *value[1:]] if without == "clock" else value[:-1]
        return reply

    async with EditedEndpoint(wallet.bank, edit) as endpoint:
        wallet.reader = await readers(endpoint.url)
        with pytest.raises(UpstreamError) as caught:
            await wallet.read()
    assert caught.value.code == "bad_response"


@pytest.mark.parametrize(("genesis", "expected"), [(7, "bad_response"), (None, "endpoint_failed")])
async def test_a_genesis_hash_that_can_not_be_read_is_not_taken_for_the_right_one(
    wallet, readers, genesis: int | None, expected: str
) -> None:
    def edit(request, reply):
        if request["method"] != "getGenesisHash":
            return reply
        return error(reply, -32603, "Internal error") if genesis is None else {**reply, "result": genesis}

    async with EditedEndpoint(wallet.bank, edit) as endpoint:
        wallet.reader = await readers(endpoint.url)
        with pytest.raises(UpstreamError) as caught:
            await wallet.read()
    assert caught.value.code == expected


@pytest.mark.parametrize("slot", [None, "soon", True])
async def test_a_probe_notes_an_endpoint_that_can_not_tell_its_slot(wallet, readers, slot) -> None:
    def edit(request, reply):
        if request["method"] != "getSlot":
            return reply
        return (
            error(reply, -32005, "Node is behind by 9 slots") if slot is None else {**reply, "result": slot}
        )

    async with EditedEndpoint(wallet.bank, edit) as endpoint:
        wallet.reader = await readers(endpoint.url)
        await wallet.reader.probe()
        assert _health(wallet).failures == 1
        assert _health(wallet).state in {"stale", "resting"}


async def test_no_read_asks_twice_what_the_endpoint_limits(wallet, readers) -> None:
    """With part of the calls limited, the rest is told and the limited part is not asked again."""
    amounts = _give_many(wallet, 120)

    def edit(request, reply):
        first = request["method"] == "getMultipleAccounts" and request["id"] % IDS_A_REQUEST == 0
        return error(reply, 429, "Too many requests for a specific RPC call") if first else reply

    async with EditedEndpoint(wallet.bank, edit) as endpoint:
        wallet.reader = await readers(endpoint.url)
        reading = await wallet.read()
    assert reading.requests == 2
    assert reading.failures
    assert _amounts(reading).items() <= amounts.items()
