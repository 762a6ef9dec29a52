"""Marinade on a bank with its accounts' bytes, laid out and read once more by the program's IDL."""

import asyncio
import base64
import json
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
from solders.account import Account
from solders.pubkey import Pubkey
from solders.token.state import Mint, TokenAccount, TokenAccountState
from tests.fakes.solana_endpoint import EditedEndpoint, error
from tests.protocols import marinade_state
from tests.protocols.marinade_state import (
    GOLDEN,
    MSOL,
    PROGRAM,
    STATE,
    discriminator,
    offset_of,
    read_state,
    state_bytes,
    ticket_bytes,
    worth,
)
from tests.solana.conftest import SOLANA

from balance_tracker.bootstrap.leading import position_sources
from balance_tracker.core.ids import Address, Slug
from balance_tracker.core.portfolio import FailureCode, Reading
from balance_tracker.core.positions import Position, PositionKind
from balance_tracker.demo.solana_bank import SolanaBank
from balance_tracker.ports import Include
from balance_tracker.protocols import marinade
from balance_tracker.protocols.marinade import LEAST_STATE_BYTES, decode_state
from balance_tracker.solana.binary import LayoutError
from balance_tracker.solana.programs import TOKEN_PROGRAM
from balance_tracker.solana.reader import SolanaReader
from balance_tracker.solana.replies import Account as HeldAccount
from balance_tracker.solana.replies import Fault
from balance_tracker.transport.pool import open_pool

TOKENS = Pubkey.from_string(TOKEN_PROGRAM)
RENT = 1_503_360
"""Lamports of a ticket's account, which come back with what it is worth."""


@pytest.fixture
async def bank() -> AsyncIterator[SolanaBank]:
    async with SolanaBank() as bank:
        _set_clock(bank, epoch=700, since_start=100_000)
        mint = Mint(
            mint_authority=None, supply=10**18, decimals=9, is_initialized=True, freeze_authority=None
        )
        bank.set_bytes(MSOL, bytes(mint), TOKENS)
        bank.set_bytes(STATE, state_bytes(), PROGRAM)
        yield bank


def _set_clock(bank: SolanaBank, epoch: int, since_start: int) -> None:
    clock = bank.svm.get_clock()
    clock.epoch, clock.epoch_start_timestamp = epoch, clock.unix_timestamp - since_start
    bank.svm.set_clock(clock)


def give_msol(bank: SolanaBank, owner: Pubkey, raw_amount: int) -> Pubkey:
    account = Pubkey.new_unique()
    held = TokenAccount(
        mint=MSOL,
        owner=owner,
        amount=raw_amount,
        delegate=None,
        state=TokenAccountState.Initialized,
        is_native=None,
        delegated_amount=0,
        close_authority=None,
    )
    bank.set_bytes(account, bytes(held), TOKENS)
    return account


def give_ticket(bank: SolanaBank, owner: Pubkey, lamports: int, epoch: int, state: Pubkey = STATE) -> str:
    address = Pubkey.new_unique()
    bank.svm.set_account(address, Account(RENT, ticket_bytes(owner, lamports, epoch, state), PROGRAM))
    return str(address)


async def read(owner: Pubkey, *urls: str, only_marinade: bool = True) -> Reading:
    sources = position_sources({SOLANA.slug: SOLANA}, {})[SOLANA.slug]
    sources = [one for one in sources if one.slug == "marinade" or not only_marinade]
    async with open_pool("solana", urls) as pool:
        reader = SolanaReader(SOLANA, pool, sources)
        deadline = asyncio.get_running_loop().time() + 5
        include = Include(protocols=frozenset(reader.protocols))
        return await reader.read(Address(str(owner)), (), None, deadline, include)


async def position_of(owner: Pubkey, bank: SolanaBank) -> Position:
    reading = await read(owner, bank.url)
    assert reading.protocol_failures == ()
    [position] = reading.positions
    return position


def test_the_fields_are_where_they_are_known_to_be() -> None:
    assert offset_of("total_active_balance") == 376
    assert offset_of("available_reserve_balance") == 496
    assert (offset_of("msol_supply"), offset_of("msol_price")) == (504, 512)
    assert offset_of("max_stake_moved_per_epoch") + 4 == LEAST_STATE_BYTES
    assert discriminator("State") == marinade.STATE_DISCRIMINATOR
    assert discriminator("TicketAccountData") == marinade.TICKET_DISCRIMINATOR
    assert len(ticket_bytes(STATE, 1, 1)) == marinade.TICKET_BYTES


@pytest.mark.parametrize("seed", range(20))
def test_the_state_is_read_as_a_second_reader_reads_it(seed: int) -> None:
    chance = random.Random(seed)
    named = [name for name in marinade_state.STATE_FIELDS if name in marinade.State.__slots__]
    changed = {name: chance.randrange(2**48) for name in named if name not in ("msol_mint", "paused")}
    data = state_bytes(**changed, paused=chance.random() < 0.5)
    state, told = decode_state(HeldAccount(1, str(PROGRAM), data)), read_state(data)
    assert {name: getattr(state, name) for name in named} == {
        **{n: told[n] for n in named},
        "msol_mint": str(MSOL),
    }
    amount = chance.randrange(state.msol_supply)
    assert state.lamports_of(amount) == worth(data, amount)


async def test_the_golden_wallet_is_worth_what_the_program_would_pay(bank) -> None:
    golden = json.loads(GOLDEN.read_text())
    owner = Pubkey.from_string(golden["owner"])
    clock = bank.svm.get_clock()
    clock.epoch = golden["clock"]["epoch"]
    clock.epoch_start_timestamp = golden["clock"]["epoch_start_timestamp"]
    clock.unix_timestamp = golden["clock"]["unix_timestamp"]
    bank.svm.set_clock(clock)
    bank.set_bytes(STATE, base64.b64decode(golden["state"]), PROGRAM)
    for address, data in golden["tickets"].items():
        bank.svm.set_account(Pubkey.from_string(address), Account(RENT, base64.b64decode(data), PROGRAM))
    give_msol(bank, owner, int(golden["msol"]))
    reading = await read(owner, bank.url)
    assert reading.protocol_failures == ()
    found = {
        "mSOL" if one.market == "mSOL" else one.position_id: (
            "claimable" if one.claimable else "supplied",
            (one.claimable or one.supplied)[0],
        )
        for one in reading.positions
    }
    assert {name: str(leg.raw_amount) for name, (_, leg) in found.items()} == {
        name: told["lamports"] for name, told in golden["expected"].items()
    }
    assert {name: side for name, (side, _) in found.items() if name != "mSOL"} == {
        name: told["side"] for name, told in golden["expected"].items() if name != "mSOL"
    }
    assert found["mSOL"][1].receipt == golden["expected"]["mSOL"]["receipt"]


async def test_msol_of_several_accounts_is_one_position_in_sol(bank) -> None:
    owner = Pubkey.new_unique()
    for amount in (3_000_000_000, 5):
        give_msol(bank, owner, amount)
    position = await position_of(owner, bank)
    assert (position.kind, position.market, position.owner) == (PositionKind.STAKING, "mSOL", str(owner))
    [leg] = position.supplied
    assert (leg.asset.symbol, leg.receipt) == ("SOL", str(MSOL))
    assert leg.raw_amount == worth(state_bytes(), 3_000_000_005) > 3_000_000_005
    assert dict(position.details)["slot"] == str(bank.slot)


async def test_all_protocols_of_the_network_cost_one_request_beside_the_balances(bank) -> None:
    owner = Pubkey.new_unique()
    give_msol(bank, owner, 1_000)
    give_ticket(bank, owner, 1_000, 690)
    reading = await read(owner, bank.url, only_marinade=False)
    assert len(reading.positions) == 2
    assert reading.requests == bank.requests == 3
    assert bank.rpc.calls[-3:] == ["getMultipleAccounts", "getProgramAccounts", "getProgramAccounts"]


async def test_who_has_nothing_has_no_position_whatever_the_state_holds(bank) -> None:
    bank.set_bytes(STATE, b"", PROGRAM)
    reading = await read(Pubkey.new_unique(), bank.url)
    assert (reading.positions, reading.protocol_failures) == ((), ())


async def test_slashing_below_what_tickets_are_promised_leaves_zero_and_no_debt(bank) -> None:
    owner = Pubkey.new_unique()
    give_msol(bank, owner, 1_000)
    bank.set_bytes(STATE, state_bytes(circulating_ticket_balance=2**62), PROGRAM)
    position = await position_of(owner, bank)
    assert [leg.raw_amount for leg in position.supplied] == [0]


async def test_a_pause_is_told(bank) -> None:
    owner = Pubkey.new_unique()
    give_msol(bank, owner, 1_000)
    assert "paused" not in dict((await position_of(owner, bank)).details)
    bank.set_bytes(STATE, state_bytes(paused=True), PROGRAM)
    assert dict((await position_of(owner, bank)).details)["paused"] == "true"


@pytest.mark.parametrize(
    ("created", "since_start", "state"),
    [
        (701, 10**6, "waiting"),
        (700, 10**6, "waiting"),
        (699, 1_799, "waiting"),
        (699, 1_800, "claimable"),
        (698, 0, "claimable"),
    ],
)
async def test_a_ticket_is_due_half_an_hour_into_the_epoch_after_its_own(
    bank, created: int, since_start: int, state: str
) -> None:
    owner = Pubkey.new_unique()
    address = give_ticket(bank, owner, 77, created)
    _set_clock(bank, 700, since_start)
    position = await position_of(owner, bank)
    assert (position.position_id, position.kind) == (address, PositionKind.WITHDRAWAL)
    told, other = (
        (position.claimable, position.supplied)
        if state == "claimable"
        else (position.supplied, position.claimable)
    )
    assert other == ()
    assert [(leg.label, leg.raw_amount) for leg in told] == [(state, 77), ("rent", RENT)]
    assert dict(position.details)["state"] == state


async def test_tickets_that_are_used_up_of_others_or_of_another_state_are_no_positions(bank) -> None:
    owner = Pubkey.new_unique()
    give_ticket(bank, owner, 0, 690)
    give_ticket(bank, Pubkey.new_unique(), 5, 690)
    give_ticket(bank, owner, 5, 690, state=Pubkey.new_unique())
    reading = await read(owner, bank.url)
    assert (reading.positions, reading.protocol_failures) == ((), ())


async def test_a_malformed_ticket_is_declared_beside_the_good_ones(bank) -> None:
    owner = Pubkey.new_unique()
    give_msol(bank, owner, 1_000)
    good, bad = give_ticket(bank, owner, 5, 690), Pubkey.new_unique()
    bank.set_bytes(bad, bytes(8) + ticket_bytes(owner, 5, 690)[8:], PROGRAM)
    reading = await read(owner, bank.url)
    assert [one.position_id for one in reading.positions] == [str(MSOL), good]
    [failed] = reading.protocol_failures
    assert (failed.protocol, failed.market, failed.code) == ("marinade", str(bad), "malformed")


def _other_mint() -> bytes:
    return state_bytes(msol_mint=bytes(32))


BROKEN_STATES: list[tuple[Callable[[], bytes], Pubkey, str]] = [
    (state_bytes, TOKENS, "no account of its program"),
    (lambda: bytes(8) + state_bytes()[8:], PROGRAM, "something else"),
    (lambda: state_bytes()[: LEAST_STATE_BYTES - 1], PROGRAM, "637 bytes"),
    (_other_mint, PROGRAM, "another token"),
    (lambda: state_bytes(msol_supply=999), PROGRAM, "more mSOL"),
]


@pytest.mark.parametrize(("data", "program", "reason"), BROKEN_STATES)
async def test_a_state_that_makes_no_sense_fails_the_msol_and_not_the_tickets(
    bank, data: Callable[[], bytes], program: Pubkey, reason: str
) -> None:
    owner = Pubkey.new_unique()
    give_msol(bank, owner, 1_000)
    ticket = give_ticket(bank, owner, 5, 690)
    bank.set_bytes(STATE, data(), program)
    reading = await read(owner, bank.url)
    assert [one.position_id for one in reading.positions] == [ticket]
    [failed] = reading.protocol_failures
    assert (failed.market, failed.code, reason in failed.reason) == ("mSOL", "malformed", True)


def test_a_state_that_was_not_told_or_has_a_strange_flag_is_refused() -> None:
    strange = bytearray(state_bytes())
    strange[offset_of("paused")] = 2
    with pytest.raises(LayoutError, match="flag"):
        decode_state(HeldAccount(1, str(PROGRAM), bytes(strange)))
    with pytest.raises(LayoutError, match="no account"):
        decode_state(None)
    with pytest.raises(Exception, match="not told"):
        decode_state(Fault(FailureCode.MALFORMED, "not told"))


async def test_an_endpoint_that_lists_no_accounts_still_tells_the_msol(bank) -> None:
    owner = Pubkey.new_unique()
    give_msol(bank, owner, 1_000)
    ticket = give_ticket(bank, owner, 5, 690)

    def edit(request: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        refused = request["method"] == "getProgramAccounts"
        return error(reply, -32010, "excluded from account secondary indexes") if refused else reply

    async with EditedEndpoint(bank, edit) as refusing:
        alone = await read(owner, refusing.url)
        both = await read(owner, refusing.url, bank.url)
    assert [one.market for one in alone.positions] == ["mSOL"]
    assert [one.market for one in alone.protocol_failures] == ["Delayed unstake"]
    assert [one.position_id for one in both.positions] == [str(MSOL), ticket]
    assert both.protocol_failures == ()


async def test_msol_that_the_balances_do_not_know_is_no_zero(bank) -> None:
    owner = Pubkey.new_unique()
    give_msol(bank, owner, 1_000)
    bank.set_bytes(MSOL, bytes(81), TOKENS)
    reading = await read(owner, bank.url)
    assert reading.positions == ()
    assert [(one.market, one.code) for one in reading.protocol_failures] == [("mSOL", "malformed")]


type Rows = list[dict[str, Any]]


def _foreign(rows: Rows) -> object:
    data = base64.b64encode(ticket_bytes(STATE, 5, 690)).decode()
    return [{**rows[0], "account": {**rows[0]["account"], "data": [data, "base64"]}}]


LIES: list[tuple[Callable[[Rows], object], str]] = [
    (_foreign, "another wallet"),
    (lambda rows: rows * 2, "twice"),
    (lambda rows: rows * 1_001, "1001 tickets"),
    (lambda rows: [{**rows[0], "pubkey": "0x12"}], "no address"),
    (lambda _: [7], "strange entry"),
    (lambda _: None, "not a list"),
    (lambda rows: [{**rows[0], "account": None}], "no ticket"),
    (lambda rows: [{**rows[0], "account": {**rows[0]["account"], "owner": TOKEN_PROGRAM}}], "no ticket"),
]


@pytest.mark.parametrize(("lie", "reason"), LIES)
async def test_a_listing_that_lies_is_not_believed_and_an_honest_one_is_asked(
    bank, lie: Callable[[Rows], object], reason: str
) -> None:
    owner = Pubkey.new_unique()
    ticket = give_ticket(bank, owner, 5, 690)

    def edit(request: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        if request["method"] != "getProgramAccounts":
            return reply
        return {**reply, "result": {**reply["result"], "value": lie(reply["result"]["value"])}}

    async with EditedEndpoint(bank, edit) as liar:
        alone = await read(owner, liar.url)
        both = await read(owner, liar.url, bank.url)
    assert alone.positions == ()
    [failed] = alone.protocol_failures
    assert reason in failed.reason
    assert [one.position_id for one in both.positions] == [ticket]


def test_only_the_main_network_has_it() -> None:
    devnet = replace(SOLANA, slug=Slug("solana-devnet"))
    assert marinade.sources(devnet, lambda _: None) == []
