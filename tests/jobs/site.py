"""A service as operators run it: processes of its own, each of which can be killed and started again."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx2
from tests.nodes.dying import ends_with_us
from tests.nodes.servers import free_port

START_SECONDS = 40.0
HOST = "127.0.0.1"


class Program:
    """One ``balance-tracker …`` process; what it logs is kept in a file."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._words = [sys.executable, "-m", "balance_tracker", *words]
        self._environment = {**os.environ, **environment}
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._told_before = 0

    def start(self) -> None:
        self._told_before = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._words,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=ends_with_us(),  # noqa: PLW1509 - one system call, prepared before
            )

    def kill(self) -> None:
        """End it as a power cut does."""
        self._ended(signal.SIGKILL)

    def stop(self) -> int:
        """Ask it to end; its exit status."""
        return self._ended(signal.SIGTERM)

    def pause(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def told(self) -> str:
        """What it has logged since it was started last."""
        return self._log.read_bytes()[self._told_before :].decode(errors="replace")

    def _ended(self, how: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(how)
        try:
            return process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


class Site:
    """The processes of one service over one database, and a client of its APIs."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = {
            "TRACKER_NETWORKS": "ethereum",
            "TRACKER_SHIPPED_TOKENS": "false",
            "TRACKER_PRICE_SOURCES": "none",
            "TRACKER_RATE_LIMIT_ANONYMOUS": "none",
            "TRACKER_DEADLINE_SECONDS": "30",
            "TRACKER_BALANCE_TTL_SECONDS": "0",
            "TRACKER_JOB_LEASE_SECONDS": "1.5",
            "TRACKER_LOG_FORMAT": "json",
            **environment,
        }
        self.programs: dict[str, Program] = {}
        self.ports: dict[str, int] = {}
        self.client = httpx2.Client(timeout=20, limits=httpx2.Limits(max_keepalive_connections=0))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()
        for program in self.programs.values():
            program.kill()

    def run(self, name: str, *words: str) -> Program:
        """Start a program; each has a data directory of its own."""
        data = self._folder / name
        environment = {**self._environment, "TRACKER_DATA_DIR": str(data)}
        program = Program(words, environment, self._folder / f"{name}.log")
        self.programs[name] = program
        program.start()
        return program

    def serve(self, name: str) -> None:
        self.ports[name] = free_port()
        self.run(name, "serve", "--port", str(self.ports[name]))

    def until_ready(self, name: str) -> None:
        """Wait until an API answers, or a worker says that it is ready."""
        until = time.monotonic() + START_SECONDS
        while not self.is_ready(name):
            assert time.monotonic() < until, self.programs[name].told[-3000:]
            assert self.programs[name].alive, self.programs[name].told[-3000:]
            time.sleep(0.05)

    def ask(self, method: str, path: str, *, body: object = None, key: str | None = None) -> httpx2.Response:
        """Ask any of the APIs, until one answers; what may have been done is asked again with its key."""
        until = time.monotonic() + START_SECONDS
        headers = {} if key is None else {"Idempotency-Key": key}
        while True:
            for port in self.ports.values():
                try:
                    answer = self.client.request(
                        method, f"http://{HOST}:{port}{path}", json=body, headers=headers
                    )
                except httpx2.TransportError:
                    continue
                if answer.status_code < 500:
                    return answer
            assert time.monotonic() < until, f"nobody answered {method} {path}"
            time.sleep(0.05)

    def is_ready(self, name: str) -> bool:
        if name not in self.ports:
            return "worker_ready" in self.programs[name].told
        try:
            return self.client.get(f"http://{HOST}:{self.ports[name]}/health").status_code == 200
        except httpx2.TransportError:
            return False


class Forever(threading.Thread):
    """Does something again and again in the background, until it is told to end."""

    def __init__(self, act: Callable[[int], None]) -> None:
        super().__init__(daemon=True)
        self._act = act
        self._ending = threading.Event()
        self.error: BaseException | None = None

    def run(self) -> None:
        number = 0
        try:
            while not self._ending.is_set():
                self._act(number)
                number += 1
        except BaseException as error:
            self.error = error

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self.join(60)
        if self.error is not None and error is None:
            raise self.error
