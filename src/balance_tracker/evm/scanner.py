"""Questions to the scanner, our program that reads a matrix of balances on the chain itself.

Its source is ``scanner.yul``. Tokens and wallets go up once each, the answer comes back
sparse: zeros as runs, values without their leading zeros, each failure as its kind.

A question, all numbers big-endian::

    1 version (1)                   4 gas to spend at most, 0: all     4 gas for one call
    3 bytes of answer at most       1 flags (1: ask ArbSys, 2: native) 2 tokens T   2 wallets W
    2 cells of the first wallet to leave out                           2 other calls C
    20 x T tokens, 20 x W wallets, then C times: 20 contract, 1 gas in units of 65,536
    (0: as one call), 2 length of the data, the data

An answer::

    1 version (1)   8 block number   8 time   8 chain id   32 hash of the parent block
    8 number by ArbSys   8 gas at the start   8 gas left   2 calls done   4 cells done
    then what each call gave, then the cells, wallet by wallet (native coin first)

    00-20      a value of so many bytes, which follow (calls: 01, 3 length, the data)
    80-bf      1 to 64 zeros in a row
    c0         reverted: 1 length, the data     c1  no contract     c2  returned nothing
    c3         returned another length: 4       c4  took all its gas, or too long: ask alone

It ends before its gas or its room do, so that fewer cells may come back than were asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from balance_tracker.core.portfolio import FailureCode
from balance_tracker.evm.abi import revert_reason
from balance_tracker.evm.multicall import Call, UndecodableError
from balance_tracker.evm.outcomes import ASK_ALONE, NO_CONTRACT, NO_DATA, CallFailure, wrong_length
from balance_tracker.evm.scanner_code import PROGRAM
from balance_tracker.transport.jsonrpc import RpcCall

type ScannerForm = Literal["override", "deployless"]

CELL_GAS = 500_000
"""What one balance may cost; a token that needs more is asked alone."""

DEPLOYLESS_ROOM = 24_576
"""EIP-170: what init code returns is the code of a contract, and no longer than this."""

DEPLOYLESS_QUESTION = 49_152 - len(PROGRAM) // 2
"""EIP-3860: the longest init code, less the program."""

OVERRIDE_ROOM = 2_000_000
HEAD_BYTES = 21
MOST_ROWS = 0xFFFF
CALL_BYTES = 23

PLACE = "0x00000000000000000000000000000ba1a9ce5ca9"
"""Where a state override puts the program; nobody has the key of it."""

_ANSWER_HEAD = 87
_VERSION = 1
_FLAG_ARBSYS, _FLAG_NATIVE = 1, 2
_ZERO_RUNS = {tag: [0] * (tag - 0x7F) for tag in range(0x80, 0xC0)}


@dataclass(frozen=True, slots=True)
class Scan:
    """What one question gave.

    Attributes:
        arb_number: The block's number by ArbSys, 0 where it was not asked or there is none.
        gas: What the endpoint gave the call at its start, after the node's own costs.
        gas_used: What of it the program used.
        calls: Data or failure of the first calls; those that were not reached are left out.
        cells: Values of the first cells, ``None`` where ``failures`` says why there is none.
    """

    number: int
    timestamp: int
    chain_id: int
    parent_hash: str
    arb_number: int
    gas: int
    gas_used: int
    calls: list[bytes | CallFailure]
    cells: list[int | None]
    failures: dict[int, CallFailure]


def encode_question(
    tokens: Sequence[str],
    owners: Sequence[str],
    calls: Sequence[Call],
    *,
    native: bool,
    skip: int,
    arbsys: bool,
    work_gas: int,
    room: int,
) -> str:
    """A question as hexadecimal digits; addresses come as ``0x…``, in any case."""
    flags = _FLAG_ARBSYS * arbsys | _FLAG_NATIVE * native
    head = (
        f"{_VERSION:02x}{work_gas:08x}{CELL_GAS:08x}{room:06x}{flags:02x}"
        f"{len(tokens):04x}{len(owners):04x}{skip:04x}{len(calls):04x}"
    )
    parts = [head, _digits(tuple(tokens)), *[owner[2:] for owner in owners]]
    parts += [f"{call.to[2:]}{call.gas_units:02x}{len(call.data) // 2:04x}{call.data}" for call in calls]
    return "".join(parts)


@lru_cache(maxsize=16)
def _digits(addresses: tuple[str, ...]) -> str:
    """A list of tokens as it goes into a question; it is the same one read after read."""
    return "".join([address[2:] for address in addresses])


def scan_call(form: ScannerForm, question: str, tag: str) -> RpcCall:
    """The ``eth_call`` that runs the program on a question, in one of its two forms."""
    if form == "deployless":
        return RpcCall("eth_call", [{"data": f"0x{PROGRAM}{question}"}, tag])
    override = {PLACE: {"code": f"0x{PROGRAM}"}}
    return RpcCall("eth_call", [{"to": PLACE, "data": f"0x{question}"}, tag, override])


def decode_answer(data: bytes, cells: int, calls: int) -> Scan:
    """What the program found of ``cells`` cells and ``calls`` calls, or of the first of them.

    Raises:
        UndecodableError: It is not the program's answer, or was cut.
    """
    if len(data) < _ANSWER_HEAD or data[0] != _VERSION:
        raise UndecodableError("not an answer of the scanner")
    number, timestamp, chain_id = (int.from_bytes(data[at : at + 8]) for at in (1, 9, 17))
    arb_number, gas, gas_left = (int.from_bytes(data[at : at + 8]) for at in (57, 65, 73))
    calls_done, cells_done = int.from_bytes(data[81:83]), int.from_bytes(data[83:87])
    if calls_done > calls or cells_done > cells or (cells_done and calls_done < calls):
        raise UndecodableError("more than was asked")
    if gas_left > gas:
        raise UndecodableError("at odds with itself")
    try:
        given, at = _read_calls(data, calls_done)
        values, failures = _read_cells(data, at, cells_done)
    except IndexError:
        raise UndecodableError("cut") from None
    if len(values) != cells_done:
        raise UndecodableError("not as long as it says")
    parent_hash = "0x" + data[25:57].hex()
    return Scan(
        number, timestamp, chain_id, parent_hash, arb_number, gas, gas - gas_left, given, values, failures
    )


def _read_calls(data: bytes, count: int) -> tuple[list[bytes | CallFailure], int]:
    given: list[bytes | CallFailure] = []
    at = _ANSWER_HEAD
    for _ in range(count):
        if data[at] == 1:
            start = at + 4
            at = start + int.from_bytes(data[at + 1 : start])
            if at == start:
                raise UndecodableError("empty where it says that it is not")
            given.append(data[start:at])
        else:
            failure, at = _read_mark(data, at)
            given.append(failure)
    if at > len(data):
        raise UndecodableError("cut")
    return given, at


def _read_cells(data: bytes, at: int, count: int) -> tuple[list[int | None], dict[int, CallFailure]]:
    """The hot loop: one turn per value and per run of zeros."""
    values: list[int | None] = []
    failures: dict[int, CallFailure] = {}
    append, from_bytes, zeros = values.append, int.from_bytes, _ZERO_RUNS
    end = len(data)
    while at < end:
        tag = data[at]
        if 0 < tag <= 32:
            start = at + 1
            at = start + tag
            append(from_bytes(data[start:at]))
        elif tag in zeros:
            values += zeros[tag]
            at += 1
            if len(values) > count:  # a run is one byte: nobody fills our memory with them
                break
        else:
            failures[len(values)], at = _read_mark(data, at)
            append(None)
    if at != end:
        raise UndecodableError("cut")
    return values, failures


def _read_mark(data: bytes, at: int) -> tuple[CallFailure, int]:
    match data[at]:
        case 0xC0:
            end = at + 2 + data[at + 1]
            return CallFailure(FailureCode.REVERTED, revert_reason(data[at + 2 : end])), end
        case 0xC1:
            return NO_CONTRACT, at + 1
        case 0xC2:
            return NO_DATA, at + 1
        case 0xC3:
            size = int.from_bytes(data[at + 1 : at + 5])
            return wrong_length(size), at + 5
        case 0xC4:
            return ASK_ALONE, at + 1
    raise UndecodableError(f"mark {data[at]:#04x} is unknown")
