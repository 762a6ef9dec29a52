"""A cached ``GET /balances`` against a raw ASGI answer of the same bytes on the same server, in turns."""

import asyncio
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from balance_tracker.demo.run import running_demo
from balance_tracker.demo.stories import TRADER
from benchmarks.load import answers_per_second

HOST = "127.0.0.1"
PATH = f"/balances?address={TRADER}"
TURNS = 9
TURN_SECONDS = 1.0
READY_SECONDS = 30.0
_NOT_OURS = frozenset({"date", "server", "connection"})
_HOW_IT_CAME = ("cached", "age_seconds", "requests", "elapsed_ms")


@dataclass(frozen=True, slots=True)
class ServedResult:
    """Answers per second of both (medians of the turns), their ratio, and how large the answer is.

    The processor's time that the servers took for an answer says the same and hardly depends on what
    else the machine does meanwhile.
    """

    raw_rps: float
    ours_rps: float
    ratio: float
    answer_bytes: int
    raw_cpu_us: float
    ours_cpu_us: float


@dataclass(frozen=True, slots=True)
class _Server:
    port: int
    pid: int

    def load(self, seconds: float) -> tuple[float, float]:
        """Answers per second, and microseconds of the processor for each."""
        before = self._cpu_seconds()
        rps = answers_per_second(self.port, PATH, seconds=seconds)
        return rps, 1e6 * (self._cpu_seconds() - before) / (rps * seconds)

    def _cpu_seconds(self) -> float:
        """Of user and system together; the fields after the name in Linux's ``/proc/PID/stat``."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class WrongAnswerError(AssertionError):
    """The answer that is measured is not the complete and cached one."""


def measure_served(turns: int = TURNS, turn_seconds: float = TURN_SECONDS) -> ServedResult:
    """Start the demo's nodes, ``serve`` and the raw app, and load the two servers in turns.

    Each server has one worker and the same options; the raw one sends the very bytes and headers of
    ours. The answer is compared with the one first read from the nodes, before and after.
    """
    return asyncio.run(_with_nodes(turns, turn_seconds))


async def _with_nodes(turns: int, turn_seconds: float) -> ServedResult:
    async with running_demo():
        return await asyncio.to_thread(_measure, turns, turn_seconds)


def _measure(turns: int, turn_seconds: float) -> ServedResult:
    with _server(["-m", "balance_tracker", "serve", "--host", HOST, "--port"]) as ours:
        truth, _, _ = _get(ours.port)
        _get(ours.port)
        headers, body = _cached(ours.port, truth)
        described = json.dumps(headers).encode() + b"\n" + body
        with _server(["-m", "benchmarks.raw_answer"], described) as raw:
            pairs = [(raw.load(turn_seconds), ours.load(turn_seconds)) for _ in range(turns)]
        _cached(ours.port, truth)
    return ServedResult(
        raw_rps=statistics.median(least[0] for least, _ in pairs),
        ours_rps=statistics.median(mine[0] for _, mine in pairs),
        ratio=statistics.median(mine[0] / least[0] for least, mine in pairs),
        answer_bytes=len(body),
        raw_cpu_us=statistics.median(least[1] for least, _ in pairs),
        ours_cpu_us=statistics.median(mine[1] for _, mine in pairs),
    )


def _cached(port: int, truth: Any) -> tuple[list[tuple[str, str]], bytes]:
    """The answer as it is loaded, when it is complete, cached, and says what the first one said.

    Raises:
        WrongAnswerError: It does not.
    """
    answer, headers, body = _get(port)
    if not answer["complete"] or not all(entry["cached"] for entry in answer["coverage"]):
        raise WrongAnswerError(f"the answer is not complete and cached: {body[:300]!r}")
    if _said(answer) != _said(truth):
        raise WrongAnswerError("the cached answer says something else than the one first read")
    return headers, body


def _said(answer: Any) -> Any:
    coverage = [
        {name: value for name, value in entry.items() if name not in _HOW_IT_CAME}
        for entry in answer["coverage"]
    ]
    return {**answer, "coverage": coverage}


def _get(port: int) -> tuple[Any, list[tuple[str, str]], bytes]:
    connection = HTTPConnection(HOST, port, timeout=30)
    connection.request("GET", PATH)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    headers = [(name.lower(), value) for name, value in response.getheaders()]
    return json.loads(body), [pair for pair in headers if pair[0] not in _NOT_OURS], body


@contextmanager
def _server(words: list[str], document: bytes = b"") -> Iterator[_Server]:
    port = _free_port()
    process = subprocess.Popen(
        [sys.executable, *words, str(port)],
        env=_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        if process.stdin is not None:
            process.stdin.write(document)
            process.stdin.close()
        _wait_until_it_listens(process, port)
        yield _Server(port, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _environment() -> dict[str, str]:
    """This one, but for limits, and without what has a child's lines counted while tests are covered.

    Counting takes our server's lines several times as long, and has no lines of the raw one to count.
    """
    counted = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_PROCESS_")}
    path = os.pathsep.join(sys.path)
    return {**counted, "PYTHONPATH": path, "TRACKER_RATE_LIMIT_ANONYMOUS": "none"}


def _wait_until_it_listens(process: "subprocess.Popen[bytes]", port: int) -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with exit code {process.returncode}")
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"the server was not ready within {READY_SECONDS:.0f} s")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    print(measure_served())
