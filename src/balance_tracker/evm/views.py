"""What views of protocols gave, read without trusting them: the shape that was asked for, or a TourError.

Source: https://docs.soliditylang.org/en/latest/abi-spec.html
"""

from balance_tracker.core.portfolio import FailureCode
from balance_tracker.evm.abi import WORD
from balance_tracker.evm.outcomes import CallFailure, Outcome
from balance_tracker.evm.tours import TourError

WORD_LIMIT = 1 << 256
AMOUNT_LIMIT = 1 << 128
"""No honest amount reaches it: 18 decimals leave room for 3.4 * 10**20 whole units."""

_ADDRESS_LIMIT = 1 << 160


def words_of(outcome: Outcome, count: int, what: str) -> tuple[int, ...]:
    """Exactly ``count`` unsigned words; ``what`` was asked, for the message (``the vault's asset``).

    Raises:
        TourError: The call failed, or gave another length.
    """
    data = data_of(outcome, what)
    if len(data) != count * WORD:
        raise TourError("malformed", f"{what}: {len(data)} bytes came back, not {count * WORD}")
    return tuple(int.from_bytes(data[at : at + WORD]) for at in range(0, len(data), WORD))


def word_of(outcome: Outcome, what: str) -> int:
    """Exactly one unsigned word; raises as :func:`words_of`."""
    return words_of(outcome, 1, what)[0]


def amount_of(outcome: Outcome, what: str) -> int:
    """One word that can be an amount: under 2**128.

    Raises:
        TourError: It can't be, or the call failed.
    """
    return as_amount(word_of(outcome, what), what)


def as_amount(value: int, what: str) -> int:
    """The same for a word that is there already."""
    if value >= AMOUNT_LIMIT:
        raise TourError("malformed", f"{what}: {value} can't be an amount")
    return value


def address_of(outcome: Outcome, what: str) -> str:
    """One address in lower case, and not the zero address.

    Raises:
        TourError: It is none, or the call failed.
    """
    return as_address(word_of(outcome, what), what)


def as_address(value: int, what: str) -> str:
    """The same for a word that is there already."""
    if not 0 < value < _ADDRESS_LIMIT:
        raise TourError("malformed", f"{what}: not an address")
    return f"0x{value:040x}"


def list_of(outcome: Outcome, most: int, what: str, *, width: int = 1) -> list[tuple[int, ...]]:
    """The items of one list of static items, each of ``width`` words.

    More than ``most`` items are refused: what they would cost is not for the contract to say.

    Raises:
        TourError: The call failed, the list is longer, or it is not exactly one list.
    """
    data = data_of(outcome, what)
    if len(data) < 2 * WORD or int.from_bytes(data[:WORD]) != WORD:
        raise TourError("malformed", f"{what}: not a list")
    count = int.from_bytes(data[WORD : 2 * WORD])
    if count > most:
        raise TourError("too_many", f"{what}: {count} items, and {most} at most are read")
    if len(data) != (2 + count * width) * WORD:
        raise TourError("malformed", f"{what}: a list of {count} does not take {len(data)} bytes")
    values = [int.from_bytes(data[at : at + WORD]) for at in range(2 * WORD, len(data), WORD)]
    return [tuple(values[at : at + width]) for at in range(0, len(values), width)]


def addresses_of(outcome: Outcome, most: int, what: str) -> list[str]:
    """The addresses of one list, in lower case; raises as :func:`list_of`."""
    return [as_address(value, what) for (value,) in list_of(outcome, most, what)]


def uints_of(outcome: Outcome, most: int, what: str) -> list[int]:
    """The numbers of one list; raises as :func:`list_of`."""
    return [value for (value,) in list_of(outcome, most, what)]


def data_of(outcome: Outcome, what: str) -> bytes:
    """What a call gave.

    Raises:
        TourError: It failed; its code is the failure's.
    """
    if isinstance(outcome, CallFailure):
        raise TourError(outcome.code, f"{what}: {outcome.reason}")
    return outcome


def is_absent(outcome: Outcome) -> bool:
    """Whether there is no contract: then nobody has anything there, and that is no failure."""
    return isinstance(outcome, CallFailure) and outcome.code is FailureCode.NO_CONTRACT


def uint_word(value: int) -> str:
    """A number as the 64 hexadecimal digits of one argument."""
    return f"{value:064x}"
