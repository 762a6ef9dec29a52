"""EVM addresses: 20 bytes in hexadecimal with the checksum of EIP-55.

Source: https://eips.ethereum.org/EIPS/eip-55
"""

import re
from functools import lru_cache

from eth_utils.address import to_checksum_address

from balance_tracker.core.errors import InputError
from balance_tracker.core.ids import Address

_HEX = re.compile(r"[0-9a-fA-F]*")
_DIGITS = 40


class EvmAddresses:
    """Reads EVM addresses in any case; a mixed case must be the right checksum."""

    family = "evm"

    def looks_like(self, text: str) -> bool:
        """Whether it begins with ``0x``, or is 40 hexadecimal digits without it."""
        return text[:2].lower() == "0x" or (len(text) == _DIGITS and _HEX.fullmatch(text) is not None)

    def parse(self, text: str) -> Address:
        """The address in EIP-55 form.

        Raises:
            InputError: ``invalid_address``, or ``invalid_checksum`` with the right one as its hint.
        """
        digits = text[2:] if text[:2].lower() == "0x" else text
        if len(digits) != _DIGITS or _HEX.fullmatch(digits) is None:
            raise InputError(
                f"{text[:80]!r} is not an EVM address.", code="invalid_address", hint=_why(digits)
            )
        right = _checksummed(digits.lower())
        if digits not in (digits.lower(), digits.upper(), right[2:]):
            raise InputError(
                f"{text!r} has a wrong checksum.",
                code="invalid_checksum",
                hint=f"If no digit is mistyped, the address is {right}.",
            )
        return Address(right)


@lru_cache(maxsize=16_384)
def _checksummed(digits: str) -> str:
    """Tokens are parsed for every read, and the hash costs more than the rest of it."""
    return to_checksum_address("0x" + digits)


def _why(digits: str) -> str:
    if _HEX.fullmatch(digits) is None:
        wrong = next(character for character in digits if not _HEX.fullmatch(character))
        return f"{wrong!r} is not a hexadecimal digit."
    return f"An EVM address has {_DIGITS} hexadecimal digits after '0x'; this one has {len(digits)}."
