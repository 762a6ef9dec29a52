"""Many wallets on one network's whole list: time, memory and requests, every balance checked."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.scene import bench_node
from benchmarks.truth import CHAIN_ID, MANY_WALLETS, TOKEN_COUNT, token_addresses

LONGEST_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class ManyResult:
    """What reading the wallets once took.

    Attributes:
        wallets: How many were read, in one call of the library.
        tokens: How many tokens each was asked for, besides the native coin.
        seconds: Wall time, from the first chunk to the last portfolio.
        cpu_seconds: What of the processor our process used meanwhile; the rest is the node's.
        peak_mib: Peak of memory over what it was before reading.
        requests: HTTP requests, as the coverage of the answers sums up to.
        balances: Balances that were answered, zeros too.
        holdings: Those that were not zero.
    """

    wallets: int
    tokens: int
    seconds: float
    cpu_seconds: float
    peak_mib: float
    requests: int
    balances: int
    holdings: int

    @property
    def wallets_per_second(self) -> float:
        """How many portfolios came in a second."""
        return self.wallets / self.seconds


def measure_many(wallets: int = MANY_WALLETS) -> ManyResult:
    """Read that many wallets on a node of our own, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder, bench_node(wallets) as node:
        environment = {
            **os.environ,
            "TRACKER_NETWORKS": "ethereum",
            "TRACKER_RPC_ETHEREUM": node.url,
            "TRACKER_SHIPPED_TOKENS": "false",
            "TRACKER_TOKEN_LISTS": str(_token_list(Path(folder))),
            "TRACKER_DATA_DIR": folder,
            "TRACKER_DEADLINE_SECONDS": "30",
            "TRACKER_PRICE_SOURCES": "none",
            "TRACKER_LOG_LEVEL": "error",
        }
        ran = subprocess.run(
            [sys.executable, "-m", "benchmarks.many_reading", str(wallets)],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=LONGEST_SECONDS,
        )
    return ManyResult(wallets=wallets, tokens=TOKEN_COUNT, **json.loads(ran.stdout))


def _token_list(folder: Path) -> Path:
    tokens = [
        {"chainId": CHAIN_ID, "address": token, "symbol": f"T{number}", "name": "Token", "decimals": 18}
        for number, token in enumerate(token_addresses())
    ]
    path = folder / "tokens.json"
    path.write_text(json.dumps({"name": "Benchmark", "tokens": tokens}), encoding="utf-8")
    return path


if __name__ == "__main__":
    print(measure_many(int(sys.argv[1]) if len(sys.argv) > 1 else MANY_WALLETS))
