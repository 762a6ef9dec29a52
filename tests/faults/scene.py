"""What the faults are tried on: a node of Base with real tokens, and a node of another chain.

Balances change over the blocks, so that an answer of the wrong block shows as a wrong number.
"""

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from balance_tracker import catalog
from balance_tracker.bootstrap import Tracker
from balance_tracker.core.portfolio import NetworkCoverage, Portfolio
from balance_tracker.demo.anvil import AnvilNode, start_anvil
from balance_tracker.demo.artifacts import fetch_packages
from balance_tracker.demo.contracts import (
    MULTICALL3_ADDRESS,
    ContractLibrary,
    Placement,
    Transaction,
    call_data,
    multicall3_runtime,
    place,
    set_code,
    transact,
)
from balance_tracker.settings import Settings

NETWORK = "base"
CHAIN_ID = 8453
OTHER_CHAIN_ID = 10
OWNER = "0x00000000000000000000000000000000000A11cE"
TOKENS = tuple(f"0x{0xB0000 + number:040x}" for number in range(14))
BLOCKS_BEFORE = 60
DEADLINE_SECONDS = 3.0
GRACE_SECONDS = 0.5
"""What a loaded machine may be late by."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Both nodes, and the token list of the operator."""

    node: AnvilNode
    other: AnvilNode
    token_list: Path
    networks_dir: Path

    def settings(self, *urls: str, ttl_seconds: float = 0) -> Settings:
        """Settings with these endpoints and the tokens of the scene; caching is off."""
        return Settings(
            _env_file=None,
            networks=(NETWORK,),
            networks_dir=self.networks_dir,
            rpc={NETWORK: urls},
            shipped_tokens=False,
            token_lists=(str(self.token_list),),
            deadline_seconds=DEADLINE_SECONDS,
            balance_ttl_seconds=ttl_seconds,
        )

    def truth(self, block: int) -> dict[str | None, int]:
        """Every balance at a block, asked of the node itself one by one; ``None`` is the native coin."""
        tag = hex(block)
        data = "0x" + call_data("balanceOf(address)", OWNER).hex()
        calls = [("eth_call", [{"to": token, "data": data}, tag]) for token in TOKENS]
        native, *rest = self.node.client.batch([("eth_getBalance", [OWNER, tag]), *calls])
        return {None: int(native, 16), **dict(zip(TOKENS, (int(text, 16) for text in rest), strict=True))}

    def head(self) -> int:
        """The number of the latest block."""
        return int(self.node.client.call("eth_blockNumber"), 16)


def known(portfolio: Portfolio) -> dict[str | None, int]:
    """The balances that an answer shows, by contract in lower case."""
    return {
        address.lower() if (address := holding.balance.asset.contract_address) else None: (
            holding.balance.raw_amount
        )
        for holding in portfolio.holdings
    }


def coverage_of(portfolio: Portfolio) -> NetworkCoverage:
    """The one network's coverage."""
    (entry,) = portfolio.coverage
    return entry


async def ask(tracker: Tracker, at: int | None = None) -> Portfolio:
    """The owner's portfolio, with every token of the scene asked by name."""
    return await tracker.portfolio(OWNER, tokens=TOKENS, at=at)


@contextmanager
def scene(folder: Path) -> Iterator[Scene]:
    """Start both nodes and fill them."""
    packages = fetch_packages()
    # Its blocks are mined ahead of time: begun an hour ago, none of them lies in the future.
    began = int(time.time()) - 3_600
    node = start_anvil(CHAIN_ID, timestamp=began, packages=packages)
    try:
        other = start_anvil(OTHER_CHAIN_ID, timestamp=began, packages=packages)
        try:
            library = ContractLibrary(packages)
            for filled in (node, other):
                _fill(filled, library)
            yield Scene(node, other, _token_list(folder), _network_file(folder))
        finally:
            other.stop()
    finally:
        node.stop()


def _fill(node: AnvilNode, library: ContractLibrary) -> None:
    client = node.client
    set_code(client, {MULTICALL3_ADDRESS: multicall3_runtime()})
    place(client, [Placement(token, library.erc20, ("Token", "TKN")) for token in TOKENS])
    client.call("anvil_setBalance", OWNER, hex(5 * 10**18))
    transact(client, _mints(first=1_000))
    client.call("anvil_mine", hex(BLOCKS_BEFORE), "0x2")
    client.call("anvil_setBalance", OWNER, hex(7 * 10**18))
    transact(client, _mints(first=5))
    client.call("anvil_mine", "0x2", "0x2")


def _mints(first: int) -> list[Transaction]:
    return [
        Transaction(token, call_data("mint(address,uint256)", OWNER, first + number))
        for number, token in enumerate(TOKENS)
    ]


def _network_file(folder: Path) -> Path:
    """Base as shipped, but with Multicall3 from the first block on: the local chain is short."""
    text = (Path(catalog.__file__).parents[1] / "data" / "networks" / f"{NETWORK}.toml").read_text()
    directory = folder / "networks"
    directory.mkdir()
    (directory / f"{NETWORK}.toml").write_text(re.sub(r"since_block = \d+", "since_block = 0", text))
    return directory


def _token_list(folder: Path) -> Path:
    tokens = [
        {"chainId": CHAIN_ID, "address": token, "symbol": f"T{number}", "name": f"T {number}", "decimals": 18}
        for number, token in enumerate(TOKENS)
    ]
    path = folder / "list.json"
    path.write_text(json.dumps({"name": "Scene", "tokens": tokens}))
    return path
