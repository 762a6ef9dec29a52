"""Who reads the wallet: we, two libraries that people use, and a bare socket as the limit."""

import asyncio
import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit

from multicall import Call, Multicall
from web3 import HTTPProvider, Web3

from balance_tracker import BalanceReader
from balance_tracker.demo.contracts import MULTICALL3_ADDRESS, call_data
from benchmarks.scene import CHAIN_ID, TOKENS, WALLET

type Read = Callable[[], list[int]]

OURS, LIMIT = "balance-tracker", "bare socket, prepared bytes"
WEB3, MULTICALL = "web3.py + Multicall3", "multicall"

_ABI: list[dict[str, Any]] = [
    {
        "name": "aggregate3",
        "type": "function",
        "stateMutability": "payable",
        "inputs": [
            {
                "name": "calls",
                "type": "tuple[]",
                "components": [
                    {"name": "target", "type": "address"},
                    {"name": "allowFailure", "type": "bool"},
                    {"name": "callData", "type": "bytes"},
                ],
            }
        ],
        "outputs": [
            {
                "name": "returnData",
                "type": "tuple[]",
                "components": [{"name": "success", "type": "bool"}, {"name": "returnData", "type": "bytes"}],
            }
        ],
    },
    {
        "name": "getEthBalance",
        "type": "function",
        "stateMutability": "view",
        "inputs": [{"name": "addr", "type": "address"}],
        "outputs": [{"name": "balance", "type": "uint256"}],
    },
]
_ERC20_ABI: list[dict[str, Any]] = [
    {
        "name": "balanceOf",
        "type": "function",
        "stateMutability": "view",
        "inputs": [{"name": "owner", "type": "address"}],
        "outputs": [{"name": "", "type": "uint256"}],
    }
]


@contextmanager
def contenders(url: str) -> Iterator[dict[str, Read]]:
    """Each contender by its name, connected to the URL, warm where it can be."""
    with ExitStack() as stack:
        yield {
            LIMIT: stack.enter_context(bare_socket(url)),
            OURS: stack.enter_context(ours(url)),
            MULTICALL: with_multicall(url),
            WEB3: with_web3(url),
        }


@contextmanager
def ours(url: str) -> Iterator[Read]:
    """One reader, kept open."""
    with asyncio.Runner() as runner:
        reader = BalanceReader([url], chain_id=CHAIN_ID)
        runner.run(reader.__aenter__())

        def read() -> list[int]:
            row = runner.run(reader.read([WALLET], TOKENS)).rows[0]
            return [-1 if value is None else value for value in row]

        try:
            yield read
        finally:
            runner.run(reader.__aexit__(None, None, None))


def with_web3(url: str) -> Read:
    """As its documentation has it: contract objects, calls encoded and decoded by eth-abi."""
    w3 = Web3(HTTPProvider(url))
    multicall3 = w3.eth.contract(address=Web3.to_checksum_address(MULTICALL3_ADDRESS), abi=_ABI)
    erc20 = w3.eth.contract(abi=_ERC20_ABI)

    def read() -> list[int]:
        balance_of = erc20.encode_abi("balanceOf", [WALLET])
        calls = [(multicall3.address, True, multicall3.encode_abi("getEthBalance", [WALLET]))]
        calls += [(token, True, balance_of) for token in TOKENS]
        results = multicall3.functions.aggregate3(calls).call()
        return [w3.codec.decode(["uint256"], data)[0] if ok else -1 for ok, data in results]

    return read


def with_multicall(url: str) -> Read:
    """As its documentation has it: one call object per token."""
    w3 = Web3(HTTPProvider(url))

    def read() -> list[int]:
        calls = [Call(MULTICALL3_ADDRESS, ["getEthBalance(address)(uint256)", WALLET], [("native", None)])]
        calls += [
            Call(token, ["balanceOf(address)(uint256)", WALLET], [(str(number), None)])
            for number, token in enumerate(TOKENS)
        ]
        found = Multicall(calls, _w3=w3, require_success=False)()
        return [found["native"], *(found[str(number)] for number in range(len(TOKENS)))]

    return read


@contextmanager
def bare_socket(url: str) -> Iterator[Read]:
    """Multicall3 at its fastest: the request is ready, and of the reply only the words are cut out."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    body = _prepared()

    def read() -> list[int]:
        connection.request("POST", "/", body, {"Content-Type": "application/json"})
        text = connection.getresponse().read()
        start = text.index(b'"0x') + 3
        # A result is five words: its place, success, offset, length, value; places come first.
        first = start + 64 * (2 + 1 + len(TOKENS)) + 3 * 64
        width = 4 * 64
        return [int(text[at : at + 64], 16) for at in range(first, first + width * (1 + len(TOKENS)), width)]

    try:
        yield read
    finally:
        connection.close()


def _prepared() -> bytes:
    multicall3 = Web3().eth.contract(address=Web3.to_checksum_address(MULTICALL3_ADDRESS), abi=_ABI)
    data = call_data("balanceOf(address)", WALLET)
    calls: list[tuple[str, bool, str | bytes]] = [
        (multicall3.address, True, multicall3.encode_abi("getEthBalance", [WALLET])),
        *((token, True, data) for token in TOKENS),
    ]
    transaction = {"to": MULTICALL3_ADDRESS, "data": multicall3.encode_abi("aggregate3", [calls])}
    return json.dumps(
        {"jsonrpc": "2.0", "id": 0, "method": "eth_call", "params": [transaction, "latest"]}
    ).encode()
