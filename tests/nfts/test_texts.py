"""Calls and answers of collections byte by byte, and what stands in their URIs."""

import base64
import json

import pytest
from eth_abi.abi import encode
from tests.nodes.token_zoo import zoo_address

from balance_tracker.demo.contracts import call_data
from balance_tracker.evm import nft_calls
from balance_tracker.evm.outcomes import NO_DATA
from balance_tracker.transport.metadata_uris import metadata_in, metadata_of, web_address

OWNER = zoo_address("somebody")
CONTRACT = "0x" + "11" * 20
LIST = "uint256[]"


def test_calls_are_what_another_library_writes():
    batch = "balanceOfBatch(address[],uint256[])"
    assert (
        nft_calls.batch_call(CONTRACT, OWNER, [1, 2**255]).data
        == call_data(batch, [OWNER, OWNER], [1, 2**255]).hex()
    )
    stretch = "tokensOfOwnerIn(address,uint256,uint256)"
    assert nft_calls.stretch_call(CONTRACT, OWNER, 3, 9).data == call_data(stretch, OWNER, 3, 9).hex()
    index = "tokenOfOwnerByIndex(address,uint256)"
    assert nft_calls.index_call(CONTRACT, OWNER, 3).data == call_data(index, OWNER, 3).hex()
    interface = call_data("supportsInterface(bytes4)", bytes.fromhex("d9b67a26")).hex()
    assert nft_calls.interface_call(CONTRACT, nft_calls.ERC1155_INTERFACE).data == interface


@pytest.mark.parametrize("numbers", [[], [7], [1, 2**256 - 1, 3]])
def test_a_list_of_numbers_is_read_as_it_was_written(numbers: list[int]):
    assert nft_calls.uints_of(encode([LIST], [numbers])) == numbers


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(32),
        encode([LIST], [[1, 2]])[:-1],
        encode([LIST], [[1, 2]]) + b"\0",
        (64).to_bytes(32) + encode([LIST], [[1]])[32:],
        (32).to_bytes(32) + (2**255).to_bytes(32),
        encode([LIST], [list(range(10_001))]),
    ],
)
def test_what_is_not_exactly_a_list_is_none(data: bytes):
    assert nft_calls.uints_of(data) is None


def test_a_failure_is_no_list_no_number_and_not_true():
    assert (nft_calls.uints_of(NO_DATA), nft_calls.uint_of(NO_DATA), nft_calls.is_true(NO_DATA)) == (
        None,
        None,
        False,
    )


def packed(text: str, kind: str = "application/json") -> str:
    return f"data:{kind};base64,{base64.b64encode(text.encode()).decode()}"


@pytest.mark.parametrize(
    "uri",
    [
        packed('{"name": "100% ours"}'),
        'data:application/json;utf8,{"name": "100% ours"}',
        "data:application/json;charset=utf-8,%7B%22name%22%3A%22100%25%20ours%22%7D",
        'data:application/json,{"name": "100%25 ours"}'.replace("%25", "%"),
        'data:,{"name": "100% ours"}',
    ],
)
def test_metadata_in_a_uri_is_read_however_it_is_written(uri: str):
    assert metadata_in(uri) == {"name": "100% ours"}


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "data:",
        "https://example.org/1.json",
        "data:image/svg+xml;base64,PHN2Zy8+",
        "data:application/json;base64,***",
        packed("[1, 2]"),
        packed('{"a": Infinity}'),
        packed("[" * 100_000),
        packed(json.dumps({"a": "x" * 300_000})),
    ],
)
def test_what_holds_no_object_holds_no_metadata(uri: str):
    assert metadata_in(uri) is None


def test_deep_metadata_is_refused_and_numbers_that_few_readers_hold_stay_text():
    assert metadata_of(json.dumps({"a": [[[{}]]]}).encode()) == {"a": [[[{}]]]}
    assert metadata_of(b'{"a":' * 40 + b"1" + b"}" * 40) is None
    assert metadata_of(b'{"id": 340282366920938463463374607431768211456}') == {
        "id": "340282366920938463463374607431768211456"
    }


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("ipfs://bafy/1.json", "https://gate.example/ipfs/bafy/1.json"),
        ("ipfs://ipfs/bafy/a b?c#d", "https://gate.example/ipfs/bafy/a%20b%3Fc%23d"),
        ("IPFS://bafy", "https://gate.example/ipfs/bafy"),
        ("ipfs://bafy/../../admin", None),
        ("ipfs://bafy/%2e%2e/%2E%2e/admin", None),
        ("ipfs://", None),
        ("https://example.org/1", "https://example.org/1"),
        ("ar://abc", None),
        ("javascript:alert(1)", None),
    ],
)
def test_only_the_web_and_ipfs_are_followed(uri: str, address: str | None):
    assert web_address(uri, "https://gate.example/") == address
