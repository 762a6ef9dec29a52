"""Marinade's accounts by its published IDL: a second way to write and to read them.

Source: github.com/marinade-finance/liquid-staking-program at 347ca36, fuzz/marinade/idls/marinade.json. Borsh
writes the fields one behind the other, little-endian and without padding, as ``struct`` does with ``<``.
``python -m tests.protocols.marinade_state`` writes the golden case.
"""

import base64
import hashlib
import json
import struct
from pathlib import Path
from typing import Any

from solders.pubkey import Pubkey

GOLDEN = Path(__file__).parent / "golden" / "marinade" / "msol-and-tickets.json"

PROGRAM = Pubkey.from_string("MarBmsSgKXdrN1egZf5sqe1TMai9K1rChYNDJgjq7aD")
STATE = Pubkey.from_string("8szGkuLTAux9XMgZ2vtY39jVSowEcpBfFfD8hXSEqdGC")
MSOL = Pubkey.from_string("mSoLzYCxHdYgdzU16g5QSh3i5K3z3KZK7ytfqcJm7So")

_PUBKEY, _U8, _BOOL, _U32, _U64 = "32s", "B", "?", "I", "Q"
_LIST = {"account": _PUBKEY, "item_size": _U32, "count": _U32, "reserved1": _PUBKEY, "reserved2": _U32}
_STAKE_SYSTEM = {
    **{f"stake_list.{name}": kind for name, kind in _LIST.items()},
    "delayed_unstake_cooling_down": _U64,
    "stake_deposit_bump_seed": _U8,
    "stake_withdraw_bump_seed": _U8,
    "slots_for_stake_delta": _U64,
    "last_stake_delta_epoch": _U64,
    "min_stake": _U64,
    "extra_stake_delta_runs": _U32,
}
_VALIDATOR_SYSTEM = {
    **{f"validator_list.{name}": kind for name, kind in _LIST.items()},
    "manager_authority": _PUBKEY,
    "total_validator_score": _U32,
    "total_active_balance": _U64,
    "auto_add_validator_enabled": _U8,
}
_LIQ_POOL = {
    "lp_mint": _PUBKEY,
    "lp_mint_authority_bump_seed": _U8,
    "sol_leg_bump_seed": _U8,
    "msol_leg_authority_bump_seed": _U8,
    "msol_leg": _PUBKEY,
    "lp_liquidity_target": _U64,
    "lp_max_fee": _U32,
    "lp_min_fee": _U32,
    "treasury_cut": _U32,
    "lp_supply": _U64,
    "lent_from_sol_leg": _U64,
    "liquidity_sol_cap": _U64,
}
STATE_FIELDS = {
    "msol_mint": _PUBKEY,
    "admin_authority": _PUBKEY,
    "operational_sol_account": _PUBKEY,
    "treasury_msol_account": _PUBKEY,
    "reserve_bump_seed": _U8,
    "msol_mint_authority_bump_seed": _U8,
    "rent_exempt_for_token_acc": _U64,
    "reward_fee": _U32,
    **_STAKE_SYSTEM,
    **_VALIDATOR_SYSTEM,
    **_LIQ_POOL,
    "available_reserve_balance": _U64,
    "msol_supply": _U64,
    "msol_price": _U64,
    "circulating_ticket_count": _U64,
    "circulating_ticket_balance": _U64,
    "lent_from_reserve": _U64,
    "min_deposit": _U64,
    "min_withdraw": _U64,
    "staking_sol_cap": _U64,
    "emergency_cooling_down": _U64,
    "pause_authority": _PUBKEY,
    "paused": _BOOL,
    "delayed_unstake_fee": _U32,
    "withdraw_stake_account_fee": _U32,
    "withdraw_stake_account_enabled": _BOOL,
    "last_stake_move_epoch": _U64,
    "stake_moved": _U64,
    "max_stake_moved_per_epoch": _U32,
}
TICKET_FIELDS = {
    "state_address": _PUBKEY,
    "beneficiary": _PUBKEY,
    "lamports_amount": _U64,
    "created_epoch": _U64,
}

LATER_FIELDS = b"\x02" + struct.pack("<II", 0, 0)
"""What the newest program puts behind: an upgrade that is done, and two fees of nothing."""

USUAL: dict[str, Any] = {
    "msol_mint": bytes(MSOL),
    "delayed_unstake_cooling_down": 31_000_000_000_007,
    "total_active_balance": 9_871_234_567_890_123,
    "available_reserve_balance": 12_345_678_901_234,
    "msol_supply": 7_654_321_098_765_432,
    "msol_price": 5_563_000_000,
    "circulating_ticket_count": 41,
    "circulating_ticket_balance": 27_182_818_284_590,
    "emergency_cooling_down": 1_414_213_562_373,
}


def offset_of(name: str) -> int:
    """Where a field of the state is, by the fields before it."""
    names = list(STATE_FIELDS)
    before = names[: names.index(name)]
    return 8 + struct.calcsize("<" + "".join(STATE_FIELDS[one] for one in before))


def state_bytes(**changed: Any) -> bytes:
    """A state account in which every field that does not matter has a value of its own."""
    return _written("State", STATE_FIELDS, {**USUAL, **changed}) + LATER_FIELDS


def ticket_bytes(beneficiary: Pubkey, lamports: int, epoch: int, state: Pubkey = STATE) -> bytes:
    """A ticket account."""
    told = {"state_address": bytes(state), "beneficiary": bytes(beneficiary)}
    told |= {"lamports_amount": lamports, "created_epoch": epoch}
    return _written("TicketAccountData", TICKET_FIELDS, told)


def read_state(data: bytes) -> dict[str, Any]:
    """The fields of a state account by their names."""
    layout = "<" + "".join(STATE_FIELDS.values())
    return dict(zip(STATE_FIELDS, struct.unpack_from(layout, data, 8), strict=True))


def worth(data: bytes, msol: int) -> int:
    """Lamports of an amount of mSOL, by the program's formula written down once more."""
    told = read_state(data)
    controlled = (
        told["total_active_balance"]
        + told["delayed_unstake_cooling_down"]
        + told["emergency_cooling_down"]
        + told["available_reserve_balance"]
    )
    staked = max(controlled - told["circulating_ticket_balance"], 0)
    return int(msol * staked // told["msol_supply"])


def discriminator(name: str) -> bytes:
    """How Anchor marks the accounts of a kind."""
    return hashlib.sha256(f"account:{name}".encode()).digest()[:8]


def _written(name: str, fields: dict[str, str], told: dict[str, Any]) -> bytes:
    values = [told.get(field, _filler(kind, place)) for place, (field, kind) in enumerate(fields.items())]
    return discriminator(name) + struct.pack("<" + "".join(fields.values()), *values)


def _filler(kind: str, place: int) -> Any:
    return {_PUBKEY: bytes([place]) * 32, _BOOL: False}.get(kind, place)


def _golden() -> dict[str, Any]:
    owner = Pubkey(bytes(range(32)))
    state, msol = state_bytes(), 123_456_789_012
    tickets = {str(Pubkey(bytes([9]) * 32)): (5_000_000_001, 699), str(Pubkey(bytes([7]) * 32)): (42, 700)}
    return {
        "source": "laid out by the program's IDL; what it is worth by its msol_to_sol",
        "owner": str(owner),
        "clock": {"epoch": 700, "epoch_start_timestamp": 1_794_900_000, "unix_timestamp": 1_795_000_000},
        "msol": str(msol),
        "state": base64.b64encode(state).decode(),
        "tickets": {
            address: base64.b64encode(ticket_bytes(owner, *told)).decode()
            for address, told in tickets.items()
        },
        "expected": {
            "mSOL": {"lamports": str(worth(state, msol)), "receipt": str(MSOL)},
            **{
                address: {"lamports": str(lamports), "side": "claimable" if epoch < 700 else "supplied"}
                for address, (lamports, epoch) in tickets.items()
            },
        },
    }


if __name__ == "__main__":
    GOLDEN.parent.mkdir(parents=True, exist_ok=True)
    GOLDEN.write_text(json.dumps(_golden(), indent=2) + "\n")
