"""Multicall3: many calls in one ``eth_call``, packed and unpacked by slices.

Source: https://github.com/mds1/multicall (``aggregate3``, MIT).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from balance_tracker.evm.abi import WORD

AGGREGATE3 = "82ad56cb"
GET_BLOCK_NUMBER = "42cbb15c"
GET_BLOCK_TIMESTAMP = "0f28c97d"
GET_LAST_BLOCK_HASH = "27e86d6e"
GET_CHAIN_ID = "3408e470"
GET_ETH_BALANCE = "4d2301cc"

_TRUE = f"{1:064x}"
_DATA_AT = f"{0x60:064x}"


@dataclass(frozen=True, slots=True)
class Call:
    """One read: ``data`` to contract ``to``, both as hexadecimal digits (``to`` with ``0x``).

    ``native_of`` is set instead where the native balance of that address is asked.
    """

    to: str
    data: str
    native_of: str | None = None


class UndecodableError(ValueError):
    """Bytes that are not what ``aggregate3`` returns."""


def encode_aggregate3(calls: Sequence[tuple[str, str]]) -> str:
    """The call data (``0x…``) that asks all ``calls`` (address, data digits), each allowed to fail."""
    heads: list[str] = []
    tails: list[str] = []
    position = len(calls) * WORD
    for to, data in calls:
        size = len(data) // 2
        padded = (size + WORD - 1) // WORD * WORD
        heads.append(f"{position:064x}")
        tails.append(
            "0" * 24 + to[2:].lower() + _TRUE + _DATA_AT + f"{size:064x}" + data.ljust(2 * padded, "0")
        )
        position += 4 * WORD + padded
    return f"0x{AGGREGATE3}{WORD:064x}{len(calls):064x}{''.join(heads)}{''.join(tails)}"


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
