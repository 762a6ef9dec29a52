"""Native stake: SOL in stake accounts that a wallet may withdraw from.

Source: https://solana.com/docs/references/staking/stake-accounts (staker, withdrawer, lock-up, states),
https://docs.rs/solana-stake-interface (``StakeStateV2``: ``Meta``, ``Delegation``; 200 bytes),
https://solana.com/docs/rpc/http/getprogramaccounts
Golden: tests/protocols/test_native_stake.py
Known gaps: the label tells the state by epochs, as if all stake of the network that starts or stops in one
epoch did so at its end. That is exact unless more than the 9 % that may move in one epoch wants to: then a
rest of the stake warms up or cools down longer than its label says. Amounts are exact in any case. The
clock is told by its own call of the same request: at the border of two epochs a label may be one epoch late.
Endpoints without ``getProgramAccounts`` can't tell; then the protocol is declared failed. A single account
that is malformed is declared by its address, beside the good ones.

A position is a stake account of whose lamports the wallet is the withdrawer; who may only delegate it (the
staker) does not own it. All lamports of an account are in its legs: the delegated ones with the state of
the delegation, all others (the rent-exempt reserve, tips, what was sent there) as ``inactive``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from balance_tracker.core.assets import native_asset
from balance_tracker.core.errors import InputError, UpstreamError
from balance_tracker.core.ids import Address
from balance_tracker.core.networks import Network
from balance_tracker.core.positions import Leg, Position, PositionKind, ProtocolFailure
from balance_tracker.protocols.spec import AssetOf, ProtocolSpec
from balance_tracker.solana.address import SolanaAddresses
from balance_tracker.solana.binary import Bytes, LayoutError
from balance_tracker.solana.layouts import ClockState
from balance_tracker.solana.replies import account_of
from balance_tracker.solana.sources import Found, PositionSource, Told, failure_of
from balance_tracker.transport.jsonrpc import RpcCall

PROTOCOL = ProtocolSpec(slug="native_stake", name="Native stake", family="solana", grade="bronze")

STAKE_PROGRAM = "Stake11111111111111111111111111111111111111"
STAKE_ACCOUNT_BYTES = 200
WITHDRAWER_AT = 44
"""Where the withdrawer is written in a stake account: behind a tag, the reserve and the staker."""

MOST_ACCOUNTS = 1_000
"""Stake accounts of one wallet: with more of them the protocol is declared failed rather than cut."""

NEVER = 2**64 - 1
"""The epoch of what has not happened: not deactivated; or, of the first validators, always active."""

_UNINITIALIZED, _INITIALIZED, _DELEGATED, _REWARDS_POOL = range(4)
_NOBODYS = (_UNINITIALIZED, _REWARDS_POOL)


class _TooManyAccountsError(UpstreamError):
    """The wallet has more stake accounts than are read."""


@dataclass(frozen=True, slots=True)
class Lockup:
    """Until when only the custodian can let lamports go: a time in Unix seconds, an epoch, or both."""

    unix_timestamp: int
    epoch: int
    custodian: Address


@dataclass(frozen=True, slots=True)
class Delegation:
    """What is delegated to a validator's vote account, in lamports, and from and until which epoch."""

    voter: Address
    lamports: int
    activation_epoch: int
    deactivation_epoch: int


@dataclass(frozen=True, slots=True)
class StakeAccount:
    """A stake account as its bytes have it; without a delegation it is only initialised."""

    rent_exempt_reserve: int
    staker: Address
    withdrawer: Address
    lockup: Lockup
    delegation: Delegation | None


@dataclass(frozen=True, slots=True)
class _Stake:
    """A stake account where it is, with all of its lamports."""

    address: Address
    lamports: int
    account: StakeAccount


def sources(network: Network, asset_of: AssetOf) -> Sequence[PositionSource]:  # noqa: ARG001 (SOL is no token)
    """The one source of native stake; every Solana network has the Stake program."""
    return [NativeStake(network)]


class NativeStake:
    """Stake accounts of an owner, asked of the Stake program; implements ``PositionSource``."""

    slug = PROTOCOL.slug
    accounts: Sequence[str] = ()

    def __init__(self, network: Network) -> None:
        self._network = network

    def calls(self, owner: Address, options: Mapping[str, Any]) -> Sequence[RpcCall]:
        """The listing of the accounts that the owner may withdraw from."""
        filters = [
            {"dataSize": STAKE_ACCOUNT_BYTES},
            {"memcmp": {"offset": WITHDRAWER_AT, "bytes": owner, "encoding": "base58"}},
        ]
        listing = {**options, "withContext": True, "filters": filters}
        return [RpcCall("getProgramAccounts", [STAKE_PROGRAM, listing])]

    def positions(self, told: Told) -> Found:
        """One position for each account; one that makes no sense is told as failed beside the others.

        Raises:
            UpstreamError: The endpoint did not list them, or lists what it was not asked for.
        """
        slot, rows = told.listed(0)
        stakes, failures = _stakes(rows, told.owner)
        return Found([self._position(one, told.clock, slot) for one in stakes], failures)

    def _position(self, found: _Stake, now: ClockState, slot: int) -> Position:
        return Position(
            protocol=PROTOCOL.slug,
            network=self._network.slug,
            market=PROTOCOL.name,
            position_id=found.address,
            kind=PositionKind.STAKING,
            owner=found.account.withdrawer,
            supplied=self._legs(found, state_of(found.account.delegation, now.epoch)),
            details=_details(found.account, now, slot),
        )

    def _legs(self, found: _Stake, state: str) -> tuple[Leg, ...]:
        sol, delegation = native_asset(self._network), found.account.delegation
        if delegation is None or state == "inactive":
            return (Leg(sol, found.lamports, label="inactive"),)
        staked = Leg(sol, delegation.lamports, label=state)
        rest = found.lamports - delegation.lamports
        return (staked, Leg(sol, rest, label="inactive")) if rest else (staked,)


def state_of(delegation: Delegation | None, epoch: int) -> str:
    """``activating``, ``active``, ``deactivating`` or ``inactive``, by the epochs alone.

    Stake works from the epoch after the one in which it was delegated, and to the end of the one in
    which it was deactivated; deactivated in the epoch of its delegation, it never worked.
    """
    if delegation is None:
        return "inactive"
    started, ended = delegation.activation_epoch, delegation.deactivation_epoch
    if started == ended and started != NEVER:
        return "inactive"
    if started != NEVER and epoch <= started:
        return "activating"
    if epoch < ended:
        return "active"
    return "deactivating" if epoch == ended else "inactive"


def decode_stake_account(data: bytes) -> StakeAccount | None:
    """A stake account; ``None`` for one that is nobody's: not initialised, or a pool of old rewards.

    Raises:
        LayoutError: The bytes are not what the Stake program writes.
    """
    if len(data) != STAKE_ACCOUNT_BYTES:
        raise LayoutError(f"The stake account has {len(data)} bytes, not {STAKE_ACCOUNT_BYTES}.")
    reader = Bytes(data, "stake account")
    tag = reader.u32()
    if tag in _NOBODYS:
        return None
    if tag not in (_INITIALIZED, _DELEGATED):
        raise LayoutError(f"The stake account is of the kind {tag}, which there is not.")
    return StakeAccount(
        rent_exempt_reserve=reader.u64(),
        staker=reader.address(),
        withdrawer=reader.address(),
        lockup=Lockup(reader.i64(), reader.u64(), reader.address()),
        delegation=_delegation(reader) if tag == _DELEGATED else None,
    )


def _delegation(reader: Bytes) -> Delegation:
    return Delegation(reader.address(), reader.u64(), reader.u64(), reader.u64())


def _stakes(rows: Sequence[Any], owner: Address) -> tuple[list[_Stake], list[ProtocolFailure]]:
    """The stake accounts of a listing, by address, and those that are malformed.

    Raises:
        UpstreamError: There are too many, or one is told twice, or is not the owner's.
    """
    if len(rows) > MOST_ACCOUNTS:
        raise _TooManyAccountsError(
            f"The wallet has {len(rows)} stake accounts, more than the {MOST_ACCOUNTS} that are read.",
            retryable=False,
        )
    addressed = {_address(row): row for row in rows}
    if len(addressed) != len(rows):
        raise UpstreamError("The endpoint listed one stake account twice.", code="bad_response")
    stakes: list[_Stake] = []
    failures: list[ProtocolFailure] = []
    for address, row in sorted(addressed.items()):
        try:
            stake = _stake(address, row)
        except LayoutError as error:
            failures.append(failure_of(PROTOCOL.slug, address, error))
            continue
        if stake is not None:
            stakes.append(stake)
    if any(stake.account.withdrawer != owner for stake in stakes):
        raise UpstreamError("The endpoint listed stake of another wallet.", code="bad_response")
    return stakes, failures


def _stake(address: Address, row: Mapping[str, Any]) -> _Stake | None:
    held = account_of(row.get("account"))
    if held is None or held.program != STAKE_PROGRAM:
        raise LayoutError(f"The account {address} is not one of the Stake program.")
    account = decode_stake_account(held.data)
    if account is None:
        return None
    if account.delegation is not None and account.delegation.lamports > held.lamports:
        raise LayoutError(f"The stake account {address} has delegated more lamports than it holds.")
    return _Stake(address, held.lamports, account)


def _address(row: Any) -> Address:
    address = row.get("pubkey") if isinstance(row, dict) else None
    try:
        if isinstance(address, str):
            return SolanaAddresses().parse(address)
    except InputError as error:
        raise UpstreamError(
            "The endpoint listed stake at what is no address.", code="bad_response"
        ) from error
    raise UpstreamError("The endpoint's list of stake accounts has a strange entry.", code="bad_response")


def _details(account: StakeAccount, now: ClockState, slot: int) -> tuple[tuple[str, str], ...]:
    details = [
        ("state", state_of(account.delegation, now.epoch)),
        ("slot", str(slot)),
        ("epoch", str(now.epoch)),
        ("staker", account.staker),
        ("rent_exempt_reserve_lamports", str(account.rent_exempt_reserve)),
    ]
    if account.delegation is not None:
        details += _delegation_details(account.delegation)
    return (*details, *_lockup_details(account.lockup, now))


def _delegation_details(delegation: Delegation) -> list[tuple[str, str]]:
    epochs = [
        ("activation_epoch", delegation.activation_epoch),
        ("deactivation_epoch", delegation.deactivation_epoch),
    ]
    told = [(name, str(epoch)) for name, epoch in epochs if epoch != NEVER]
    return [("voter", delegation.voter), *told]


def _lockup_details(lockup: Lockup, now: ClockState) -> list[tuple[str, str]]:
    """Nothing where no lock-up is in force."""
    if lockup.unix_timestamp <= now.unix_timestamp and lockup.epoch <= now.epoch:
        return []
    return [
        ("locked_until_unix_timestamp", str(lockup.unix_timestamp)),
        ("locked_until_epoch", str(lockup.epoch)),
        ("lockup_custodian", lockup.custodian),
    ]
