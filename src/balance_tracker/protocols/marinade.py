"""Marinade: mSOL as the SOL that stands behind it, and tickets of those who are on their way out.

Source: https://github.com/marinade-finance/liquid-staking-program (``state/mod.rs``: ``State``,
``msol_to_sol``, ``total_virtual_staked_lamports``; ``state/delayed_unstake_ticket.rs``;
``instructions/delayed_unstake/claim.rs``), its fields compared with the IDL at 347ca36 (``fuzz/marinade``);
addresses also in npm @marinade.finance/marinade-ts-sdk 6.0.0
Golden: tests/protocols/golden/marinade/
Known gaps: the program itself is not run, its accounts are laid out by its IDL. What mSOL is worth is told by
the state a moment after the balances were read (``slot`` tells which). Fees for leaving (0.2 % at most) are
not taken off. A ticket that is due may have to wait some hours until the reserve has been filled. Shares of
Marinade's liquidity pool (mSOL-SOL-LP) stay holdings. Endpoints without ``getProgramAccounts`` can't tell of
tickets, which are then declared failed beside the mSOL.

The value of mSOL is the program's own ``msol_to_sol``: a share of all that is staked, cools down or lies in
the reserve, less what is promised to tickets, rounded down.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from balance_tracker.core.assets import native_asset
from balance_tracker.core.errors import InputError, UpstreamError
from balance_tracker.core.ids import Address
from balance_tracker.core.networks import Network
from balance_tracker.core.portfolio import Reading
from balance_tracker.core.positions import Leg, Position, PositionKind, ProtocolFailure
from balance_tracker.protocols.spec import AssetOf, ProtocolSpec
from balance_tracker.solana.address import SolanaAddresses
from balance_tracker.solana.binary import Bytes, LayoutError
from balance_tracker.solana.layouts import ClockState
from balance_tracker.solana.replies import Fault, Item, account_of
from balance_tracker.solana.sources import Found, PositionSource, Told, failure_of
from balance_tracker.transport.jsonrpc import RpcCall

PROTOCOL = ProtocolSpec(slug="marinade", name="Marinade", family="solana", grade="silver")

PROGRAM = "MarBmsSgKXdrN1egZf5sqe1TMai9K1rChYNDJgjq7aD"
STATE = "8szGkuLTAux9XMgZ2vtY39jVSowEcpBfFfD8hXSEqdGC"
MSOL_MINT = Address("mSoLzYCxHdYgdzU16g5QSh3i5K3z3KZK7ytfqcJm7So")

STATE_DISCRIMINATOR = bytes.fromhex("d8926b5e684bb6b1")
TICKET_DISCRIMINATOR = bytes.fromhex("854d1262d301e703")
"""The first 8 bytes of SHA-256 of ``account:State`` and ``account:TicketAccountData``."""

LEAST_STATE_BYTES = 638
"""The fields that every version of ``State`` has; later versions put more behind them."""

TICKET_BYTES = 88
BENEFICIARY_AT = 40
"""Where a ticket says whose it is: behind the discriminator and the state that it is of."""

MOST_TICKETS = 1_000
WAIT_EPOCHS = 1
EXTRA_WAIT_SECONDS = 30 * 60
"""A ticket is due in the epoch after the one it is of, half an hour after that has begun."""

_TICKETS = "Delayed unstake"


@dataclass(frozen=True, slots=True)
class State:
    """What Marinade's state account tells of mSOL, in lamports and in smallest units of mSOL."""

    msol_mint: Address
    delayed_unstake_cooling_down: int
    total_active_balance: int
    available_reserve_balance: int
    msol_supply: int
    circulating_ticket_balance: int
    emergency_cooling_down: int
    paused: bool

    @property
    def virtual_staked(self) -> int:
        """All lamports behind the mSOL; 0 where slashing left less than the tickets are promised."""
        cooling_down = self.delayed_unstake_cooling_down + self.emergency_cooling_down
        total = self.total_active_balance + cooling_down + self.available_reserve_balance
        return max(total - self.circulating_ticket_balance, 0)

    def lamports_of(self, msol: int) -> int:
        """What an amount of mSOL is worth.

        Raises:
            LayoutError: There is less mSOL than that.
        """
        if msol > self.msol_supply:
            raise LayoutError("The wallet has more mSOL than Marinade says there is.")
        return msol * self.virtual_staked // self.msol_supply if msol else 0


@dataclass(frozen=True, slots=True)
class Ticket:
    """A claim to lamports from the epoch after ``created_epoch`` on; ``rent`` comes back with them."""

    address: Address
    rent: int
    lamports: int
    created_epoch: int

    def is_due(self, now: ClockState) -> bool:
        """Whether it may be claimed, as the program has it."""
        due = self.created_epoch + WAIT_EPOCHS
        if now.epoch == due:
            return now.unix_timestamp - now.epoch_start_timestamp >= EXTRA_WAIT_SECONDS
        return now.epoch > due


def sources(network: Network, asset_of: AssetOf) -> Sequence[PositionSource]:  # noqa: ARG001 (SOL is no token)
    """The one source of Marinade, on Solana's main network."""
    return [Marinade(network)] if network.slug == "solana" else []


class Marinade:
    """mSOL of an owner by Marinade's state, and their tickets; implements ``PositionSource``."""

    slug = PROTOCOL.slug
    accounts: Sequence[str] = (STATE,)

    def __init__(self, network: Network) -> None:
        self._network = network

    def calls(self, owner: Address, options: Mapping[str, Any]) -> Sequence[RpcCall]:
        """The listing of the owner's tickets."""
        filters = [
            {"dataSize": TICKET_BYTES},
            {"memcmp": {"offset": BENEFICIARY_AT, "bytes": owner, "encoding": "base58"}},
        ]
        asked = {**options, "withContext": True, "filters": filters}
        return [RpcCall("getProgramAccounts", [PROGRAM, asked])]

    def positions(self, told: Told) -> Found:
        """The mSOL and the tickets, either of which may fail alone."""
        positions: list[Position] = []
        failures: list[ProtocolFailure] = []
        try:
            positions += self._msol(told)
        except UpstreamError as error:
            failures.append(failure_of(PROTOCOL.slug, "mSOL", error))
        try:
            _, rows = told.listed(0)
            tickets, malformed = _tickets(rows, told.owner)
            positions += [self._ticket(ticket, told) for ticket in tickets]
            failures += malformed
        except UpstreamError as error:
            failures.append(failure_of(PROTOCOL.slug, _TICKETS, error))
        return Found(positions, failures)

    def _msol(self, told: Told) -> list[Position]:
        amount = _held(told.reading)
        if not amount:
            return []
        state = decode_state(told.accounts[STATE])
        leg = Leg(native_asset(self._network), state.lamports_of(amount), receipt=MSOL_MINT)
        details = [
            ("slot", str(told.slot)),
            ("msol_supply", str(state.msol_supply)),
            ("virtual_staked_lamports", str(state.virtual_staked)),
        ]
        if state.paused:
            details.append(("paused", "true"))
        return [
            Position(
                protocol=PROTOCOL.slug,
                network=self._network.slug,
                market="mSOL",
                position_id=MSOL_MINT,
                kind=PositionKind.STAKING,
                owner=told.owner,
                supplied=(leg,),
                details=tuple(details),
            )
        ]

    def _ticket(self, ticket: Ticket, told: Told) -> Position:
        due, sol = ticket.is_due(told.clock), native_asset(self._network)
        state = "claimable" if due else "waiting"
        legs = (Leg(sol, ticket.lamports, label=state), Leg(sol, ticket.rent, label="rent"))
        return Position(
            protocol=PROTOCOL.slug,
            network=self._network.slug,
            market=_TICKETS,
            position_id=ticket.address,
            kind=PositionKind.WITHDRAWAL,
            owner=told.owner,
            supplied=() if due else legs,
            claimable=legs if due else (),
            details=(
                ("state", state),
                ("created_epoch", str(ticket.created_epoch)),
                ("epoch", str(told.clock.epoch)),
            ),
        )


def decode_state(item: Item) -> State:
    """Marinade's state account.

    Raises:
        UpstreamError: The endpoint did not tell it.
        LayoutError: It is not there, or is not what Marinade's program writes.
    """
    if isinstance(item, Fault):
        raise UpstreamError(item.reason, code=str(item.code))
    if item is None or item.program != PROGRAM:
        raise LayoutError("Marinade's state is no account of its program.")
    if len(item.data) < LEAST_STATE_BYTES:
        raise LayoutError(f"Marinade's state has {len(item.data)} bytes, under {LEAST_STATE_BYTES}.")
    reader = Bytes(item.data, "state of Marinade")
    if reader.take(8) != STATE_DISCRIMINATOR:
        raise LayoutError("Marinade's state account holds something else.")
    msol_mint = reader.address()
    if msol_mint != MSOL_MINT:
        raise LayoutError(f"Marinade's state is of another token: {msol_mint}.")
    reader.take(110)  # three addresses, two bumps, rent, the fee on rewards
    reader.take(76)  # the list of stake accounts
    delayed_cooling_down = reader.u64()
    reader.take(30)  # how stake is moved
    reader.take(112)  # the list of validators, their manager, the sum of their scores
    active = reader.u64()
    reader.take(1)  # whether validators add themselves
    reader.take(111)  # the liquidity pool
    reserve, supply = reader.u64(), reader.u64()
    reader.take(16)  # the price for show, the number of tickets
    tickets = reader.u64()
    reader.take(32)  # lent, the least deposit and withdrawal, the cap
    emergency = reader.u64()
    reader.take(32)  # who may pause
    return State(
        msol_mint=msol_mint,
        delayed_unstake_cooling_down=delayed_cooling_down,
        total_active_balance=active,
        available_reserve_balance=reserve,
        msol_supply=supply,
        circulating_ticket_balance=tickets,
        emergency_cooling_down=emergency,
        paused=reader.flag(),
    )


def _held(reading: Reading) -> int:
    """The owner's mSOL, which was read with the balances.

    Raises:
        UpstreamError: It could not be read there.
    """
    for failure in reading.failures:
        if failure.asset.contract_address == MSOL_MINT:
            raise UpstreamError(f"The mSOL is not known: {failure.reason}", code=str(failure.code))
    amounts = [one.raw_amount for one in reading.balances if one.asset.contract_address == MSOL_MINT]
    return sum(amounts)


def _tickets(rows: Sequence[Any], owner: Address) -> tuple[list[Ticket], list[ProtocolFailure]]:
    """The tickets of a listing that are worth something, by address, and those that are malformed.

    Raises:
        UpstreamError: There are too many, or one is told twice or is not the owner's.
    """
    if len(rows) > MOST_TICKETS:
        raise UpstreamError(f"The wallet has {len(rows)} tickets, more than are read.", retryable=False)
    addressed = {_address(row): row for row in rows}
    if len(addressed) != len(rows):
        raise UpstreamError("The endpoint listed one ticket twice.", code="bad_response")
    tickets: list[Ticket] = []
    failures: list[ProtocolFailure] = []
    for address, row in sorted(addressed.items()):
        try:
            ticket = _decoded(address, row, owner)
        except LayoutError as error:
            failures.append(failure_of(PROTOCOL.slug, address, error))
            continue
        if ticket is not None:
            tickets.append(ticket)
    return tickets, failures


def _decoded(address: Address, row: Mapping[str, Any], owner: Address) -> Ticket | None:
    """A ticket; ``None`` for one that is used up, or of another state than the one that mSOL is of."""
    held = account_of(row.get("account"))
    if held is None or held.program != PROGRAM or len(held.data) != TICKET_BYTES:
        raise LayoutError(f"The account {address} is no ticket of Marinade.")
    reader = Bytes(held.data, "ticket")
    if reader.take(8) != TICKET_DISCRIMINATOR:
        raise LayoutError(f"The account {address} is no ticket of Marinade.")
    state, beneficiary = reader.address(), reader.address()
    if beneficiary != owner:
        raise UpstreamError("The endpoint listed a ticket of another wallet.", code="bad_response")
    ticket = Ticket(address, held.lamports, reader.u64(), reader.u64())
    return ticket if ticket.lamports and state == STATE else None


def _address(row: Any) -> Address:
    address = row.get("pubkey") if isinstance(row, dict) else None
    try:
        if isinstance(address, str):
            return SolanaAddresses().parse(address)
    except InputError as error:
        raise UpstreamError(
            "The endpoint listed a ticket at what is no address.", code="bad_response"
        ) from error
    raise UpstreamError("The endpoint's list of tickets has a strange entry.", code="bad_response")
