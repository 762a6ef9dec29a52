"""The scanner's two formats a second time, written from their description and not from the code."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from balance_tracker.core.portfolio import FailureCode

REVERTED, NO_CONTRACT, NO_DATA = FailureCode.REVERTED, FailureCode.NO_CONTRACT, FailureCode.NO_DATA
MALFORMED, ALONE = FailureCode.MALFORMED, FailureCode.OUT_OF_GAS

type Mark = tuple[FailureCode, bytes | int]
"""A failure: what a contract reverted with, how many bytes it returned, or 0."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, taken apart."""

    version: int
    work_gas: int
    call_gas: int
    room: int
    flags: int
    skip: int
    tokens: list[str]
    owners: list[str]
    calls: list[tuple[str, int, bytes]]


def parse_question(digits: str) -> Asked:
    """A question as the program sees it; what is left over is an error."""
    data = bytearray(bytes.fromhex(digits))

    def take(size: int) -> bytes:
        assert len(data) >= size, "the question is cut"
        taken = bytes(data[:size])
        del data[:size]
        return taken

    def number(size: int) -> int:
        return int.from_bytes(take(size))

    def address() -> str:
        return "0x" + take(20).hex()

    version, work_gas, call_gas, room, flags = (number(size) for size in (1, 4, 4, 3, 1))
    token_count, owner_count, skip, call_count = (number(2) for _ in range(4))
    tokens = [address() for _ in range(token_count)]
    owners = [address() for _ in range(owner_count)]
    calls = [(address(), number(1), take(number(2))) for _ in range(call_count)]
    assert not data, "the question is longer than it says"
    return Asked(version, work_gas, call_gas, room, flags, skip, tokens, owners, calls)


@dataclass
class Told:
    """An answer before it is bytes."""

    number: int = 7
    timestamp: int = 1_790_000_000
    chain_id: int = 1
    parent_hash: bytes = b"\xab" * 32
    arb_number: int = 0
    gas: int = 29_000_000
    gas_left: int = 28_000_000
    calls: Sequence[bytes | Mark] = ()
    cells: Sequence[int | Mark] = ()
    claimed: dict[str, int] = field(default_factory=dict)

    def encoded(self) -> bytes:
        """The bytes that the program returns for it."""
        numbers = {"version": 1, "calls": len(self.calls), "cells": len(self.cells), **self.claimed}
        head = bytes([numbers["version"]])
        head += b"".join(value.to_bytes(8) for value in (self.number, self.timestamp, self.chain_id))
        head += self.parent_hash
        head += b"".join(value.to_bytes(8) for value in (self.arb_number, self.gas, self.gas_left))
        head += numbers["calls"].to_bytes(2) + numbers["cells"].to_bytes(4)
        return head + self._calls() + self._cells()

    def _calls(self) -> bytes:
        told = b""
        for call in self.calls:
            told += b"\x01" + len(call).to_bytes(3) + call if isinstance(call, bytes) else _mark(call)
        return told

    def _cells(self) -> bytes:
        told, zeros = b"", 0
        for cell in [*self.cells, None]:
            if cell == 0:
                zeros += 1
            if zeros and (cell != 0 or zeros == 64):
                told += bytes([0x7F + zeros])
                zeros = 0
            if isinstance(cell, tuple):
                told += _mark(cell)
            elif cell:
                size = (cell.bit_length() + 7) // 8
                told += bytes([size]) + cell.to_bytes(size)
        return told


def _mark(mark: Mark) -> bytes:
    code, detail = mark
    if code is REVERTED:
        assert isinstance(detail, bytes)
        return b"\xc0" + bytes([len(detail)]) + detail
    if code is MALFORMED:
        assert isinstance(detail, int)
        return b"\xc3" + detail.to_bytes(4)
    return {NO_CONTRACT: b"\xc1", NO_DATA: b"\xc2", ALONE: b"\xc4"}[code]


def outcomes(values: Sequence[Any], failures: dict[int, Any]) -> list[Any]:
    """Values and codes in one list, for comparing."""
    return [failures[place].code if value is None else value for place, value in enumerate(values)]


def expected_of(cells: Sequence[int | Mark]) -> list[Any]:
    """The same of what a :class:`Told` tells."""
    return [cell[0] if isinstance(cell, tuple) else cell for cell in cells]
