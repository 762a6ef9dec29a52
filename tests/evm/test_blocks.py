"""Headers, what ties a call to its block, and the block of a time."""

import asyncio
from bisect import bisect_right
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balance_tracker.core.blocks import BlockRef
from balance_tracker.core.errors import UpstreamError
from balance_tracker.evm.blocks import (
    Evidence,
    Header,
    block_tag,
    fault_of,
    header_call,
    hex_bytes,
    last_block_at,
    quantity,
    read_header,
)
from balance_tracker.transport.jsonrpc import RpcError

HASH = "0x" + "Ab" * 32
PARENT = "0x" + "cd" * 32
REPLY = {"number": "0x10", "hash": HASH, "parentHash": PARENT, "timestamp": "0x65", "more": []}
HEADER = Header(16, HASH.lower(), PARENT, 101)


def test_a_header_is_read_and_named() -> None:
    assert read_header(REPLY, None) == HEADER
    assert read_header(REPLY, 16).ref == BlockRef(16, HASH.lower(), 101)
    assert read_header({**REPLY, "l1BlockNumber": "0x7"}, 16).l1_number == 7
    assert read_header({**REPLY, "l1BlockNumber": None}, 16).l1_number is None


@pytest.mark.parametrize(
    ("reply", "asked", "code"),
    [
        (None, 99, "block_missing"),
        (RpcError(-32000, "header not found"), 99, "block_missing"),
        (RpcError(-32000, "missing trie node"), 1, "history_unavailable"),
        (RpcError(429, "too many requests"), None, "rate_limited"),
        (REPLY, 17, "bad_response"),
        ([], None, "bad_response"),
        ("0x10", None, "bad_response"),
        ({}, None, "bad_response"),
        ({**REPLY, "number": 16}, None, "bad_response"),
        ({**REPLY, "number": None}, None, "bad_response"),
        ({**REPLY, "timestamp": "101"}, None, "bad_response"),
        ({**REPLY, "hash": None}, None, "bad_response"),
        ({**REPLY, "hash": "0x12"}, None, "bad_response"),
        ({**REPLY, "parentHash": "0x" + "zz" * 32}, None, "bad_response"),
        ({**REPLY, "l1BlockNumber": "seven"}, None, "bad_response"),
    ],
)
def test_what_is_no_header_is_a_fault(reply: Any, asked: int | None, code: str) -> None:
    with pytest.raises(UpstreamError) as caught:
        read_header(reply, asked)
    assert caught.value.code == code


@pytest.mark.parametrize("text", ["0x", "", "10", "0xg", None, 5, "0x" + "1" * 65, "-0x1"])
def test_what_is_no_quantity_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match=r"quantity|base 16"):
        quantity(text)


@given(st.integers(0, 2**256 - 1))
def test_a_quantity_is_its_number(number: int) -> None:
    assert quantity(hex(number)) == number


def test_data_is_bytes() -> None:
    assert hex_bytes("0x") == b""
    assert hex_bytes("0x00Ff") == b"\x00\xff"
    for text in ("0x1", "zz", None, 7, "0xzz", {}):
        with pytest.raises(UpstreamError):
            hex_bytes(text)


def test_a_block_is_asked_by_number_or_as_the_latest() -> None:
    assert (block_tag(None), block_tag(0), block_tag(255)) == ("latest", "0x0", "0xff")
    assert header_call(3).params == ["0x3", False]


@pytest.mark.parametrize(
    ("evidence", "fits"),
    [
        (Evidence(16, 101, PARENT, 16), True),
        (Evidence(16, 101, None, 16), True),
        (Evidence(16, 102, PARENT, 16), False),
        (Evidence(17, 101, PARENT, 17), False),
        (Evidence(16, 101, HASH, 16), False),
        (Evidence(None, 101, None, 16), True),
        (Evidence(None, 101, None, 99), False),
        (Evidence(16, 101, None, 99), True),
    ],
)
def test_a_call_belongs_to_a_block_only_if_all_it_saw_agrees(evidence: Evidence, fits: bool) -> None:
    assert evidence.matches(HEADER) is fits


def test_the_number_of_the_parent_chain_is_compared_with_what_the_header_says_of_it() -> None:
    header = Header(16, HASH, PARENT, 101, l1_number=7)
    assert Evidence(None, 101, None, 7).matches(header)
    assert Evidence(7, 101, HASH, 7).matches(header)
    assert not Evidence(None, 101, None, 8).matches(header)
    assert not Evidence(7, 102, HASH, 7).matches(header)
    assert not Evidence(7, 101, HASH, 7).tells_the_block(header)
    assert Evidence(16, 101, None, 7).tells_the_block(header)
    assert not Evidence(None, 101, None, 7).tells_the_block(header)
    assert Evidence(16, 101, None, 16).tells_the_block(HEADER)


def test_the_first_block_has_no_parent_and_maybe_no_true_time() -> None:
    genesis = Header(0, HASH, "0x" + "0" * 64, 5)
    assert Evidence(0, 999, None, 0).matches(genesis)
    assert not Evidence(1, 5, None, 1).matches(genesis)


@pytest.mark.parametrize(
    ("message", "code", "retryable"),
    [
        ("missing trie node", "history_unavailable", False),
        ("rate limit", "rate_limited", True),
        ("header not found", "block_missing", True),
        ("method not found", "method_unsupported", False),
        ("out of gas", "out_of_gas", True),
        ("request entity too large", "too_large", True),
        ("what?", "rpc_error", True),
    ],
)
def test_an_error_says_whether_asking_again_may_help(message: str, code: str, retryable: bool) -> None:
    error = fault_of(RpcError(-32000, message))
    assert (error.code, error.retryable) == (code, retryable)


def search(times: list[int], moment: int) -> tuple[int | None, int]:
    """The block found and how many headers were read."""
    reads = 0

    def header(number: int) -> Header:
        return Header(number, HASH, PARENT, times[number])

    async def header_at(number: int) -> Header:
        nonlocal reads
        reads += 1
        return header(number)

    found = asyncio.run(last_block_at(moment, header(len(times) - 1), header_at))
    return (None if found is None else found.number), reads


_CHAINS = st.lists(st.integers(0, 5) | st.integers(0, 10_000), min_size=1, max_size=300).map(
    lambda gaps: list(accumulate(gaps, initial=1000))
)


@given(_CHAINS, st.data())
def test_the_block_of_a_time_is_the_one_a_linear_scan_finds(times: list[int], data: st.DataObject) -> None:
    moment = data.draw(st.sampled_from(times) | st.integers(times[0] - 5, times[-1] + 5))
    expected = bisect_right(times, moment) - 1
    found, reads = search(times, moment)
    assert found == (None if expected < 0 else expected)
    # One in three steps halves what is left.
    assert reads <= 1 + 3 * (len(times).bit_length() + 1)


def test_few_headers_find_a_block_of_an_even_chain() -> None:
    times = list(range(0, 12 * 200_000, 12))
    found, reads = search(times, 12 * 77_777 + 5)
    assert (found, reads <= 4) == (77_777, True)


def test_a_chain_that_changed_its_pace_costs_few_headers_too() -> None:
    times = list(accumulate([13] * 100_000 + [2] * 100_000, initial=0))
    costs = []
    for moment in range(7, times[-1], 30_011):
        found, reads = search(times, moment)
        assert found == bisect_right(times, moment) - 1
        costs.append(reads)
    assert sum(costs) / len(costs) < 12
    assert max(costs) <= 3 * 18
