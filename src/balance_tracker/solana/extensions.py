"""Token-2022 extensions: entries of type, length and value behind the base layout.

Source: ``spl_token_2022_interface::extension`` (``ExtensionType``, ``BaseStateWithExtensions``):
bytes 0 to 164 hold the base padded with zeros, byte 165 the kind of account, then
entries of u16 type, u16 length and value; type 0 ends them.
"""

from dataclasses import dataclass
from enum import IntEnum

from balance_tracker.core.ids import Address
from balance_tracker.solana.binary import Bytes, LayoutError

BASE_BYTES = 165
"""Length of a token account's base layout; mints are padded to it when they have extensions."""


class AccountKind(IntEnum):
    """The byte behind the base layout."""

    MINT = 1
    ACCOUNT = 2


class Extension(IntEnum):
    """The extensions that change what a balance means or is called."""

    TRANSFER_FEE_AMOUNT = 2
    INTEREST_BEARING = 10
    PERMANENT_DELEGATE = 12
    METADATA_POINTER = 18
    TOKEN_METADATA = 19
    TOKEN_GROUP_MEMBER = 23
    SCALED_UI_AMOUNT = 25


@dataclass(frozen=True, slots=True)
class InterestBearing:
    """Continuously compounded interest, for display only; times are in Unix seconds, rates are a year's."""

    initialized_at: int
    pre_update_average_rate_bps: int
    last_updated_at: int
    current_rate_bps: int


@dataclass(frozen=True, slots=True)
class ScaledUiAmount:
    """A factor for display only; the new one counts from its time on (Unix seconds).

    The factors are the doubles that the chain itself stores and computes with.
    """

    multiplier: float
    new_multiplier_effective_at: int
    new_multiplier: float


def decode_extensions(data: bytes, kind: AccountKind) -> dict[int, bytes]:
    """The values of an account's extensions by type, empty without any.

    Raises:
        LayoutError: The kind is another, an entry runs past the end or comes twice.
    """
    if data[BASE_BYTES] != kind:
        raise LayoutError(f"The account's kind is {data[BASE_BYTES]}, not {int(kind)}.")
    entries = Bytes(data[BASE_BYTES + 1 :], "list of extensions")
    found: dict[int, bytes] = {}
    while entries.left >= 2:
        number = entries.u16()
        if number == 0:
            break
        if number in found:
            raise LayoutError(f"The extension {number} comes twice.")
        found[number] = entries.take(entries.u16())
    return found


def interest_bearing(value: bytes) -> InterestBearing:
    """``InterestBearingConfig``: authority, i64, i16, i64, i16."""
    reader = _exactly(value, 52, "interest configuration")
    reader.address_or_zeros()
    return InterestBearing(reader.i64(), reader.i16(), reader.i64(), reader.i16())


def scaled_ui_amount(value: bytes) -> ScaledUiAmount:
    """``ScaledUiAmountConfig``: authority, f64, i64, f64."""
    reader = _exactly(value, 56, "scaled UI amount configuration")
    reader.address_or_zeros()
    return ScaledUiAmount(reader.f64(), reader.i64(), reader.f64())


def permanent_delegate(value: bytes) -> Address | None:
    """``PermanentDelegate``: who may move or burn every holder's tokens."""
    return _exactly(value, 32, "permanent delegate").address_or_zeros()


def metadata_address(value: bytes) -> Address | None:
    """``MetadataPointer``: the account that holds the metadata, often the mint itself."""
    reader = _exactly(value, 64, "metadata pointer")
    reader.address_or_zeros()
    return reader.address_or_zeros()


def group_of(value: bytes) -> tuple[Address, Address]:
    """``TokenGroupMember``: the mint and its group; the group's authority signed that it is of it."""
    reader = _exactly(value, 72, "group membership")
    return reader.address(), reader.address()


def withheld_raw_amount(value: bytes) -> int:
    """``TransferFeeAmount``: fees kept in an account, not its owner's to spend."""
    return _exactly(value, 8, "withheld fee").u64()


def _exactly(value: bytes, size: int, what: str) -> Bytes:
    if len(value) != size:
        raise LayoutError(f"The {what} has {len(value)} bytes, not {size}.")
    return Bytes(value, what)
