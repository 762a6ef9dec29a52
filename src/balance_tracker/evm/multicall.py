"""Multicall3: many calls in one ``eth_call``, packed from templates and unpacked by slices.

Source: https://github.com/mds1/multicall (``aggregate3``, MIT).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from balance_tracker.evm.abi import BALANCE_OF, WORD

AGGREGATE3 = "82ad56cb"
GET_BLOCK_NUMBER = "42cbb15c"
GET_BLOCK_TIMESTAMP = "0f28c97d"
GET_LAST_BLOCK_HASH = "27e86d6e"
GET_CHAIN_ID = "3408e470"
GET_ETH_BALANCE = "4d2301cc"

BALANCE_DIGITS = 2 * (WORD + 6 * WORD)
"""What one balance takes of a request: its offset, and five words with padded data."""

_TRUE = f"{1:064x}"
_DATA_AT = f"{0x60:064x}"
_BALANCE_BYTES = 6 * WORD
_OWNER = "~" * 40
_GOOD_WORD = f"{1:064x}{2 * WORD:064x}{WORD:064x}"
"""What stands before the value of a call that succeeded and returned one word."""


@dataclass(frozen=True, slots=True)
class Call:
    """One read: ``data`` to contract ``to``, both as hexadecimal digits (``to`` with ``0x``).

    ``native_of`` is set instead where the native balance of that address is asked;
    ``gas_units`` of 65,536 gas are given to a call that needs more than a balance does. One that
    is not to be asked ``alone`` is given up where it takes too much beside others: it may be long or
    heavy by intent, and is of use only if it is neither.
    """

    to: str
    data: str
    native_of: str | None = None
    gas_units: int = 0
    alone: bool = True


class UndecodableError(ValueError):
    """Bytes that are not the answer that was asked for."""


def encode_aggregate3(calls: Sequence[tuple[str, str]]) -> str:
    """The call data (``0x…``) that asks all ``calls`` (address, data digits), each allowed to fail."""
    tails = [_tail(to, data) for to, data in calls]
    return _aggregate3(tails, "", 0)


def encode_balances(
    calls: Sequence[tuple[str, str]], targets: Sequence[tuple[str, str]], owners: Sequence[str], skip: int = 0
) -> str:
    """As :func:`encode_aggregate3`: some calls, then each owner's balance at each target.

    Args:
        calls: Address and data digits.
        targets: Address and the selector of a function that takes an owner.
        owners: Addresses with ``0x``.
        skip: Balances of the first owner to leave out.
    """
    tails = [_tail(to, data) for to, data in calls]
    units = [_tail(to, selector + "0" * 24 + _OWNER) for to, selector in targets]
    row = "".join(units)
    rows = [row.replace(_OWNER, owner[2:].lower()) for owner in owners]
    if skip:
        rows[0] = rows[0][skip * 2 * _BALANCE_BYTES :]
    return _aggregate3(tails, "".join(rows), len(owners) * len(targets) - skip)


def _tail(to: str, data: str) -> str:
    size = len(data) // 2
    padded = (size + WORD - 1) // WORD * WORD
    return "0" * 24 + to[2:].lower() + _TRUE + _DATA_AT + f"{size:064x}" + data.ljust(2 * padded, "0")


def _aggregate3(tails: Sequence[str], balances: str, count: int) -> str:
    total = len(tails) + count
    heads: list[str] = []
    position = total * WORD
    for tail in tails:
        heads.append(f"{position:064x}")
        position += len(tail) // 2
    heads.append(_offsets(position, _BALANCE_BYTES, count))
    return f"0x{AGGREGATE3}{WORD:064x}{total:064x}{''.join(heads)}{''.join(tails)}{balances}"


@lru_cache(maxsize=16)
def _offsets(first: int, step: int, count: int) -> str:
    return "".join([f"{at:064x}" for at in range(first, first + step * count, step)])


def decode_aggregate3(data: bytes, count: int) -> list[tuple[bool, bytes]]:
    """Whether each of ``count`` calls succeeded, and what it returned.

    Raises:
        UndecodableError: The data is cut, longer in count, or points outside itself.
    """
    start = 2 * WORD
    if len(data) < start or int.from_bytes(data[:WORD]) != WORD or int.from_bytes(data[WORD:start]) != count:
        raise UndecodableError("not a list of as many results as calls")
    results = []
    for index in range(count):
        at = start + int.from_bytes(data[start + index * WORD : start + (index + 1) * WORD])
        flag = int.from_bytes(data[at : at + WORD])
        size_at = at + int.from_bytes(data[at + WORD : at + 2 * WORD])
        begin = size_at + WORD
        size = int.from_bytes(data[size_at:begin])
        if flag > 1 or at + 2 * WORD > len(data) or begin + size > len(data):
            raise UndecodableError(f"result {index} is cut")
        results.append((flag == 1, data[begin : begin + size]))
    return results


def decode_words(digits: str, count: int, before: int) -> list[int] | None:
    """The last results of ``aggregate3``, if each of them succeeded and is one word.

    The fast way through a long answer: what it does not understand it leaves to
    :func:`decode_aggregate3`.

    Args:
        digits: The answer as hexadecimal digits.
        count: How many results are balances; they come last.
        before: How many results come before them.
    """
    total = before + count
    if count == 0 or digits[:128] != f"{WORD:064x}{total:064x}":
        return None
    first = 2 * int(digits[128 + 64 * before : 192 + 64 * before], 16) + 128
    if digits[128 + 64 * before : 128 + 64 * total] != _offsets((first - 128) // 2, 4 * WORD, count):
        return None
    end = first + 256 * count
    good = _GOOD_WORD
    if len(digits) != end or any(digits[at : at + 192] != good for at in range(first, end, 256)):
        return None
    return [int(digits[at : at + 64], 16) for at in range(first + 192, end, 256)]


def balance_target(token: str | None, multicall3: str) -> tuple[str, str]:
    """Where an owner's balance is asked: of a token, or of the native coin (``None``)."""
    return (multicall3, GET_ETH_BALANCE) if token is None else (token, BALANCE_OF)
