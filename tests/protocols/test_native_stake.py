"""Native stake on a real bank: the real Stake program makes the accounts and says what may be withdrawn."""

import asyncio
import base64
import random
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from solders.account import Account
from solders.pubkey import Pubkey
from tests.fakes.solana_endpoint import EditedEndpoint, error
from tests.protocols.staking import RESERVE, STAKE, VOTE, Staking
from tests.solana.conftest import SOLANA

from balance_tracker.bootstrap.leading import position_sources
from balance_tracker.core.blocks import BlockRef
from balance_tracker.core.ids import Address
from balance_tracker.core.portfolio import Reading
from balance_tracker.core.positions import Position, PositionKind
from balance_tracker.demo.solana_bank import MAINNET_GENESIS_HASH, SolanaBank, TransactionFailedError
from balance_tracker.ports import Include
from balance_tracker.protocols import native_stake
from balance_tracker.protocols.native_stake import NEVER, Delegation, decode_stake_account, state_of
from balance_tracker.solana.binary import LayoutError
from balance_tracker.solana.reader import SolanaReader
from balance_tracker.solana.sources import with_positions
from balance_tracker.transport.pool import open_pool

SOL = 1_000_000_000


@pytest.fixture
async def bank() -> AsyncIterator[SolanaBank]:
    async with SolanaBank() as bank:
        yield bank


@pytest.fixture
def staking(bank: SolanaBank) -> Staking:
    staking = Staking(bank)
    staking.set_epoch(700)
    return staking


async def read(owner: Pubkey, *urls: str, slot: int = 435_888_000) -> Reading:
    """What the source tells of an owner whose balances were read at a slot."""
    reading = Reading(
        block=BlockRef(slot, None, 1_795_000_000), endpoint="e", balances=(), failures=(), asked=1, requests=0
    )
    [source] = native_stake.sources(SOLANA, lambda _: None)
    deadline = asyncio.get_running_loop().time() + 3
    async with open_pool("solana", urls) as pool:
        [whole] = await with_positions(SOLANA, [(Address(str(owner)), reading)], [source], pool, deadline)
    return whole


async def stakes(owner: Pubkey, bank: SolanaBank) -> dict[str, Position]:
    reading = await read(owner, bank.url)
    assert reading.protocol_failures == ()
    return {position.position_id: position for position in reading.positions}


def legs(position: Position) -> list[tuple[str | None, int]]:
    return [(leg.label, leg.raw_amount) for leg in position.supplied]


async def failure(owner: Pubkey, *urls: str, slot: int = 435_888_000) -> tuple[str, str]:
    reading = await read(owner, *urls, slot=slot)
    assert reading.positions == ()
    [failed] = reading.protocol_failures
    assert failed.protocol == "native_stake"
    return failed.code, failed.reason


async def test_stake_goes_through_its_states_and_every_lamport_is_told(bank, staking) -> None:
    owner, staker = Pubkey.new_unique(), Pubkey.new_unique()
    vote, stake = staking.validator(), staking.account(staker, owner, 5 * SOL + 7)

    async def now() -> list[tuple[str | None, int]]:
        return legs((await stakes(owner, bank))[str(stake)])

    assert await now() == [("inactive", 5 * SOL + 7 + RESERVE)]
    staking.delegate(stake, vote, staker)
    assert await now() == [("activating", 5 * SOL + 7), ("inactive", RESERVE)]
    staking.set_epoch(701)
    bank.give_sol(stake, 1_234)
    assert await now() == [("active", 5 * SOL + 7), ("inactive", RESERVE + 1_234)]
    staking.deactivate(stake, staker)
    assert await now() == [("deactivating", 5 * SOL + 7), ("inactive", RESERVE + 1_234)]
    staking.set_epoch(702)
    assert await now() == [("inactive", 5 * SOL + 7 + RESERVE + 1_234)]
    staking.withdraw(stake, staking.lamports(stake), owner)
    assert await stakes(owner, bank) == {}


async def test_a_position_says_what_it_is_and_of_which_slot(bank, staking) -> None:
    owner, staker = Pubkey.new_unique(), Pubkey.new_unique()
    vote, stake = staking.validator(), staking.account(staker, owner, SOL)
    staking.delegate(stake, vote, staker)
    bank.advance(3)
    reading = await read(owner, bank.url)
    [position] = reading.positions
    assert (position.protocol, position.network, position.kind) == (
        "native_stake",
        "solana",
        PositionKind.STAKING,
    )
    assert (position.position_id, position.owner) == (str(stake), str(owner))
    assert {leg.asset.symbol for leg in position.supplied} == {"SOL"}
    assert dict(position.details) == {
        "state": "activating",
        "slot": "435888003",
        "epoch": "700",
        "staker": str(staker),
        "rent_exempt_reserve_lamports": str(RESERVE),
        "voter": str(vote),
        "activation_epoch": "700",
    }
    assert reading.requests == 1
    assert bank.rpc.calls == ["getMultipleAccounts", "getProgramAccounts", "getGenesisHash"]


async def test_who_may_withdraw_has_the_stake_and_who_may_only_delegate_has_not(bank, staking) -> None:
    owner, staker, heir = Pubkey.new_unique(), Pubkey.new_unique(), Pubkey.new_unique()
    stake = staking.account(staker, owner, 2 * SOL)
    staking.account(owner, staker, 9 * SOL)
    assert list(await stakes(owner, bank)) == [str(stake)]
    with pytest.raises(TransactionFailedError):
        staking.withdraw(stake, SOL, staker)
    staking.authorize_withdrawer(stake, owner, heir)
    assert await stakes(owner, bank) == {}
    assert list(await stakes(heir, bank)) == [str(stake)]


async def test_a_lock_up_is_told_while_it_is_in_force(bank, staking) -> None:
    owner, custodian = Pubkey.new_unique(), Pubkey.new_unique()
    until = bank.unix_timestamp + 1_000
    stake = staking.account(owner, owner, SOL, (until, 650, custodian))
    told = dict((await stakes(owner, bank))[str(stake)].details)
    assert told["locked_until_unix_timestamp"] == str(until)
    assert (told["locked_until_epoch"], told["lockup_custodian"]) == ("650", str(custodian))
    with pytest.raises(TransactionFailedError):
        staking.withdraw(stake, SOL, owner)
    bank.advance(1, seconds=1_000)
    assert "lockup_custodian" not in dict((await stakes(owner, bank))[str(stake)].details)
    staking.withdraw(stake, SOL, owner)


@pytest.mark.parametrize("seed", range(3))
async def test_what_is_told_as_inactive_is_what_the_program_lets_go(bank, staking, seed: int) -> None:
    """Random lives of stake accounts; the program's own word is what it lets the owner withdraw."""
    chance = random.Random(seed)
    owner, vote = Pubkey.new_unique(), staking.validator()
    accounts = [staking.account(owner, owner, chance.randrange(SOL, 9 * SOL)) for _ in range(6)]
    for step in range(5):
        staking.set_epoch(700 + step)
        for stake in accounts:
            act = chance.choice(("delegate", "deactivate", "give", "wait"))
            try:
                if act == "delegate":
                    staking.delegate(stake, vote, owner)
                elif act == "deactivate":
                    staking.deactivate(stake, owner)
                elif act == "give":
                    bank.give_sol(stake, chance.randrange(1, SOL))
            except TransactionFailedError:
                continue
            finally:
                bank.svm.expire_blockhash()
    found = await stakes(owner, bank)
    assert set(found) == {str(stake) for stake in accounts}
    for stake in accounts:
        position = found[str(stake)]
        assert sum(leg.raw_amount for leg in position.supplied) == staking.lamports(stake)
        locked = sum(amount for label, amount in legs(position) if label != "inactive")
        free = staking.lamports(stake) - locked - (RESERVE if locked else 0)
        with pytest.raises(TransactionFailedError):
            staking.withdraw(stake, free + 1, owner)
        if free:
            staking.withdraw(stake, free, owner)


@pytest.mark.parametrize(
    ("started", "ended", "epoch", "state"),
    [
        (10, NEVER, 9, "activating"),
        (10, NEVER, 10, "activating"),
        (10, NEVER, 11, "active"),
        (10, 12, 11, "active"),
        (10, 12, 12, "deactivating"),
        (10, 12, 13, "inactive"),
        (10, 10, 10, "inactive"),
        (NEVER, NEVER, 0, "active"),
        (NEVER, 5, 5, "deactivating"),
        (NEVER, 5, 6, "inactive"),
    ],
)
def test_the_epochs_tell_the_state(started: int, ended: int, epoch: int, state: str) -> None:
    assert state_of(Delegation(Address("v"), 1, started, ended), epoch) == state


def test_the_real_program_s_bytes_are_read_field_by_field(bank, staking) -> None:
    owner, staker, custodian = Pubkey.new_unique(), Pubkey.new_unique(), Pubkey.new_unique()
    stake = staking.account(staker, owner, SOL, (-5, 12, custodian))
    account = decode_stake_account(staking.data(stake))
    assert account is not None
    assert (account.rent_exempt_reserve, account.delegation) == (RESERVE, None)
    assert (account.staker, account.withdrawer) == (str(staker), str(owner))
    lockup = account.lockup
    assert (lockup.unix_timestamp, lockup.epoch, lockup.custodian) == (-5, 12, str(custodian))


def test_accounts_that_are_nobody_s_or_no_stake_are_told_apart() -> None:
    for tag in (0, 3):
        assert decode_stake_account(bytes([tag]) + bytes(199)) is None
    for wrong in (b"", bytes(199), bytes(201), b"\x04" + bytes(199), b"\xff" * 200):
        with pytest.raises(LayoutError):
            decode_stake_account(wrong)


async def test_bytes_left_behind_by_an_old_owner_are_not_stake(bank, staking) -> None:
    """An account that was emptied is uninitialised, though the old bytes still name its withdrawer."""
    owner = Pubkey.new_unique()
    stake = staking.account(owner, owner, SOL)
    bank.set_bytes(stake, bytes(4) + staking.data(stake)[4:], STAKE)
    assert await stakes(owner, bank) == {}


async def test_a_malformed_account_is_declared_by_its_address_beside_the_good_ones(bank, staking) -> None:
    owner = Pubkey.new_unique()
    good = [str(staking.account(owner, owner, SOL)) for _ in range(2)]
    broken = staking.account(owner, owner, SOL)
    bank.set_bytes(broken, b"\x09" + staking.data(broken)[1:], STAKE)
    reading = await read(owner, bank.url)
    assert [position.position_id for position in reading.positions] == sorted(good)
    [failed] = reading.protocol_failures
    assert (failed.protocol, failed.market, failed.code) == ("native_stake", str(broken), "malformed")
    assert "kind 9" in failed.reason


async def test_another_endpoint_may_tell_what_one_garbles(bank, staking) -> None:
    owner = Pubkey.new_unique()
    stakes_of_owner = {str(staking.account(owner, owner, SOL)) for _ in range(2)}

    def garble(request: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        if request["method"] == "getProgramAccounts":
            reply["result"]["value"][0]["account"]["data"][0] = "AAAA"
        return reply

    async with EditedEndpoint(bank, garble) as garbling:
        alone = await read(owner, garbling.url)
        both = await read(owner, garbling.url, bank.url)
    assert (len(alone.positions), len(alone.protocol_failures)) == (1, 1)
    assert {position.position_id for position in both.positions} == stakes_of_owner
    assert both.protocol_failures == ()


async def test_more_delegated_than_held_is_not_believed(bank, staking) -> None:
    owner = Pubkey.new_unique()
    stake = staking.account(owner, owner, SOL)
    staking.delegate(stake, staking.validator(), owner)
    bank.svm.set_account(stake, Account(SOL - 1, staking.data(stake), STAKE))
    code, reason = await failure(owner, bank.url)
    assert (code, "more lamports than it holds" in reason) == ("malformed", True)


type Rows = list[dict[str, Any]]


def _foreign(rows: Rows) -> object:
    data = base64.b64encode(b"\x01" + bytes(199)).decode()
    return [{**rows[0], "account": {**rows[0]["account"], "data": [data, "base64"]}}]


def _endless(rows: Rows) -> object:
    return rows * 1_001


def _another_program(rows: Rows) -> object:
    return [{**rows[0], "account": {**rows[0]["account"], "owner": str(VOTE)}}]


LIES: Sequence[tuple[Callable[[Rows], object], str]] = [
    (_foreign, "endpoint_failed"),
    (_endless, "endpoint_failed"),
    (_another_program, "malformed"),
    (lambda rows: rows * 2, "endpoint_failed"),
    (lambda rows: [{**rows[0], "pubkey": "0x12"}], "endpoint_failed"),
    (lambda rows: [{**rows[0], "account": None}], "malformed"),
    (lambda rows: [{**rows[0], "account": {**rows[0]["account"], "lamports": -1}}], "malformed"),
    (lambda _: [7], "endpoint_failed"),
    (lambda _: None, "endpoint_failed"),
]


@pytest.mark.parametrize(("lie", "code"), LIES)
async def test_an_endpoint_that_lies_is_not_believed_and_an_honest_one_is_asked(
    bank, staking, lie: Callable[[Rows], object], code: str
) -> None:
    owner = Pubkey.new_unique()
    stake = staking.account(owner, owner, SOL)

    def edit(request: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        if request["method"] != "getProgramAccounts":
            return reply
        return {**reply, "result": {**reply["result"], "value": lie(reply["result"]["value"])}}

    async with EditedEndpoint(bank, edit) as liar:
        assert (await failure(owner, liar.url))[0] == code
        reading = await read(owner, liar.url, bank.url)
    assert [position.position_id for position in reading.positions] == [str(stake)]


@pytest.mark.parametrize(
    ("method", "code"),
    [("getProgramAccounts", -32010), ("getProgramAccounts", -32601), ("getMultipleAccounts", -32603)],
)
async def test_an_endpoint_that_can_not_tell_is_a_declared_failure(bank, method: str, code: int) -> None:
    def edit(request: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        return error(reply, code, "not here") if request["method"] == method else reply

    async with EditedEndpoint(bank, edit) as endpoint:
        told, _ = await failure(Pubkey.new_unique(), endpoint.url)
    assert told == "endpoint_failed"


async def test_a_refusal_does_not_rest_an_endpoint_and_another_is_asked(bank, staking) -> None:
    """Public endpoints refuse to list accounts of programs, and still read balances well."""
    owner = Pubkey.new_unique()
    stake = staking.account(owner, owner, SOL)

    def edit(request: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        refused = request["method"] == "getProgramAccounts"
        return error(reply, -32601, "Method not found") if refused else reply

    reading = Reading(BlockRef(bank.slot, None, 1_795_000_000), (), (), "e", 0, asked=1)
    source = native_stake.NativeStake(SOLANA)
    async with EditedEndpoint(bank, edit) as refusing, open_pool("solana", [refusing.url, bank.url]) as pool:
        for _ in range(3):
            deadline = asyncio.get_running_loop().time() + 3
            asked = [(Address(str(owner)), reading)]
            [found] = await with_positions(SOLANA, asked, [source], pool, deadline)
            assert [position.position_id for position in found.positions] == [str(stake)]
        assert all(endpoint.last_error is None for endpoint in pool.health())


async def test_more_accounts_than_are_read_are_not_cut(bank, staking, monkeypatch) -> None:
    owner = Pubkey.new_unique()
    monkeypatch.setattr(native_stake, "MOST_ACCOUNTS", 2)
    for _ in range(2):
        staking.account(owner, owner, SOL)
    assert len(await stakes(owner, bank)) == 2
    staking.account(owner, owner, SOL)
    assert (await failure(owner, bank.url)) == (
        "endpoint_failed",
        "The wallet has 3 stake accounts, more than the 2 that are read.",
    )


async def test_an_endpoint_of_another_network_or_an_earlier_slot_is_not_believed(bank, staking) -> None:
    owner = Pubkey.new_unique()
    staking.account(owner, owner, SOL)
    assert (await failure(owner, bank.url, slot=bank.slot + 1))[0] == "endpoint_failed"
    bank.genesis_hash = MAINNET_GENESIS_HASH[::-1]
    assert (await failure(owner, bank.url))[0] == "endpoint_failed"


async def test_an_endpoint_that_goes_back_or_hides_the_clock_is_not_believed(bank, staking) -> None:
    owner = Pubkey.new_unique()
    staking.account(owner, owner, SOL)

    def back(request: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        if request["method"] == "getProgramAccounts":
            reply["result"]["context"]["slot"] -= 1
        return reply

    def clockless(request: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        if request["method"] == "getMultipleAccounts":
            reply["result"]["value"][0] = None
        return reply

    for edit, said in ((back, "earlier slot"), (clockless, "did not tell the clock")):
        async with EditedEndpoint(bank, edit) as endpoint:
            code, reason = await failure(owner, endpoint.url)
        assert (code, said in reason) == ("endpoint_failed", True)


async def test_an_endpoint_reaches_the_slot_of_the_balances_a_little_later(bank, staking) -> None:
    owner = Pubkey.new_unique()
    staking.account(owner, owner, SOL)
    bank.limits.behind_slots = lambda call: 1 if call < 3 else 0
    reading = await read(owner, bank.url, slot=bank.slot)
    assert (len(reading.positions), reading.requests) == (1, 2)


async def test_a_wallet_s_stake_comes_with_its_balances_on_the_networks_of_solana(bank, staking) -> None:
    owner = Pubkey.new_unique()
    stake = staking.account(owner, owner, SOL)
    bank.give_sol(owner, 3 * SOL)
    sources = position_sources({SOLANA.slug: SOLANA}, {})[SOLANA.slug]
    deadline = asyncio.get_running_loop().time() + 5
    async with open_pool("solana", [bank.url]) as pool:
        reader = SolanaReader(SOLANA, pool, sources)
        include = Include(protocols=frozenset(reader.protocols))
        reading = await reader.read(Address(str(owner)), (), None, deadline, include)
        plain = await reader.read(Address(str(owner)), (), None, deadline)
    assert [position.position_id for position in reading.positions] == [str(stake)]
    assert [balance.raw_amount for balance in reading.balances] == [3 * SOL]
    assert reading.protocols_asked == ("marinade", "native_stake")
    assert (reading.protocol_failures, reading.requests) == ((), 3)
    assert plain.positions == ()
