"""Runs contenders in turns and keeps what each turn took."""

import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from balance_tracker.demo.artifacts import fetch_packages, npm_command
from benchmarks.contenders.whole import Answer

ROOT = Path(__file__).resolve().parent.parent
NPM_MANIFEST = Path(__file__).parent / "npm"
VIEM_SCRIPT = Path(__file__).parent / "contenders" / "viem.mjs"
STOP_SECONDS = 10.0

OURS = "balance-tracker"
LIMIT = "limit with the scanner"
LIMIT_MULTICALL = "limit with Multicall3"
MULTICALL = "multicall (pip)"
WEB3 = "web3.py + Multicall3 (pip)"
WEB3_BATCHES = "web3.py, batches (pip)"
VIEM = "viem (npm)"
PEERS = (MULTICALL, VIEM, WEB3, WEB3_BATCHES)
_MODULES = {
    OURS: "ours",
    LIMIT: "limit",
    LIMIT_MULTICALL: "limit",
    MULTICALL: "multicall_peer",
    WEB3: "web3_peer",
}
_WHOLE_MODULES = {OURS: "ours_whole", LIMIT: "limit_whole", WEB3: "web3_whole", WEB3_BATCHES: "web3_whole"}
"""Who reads whole wallets."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One burst of reads of one contender.

    Attributes:
        seconds: Wall time of each read.
        cpu_seconds: What the client's process used for one, all threads.
        wrong: Cells that are missing or not what the chain holds.
        growth_mib: The highest resident memory, over what it was after the imports.
        error: Why there is no answer; empty where there is one.
    """

    seconds: tuple[float, ...]
    cpu_seconds: float
    wrong: int
    growth_mib: float
    error: str = ""

    @property
    def is_right(self) -> bool:
        """Whether every number is there and right."""
        return not self.error and not self.wrong


class Worker:
    """A contender's process; with ``whole`` one that reads whole wallets."""

    def __init__(self, name: str, *, whole: bool = False) -> None:
        self.name = name
        self._process = subprocess.Popen(
            _whole_command(name) if whole else _command(name),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def open(self, urls: Sequence[str], **options: Any) -> None:
        """Connect it; several URLs are several networks."""
        self._ask(do="open", urls=list(urls), options=options)

    def read(self, wallets: int, tokens: int, *, times: int = 1, cold: bool = False) -> Reading:
        """Read the first wallets and tokens; a cold read opens the client anew, within the time."""
        answer = self._ask(do="read", wallets=wallets, tokens=tokens, times=times, cold=cold)
        if "error" in answer:
            return Reading((), 0.0, 0, 0.0, answer["error"])
        return Reading(tuple(answer["seconds"]), answer["cpu"], answer["wrong"], answer["growth_mib"])

    def read_whole(self, owner: str, *, times: int = 1) -> tuple[Reading, Answer]:
        """All that a wallet has, and how long that took; what is wrong in it the caller has to judge."""
        answer = self._ask(do="read_whole", owner=owner, times=times)
        if "error" in answer:
            return Reading((), 0.0, 0, 0.0, answer["error"]), {}
        return Reading(tuple(answer["seconds"]), answer["cpu"], 0, 0.0), answer["answer"]

    def _ask(self, **command: Any) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            return {"error": "the contender's process ended"}
        answer: dict[str, Any] = json.loads(line)
        return answer


@dataclass(slots=True)
class Score:
    """Readings of one contender in one case, and what its last one cost on the wire."""

    name: str
    readings: list[Reading] = field(default_factory=list)
    traffic: dict[str, int] = field(default_factory=dict)
    growth_mib: float | None = None

    @property
    def is_right(self) -> bool:
        """Whether all its readings are."""
        return bool(self.readings) and all(reading.is_right for reading in self.readings)

    @property
    def milliseconds(self) -> float:
        """The median."""
        return 1_000 * statistics.median(one for reading in self.readings for one in reading.seconds)

    @property
    def cpu_milliseconds(self) -> float:
        """The median."""
        return 1_000 * statistics.median(reading.cpu_seconds for reading in self.readings)

    def as_row(self) -> dict[str, Any]:
        """For JSON; times only where every number was right."""
        if not self.is_right:
            failed = next((one for one in self.readings if not one.is_right), None)
            what = "not read" if failed is None else failed.error or f"{failed.wrong} numbers are wrong"
            return {"name": self.name, "right": False, "failure": what, **self.traffic}
        return {
            "name": self.name,
            "right": True,
            "ms": self.milliseconds,
            "cpu_ms": self.cpu_milliseconds,
            "growth_mib": self.growth_mib,
            "reads": sum(len(reading.seconds) for reading in self.readings),
            **self.traffic,
        }


def _whole_command(name: str) -> list[str]:
    return _python(_WHOLE_MODULES[name])


def _python(module: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.contenders.worker", module]


def _command(name: str) -> list[str]:
    if name != VIEM:
        return _python(_MODULES[name])
    _, environment = npm_command()
    node = shutil.which("node", path=environment["PATH"])
    assert node is not None, "npm is there and node is not"
    return [node, str(VIEM_SCRIPT), str(fetch_packages(NPM_MANIFEST, _silent))]


def _silent(_line: str) -> None:
    """The progress of a fetch names what the demo fetches, which this is not."""
