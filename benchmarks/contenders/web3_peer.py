"""web3.py and Multicall3 as the documentation has it: contract objects, encoded by eth-abi."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import batched
from typing import Any

from web3 import HTTPProvider, Web3

from benchmarks.contenders.reading import Rows

MULTICALL3 = "0xcA11bde05977b3631167028862bE2a173976CA11"
CALLS_AT_ONCE = 6_100
TIMEOUT_SECONDS = 60
_CALL: list[dict[str, Any]] = [
    {"name": "target", "type": "address"},
    {"name": "allowFailure", "type": "bool"},
    {"name": "callData", "type": "bytes"},
]
_RESULT: list[dict[str, Any]] = [{"name": "success", "type": "bool"}, {"name": "returnData", "type": "bytes"}]
_NUMBER: list[dict[str, Any]] = [{"name": "", "type": "uint256"}]


def _view(name: str, argument: str, mutability: str = "view") -> dict[str, Any]:
    return {
        "name": name,
        "type": "function",
        "stateMutability": mutability,
        "inputs": [{"name": argument, "type": "address"}],
        "outputs": _NUMBER,
    }


MULTICALL3_ABI: list[dict[str, Any]] = [
    {
        "name": "aggregate3",
        "type": "function",
        "stateMutability": "payable",
        "inputs": [{"name": "calls", "type": "tuple[]", "components": _CALL}],
        "outputs": [{"name": "returnData", "type": "tuple[]", "components": _RESULT}],
    },
    _view("getEthBalance", "addr"),
]
_ERC20_ABI = [_view("balanceOf", "owner")]


class WithWeb3:
    """One client per network, each in a thread of its own where there are several."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._clients = [Web3(HTTPProvider(url, request_kwargs={"timeout": TIMEOUT_SECONDS})) for url in urls]
        self._threads = ThreadPoolExecutor(len(urls))

    def read(self, wallets: Sequence[str], tokens: Sequence[str]) -> tuple[float, list[Rows]]:
        """All networks at once."""
        started = time.perf_counter()
        if len(self._clients) == 1:
            rows = [_rows(self._clients[0], wallets, tokens)]
        else:
            rows = list(self._threads.map(lambda client: _rows(client, wallets, tokens), self._clients))
        return time.perf_counter() - started, rows

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()


def _rows(client: Web3, wallets: Sequence[str], tokens: Sequence[str]) -> Rows:
    multicall3 = client.eth.contract(address=Web3.to_checksum_address(MULTICALL3), abi=MULTICALL3_ABI)
    erc20 = client.eth.contract(abi=_ERC20_ABI)
    targets = [Web3.to_checksum_address(token) for token in tokens]
    calls: list[tuple[str, bool, str]] = []
    for wallet in map(Web3.to_checksum_address, wallets):
        calls.append((multicall3.address, True, multicall3.encode_abi("getEthBalance", [wallet])))
        data = erc20.encode_abi("balanceOf", [wallet])
        calls += [(target, True, data) for target in targets]
    flat: list[int | None] = []
    for part in batched(calls, CALLS_AT_ONCE):
        results = multicall3.functions.aggregate3(list(part)).call()
        flat += [client.codec.decode(["uint256"], data)[0] if ok else None for ok, data in results]
    width = 1 + len(tokens)
    return [flat[at : at + width] for at in range(0, len(flat), width)]


def open_contender(urls: Sequence[str], _options: dict[str, Any]) -> WithWeb3:
    """Open a client per URL."""
    return WithWeb3(urls)
