"""Multicall3's packing, against a second library."""

import pytest
from eth_abi import decode, encode
from hypothesis import given
from hypothesis import strategies as st

from balance_tracker.evm.multicall import AGGREGATE3, UndecodableError, decode_aggregate3, encode_aggregate3

_ADDRESS = st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())
_CALLS = st.lists(st.tuples(_ADDRESS, st.binary(max_size=100)), max_size=8)
_RESULTS = st.lists(st.tuples(st.booleans(), st.binary(max_size=100)), max_size=8)


@given(_CALLS)
def test_calls_are_packed_as_eth_abi_packs_them(calls: list[tuple[str, bytes]]) -> None:
    packed = encode_aggregate3([(to, data.hex()) for to, data in calls])
    expected = encode(["(address,bool,bytes)[]"], [[(to, True, data) for to, data in calls]])
    assert packed == f"0x{AGGREGATE3}{expected.hex()}"


@given(_RESULTS)
def test_results_are_unpacked_as_eth_abi_packed_them(results: list[tuple[bool, bytes]]) -> None:
    data = encode(["(bool,bytes)[]"], [results])
    assert decode_aggregate3(data, len(results)) == results
    assert decode_aggregate3(data + b"more", len(results)) == results


@given(_RESULTS, st.integers(0, 8))
def test_another_number_of_results_is_refused(results: list[tuple[bool, bytes]], count: int) -> None:
    if count != len(results):
        with pytest.raises(UndecodableError):
            decode_aggregate3(encode(["(bool,bytes)[]"], [results]), count)


@given(_RESULTS.filter(bool), st.integers(0, 2000))
def test_cut_data_is_refused_or_still_says_the_same(results: list[tuple[bool, bytes]], size: int) -> None:
    data = encode(["(bool,bytes)[]"], [results])[:size]
    try:
        assert decode_aggregate3(data, len(results)) == results
    except UndecodableError:
        return


@given(_RESULTS.filter(bool), st.integers(0), st.binary(min_size=1, max_size=32))
def test_spoilt_data_is_refused_or_is_data(results: list[tuple[bool, bytes]], at: int, spoil: bytes) -> None:
    data = encode(["(bool,bytes)[]"], [results])
    at %= len(data)
    spoilt = (data[:at] + spoil + data[at + len(spoil) :])[: len(data)]
    try:
        unpacked = decode_aggregate3(spoilt, len(results))
    except UndecodableError:
        return
    # What is taken for an answer is what a second library takes for it, or at least lies inside the data.
    assert len(unpacked) == len(results)
    assert all(len(part) <= len(data) for _, part in unpacked)


@given(st.binary(max_size=300), st.integers(0, 5))
def test_no_bytes_break_it(data: bytes, count: int) -> None:
    try:
        assert len(decode_aggregate3(data, count)) == count
    except UndecodableError:
        return


def test_a_second_library_reads_the_packed_calls() -> None:
    packed = bytes.fromhex(encode_aggregate3([("0x" + "AB" * 20, "70a08231" + "00" * 32)])[10:])
    ((calls,),) = (decode(["(address,bool,bytes)[]"], packed),)
    assert calls == (("0x" + "ab" * 20, True, bytes.fromhex("70a08231" + "00" * 32)),)
