"""The scanner's question and answer as bytes, and that its code is made of its source."""

import subprocess
import sys
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.evm.scan_model import (
    ALONE,
    MALFORMED,
    NO_CONTRACT,
    NO_DATA,
    REVERTED,
    Told,
    expected_of,
    outcomes,
    parse_question,
)
from tests.house.tree import ROOT
from tests.nodes.solidity import compile_scanner

from balance_tracker.evm import scanner
from balance_tracker.evm.abi import revert_reason
from balance_tracker.evm.multicall import Call, UndecodableError
from balance_tracker.evm.outcomes import CallFailure
from balance_tracker.evm.scanner_code import PROGRAM

PUSH0, PUSH1, PUSH32 = 0x5F, 0x60, 0x7F

ADDRESSES = st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())
MARKS = st.one_of(
    st.tuples(st.just(REVERTED), st.binary(max_size=255)),
    st.tuples(st.just(MALFORMED), st.integers(1, 2**32 - 1)),
    st.sampled_from([(NO_CONTRACT, 0), (NO_DATA, 0), (ALONE, 0)]),
)
VALUES = st.one_of(st.just(0), st.integers(0, 255), st.integers(0, 2**256 - 1))
CELLS = st.lists(
    st.one_of(
        VALUES.map(lambda value: [value]),
        MARKS.map(lambda mark: [mark]),
        st.integers(1, 140).map(lambda n: [0] * n),
    ),
    max_size=12,
).map(lambda groups: [cell for group in groups for cell in group])
CALLS = st.lists(st.one_of(st.binary(min_size=1, max_size=300), MARKS), max_size=6)


# The code.


def opcodes(code: bytes) -> list[int]:
    """Its instructions, without the data that some push."""
    found, at = [], 0
    while at < len(code):
        found.append(code[at])
        at += code[at] - PUSH1 + 2 if PUSH1 <= code[at] <= PUSH32 else 1
    return found


def test_the_code_is_small_and_runs_where_push0_is_unknown() -> None:
    code = bytes.fromhex(PROGRAM)
    assert len(code) < 2_000
    assert PUSH0 not in opcodes(code)


@pytest.mark.integration
def test_the_code_is_what_its_source_compiles_to() -> None:
    source = ROOT / "src" / "balance_tracker" / "evm" / "scanner.yul"
    assert compile_scanner(source.read_text(encoding="ascii")) == PROGRAM


@pytest.mark.integration
def test_the_tool_agrees() -> None:
    command = [sys.executable, "-m", "tools.scanner", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


# The question.


@given(
    st.lists(ADDRESSES, max_size=5),
    st.lists(ADDRESSES, max_size=5),
    st.lists(st.tuples(ADDRESSES, st.integers(0, 255), st.binary(max_size=100)), max_size=4),
    st.booleans(),
    st.integers(0, 0xFFFF),
    st.booleans(),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**24 - 1),
)
def test_a_question_says_what_was_asked(
    tokens: list[str],
    owners: list[str],
    calls: list[tuple[str, int, bytes]],
    native: bool,
    skip: int,
    arbsys: bool,
    work_gas: int,
    room: int,
) -> None:
    digits = scanner.encode_question(
        tokens,
        [owner.upper().replace("X", "x") for owner in owners],
        [Call(to, data.hex(), gas_units=units) for to, units, data in calls],
        native=native,
        skip=skip,
        arbsys=arbsys,
        work_gas=work_gas,
        room=room,
    )
    asked = parse_question(digits)
    assert (asked.version, asked.call_gas) == (1, scanner.CELL_GAS)
    assert (asked.work_gas, asked.room, asked.skip) == (work_gas, room, skip)
    assert asked.flags == arbsys + 2 * native
    assert (asked.tokens, asked.owners, asked.calls) == (tokens, owners, calls)
    assert len(digits) // 2 == scanner.HEAD_BYTES + 20 * (len(tokens) + len(owners)) + sum(
        scanner.CALL_BYTES + len(data) for _, _, data in calls
    )


# The answer.


@given(CALLS, CELLS, st.integers(0, 3))
@example([], [0] * 64, 0)
@example([], [0] * 65, 0)
@example([], [0] * 128 + [1], 1)
@example([], [2 ** (8 * size) - 1 for size in range(1, 33)], 0)
@example([], [2 ** (8 * size) for size in range(32)], 0)
def test_an_answer_is_read_as_it_was_meant(calls: list, cells: list, more: int) -> None:
    told = Told(calls=calls, cells=cells)
    scan = scanner.decode_answer(told.encoded(), len(cells) + more, len(calls))
    assert outcomes(scan.cells, scan.failures) == expected_of(cells)
    assert [one.code if isinstance(one, CallFailure) else one for one in scan.calls] == expected_of(calls)
    assert (scan.number, scan.timestamp, scan.chain_id) == (told.number, told.timestamp, told.chain_id)
    assert (scan.parent_hash, scan.arb_number) == ("0x" + told.parent_hash.hex(), told.arb_number)
    assert (scan.gas, scan.gas_used) == (told.gas, told.gas - told.gas_left)


def test_each_failure_has_its_reason() -> None:
    reason = bytes.fromhex("08c379a0") + (32).to_bytes(32) + (4).to_bytes(32) + b"nope".ljust(32, b"\0")
    cells = [(REVERTED, reason), (REVERTED, b""), (MALFORMED, 64), (NO_CONTRACT, 0), (NO_DATA, 0), (ALONE, 0)]
    scan = scanner.decode_answer(Told(cells=cells).encoded(), 6, 0)
    assert [scan.failures[place].reason for place in range(6)] == [
        "the contract says: nope",
        revert_reason(b""),
        "the contract returned 64 bytes, not 32",
        "there is no contract at this address",
        "the contract returned no data",
        "the call failed beside others",
    ]


def test_calls_that_were_not_reached_are_left_out() -> None:
    scan = scanner.decode_answer(Told(calls=[b"\1" * 32]).encoded(), 10, 3)
    assert (scan.calls, scan.cells) == ([b"\1" * 32], [])


@given(CALLS, CELLS, st.data())
def test_an_answer_that_was_cut_is_none(calls: list, cells: list, data: st.DataObject) -> None:
    whole = Told(calls=calls, cells=cells).encoded()
    at = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(UndecodableError):
        scanner.decode_answer(whole[:at], len(cells), len(calls))


@given(CALLS, CELLS, st.binary(min_size=1, max_size=40))
def test_bytes_behind_an_answer_spoil_it(calls: list, cells: list, more: bytes) -> None:
    with pytest.raises(UndecodableError):
        scanner.decode_answer(Told(calls=calls, cells=cells).encoded() + more, len(cells), len(calls))


@given(st.binary(max_size=400), st.integers(0, 50), st.integers(0, 4))
def test_any_bytes_are_an_answer_or_undecodable(body: bytes, cells: int, calls: int) -> None:
    head = Told(claimed={"cells": cells, "calls": calls}).encoded()
    for data in (body, head + body):
        try:
            scan = scanner.decode_answer(data, 50, 4)
        except UndecodableError:
            continue
        assert len(scan.cells) == cells
        assert len(scan.calls) == calls
        assert set(scan.failures) == {place for place, value in enumerate(scan.cells) if value is None}
        assert all(value is None or 0 <= value < 2**256 for value in scan.cells)


@pytest.mark.parametrize(
    ("told", "cells", "calls"),
    [
        (Told(cells=[1, 2, 3]), 2, 0),
        (Told(calls=[b"\1", b"\2"]), 0, 1),
        (Told(calls=[b"\1"], cells=[1]), 1, 2),
        (Told(cells=[1, 2], claimed={"cells": 1}), 2, 0),
        (Told(cells=[1], claimed={"cells": 2}), 2, 0),
        (Told(cells=[0] * 5, claimed={"cells": 4}), 9, 0),
        (Told(calls=[b"\1"], claimed={"calls": 0}), 0, 1),
        (Told(cells=[1], claimed={"version": 2}), 1, 0),
        (Told(cells=[1], gas=5, gas_left=6), 1, 0),
    ],
    ids=[
        "more cells than asked",
        "more calls than asked",
        "cells before all calls are done",
        "more cells than it says",
        "fewer cells than it says",
        "more zeros than it says",
        "calls that it does not count",
        "another version",
        "more gas than before",
    ],
)
def test_an_answer_that_contradicts_itself_is_none(told: Told, cells: int, calls: int) -> None:
    with pytest.raises(UndecodableError):
        scanner.decode_answer(told.encoded(), cells, calls)


@pytest.mark.parametrize("mark", [*range(0x21, 0x80), *range(0xC5, 0x100)])
def test_an_unknown_mark_is_no_value(mark: int) -> None:
    head = Told(claimed={"cells": 1}).encoded()
    with pytest.raises(UndecodableError, match="unknown"):
        scanner.decode_answer(head + bytes([mark]), 1, 0)


def test_endless_zeros_do_not_fill_our_memory() -> None:
    data = Told(cells=[0], claimed={"cells": 50}).encoded() + b"\xbf" * 2_000_000
    tracemalloc.start()
    try:
        with pytest.raises(UndecodableError):
            scanner.decode_answer(data, 50, 0)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("told", [b"\x01\0\0\0", b"\x00", b"\x20" + b"\1" * 32, b"\x80"])
def test_a_call_is_told_as_data_or_as_a_mark(told: bytes) -> None:
    """Data of no length is none: the program marks it."""
    head = Told(claimed={"calls": 1}).encoded()
    with pytest.raises(UndecodableError):
        scanner.decode_answer(head + told, 0, 1)
