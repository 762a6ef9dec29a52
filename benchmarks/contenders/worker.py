"""The process of a contender in Python: ``python -m benchmarks.contenders.worker MODULE``.

A line of JSON comes in, one goes out: ``open`` (urls, options), ``read`` (wallets, tokens, times, cold) or
``read_whole`` (owner, times), and the end of input is the end. Every value of a ``read`` is checked, outside
of the time; what a ``read_whole`` gave is handed on, to be compared with what others gave.
"""

import gc
import importlib
import json
import logging
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from benchmarks.contenders.reading import Open
from benchmarks.contenders.whole import OpenWhole
from benchmarks.truth import token_addresses, wallet_addresses, wrong_cells

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_KIB = 1024


class Worker:
    """One contender, and what it is asked."""

    def __init__(self, module: str) -> None:
        self._open: Open | OpenWhole = importlib.import_module(
            f"benchmarks.contenders.{module}"
        ).open_contender
        gc.collect()
        self._after_import = _memory("VmRSS")
        self._contender: Any = None
        self._command: dict[str, Any] = {}

    def obey(self, command: dict[str, Any]) -> dict[str, Any]:
        """Do one thing and tell what came of it."""
        if command["do"] == "open":
            self.close()
            self._command = command
            self._contender = self._open(command["urls"], command["options"])
            return {}
        return self._read(command) if command["do"] == "read" else self._read_whole(command)

    def close(self) -> None:
        """Close the contender, if there is one."""
        if self._contender is not None:
            self._contender.close()
            self._contender = None

    def _read(self, command: dict[str, Any]) -> dict[str, Any]:
        """Several reads in a row are one burst; each is timed, and checked when all are done."""
        wallets, tokens = wallet_addresses(command["wallets"]), token_addresses(command["tokens"])
        if command["cold"]:
            self.close()
        _reset_peak()
        cpu, started = time.process_time(), time.perf_counter()
        if self._contender is None:
            self._contender = self._open(self._command["urls"], self._command["options"])
        opened = time.perf_counter() - started if command["cold"] else 0.0
        reads = [self._contender.read(wallets, tokens) for _ in range(command["times"])]
        cpu = time.process_time() - cpu
        peak = _memory("VmHWM")
        wrong = sum(wrong_cells(rows, len(wallets), len(tokens)) for _, found in reads for rows in found)
        return {
            "seconds": [seconds + opened for seconds, _ in reads],
            "cpu": cpu / len(reads),
            "wrong": wrong,
            "growth_mib": (peak - self._after_import) / _KIB,
        }

    def _read_whole(self, command: dict[str, Any]) -> dict[str, Any]:
        """Several reads in a row; nothing happens on the node meanwhile, so all must say the same."""
        cpu = time.process_time()
        reads = [self._contender.read_whole(command["owner"]) for _ in range(command["times"])]
        cpu = time.process_time() - cpu
        answer = reads[0][1]
        if any(one != answer for _, one in reads):
            return {"error": "two reads of one block differ"}
        return {"seconds": [seconds for seconds, _ in reads], "cpu": cpu / len(reads), "answer": answer}


def _memory(name: str) -> int:
    """KiB of this process by the kernel's account; 0 where it keeps none."""
    if not _STATUS.exists():
        return 0
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1])


def _reset_peak() -> None:
    if _CLEAR.exists():
        _CLEAR.write_text("5")


def main() -> None:
    """Obey until the input ends; what goes wrong in a read is its answer."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    answers, sys.stdout = sys.stdout, sys.stderr  # what a library prints is no answer
    worker = Worker(sys.argv[1])
    for line in sys.stdin:
        try:
            answer = worker.obey(json.loads(line))
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"[:200]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    worker.close()


if __name__ == "__main__":
    main()
