"""What the wallets of the benchmarks hold: every number is a formula, so that anyone can check it.

Treasury-like: every tenth wallet holds 9 tokens in 10, the others 45 in 100, so that about half of
all balances are zero. Amounts are of token size: mostly 10^15 to 10^20 smallest units, spread evenly
over powers of ten, for tokens of 18 decimals, and about 10^9 at most for every eighth, which has 6. The
same formula is in ``contenders/viem.mjs``.
"""

from collections.abc import Sequence
from hashlib import sha256

CHAIN_ID = 1
TOKEN_COUNT = 60
WALLET_COUNT = 2_000
MANY_WALLETS = 10_000
COLUMNS = 1 + TOKEN_COUNT
"""The native coin, then every token."""

NATIVE = 0
_PRIME = 1_000_003


def raw_amount(wallet: int, column: int) -> int:
    """What wallet number ``wallet`` holds in a column, in smallest units."""
    mixed = (wallet * 7_919 + column * 104_729 + wallet * column * 31 + 12_345) % _PRIME
    mixed = mixed * mixed % _PRIME
    held_percent = 90 if wallet % 10 == 0 else 45
    if mixed % 100 >= held_percent:
        return 0
    if column % 8 == 7:
        return (mixed + 1) * 1_000 + 7
    scale: int = 10 ** (10 + mixed % 5)
    return (mixed + 1) * scale + mixed


def wallet_address(number: int) -> str:
    """Wallet ``number``, in small letters."""
    return _address(f"wallet {number}")


def token_address(number: int) -> str:
    """Token ``number``, in small letters."""
    return _address(f"token {number}")


def wallet_addresses(count: int) -> list[str]:
    """The first wallets."""
    return [wallet_address(number) for number in range(count)]


def token_addresses(count: int = TOKEN_COUNT) -> list[str]:
    """The first tokens."""
    return [token_address(number) for number in range(count)]


def wrong_cells(rows: Sequence[Sequence[int | None]], wallets: int, tokens: int) -> int:
    """How many cells of a matrix are missing or not what the chain holds."""
    wrong = abs(len(rows) - wallets) * (1 + tokens)
    for wallet, row in enumerate(rows[:wallets]):
        wrong += abs(len(row) - 1 - tokens)
        wrong += sum(value != raw_amount(wallet, column) for column, value in enumerate(row[: 1 + tokens]))
    return wrong


def _address(text: str) -> str:
    return "0x" + sha256(text.encode()).hexdigest()[:40]
