"""The few shapes of contract answers that balances need, read without trusting them.

Source: https://docs.soliditylang.org/en/latest/abi-spec.html
"""

from balance_tracker.core.text import clean_text

WORD = 32
SYMBOL_LIMIT = 64
NAME_LIMIT = 128
_ERROR_STRING = bytes.fromhex("08c379a0")
_PANIC = bytes.fromhex("4e487b71")

BALANCE_OF = "70a08231"
DECIMALS = "313ce567"
SYMBOL = "95d89b41"
NAME = "06fdde03"


def address_word(address: str) -> str:
    """An address as the 64 hexadecimal digits of one argument."""
    return "0" * 24 + address[2:].lower()


def read_uint(data: bytes) -> int | None:
    """One unsigned word, or ``None`` if the data is not exactly that."""
    return int.from_bytes(data) if len(data) == WORD else None


def read_decimals(data: bytes) -> int | None:
    """What ``decimals()`` returned, or ``None`` if it is no number from 0 to 255."""
    value = read_uint(data)
    return value if value is not None and value <= 255 else None


def read_text(data: bytes, limit: int) -> str | None:
    """What ``symbol()`` or ``name()`` returned: a string, or a bytes32 of older tokens.

    Control characters are taken out and the length is bounded; ``None`` if nothing is left.
    """
    raw = text_bytes(data)
    if raw is None and len(data) == WORD:
        raw = data.rstrip(b"\0")
    if not raw:
        return None
    text = clean_text(raw.decode("utf-8", errors="replace"), limit)
    return text if text.strip("\ufffd …") else None


def read_address(data: bytes) -> str | None:
    """One address in lower case, or ``None`` if the data is no address or the zero address."""
    value = read_uint(data)
    if value is None or not 0 < value < 1 << 160:
        return None
    return f"0x{value:040x}"


def revert_reason(data: bytes) -> str:
    """Why a contract says it reverted, in words.

    >>> revert_reason(b"")
    'without a reason'
    """
    if data[:4] == _ERROR_STRING:
        raw = text_bytes(data[4:])
        if raw is not None:
            return "the contract says: " + clean_text(raw.decode("utf-8", errors="replace"), 200)
    if data[:4] == _PANIC and len(data) == 4 + WORD:
        return f"panic 0x{int.from_bytes(data[4:]):02x}"
    if data:
        return f"with error 0x{data[:4].hex()}"
    return "without a reason"


def text_bytes(data: bytes) -> bytes | None:
    """The bytes of an ABI string whose offset and length stay inside the data."""
    if len(data) < 2 * WORD:
        return None
    offset = int.from_bytes(data[:WORD])
    if offset + WORD > len(data):
        return None
    length = int.from_bytes(data[offset : offset + WORD])
    start = offset + WORD
    if length > len(data) - start:
        return None
    return data[start : start + length]
