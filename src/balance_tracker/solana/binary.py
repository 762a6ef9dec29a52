"""Little-endian bytes of Solana accounts, read strictly and never past their end."""

import struct

from solders.pubkey import Pubkey

from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.ids import Address

_ZEROS = bytes(32)


class LayoutError(UpstreamError):
    """An account's bytes are not what their program writes; asking again won't help."""

    code = "malformed"

    def __init__(self, message: str) -> None:
        super().__init__(message, retryable=False)


class Bytes:
    """A reader that moves through the bytes of one account; every method raises :class:`LayoutError`."""

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._what = what
        self._at = 0

    @property
    def left(self) -> int:
        """How many bytes are still to be read."""
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        if count > self.left:
            raise LayoutError(f"The {self._what} ends after {len(self._data)} bytes, too early.")
        start, self._at = self._at, self._at + count
        return self._data[start : self._at]

    def u8(self) -> int:
        """The next byte."""
        return self.take(1)[0]

    def u16(self) -> int:
        """The next 2 bytes as an integer."""
        return int.from_bytes(self.take(2), "little")

    def i16(self) -> int:
        """The next 2 bytes as a signed integer."""
        return int.from_bytes(self.take(2), "little", signed=True)

    def u32(self) -> int:
        """The next 4 bytes as an integer."""
        return int.from_bytes(self.take(4), "little")

    def u64(self) -> int:
        """The next 8 bytes as an integer."""
        return int.from_bytes(self.take(8), "little")

    def i64(self) -> int:
        """The next 8 bytes as a signed integer."""
        return int.from_bytes(self.take(8), "little", signed=True)

    def f64(self) -> float:
        """The next 8 bytes as the IEEE 754 double that the chain stores."""
        return float(struct.unpack("<d", self.take(8))[0])

    def flag(self) -> bool:
        """The next byte, which must be 0 or 1."""
        value = self.u8()
        if value > 1:
            raise LayoutError(f"A flag of the {self._what} is {value}, neither 0 nor 1.")
        return bool(value)

    def address(self) -> Address:
        """The next 32 bytes as an address."""
        return Address(str(Pubkey.from_bytes(self.take(32))))

    def address_or_zeros(self) -> Address | None:
        """The next 32 bytes as an address; zeros mean there is none (``OptionalNonZeroPubkey``)."""
        data = self.take(32)
        return None if data == _ZEROS else Address(str(Pubkey.from_bytes(data)))

    def optional_address(self) -> Address | None:
        """A 4-byte tag and 32 bytes (``COption<Pubkey>``)."""
        present = self._tag()
        address = self.address()
        return address if present else None

    def optional_u64(self) -> int | None:
        """A 4-byte tag and 8 bytes (``COption<u64>``)."""
        present = self._tag()
        value = self.u64()
        return value if present else None

    def text(self, longest_bytes: int) -> str:
        """A 4-byte length and that much UTF-8 (a Borsh string), without the NULs that pad it."""
        length = self.u32()
        if length > longest_bytes:
            raise LayoutError(f"A text of the {self._what} claims {length} bytes.")
        try:
            return self.take(length).decode().rstrip("\0")
        except UnicodeDecodeError as error:
            raise LayoutError(f"A text of the {self._what} is not UTF-8.") from error

    def _tag(self) -> bool:
        tag = self.u32()
        if tag > 1:
            raise LayoutError(f"An option of the {self._what} has the tag {tag}, neither 0 nor 1.")
        return bool(tag)
