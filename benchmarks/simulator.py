"""A simulator of other people's endpoints: a node behind round trips, caps and refusals.

It is a process of its own (``benchmarks/simulator_process.py``), so that it takes no time from the
client's event loop, and counts what passes::

    with Simulator() as simulator:
        endpoint = simulator.open(node.url, Conditions(requests_per_second=10))
        ...                                   # read through endpoint.url
        endpoint.traffic().too_many           # how often it answered 429
"""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

ROOT = Path(__file__).resolve().parent.parent
STOP_SECONDS = 5.0

type Overrides = Literal["work", "ignored", "refused"]


@dataclass(frozen=True, slots=True)
class Conditions:
    """What an endpoint is like; by default it passes everything on at once.

    Attributes:
        round_trip_seconds: Delay of every request.
        handshake_round_trips: What a new connection costs before its first request arrives: 1 is
            TCP alone, 2 with TLS 1.3.
        bits_per_second: Of each direction, shared by all connections.
        requests_per_second: A token bucket that holds one second's worth; HTTP 429 with
            ``Retry-After`` when it is empty.
        gas: The most that one ``eth_call`` gets, whatever it asks for.
        body_bytes: A longer request is answered by HTTP 413.
        batch: A larger batch is answered by one error.
        overrides: Whether state overrides work, are dropped without a word, or are an error.
        deployless: Whether an ``eth_call`` that names no contract works or is an error.
        record: Keep the bodies of requests, for :meth:`SimulatedEndpoint.bodies`.
    """

    round_trip_seconds: float = 0.0
    handshake_round_trips: int = 2
    bits_per_second: float | None = None
    requests_per_second: float | None = None
    gas: int | None = None
    body_bytes: int | None = None
    batch: int | None = None
    overrides: Overrides = "work"
    deployless: bool = True
    record: bool = False


ONLY_MULTICALL = Conditions(overrides="refused", deployless=False)


@dataclass(frozen=True, slots=True)
class Traffic:
    """What has passed since the endpoint was opened or last reset.

    Attributes:
        bytes_up: Of requests, heads and bodies.
        bytes_down: Of answers, heads and bodies.
        body_up: Of the bodies of requests alone.
        body_down: Of the bodies of answers alone.
        calls: JSON-RPC calls, those in batches too.
        too_many: Answers with HTTP 429.
        refused: Requests, or items of a batch, that a cap or a refusal hit (429 apart).
    """

    connections: int = 0
    requests: int = 0
    calls: int = 0
    bytes_up: int = 0
    bytes_down: int = 0
    body_up: int = 0
    body_down: int = 0
    too_many: int = 0
    refused: int = 0


class Simulator:
    """The process; one is enough for any number of endpoints. Use it as a context manager."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.simulator_process"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process, self._process = self._process, None
        if process is None or process.stdin is None or process.stdout is None:
            return
        process.stdin.close()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    def open(self, node_url: str, conditions: Conditions | None = None) -> "SimulatedEndpoint":
        """A new endpoint in front of the node (an ``http`` URL)."""
        known = asdict(conditions or Conditions())
        return SimulatedEndpoint(self, str(self.ask("open", node=node_url, conditions=known)))

    def ask(self, command: str, **details: Any) -> Any:
        """Send one command to the process and return its answer."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise RuntimeError("Simulator is used outside its 'with'")
        process.stdin.write(json.dumps({"do": command, **details}) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise RuntimeError("the simulator has ended")
        return json.loads(line)


@dataclass(frozen=True, slots=True)
class SimulatedEndpoint:
    """One simulated endpoint."""

    simulator: Simulator
    url: str

    def traffic(self) -> Traffic:
        """What has passed."""
        return Traffic(**self.simulator.ask("traffic", url=self.url))

    def reset(self) -> None:
        """Count anew, with a full bucket."""
        self.simulator.ask("reset", url=self.url)

    def bodies(self) -> list[str]:
        """The bodies of the requests so far, in order; needs :attr:`Conditions.record`."""
        return list(self.simulator.ask("bodies", url=self.url))

    def close(self) -> None:
        """Stop listening and close its connections."""
        self.simulator.ask("close", url=self.url)
