"""Accounts of the token programs and the clock, from their bytes.

Sources: ``spl_token_interface::state`` (``Account`` 165 bytes, ``Mint`` 82 bytes), shared by
both token programs; ``solana_clock::Clock`` (40 bytes). What Token-2022 adds behind
them is in :mod:`balance_tracker.solana.extensions`.
"""

from dataclasses import dataclass
from typing import Literal

from balance_tracker.core.ids import Address
from balance_tracker.solana import extensions
from balance_tracker.solana.binary import Bytes, LayoutError
from balance_tracker.solana.extensions import (
    BASE_BYTES,
    AccountKind,
    Extension,
    InterestBearing,
    ScaledUiAmount,
)
from balance_tracker.solana.metadata import MintMetadata, decode_token_metadata

MINT_BYTES = 82
MULTISIG_BYTES = 355
"""A size that the programs keep for multisig accounts; no other account ever has it."""

_STATES: dict[int, Literal["initialized", "frozen"]] = {1: "initialized", 2: "frozen"}


@dataclass(frozen=True, slots=True)
class TokenAccountState:
    """A token account. ``native_reserve`` is the rent of a wrapped SOL account in lamports, else ``None``."""

    mint: Address
    owner: Address
    raw_amount: int
    delegate: Address | None
    state: Literal["initialized", "frozen"]
    native_reserve: int | None
    delegated_raw_amount: int
    close_authority: Address | None
    withheld_raw_amount: int = 0


@dataclass(frozen=True, slots=True)
class MintState:
    """A mint and those of its extensions that matter to a holder.

    Attributes:
        group_membership: The mint and the group that it says it is of (Token-2022).
    """

    decimals: int
    supply: int
    mint_authority: Address | None
    freeze_authority: Address | None
    interest_bearing: InterestBearing | None = None
    scaled_ui_amount: ScaledUiAmount | None = None
    permanent_delegate: Address | None = None
    metadata_address: Address | None = None
    metadata: MintMetadata | None = None
    group_membership: tuple[Address, Address] | None = None

    @property
    def looks_like_nft(self) -> bool:
        """Whether there is exactly one of it and it can't be divided."""
        return self.supply == 1 and self.decimals == 0


@dataclass(frozen=True, slots=True)
class ClockState:
    """The clock sysvar: the slot and its time, the epoch and the time when it began, in Unix seconds."""

    slot: int
    unix_timestamp: int
    epoch: int
    epoch_start_timestamp: int


def decode_token_account(data: bytes) -> TokenAccountState:
    """A token account of either program.

    Raises:
        LayoutError: The bytes are no initialised token account.
    """
    found = _extensions(data, BASE_BYTES, AccountKind.ACCOUNT)
    reader = Bytes(data, "token account")
    mint, owner, raw_amount = reader.address(), reader.address(), reader.u64()
    delegate = reader.optional_address()
    state = _STATES.get(number := reader.u8())
    if state is None:
        raise LayoutError(f"The token account's state is {number}, neither initialised nor frozen.")
    withheld = found.get(Extension.TRANSFER_FEE_AMOUNT)
    return TokenAccountState(
        mint=mint,
        owner=owner,
        raw_amount=raw_amount,
        delegate=delegate,
        state=state,
        native_reserve=reader.optional_u64(),
        delegated_raw_amount=reader.u64(),
        close_authority=reader.optional_address(),
        withheld_raw_amount=0 if withheld is None else extensions.withheld_raw_amount(withheld),
    )


def decode_mint(data: bytes) -> MintState:
    """A mint of either program, with its Token-2022 extensions.

    Raises:
        LayoutError: The bytes are no initialised mint.
    """
    found = _extensions(data, MINT_BYTES, AccountKind.MINT)
    reader = Bytes(data, "mint")
    mint_authority, supply, decimals = reader.optional_address(), reader.u64(), reader.u8()
    if not reader.flag():
        raise LayoutError("The mint is not initialised.")
    interest = found.get(Extension.INTEREST_BEARING)
    scaled = found.get(Extension.SCALED_UI_AMOUNT)
    delegate = found.get(Extension.PERMANENT_DELEGATE)
    pointer = found.get(Extension.METADATA_POINTER)
    metadata = found.get(Extension.TOKEN_METADATA)
    member = found.get(Extension.TOKEN_GROUP_MEMBER)
    return MintState(
        decimals=decimals,
        supply=supply,
        mint_authority=mint_authority,
        freeze_authority=reader.optional_address(),
        interest_bearing=None if interest is None else extensions.interest_bearing(interest),
        scaled_ui_amount=None if scaled is None else extensions.scaled_ui_amount(scaled),
        permanent_delegate=None if delegate is None else extensions.permanent_delegate(delegate),
        metadata_address=None if pointer is None else extensions.metadata_address(pointer),
        metadata=None if metadata is None else _metadata_or_none(metadata),
        group_membership=None if member is None else extensions.group_of(member),
    )


def decode_clock(data: bytes) -> ClockState:
    """The clock sysvar.

    Raises:
        LayoutError: It has not its 40 bytes.
    """
    if len(data) != 40:
        raise LayoutError(f"The clock has {len(data)} bytes, not 40.")
    reader = Bytes(data, "clock")
    slot, epoch_start, epoch = reader.u64(), reader.i64(), reader.u64()
    reader.take(8)
    return ClockState(slot, reader.i64(), epoch, epoch_start)


def _extensions(data: bytes, base_bytes: int, kind: AccountKind) -> dict[int, bytes]:
    if len(data) == base_bytes:
        return {}
    if len(data) <= BASE_BYTES or len(data) == MULTISIG_BYTES:
        raise LayoutError(f"No {kind.name.lower()} has {len(data)} bytes.")
    if any(data[base_bytes:BASE_BYTES]):
        raise LayoutError("The bytes between the mint and its extensions are not zero.")
    return extensions.decode_extensions(data, kind)


def _metadata_or_none(value: bytes) -> MintMetadata | None:
    """A name is decoration: one that can't be read does not spoil the mint's numbers."""
    try:
        return decode_token_metadata(value)
    except LayoutError:
        return None
