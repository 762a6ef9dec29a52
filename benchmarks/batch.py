"""One batch of many wallets on 13 networks through the API: time, memory and requests, every balance checked.

``python -m benchmarks.batch [WALLETS]`` runs the service in a process of its own over SQLite, each network a
node of its own behind the simulator, and prints what it took.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from balance_tracker.demo.anvil import start_anvil
from balance_tracker.demo.contracts import MULTICALL3_ADDRESS, multicall3_runtime
from benchmarks.many_reading import WrongPortfolioError
from benchmarks.simulator import Conditions, SimulatedEndpoint, Simulator
from benchmarks.truth import MANY_WALLETS, NATIVE, raw_amount, wallet_address, wallet_addresses

CHAINS = {
    "ethereum": 1,
    "optimism": 10,
    "cronos": 25,
    "bsc": 56,
    "gnosis": 100,
    "polygon": 137,
    "sonic": 146,
    "fantom": 250,
    "base": 8453,
    "arbitrum": 42161,
    "avalanche": 43114,
    "linea": 59144,
    "scroll": 534352,
}
CONDITIONS = Conditions(round_trip_seconds=0.05)
LONGEST_SECONDS = 120.0
READY_SECONDS = 40.0
_LINES = {"Accept": "application/x-ndjson"}
_KIB_PER_MIB = 1024


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What one batch took.

    Attributes:
        accepted_ms: From the request to its 202.
        seconds: From the request to the end of the batch.
        peak_mib: Peak of the service's memory over what it was before.
        requests: HTTP requests to the networks.
        stream_seconds: To read all results as lines.
        stream_bytes: How many those are.
        database_bytes: What the file grew by.
    """

    wallets: int
    networks: int
    accepted_ms: float
    seconds: float
    peak_mib: float
    requests: int
    stream_seconds: float
    stream_bytes: int
    database_bytes: int

    @property
    def wallets_per_second(self) -> float:
        """How many wallets were done in a second, on all networks."""
        return self.wallets / self.seconds


def measure_batch(wallets: int = MANY_WALLETS) -> BatchResult:
    """Ask for that many wallets on every network once."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        simulator = stack.enter_context(Simulator())
        endpoints = {
            slug: simulator.open(stack.enter_context(_node(chain_id, wallets, Path(folder))), CONDITIONS)
            for slug, chain_id in CHAINS.items()
        }
        process, base = stack.enter_context(_service(Path(folder), endpoints))
        _ask(base, "POST", "/batch", {"addresses": [wallet_address(wallets)]})
        time.sleep(2.0)
        return _measured(Path(folder), process, base, endpoints, wallets)


def _measured(
    folder: Path, process: int, base: str, endpoints: dict[str, SimulatedEndpoint], wallets: int
) -> BatchResult:
    for endpoint in endpoints.values():
        endpoint.reset()
    before, size = _memory_kib(process, "VmRSS"), _size(folder)
    started = time.perf_counter()
    made = json.loads(_ask(base, "POST", "/batch", {"addresses": wallet_addresses(wallets)}))
    accepted = time.perf_counter() - started
    while (batch := json.loads(_ask(base, "GET", f"/batch/{made['id']}")))["status"] in {"queued", "running"}:
        if time.perf_counter() - started > LONGEST_SECONDS:
            raise WrongPortfolioError(f"The batch does not end: {batch}")
        time.sleep(0.1)
    seconds = time.perf_counter() - started
    requests = sum(endpoint.traffic().requests for endpoint in endpoints.values())
    streaming = time.perf_counter()
    lines = _ask(base, "GET", batch["results"], headers=_LINES)
    stream_seconds = time.perf_counter() - streaming
    peak = _memory_kib(process, "VmHWM")
    _check(batch, lines, wallets)
    return BatchResult(
        wallets=wallets,
        networks=len(endpoints),
        accepted_ms=accepted * 1000,
        seconds=seconds,
        peak_mib=(peak - before) / _KIB_PER_MIB,
        requests=requests,
        stream_seconds=stream_seconds,
        stream_bytes=len(lines),
        database_bytes=_size(folder) - size,
    )


def _check(batch: dict[str, Any], lines: bytes, wallets: int) -> None:
    if batch["status"] != "done" or batch["counts"]["ok"] != wallets:
        raise WrongPortfolioError(f"The batch ended badly: {batch}")
    results = [json.loads(line) for line in lines.splitlines()]
    for number, result in enumerate(results):
        amounts = [int(one["raw_amount"]) for one in result["portfolio"]["holdings"]]
        expected = [raw_amount(number, NATIVE)] * len(CHAINS)
        if result["position"] != number or amounts != [amount for amount in expected if amount]:
            raise WrongPortfolioError(f"Wallet {number} is told wrongly")
    if len(results) != wallets:
        raise WrongPortfolioError(f"{len(results)} results of {wallets}")


@contextmanager
def _node(chain_id: int, wallets: int, folder: Path) -> Iterator[str]:
    """A chain on which every wallet holds the native coin that it should."""
    alloc = {wallet_address(at): {"balance": hex(raw_amount(at, NATIVE))} for at in range(wallets)}
    alloc[MULTICALL3_ADDRESS] = {"balance": "0x0", "code": "0x" + multicall3_runtime().hex()}
    config = {"chainId": chain_id}
    genesis = {"config": config, "difficulty": "0x0", "gasLimit": hex(50_000_000), "alloc": alloc}
    path = folder / f"genesis-{chain_id}.json"
    path.write_text(json.dumps(genesis), encoding="ascii")
    node = start_anvil(chain_id, extra_arguments=["--init", str(path), "--no-request-size-limit"])
    try:
        node.client.call("evm_mine")
        yield node.url
    finally:
        node.stop()


@contextmanager
def _service(folder: Path, endpoints: dict[str, SimulatedEndpoint]) -> Iterator[tuple[int, str]]:
    """The process and the base of its URLs."""
    environment = {
        **os.environ,
        **{f"TRACKER_RPC_{slug.upper()}": endpoint.url for slug, endpoint in endpoints.items()},
        "TRACKER_NETWORKS": ",".join(endpoints),
        "TRACKER_DATA_DIR": str(folder / "data"),
        "TRACKER_SHIPPED_TOKENS": "false",
        "TRACKER_PRICE_SOURCES": "none",
        "TRACKER_RATE_LIMIT_ANONYMOUS": "none",
        "TRACKER_DEADLINE_SECONDS": "60",
        "TRACKER_LOG_LEVEL": "error",
    }
    port = _free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "balance_tracker", "serve", "--port", str(port)], env=environment
    )
    base = f"http://127.0.0.1:{port}"
    try:
        _until_ready(base)
        yield process.pid, base
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def _until_ready(base: str) -> None:
    until = time.monotonic() + READY_SECONDS
    while True:
        try:
            _ask(base, "GET", "/health")
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
        else:
            return


def _ask(
    base: str, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
) -> bytes:
    data = None if body is None else json.dumps(body).encode()
    sent = {"Content-Type": "application/json", **(headers or {})}
    request = urllib.request.Request(base + path, data, sent, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: bytes = answer.read()
    return found


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / "data").glob("tracker.db*"))


def _memory_kib(process: int, name: str) -> int:
    for line in Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise LookupError(name)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    print(measure_batch(int(sys.argv[1]) if len(sys.argv) > 1 else MANY_WALLETS))
