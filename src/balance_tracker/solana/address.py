"""Solana addresses: 32 bytes written in base58."""

from typing import NoReturn

from solders.pubkey import Pubkey

from balance_tracker.core.errors import InputError
from balance_tracker.core.ids import Address

SHORTEST_CHARACTERS = 32
LONGEST_CHARACTERS = 44
"""32 bytes take 32 characters (all zero bytes) to 44 in base58."""

_ALPHABET = frozenset("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")
_HEX = frozenset("0123456789abcdefABCDEF")


class SolanaAddresses:
    """How Solana writes addresses; one that lies off the curve (a program's) is an address too."""

    family = "solana"

    def looks_like(self, text: str) -> bool:
        """Whether the text is meant as a Solana address, right or wrong."""
        text = text.strip()
        in_length = SHORTEST_CHARACTERS <= len(text) <= LONGEST_CHARACTERS
        return in_length and text.isascii() and text.isalnum() and not text.lower().startswith("0x")

    def parse(self, text: str) -> Address:
        """The address in its one form.

        Raises:
            InputError: ``invalid_address``: not 32 bytes of base58; the hint says what is wrong.
        """
        text = text.strip()
        _refuse_lookalikes(text)
        try:
            return Address(str(Pubkey.from_string(text)))
        except ValueError:
            _refuse(
                f"A Solana address is 32 bytes; these {len(text)} characters decode to another length.",
                "Copy the whole address again: a character is missing, doubled or changed.",
            )


def _refuse_lookalikes(text: str) -> None:
    if not text:
        _refuse("The address is empty.", "Give a Solana address of 32 to 44 characters.")
    bare = text[2:] if text[:2].lower() == "0x" else text
    if len(bare) == 40 and set(bare) <= _HEX:
        _refuse("This is an EVM address, not one of Solana.", "Ask an EVM network, or give a base58 address.")
    foreign = sorted(set(text) - _ALPHABET)
    if foreign:
        shown = " ".join(repr(character) for character in foreign[:5])
        _refuse(
            f"A Solana address has no {shown} in it.",
            "Base58 uses letters and digits without 0, O, I and l; look for a mistyped character.",
        )
    if not SHORTEST_CHARACTERS <= len(text) <= LONGEST_CHARACTERS:
        _refuse(
            f"A Solana address has 32 to 44 characters, not {len(text)}.",
            "Copy the whole address, and only one.",
        )


def _refuse(message: str, hint: str) -> NoReturn:
    raise InputError(message, code="invalid_address", hint=hint)
