"""A network of the tests' own: every balance, and so every total, is known."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.simulator import Conditions, Simulator
from benchmarks.truth import NATIVE, raw_amount, wallet_address
from tests.nodes.chains import started

from balance_tracker.demo.contracts import MULTICALL3_ADDRESS, set_code

WALLETS_THERE = 600
NETWORK = """
slug = "island"
name = "Island"
family = "evm"
id = "eip155:31337"
chain_id = 31337
lifecycle = "active"
block_time_ms = 12000

[native]
symbol = "ETH"
name = "Ether"
decimals = 18
priced_as = "eip155:1/slip44:60"

[contracts]
multicall3 = { address = "0xcA11bde05977b3631167028862bE2a173976CA11", since_block = 0 }
"""
PRICE = 2
FIXED = f"""
[usd]
"eip155:1/slip44:60" = "{PRICE}"
"""


@contextmanager
def island_endpoint(multicall3: bytes, round_trip_seconds: float) -> Iterator[str]:
    """A chain whose balances are known, behind round trips that are long enough to be killed in."""
    with started(31337) as node, Simulator() as simulator:
        set_code(node.client, {MULTICALL3_ADDRESS: multicall3})
        for number in range(WALLETS_THERE):
            node.client.call("anvil_setBalance", wallet_address(number), hex(raw_amount(number, NATIVE)))
        yield simulator.open(node.url, Conditions(round_trip_seconds=round_trip_seconds)).url


def island(folder: Path, endpoint: str) -> dict[str, str]:
    """A network of the tests' own, of which no protocol is known, and a price: every total is known."""
    networks = folder / "networks"
    networks.mkdir()
    (networks / "island.toml").write_text(NETWORK)
    (folder / "prices.toml").write_text(FIXED)
    return {
        "TRACKER_NETWORKS": "island",
        "TRACKER_NETWORKS_DIR": str(networks),
        "TRACKER_FIXED_PRICES": str(folder / "prices.toml"),
        "TRACKER_RPC_ISLAND": endpoint,
    }
